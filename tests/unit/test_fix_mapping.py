"""From FIX messages to events: who, when, identity, secrets, and what is left out."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetrail.event import Event, Limits
from tradetrail.fix.mapping import Left, MappedEvent, Mapper, MappingOptions, Refused
from tradetrail.fix.message import SOH, RawMessage, read_message
from tradetrail.fix.reader import Junk, read_messages
from tradetrail.fix.redaction import MASK
from tradetrail.fix.sample import SAMPLE_PASSWORDS, Pairs, encode_message, sample_log
from tradetrail.scan import scan_structured

REPEATABLE = settings(derandomize=True, deadline=None)

SENT = "20240304-08:00:00.137"
CLIENT: Pairs = [(49, "LARK"), (56, "VENUE")]
FIRM: Pairs = [(49, "VENUE"), (56, "LARK")]
SECRET = "quiet-harbour-17"


def raw(
    message_type: str,
    pairs: Pairs,
    *,
    sides: Pairs | None = None,
    number: str = "7",
    sent: str = SENT,
    version: str = "FIX.4.4",
    delimiter: bytes = SOH,
) -> bytes:
    header: Pairs = [(35, message_type), (34, number), *(sides or CLIENT), (52, sent)]
    return encode_message(version, header + pairs, delimiter)


def result(
    message: bytes, options: MappingOptions | None = None, mapper: Mapper | None = None
) -> MappedEvent | Left | Refused:
    (found,) = read_messages(BytesIO(message))
    assert isinstance(found, RawMessage)
    return (mapper or Mapper(options)).to_event(found)


def mapped(
    message: bytes, options: MappingOptions | None = None, mapper: Mapper | None = None
) -> MappedEvent:
    event = result(message, options, mapper)
    assert isinstance(event, MappedEvent), event
    return event


def attributes(event: MappedEvent) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(event.text)
    return value


def test_an_order_becomes_an_event_with_all_it_says() -> None:
    message = raw("D", [(50, "amara"), (11, "C1"), (55, "TTX"), (44, "10.50"), (9001, "x")])
    event = mapped(message)
    found = attributes(event)
    data = found.pop("data")
    assert re.fullmatch(rf"7-{SENT}-[0-9a-f]{{16}}", found.pop("id"))
    assert found == {
        "specversion": "1.0",
        "source": "fix:FIX.4.4/LARK/VENUE",
        "type": "tradetrail.order.new.v1",
        "time": "2024-03-04T08:00:00.137Z",
        "subject": "order/C1",
        "datacontenttype": "application/json",
        "authtype": "app_user",
        "authid": "amara",
        "initiator": "client",
    }
    assert (data["ClOrdID"], data["Price"], data["9001"]) == ("C1", "10.50", "x")
    assert data["raw"] == message.decode()
    assert "redacted" not in data
    assert not event.problems


@pytest.mark.parametrize(
    ("message_type", "event_type"),
    [
        ("D", "tradetrail.order.new.v1"),
        ("F", "tradetrail.order.cancel_request.v1"),
        ("G", "tradetrail.order.replace_request.v1"),
        ("H", "tradetrail.order.status_request.v1"),
        ("9", "tradetrail.order.cancel_reject.v1"),
        ("8", "tradetrail.execution.report.v1"),
        ("V", "tradetrail.marketdata.request.v1"),
        ("A", "tradetrail.session.logon.v1"),
        ("5", "tradetrail.session.logoff.v1"),
        ("3", "tradetrail.session.reject.v1"),
        ("AE", "tradetrail.fix.AE.v1"),
        ("U7", "tradetrail.fix.U7.v1"),
    ],
)
def test_message_types_have_their_event_types(message_type: str, event_type: str) -> None:
    assert mapped(raw(message_type, [(11, "C1")])).type == event_type


@pytest.mark.parametrize(
    ("message_type", "reason"),
    [("0", "heartbeat"), ("1", "test_request"), ("2", "resend_request"), ("4", "sequence_reset")],
)
def test_session_upkeep_is_left_out(message_type: str, reason: str) -> None:
    assert result(raw(message_type, [(112, "x")])) == Left(reason)


@pytest.mark.parametrize(
    ("pairs", "user"),
    [
        ([(50, "amara"), (116, "desk")], "amara"),
        ([(116, "desk")], "desk"),
        ([(50, ""), (116, "desk")], "desk"),
        ([(57, "other"), (129, "other")], "LARK"),
    ],
)
def test_the_user_of_what_the_client_sent_is_sender_side(pairs: Pairs, user: str) -> None:
    assert mapped(raw("D", pairs)).user == user


@pytest.mark.parametrize(
    ("pairs", "user"),
    [
        ([(57, "amara"), (129, "desk")], "amara"),
        ([(129, "desk")], "desk"),
        ([(50, "trader"), (116, "x")], "LARK"),
    ],
)
def test_the_user_of_what_the_firm_answered_is_target_side(pairs: Pairs, user: str) -> None:
    event = mapped(raw("8", pairs, sides=FIRM))
    assert event.user == user
    assert "initiator" not in attributes(event)


def test_other_tags_can_name_the_user() -> None:
    options = MappingOptions(user_tags_client=(1,), user_tags_firm=(109, 56))
    assert mapped(raw("D", [(50, "amara"), (1, "ACC")]), options).user == "ACC"
    assert mapped(raw("8", [(109, "CID")], sides=FIRM), options).user == "CID"


def test_both_logons_belong_to_the_client() -> None:
    mapper = Mapper()
    assert mapped(raw("A", []), mapper=mapper).user == "LARK"
    assert mapped(raw("A", [], sides=FIRM), mapper=mapper).user == "LARK"
    assert mapped(raw("5", [], sides=FIRM), mapper=mapper).user == "LARK"


def test_time_is_tag_60_else_the_sending_time() -> None:
    transact = "20240304-07:59:59.123456789"
    assert attributes(mapped(raw("D", [(60, transact)])))["time"] == (
        "2024-03-04T07:59:59.123456789Z"
    )
    assert attributes(mapped(raw("D", [])))["time"] == "2024-03-04T08:00:00.137Z"


@pytest.mark.parametrize("transact", ["yesterday", "00010101-00:00:00"])
def test_a_time_that_is_none_is_marked_and_the_sending_time_stands_in(transact: str) -> None:
    event = mapped(raw("D", [(60, transact)]))
    assert attributes(event)["time"] == "2024-03-04T08:00:00.137Z"
    assert attributes(event)["fixproblem"] == "time"
    assert attributes(event)["data"]["TransactTime"] == transact


def test_without_any_time_the_event_has_none_and_says_so() -> None:
    event = mapped(raw("D", [], sent="now"))
    assert "time" not in attributes(event)
    assert event.problems == ("time",)


def test_a_resend_has_the_identity_of_what_it_repeats() -> None:
    order: Pairs = [(50, "amara"), (11, "C1"), (38, "10")]
    first = mapped(raw("D", order))
    later = "20240304-09:00:00.000"
    flagged: Pairs = [(43, "Y"), (122, SENT), (97, "Y")]
    again = mapped(raw("D", [*flagged, *order], sent=later))
    assert (again.id, again.resend, first.resend) == (first.id, True, False)
    assert attributes(again)["source"] == attributes(first)["source"]


def test_a_restarted_sequence_and_other_content_have_other_identities() -> None:
    order: Pairs = [(11, "C1"), (38, "10")]
    messages = [
        raw("D", order),
        raw("D", order, sent="20240305-08:00:00.137"),
        raw("D", order, number="8"),
        raw("D", [(11, "C1"), (38, "11")]),
        raw("F", order),
        # The flag alone decides that tag 122 is the sending time.
        raw("D", [(122, "20240301-00:00:00.000"), *order], sent="20240306-08:00:00.000"),
    ]
    assert len({mapped(message).id for message in messages}) == len(messages)


def test_the_first_sending_time_counts_only_where_the_message_is_flagged() -> None:
    order: Pairs = [(122, SENT), (11, "C1")]
    one, other = "20240306-08:00:00.000", "20240307-08:00:00.000"
    assert mapped(raw("D", order, sent=one)).id != mapped(raw("D", order, sent=other)).id
    flagged: Pairs = [(43, "Y"), *order]
    assert mapped(raw("D", flagged, sent=one)).id == mapped(raw("D", flagged, sent=other)).id
    unflagged: Pairs = [(43, "N"), *order]
    assert mapped(raw("D", unflagged, sent=one)).id != mapped(raw("D", unflagged, sent=other)).id


def test_the_separator_of_the_log_does_not_change_the_identity() -> None:
    order: Pairs = [(11, "C1"), (38, "10")]
    assert mapped(raw("D", order)).id == mapped(raw("D", order, delimiter=b"|")).id


@pytest.mark.parametrize("delimiter", [SOH, b"|"])
@pytest.mark.parametrize(
    ("message_type", "tags", "named"),
    [
        ("A", [(553, "lark"), (554, SECRET)], ["Password"]),
        ("A", [(554, SECRET), (925, SECRET)], ["Password", "NewPassword"]),
        ("BE", [(554, SECRET)], ["Password"]),
        ("D", [(554, SECRET)], ["Password"]),
        ("A", [(95, "16"), (96, SECRET)], ["RawDataLength", "RawData"]),
        ("A", [(1401, "16"), (1402, SECRET)], ["EncryptedPasswordLen", "EncryptedPassword"]),
        ("A", [(1403, "16"), (1404, SECRET)], ["EncryptedNewPasswordLen", "EncryptedNewPassword"]),
        ("A", [(95, "9"), (96, SECRET)], ["RawDataLength", "RawData"]),
    ],
)
def test_secrets_are_masked_everywhere_and_named(
    message_type: str, tags: Pairs, named: list[str], delimiter: bytes
) -> None:
    event = mapped(raw(message_type, tags, version="FIXT.1.1", delimiter=delimiter))
    assert SECRET not in event.text.decode()
    data = attributes(event)["data"]
    assert [name for name in data["redacted"] if name not in ("BodyLength", "CheckSum")] == named
    for name in data["redacted"]:
        assert data[name] == MASK.decode()
    for tag, _ in tags:
        if tag not in (553,):
            assert f"{tag}={MASK.decode()}" in data["raw"]


def test_raw_data_of_other_messages_is_no_secret() -> None:
    event = mapped(raw("B", [(148, "news"), (95, "3"), (96, "abc")]))
    data = attributes(event)["data"]
    assert data["RawData"] == "abc"
    assert "redacted" not in data


def test_a_secret_quoted_in_a_text_is_masked() -> None:
    event = mapped(raw("3", [(45, "1"), (58, f"bad logon 8=FIX.4.4|35=A|554={SECRET}|10=1")]))
    assert SECRET not in event.text.decode()
    assert "Text" in attributes(event)["data"]["redacted"]


def test_a_secret_in_a_piece_that_is_no_field_is_masked() -> None:
    event = mapped(raw("A", [(58, f"x\x010554={SECRET}")]))
    assert SECRET not in event.text.decode()


def test_no_secret_reaches_the_identity() -> None:
    messages = [raw("A", [(553, "lark"), (554, secret)]) for secret in (SECRET, "other", "")]
    assert len({mapped(message).id for message in messages}) == 1
    texts = {mapped(message).text for message in messages}
    assert len(texts) == 1


def test_wrong_checksum_and_length_are_marked_and_strict_refuses_them() -> None:
    edited = raw("D", [(11, "C1"), (38, "10")]).replace(b"38=10", b"38=11")
    event = mapped(edited)
    assert attributes(event)["fixproblem"] == "checksum"
    assert event.problems == ("checksum",)
    longer = raw("D", [(11, "C1")]).replace(b"11=C1", b"11=C12")
    assert attributes(mapped(longer))["fixproblem"] == "body_length,checksum"
    refused = result(edited, MappingOptions(strict=True))
    assert isinstance(refused, Refused)
    assert (refused.reason, "checksum" in refused.detail) == ("fixproblem", True)
    assert isinstance(result(raw("D", []), MappingOptions(strict=True)), MappedEvent)


def test_a_group_with_another_count_is_marked() -> None:
    event = mapped(raw("D", [(453, "2"), (448, "A"), (54, "1")]))
    assert event.problems == ("group_count",)


def test_bytes_that_are_not_utf_8_are_kept_as_they_are() -> None:
    message = raw("D", [(11, "C1"), (58, "x")]).replace(b"58=x", b"58=caf\xe9")
    data = attributes(mapped(message))["data"]
    assert b64decode(data["raw_base64"]) == message
    assert data["Text"] == "café"
    assert "raw" not in data


def test_utf_8_is_read_as_utf_8() -> None:
    event = mapped(raw("D", [(50, "bjørn"), (58, "日本")]))
    assert event.user == "bjørn"
    assert attributes(event)["data"]["Text"] == "日本"


def test_parts_of_the_source_are_told_apart_by_encoding() -> None:
    event = mapped(raw("D", [], sides=[(49, "A/B %"), (56, "C\x7f")]))
    assert attributes(event)["source"] == "fix:FIX.4.4/A%2FB%20%25/C%7F"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (raw("D", [], sides=[(1, "x")]), "no_user"),
        (raw("D", [(50, "tradetrail:reader/x")]), "reserved_user"),
        (raw("D", [(50, "a\tb")]), "invalid_user"),
        (raw("D", [(50, "x" * 257)]), "user_too_long"),
        (raw("D", [(50, "u"), (58, "x" * 40_000)]), "event_too_large"),
        (raw("D", [(50, "u")], sides=[(49, "x" * 1_025)]), "source_too_long"),
        (raw("", []), "message_type"),
        (raw("D/x", []), "message_type"),
    ],
)
def test_what_cannot_be_an_event_is_refused_without_its_values(message: bytes, reason: str) -> None:
    refused = result(message)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert "xxx" not in refused.detail


def test_an_order_id_too_long_for_a_subject_leaves_the_event_without_one() -> None:
    event = mapped(raw("D", [(11, "C" * 1_100)]))
    assert "subject" not in attributes(event)
    assert attributes(event)["data"]["ClOrdID"] == "C" * 1_100
    assert isinstance(scan_structured(event.text, Limits()), Event)


def test_the_sample_maps_to_events_the_service_takes_and_shows_no_password() -> None:
    mapper = Mapper()
    kinds: Counter[str] = Counter()
    identities: Counter[tuple[str, str, str]] = Counter()
    for item in read_messages(BytesIO(sample_log())):
        if isinstance(item, Junk):
            kinds[item.reason] += 1
            continue
        event = mapper.to_event(item)
        kinds[type(event).__name__] += 1
        if isinstance(event, MappedEvent):
            accepted = scan_structured(event.text, Limits())
            assert isinstance(accepted, Event), accepted
            assert (accepted.user, accepted.id, accepted.type) == (event.user, event.id, event.type)
            identities[accepted.user, accepted.source, accepted.id] += 1
            assert not any(word.encode() in event.text for word in SAMPLE_PASSWORDS)
    assert kinds["Refused"] == 0
    assert (kinds["no_message"], kinds["incomplete"]) == (2, 1)
    assert kinds["Left"] == 7
    # The flagged resend is the only one that repeats an identity.
    assert Counter(identities.values())[2] == 1
    assert max(identities.values()) == 2


def test_the_sample_is_the_same_to_the_byte_each_time() -> None:
    assert sample_log() == sample_log()
    assert len(sample_log(60)) > len(sample_log(30))


VALUES = st.text(st.characters(exclude_characters="\x01", codec="utf-8"), max_size=12)
TAGS = st.sampled_from([11, 37, 50, 57, 60, 43, 122, 453, 448, 95, 96, 554, 58, 9001, 1, 55, 35])


@REPEATABLE
@given(
    st.sampled_from(["D", "8", "A", "BE", "3", "U1"]),
    st.lists(st.tuples(TAGS, VALUES), max_size=10),
    st.binary(max_size=6),
    st.sampled_from([SOH, b"|"]),
)
def test_every_mapped_event_is_one_the_service_takes(
    message_type: str, pairs: Pairs, noise: bytes, delimiter: bytes
) -> None:
    message = raw(message_type, pairs, delimiter=delimiter).replace(b"10=", noise + b"10=")
    event = Mapper().to_event(read_message(message, 1, delimiter))
    if isinstance(event, MappedEvent):
        accepted = scan_structured(event.text, Limits())
        assert isinstance(accepted, Event), accepted
        assert (accepted.user, accepted.id) == (event.user, event.id)
        assert Mapper().to_event(read_message(message, 1, delimiter)) == event


SECRETS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x01|"), min_size=6, max_size=30
).filter(lambda text: not re.fullmatch(r"[\d*A-Z:.-]+", text) and "=" not in text)


@REPEATABLE
@given(SECRETS, st.sampled_from([554, 925, 96, 1402]), st.sampled_from([SOH, b"|"]))
def test_no_secret_of_a_logon_is_readable_in_its_event(
    secret: str, tag: int, delimiter: bytes
) -> None:
    plain = mapped_logon("", tag, delimiter)
    event = mapped_logon(secret, tag, delimiter)
    # Nothing at all depends on the secret, so nothing can show it.
    assert event == plain


def mapped_logon(secret: str, tag: int, delimiter: bytes) -> MappedEvent:
    lengths = {96: 95, 1402: 1401}
    length: Pairs = [(lengths[tag], str(len(secret.encode())))] if tag in lengths else []
    message = raw("A", [(553, "lark"), *length, (tag, secret)], version="FIXT.1.1")
    if delimiter != SOH:
        message = message.replace(SOH, delimiter)
    event = Mapper().to_event(read_message(message, 1, delimiter))
    assert isinstance(event, MappedEvent)
    return event
