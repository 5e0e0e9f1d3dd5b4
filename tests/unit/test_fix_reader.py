"""Framing and reading of FIX logs: every message is yielded or counted, whatever the bytes."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetrail.fix.framing import (
    INCOMPLETE,
    MESSAGE_BYTES_MAX,
    TOO_LONG,
    Broken,
    end_of_message,
    find_start,
)
from tradetrail.fix.message import (
    BODY_LENGTH,
    CHECKSUM,
    DATA_LENGTH,
    FIELD,
    SOH,
    RawMessage,
    join_fields,
    read_message,
)
from tradetrail.fix.reader import NO_MESSAGE, Junk, read_messages
from tradetrail.fix.sample import Pairs, encode_message, sample_log

REPEATABLE = settings(derandomize=True, deadline=None)

BAR = b"|"
HEADER: Pairs = [(34, "2"), (49, "LARK"), (52, "20240304-08:00:00.137"), (56, "VENUE")]


def message(pairs: Pairs, delimiter: bytes = SOH, message_type: str = "D") -> bytes:
    return encode_message("FIX.4.2", [(35, message_type), *HEADER, *pairs], delimiter)


def read(log: bytes) -> list[RawMessage | Junk]:
    return list(read_messages(BytesIO(log)))


def only(log: bytes) -> RawMessage:
    (found,) = read(log)
    assert isinstance(found, RawMessage)
    return found


class Trickle:
    """A pipe that gives a few bytes at each read."""

    def __init__(self, content: bytes, piece_bytes: int) -> None:
        self._rest = BytesIO(content)
        self._piece_bytes = piece_bytes

    def read(self, size: int = -1) -> bytes:
        assert size != 0
        return self._rest.read(self._piece_bytes)


ORDER: Pairs = [(11, "C1"), (55, "TTX"), (44, "10.50")]


@pytest.mark.parametrize("delimiter", [SOH, BAR])
@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        b"2024/03/04 08:00:00.137 ",
        b"<INFO> sent: ",
        b"9=12|8=FI8=",
        b"\xff\xfe\x00",
        b"8=FIX ",
    ],
)
def test_anything_may_stand_before_a_message(prefix: bytes, delimiter: bytes) -> None:
    raw = message(ORDER, delimiter)
    found = only(prefix + raw + b"\r\n")
    assert (found.raw, found.line, found.delimiter) == (raw, 1, delimiter)
    assert found.problems == ()
    assert found.fields[-4:-1] == ((11, b"C1"), (55, b"TTX"), (44, b"10.50"))


def test_a_bar_inside_a_message_of_the_other_separator_is_text() -> None:
    found = only(message([(58, "a|b|10=000|c")]))
    assert dict(found.fields)[58] == b"a|b|10=000|c"
    assert found.problems == ()


def test_several_messages_of_one_line_and_of_both_separators_are_found() -> None:
    first, second = message(ORDER), message(ORDER, BAR)
    assert [item.raw for item in read(first + b" " + second) if isinstance(item, RawMessage)] == [
        first,
        second,
    ]


def test_the_last_separator_may_be_missing() -> None:
    raw = message(ORDER)[:-1]
    assert only(raw).raw == raw
    assert only(raw).problems == ()


@pytest.mark.parametrize("delimiter", [SOH, BAR])
def test_raw_data_may_hold_separators_and_another_message(delimiter: bytes) -> None:
    inner = message(ORDER, delimiter).decode()
    found = only(message([(95, str(len(inner))), (96, inner), (58, "after")], delimiter))
    fields = dict(found.fields)
    assert fields[96].replace(delimiter, SOH) == inner.replace(delimiter.decode(), "\x01").encode()
    assert fields[58] == b"after"
    assert found.problems == ()


def test_raw_data_whose_length_is_wrong_is_marked_and_loses_nothing() -> None:
    raw = message([(95, "3"), (96, "abcdef"), (58, "after")])
    found = only(raw)
    assert DATA_LENGTH in found.problems
    assert dict(found.fields)[96] == b"abcdef"
    assert join_fields(found.fields, SOH) + SOH == raw


@pytest.mark.parametrize("delimiter", [SOH, BAR])
def test_raw_data_is_stepped_over_where_the_body_length_is_wrong_too(delimiter: bytes) -> None:
    inner = (delimiter + b"10=000" + delimiter + b"8=FIX.4.2" + delimiter + b"9=1").decode()
    raw = encode_message(
        "FIX.4.2", [(35, "B"), *HEADER, (95, str(len(inner))), (96, inner), (58, "after")]
    ).replace(SOH, delimiter)
    edited = raw.replace(b"58=after", b"58=afterwards")
    found = only(edited)
    assert found.raw == edited
    assert dict(found.fields)[96] == inner.encode()
    assert found.problems == (BODY_LENGTH, CHECKSUM)


def test_a_wrong_checksum_and_a_wrong_length_are_marked() -> None:
    raw = message(ORDER)
    edited = raw.replace(b"44=10.50", b"44=10.51")
    assert only(edited).problems == (CHECKSUM,)
    longer = raw.replace(b"44=10.50", b"44=110.50")
    assert only(longer).problems == (BODY_LENGTH, CHECKSUM)
    assert only(raw).problems == ()


def test_a_piece_without_a_tag_belongs_to_the_value_before_it() -> None:
    raw = message([(58, "left\x01not a field"), (11, "C1")])
    found = only(raw)
    assert dict(found.fields)[58] == b"left\x01not a field"
    assert FIELD in found.problems
    assert join_fields(found.fields, SOH) + SOH == raw


def test_empty_values_are_kept() -> None:
    found = only(message([(58, ""), (11, "C1")]))
    assert (58, b"") in found.fields
    assert found.problems == ()


def test_each_line_without_a_message_is_reported_once_with_its_number() -> None:
    log = b"\n".join([b"# begin", b"", message(ORDER), b"   ", b"lost", message(ORDER) + b" tail"])
    found = read(log)
    assert [(item.line, item.reason) for item in found if isinstance(item, Junk)] == [
        (1, NO_MESSAGE),
        (5, NO_MESSAGE),
    ]
    assert [item.line for item in found if isinstance(item, RawMessage)] == [3, 6]


def test_a_torn_message_is_reported_and_the_next_one_read() -> None:
    raw = message(ORDER)
    found = read(b"first " + raw[:40] + b"\nsecond " + raw + b"\n")
    assert found[0] == Junk(1, INCOMPLETE)
    assert isinstance(found[1], RawMessage)
    assert (found[1].raw, found[1].line) == (raw, 2)


def test_a_message_torn_by_another_on_the_same_line_does_not_swallow_it() -> None:
    raw = message(ORDER)
    found = read(raw[:50] + raw)
    assert found == [Junk(1, INCOMPLETE), read_message(raw, 1, SOH)]


def test_a_message_cut_by_the_end_of_the_log_is_reported() -> None:
    assert read(message(ORDER)[:60]) == [Junk(1, INCOMPLETE)]


def test_a_message_over_the_bound_is_reported_as_too_long() -> None:
    raw = message([(58, "x" * MESSAGE_BYTES_MAX)])
    found = read(raw + b"\n" + message(ORDER))
    assert found[0] == Junk(1, TOO_LONG)
    assert isinstance(found[-1], RawMessage)


def test_a_message_may_hold_line_breaks() -> None:
    raw = message([(58, "two\nlines")])
    found = read(raw + b"\n" + message(ORDER))
    assert [item.line for item in found if isinstance(item, RawMessage)] == [1, 3]


def test_framing_looks_on_behind_a_broken_start() -> None:
    window = b"xx8=FIX.4.2\x019=5\x0135=0\x01"
    start = find_start(window, 0)
    assert start is not None
    assert (start.position, start.delimiter) == (2, SOH)
    assert end_of_message(window, start) == Broken(INCOMPLETE, start.body)
    assert find_start(window, start.body) is None


def test_a_log_of_starts_without_ends_is_read_in_one_pass() -> None:
    starts = 5_000
    found = read(b"8=FIX.4.2\x01" * starts)
    assert len(found) == starts
    assert {type(item) for item in found} == {Junk}


def test_junk_holds_no_text_of_the_log() -> None:
    log = b"554=quiet-harbour\n" + message([(554, "quiet-harbour")], message_type="A")[:70]
    assert "quiet" not in repr(read(log))


@pytest.mark.parametrize("piece_bytes", [1, 7, 4_096])
def test_how_the_stream_is_cut_changes_nothing(piece_bytes: int) -> None:
    log = sample_log(4)
    trickle = cast("BinaryIO", Trickle(log, piece_bytes))
    assert list(read_messages(trickle)) == read(log)


PIECES = st.sampled_from(
    [
        message(ORDER),
        message(ORDER, BAR),
        message([(95, "5"), (96, "a\x01b=c")]),
        message(ORDER)[:45],
        b"8=FIX.4.2\x019=70\x0135=D\x01",
        b"10=000\x01",
        b"\n",
        b"95=9|96=",
    ]
)


@REPEATABLE
@given(st.lists(PIECES | st.binary(max_size=12), max_size=8))
def test_no_bytes_crash_the_reader_and_nothing_is_lost(pieces: list[bytes]) -> None:
    log = b"".join(pieces)
    found = read(log)
    assert list(read_messages(cast("BinaryIO", Trickle(log, 3)))) == found
    position = 0
    for item in found:
        if isinstance(item, RawMessage):
            position = log.index(item.raw, position) + len(item.raw)
            whole = join_fields(item.fields, item.delimiter)
            assert whole == item.raw.removesuffix(item.delimiter)
    lines = [item.line for item in found]
    assert lines == sorted(lines)
    junk = [item for item in found if isinstance(item, Junk)]
    begun = len([item for item in junk if item.reason != NO_MESSAGE])
    messages = len(found) - len(junk)
    # A start is a message, a broken one, or text inside a message.
    inside = sum(item.raw.count(b"8=FIX", 1) for item in found if isinstance(item, RawMessage))
    starts = 0
    place = find_start(log, 0)
    while place is not None:
        starts += 1
        place = find_start(log, place.body)
    assert messages + begun <= starts <= messages + begun + inside
    told = {item.line for item in found}
    for number, line in enumerate(log.split(b"\n"), 1):
        if line.strip() and not found:
            pytest.fail(f"line {number} left no trace")
    assert not log.strip() or told


@REPEATABLE
@given(st.binary(max_size=200), st.sampled_from([SOH, BAR]))
def test_splitting_any_bytes_joins_to_the_same_bytes(tail: bytes, delimiter: bytes) -> None:
    raw = b"8=FIX.4.4" + delimiter + tail
    found = read_message(raw, 1, delimiter)
    assert join_fields(found.fields, delimiter) == raw.removesuffix(delimiter)
