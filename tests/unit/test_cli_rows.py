"""What a terminal shows of a record, and that no record can give it orders."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.unit.fake_service import served
from tradetrail.cli.rows import COLUMNS, cells, folded, layout
from tradetrail.cli.visible import json_for_terminal, visible
from tradetrail.client.served import ServedRecord

TITLES = [column.title for column in COLUMNS]


def row(type_name: str = "tradetrail.order.new.v1", **members: object) -> dict[str, str]:
    event = {
        "specversion": "1.0",
        "id": "e",
        "source": "s",
        "type": type_name,
        "authid": "jane",
        "time": "2026-03-02T09:30:00.123456789Z",
        "data": {"Symbol": "EUR/USD", "Side": "1", "OrderQty": "100", "Price": "1.0500"},
        **members,
    }
    raw = served(json.dumps(event).encode(), 7)
    return dict(zip(TITLES, cells(ServedRecord.parse(raw)), strict=True))


def test_an_order_shows_its_digits_as_they_came() -> None:
    assert row() == {
        "user": "jane",
        "seq": "7",
        "time (UTC)": "2026-03-02 09:30:00.123456789",
        "event": "order.new",
        "symbol": "EUR/USD",
        "side": "buy",
        "qty": "100",
        "price": "1.0500",
        "order": "",
        "detail": "",
    }


def test_an_execution_says_what_happened_in_words() -> None:
    data = {"ExecType": "F", "LastQty": "50", "LastPx": "1.05", "OrigClOrdID": "A1"}
    shown = row("tradetrail.execution.report.v1", data=data, onbehalfof="joe")
    assert shown["detail"] == "trade, 50 @ 1.05, of A1, for joe"


def test_unknown_codes_types_and_zones_stand_for_themselves() -> None:
    shown = row("other.type", time="2026-03-02T09:30:00+02:00", data={"Side": "Z"})
    assert (shown["event"], shown["side"]) == ("other.type", "Z")
    assert shown["time (UTC)"] == "2026-03-02T09:30:00+02:00"


def test_an_event_without_time_shows_when_it_was_stored() -> None:
    assert row(time=None)["time (UTC)"] == "2026-03-02 09:00:00.000000001 stored"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jane\u202eenaj", "jane<U+202E>enaj"),
        ("\x1b[2J", "<U+001B>[2J"),
        ("a\tb\r\n", "a<U+0009>b<U+000D><U+000A>"),
        ("\x9b31m\x7f", "<U+009B>31m<U+007F>"),
        ("a\u200db", "a<U+200D>b"),
        ("\u200ca", "<U+200C>a"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u0645\u200c\u0645", "\u0645\u200c\u0645"),
        ("\U000e0041", "<U+E0041>"),
        ("Zoë 田中 שירה", "Zoë 田中 שירה"),
    ],
)
def test_characters_without_a_shape_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_user_text_in_every_column_is_made_visible() -> None:
    evil = "\x1b\x07\u202e\x9b"
    data = dict.fromkeys(("Symbol", "Side", "OrderQty", "Price", "ClOrdID", "Text"), evil)
    shown = row("t" + evil, data=data, authid=evil, onbehalfof=evil)
    assert not set("".join(shown.values())) & set(evil)


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists))
def test_json_for_a_terminal_has_the_same_value_and_nothing_unseen(value: object) -> None:
    line = json_for_terminal(json.dumps(value, ensure_ascii=False))
    assert json.loads(line) == value
    assert visible(line) == line


@given(
    width=st.integers(20, 300),
    texts=st.lists(
        st.text(alphabet="aé田 ", max_size=60), min_size=len(COLUMNS), max_size=len(COLUMNS)
    ),
)
def test_folding_aligns_and_loses_nothing(width: int, texts: list[str]) -> None:
    widths = layout(width, COLUMNS)
    lines = folded(texts, widths, COLUMNS)
    for line in lines:
        assert [cell_len(cell) for cell in line] == widths
    for at, text in enumerate(texts):
        assert "".join(line[at] for line in lines).replace(" ", "") == text.replace(" ", "")


def test_a_wide_terminal_is_filled_and_never_exceeded() -> None:
    least = sum(column.width_min for column in COLUMNS) + len(COLUMNS) - 1
    wanted = sum(column.width_wanted for column in COLUMNS) + len(COLUMNS) - 1
    for width in range(least, wanted + 1):
        assert sum(layout(width, COLUMNS)) + len(COLUMNS) - 1 == width
    assert layout(10, COLUMNS) == [column.width_min for column in COLUMNS]
