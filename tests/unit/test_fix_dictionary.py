"""Facts of the FIX standard, and named fields with their repeating groups."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetrail.fix.dictionary import data_fields, version_facts
from tradetrail.fix.groups import NamedFields, named_fields

REPEATABLE = settings(derandomize=True, deadline=None)

FIX42 = version_facts("FIX.4.2")
FIX44 = version_facts("FIX.4.4")


def named(text: str, message_type: str = "D", version: str = "FIX.4.4") -> NamedFields:
    return with_count(text, message_type, version)[0]


def with_count(
    text: str, message_type: str = "D", version: str = "FIX.4.4"
) -> tuple[NamedFields, bool]:
    fields = [(int(tag), value) for tag, _, value in (item.partition("=") for item in text.split())]
    return named_fields(fields, version_facts(version), message_type)


@pytest.mark.parametrize(
    ("tag", "name"),
    [(11, "ClOrdID"), (55, "Symbol"), (44, "Price"), (554, "Password"), (9001, "9001")],
)
def test_tags_have_the_names_of_the_standard_and_unknown_ones_their_number(
    tag: int, name: str
) -> None:
    assert FIX44.field_name(tag) == name


def test_a_tag_that_was_renamed_has_the_name_of_its_version() -> None:
    assert FIX42.field_name(76) == "ExecBroker"


def test_no_two_tags_of_a_version_share_a_name() -> None:
    for version in ("FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIX.5.0", "FIXT.1.1"):
        names = list(version_facts(version).names.values())
        assert len(names) == len(set(names)), version


def test_transport_messages_and_the_named_application_version_come_together() -> None:
    facts = version_facts("FIXT.1.1", "9")
    assert facts.message_names["A"] == "Logon"
    assert facts.message_names["D"] == "NewOrderSingle"
    assert 453 in facts.groups("D")
    older = version_facts("FIXT.1.1", "4")
    assert 453 not in older.groups("D")
    assert older.message_names["A"] == "Logon"


def test_an_unknown_version_reads_as_the_newest() -> None:
    assert version_facts("FIX.9.9").names == version_facts("FIXT.1.1", "9").names


def test_lengths_name_their_data_fields() -> None:
    pairs = data_fields()
    assert (pairs[95], pairs[354], pairs[93], pairs[212]) == (96, 355, 89, 213)
    assert not set(pairs) & set(pairs.values())


def test_an_unknown_message_type_has_no_groups() -> None:
    assert FIX44.groups("U99") == {}


def test_repeating_groups_are_arrays_in_order() -> None:
    found = named("11=C1 453=2 448=DEU 447=B 452=1 448=GSI 447=D 54=1")
    assert found == {
        "ClOrdID": "C1",
        "NoPartyIDs": [
            {"PartyID": "DEU", "PartyIDSource": "B", "PartyRole": "1"},
            {"PartyID": "GSI", "PartyIDSource": "D"},
        ],
        "Side": "1",
    }
    assert list(found) == ["ClOrdID", "NoPartyIDs", "Side"]


def test_groups_within_groups_stay_with_their_entry() -> None:
    found = named("453=2 448=A 802=2 523=x 803=1 523=y 448=B 802=1 523=z 803=2 55=TTX")
    assert found["NoPartyIDs"] == [
        {
            "PartyID": "A",
            "NoPartySubIDs": [
                {"PartySubID": "x", "PartySubIDType": "1"},
                {"PartySubID": "y"},
            ],
        },
        {"PartyID": "B", "NoPartySubIDs": [{"PartySubID": "z", "PartySubIDType": "2"}]},
    ]
    assert found["Symbol"] == "TTX"


def test_an_entry_begins_with_whatever_tag_follows_the_counter() -> None:
    found, counts_hold = with_count("453=2 447=B 448=A 447=D 448=C")
    assert found["NoPartyIDs"] == [
        {"PartyIDSource": "B", "PartyID": "A"},
        {"PartyIDSource": "D", "PartyID": "C"},
    ]
    assert counts_hold


def test_a_tag_that_stands_in_the_entry_already_begins_the_next_one() -> None:
    found, counts_hold = with_count("453=3 448=A 447=B 447=D 448=C")
    assert found["NoPartyIDs"] == [
        {"PartyID": "A", "PartyIDSource": "B"},
        {"PartyIDSource": "D"},
        {"PartyID": "C"},
    ]
    assert counts_hold


@pytest.mark.parametrize(
    ("text", "party_ids", "rest"),
    [
        ("453=3 448=A 448=B 54=1", ["A", "B"], {"Side": "1"}),
        ("453=1 448=A 448=B 54=1", ["A"], {"PartyID": "B", "Side": "1"}),
        ("453=0 448=A", [], {"PartyID": "A"}),
        ("453=2", [], {}),
    ],
)
def test_a_wrong_count_is_told_and_loses_nothing(
    text: str, party_ids: list[str], rest: dict[str, str]
) -> None:
    found, counts_hold = with_count(text)
    assert found.pop("NoPartyIDs") == [{"PartyID": party} for party in party_ids]
    assert found == rest
    assert not counts_hold


@pytest.mark.parametrize("count", ["x", "", "-1", "999999", "٣"])
def test_a_counter_that_holds_no_number_is_a_plain_field(count: str) -> None:
    found, counts_hold = with_count(f"453={count} 448=A")
    assert found == {"NoPartyIDs": count, "PartyID": "A"}
    assert counts_hold


def test_a_plain_tag_that_repeats_becomes_an_array_in_order() -> None:
    assert named("58=one 9001=a 58=two 9001=b 58=three") == {
        "Text": ["one", "two", "three"],
        "9001": ["a", "b"],
    }


def leaves(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    assert not isinstance(items, str)
    return list(chain.from_iterable(leaves(item) for item in items))  # type: ignore[attr-defined]  # a list


TAGS = st.sampled_from([453, 448, 447, 452, 802, 523, 803, 78, 79, 80, 11, 55, 58, 9001])


@REPEATABLE
@given(st.lists(st.tuples(TAGS, st.sampled_from(["0", "1", "2", "3"])), max_size=25))
def test_no_field_is_ever_lost(fields: list[tuple[int, str]]) -> None:
    numbered = [
        (tag, value if tag in (453, 802, 78) else f"v{position}")
        for position, (tag, value) in enumerate(fields)
    ]
    found, _ = named_fields(numbered, FIX44, "D")
    kept = [text for text in leaves(found) if text.startswith("v")]
    assert sorted(kept) == sorted(value for _, value in numbered if value.startswith("v"))
