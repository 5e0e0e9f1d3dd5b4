"""The SSE parser: the grammar of the standard, however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetrail.client.sse import Message, SseParser
from tradetrail.errors import Internal


def parse(stream: bytes, last_event_id: str = "") -> list[Message]:
    return SseParser(last_event_id).feed(stream)


def test_a_record_with_its_id_is_a_message() -> None:
    assert parse(b'id: 7\ndata: {"a":1}\n\n') == [Message("message", '{"a":1}', "7")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_line_end_is_understood(end: bytes) -> None:
    stream = end.join([b"event: gap", b"data: x", b"data: y", b"", b""])
    assert parse(stream) == [Message("gap", "x\ny", "")]


def test_cr_at_the_end_of_a_chunk_ends_the_line_at_once() -> None:
    parser = SseParser()
    assert parser.feed(b"data: x\r\n\r") == [Message("message", "x", "")]
    assert parser.feed(b"\ndata: y\n\n") == [Message("message", "y", "")]


def test_one_byte_order_mark_is_ignored_and_only_at_the_start() -> None:
    assert parse(b"\xef\xbb\xbfdata: x\n\n") == [Message("message", "x", "")]
    assert parse(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n") == []
    assert parse(b"id: 1\n\n\xef\xbb\xbfdata: x\n\n") == []


def test_a_block_without_data_moves_the_position_and_is_no_message() -> None:
    parser = SseParser("3")
    assert parser.feed(b"id: 9\n\n") == []
    assert parser.last_event_id == "9"


def test_an_unfinished_block_moves_nothing() -> None:
    parser = SseParser("3")
    assert parser.feed(b"id: 9\ndata: x\n") == []
    assert parser.last_event_id == "3"


def test_id_persists_and_an_empty_id_resets_it() -> None:
    assert parse(b"id: 5\ndata: a\n\ndata: b\n\nid\ndata: c\n\n") == [
        Message("message", "a", "5"),
        Message("message", "b", "5"),
        Message("message", "c", ""),
    ]


def test_id_with_nul_is_ignored() -> None:
    assert parse(b"id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n")[1].last_event_id == "1"


def test_comments_and_unknown_fields_are_ignored_and_one_space_is_removed() -> None:
    assert parse(b": hello\nfoo: bar\ndata:  x\ndata:y\n\n") == [Message("message", " x\ny", "")]


def test_a_line_without_colon_is_a_field_with_empty_value() -> None:
    assert parse(b"data\n\n") == [Message("message", "", "")]
    assert parse(b"data\ndata\n\n") == [Message("message", "\n", "")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"3000", 3000),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"9" * 30, None),
        (b"\xc2\xb2", None),
    ],
)
def test_retry_takes_only_digits(value: bytes, expected: int | None) -> None:
    parser = SseParser()
    parser.feed(b"retry: " + value + b"\n\n")
    assert parser.retry_ms == expected


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: " + b"x" * 100 + b"\n"])
def test_a_message_without_end_is_refused_at_the_bound(piece: bytes) -> None:
    parser = SseParser(message_bytes_max=1_000)
    for _ in range(9):
        assert parser.feed(piece) == []
    with pytest.raises(Internal, match="1000 bytes"):
        parser.feed(piece * 2)


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b"", b"data", b":", b"id: 4", b"id", b"event: gap", b"retry: 12"]),
        st.text(alphabet="aä€𝄞: ", max_size=6).map(lambda text: b"data: " + text.encode()),
        st.integers(0, 99).map(lambda number: f"id: {number}".encode()),
        st.binary(max_size=5),
    ),
    max_size=12,
)


@given(
    lines=LINES,
    ends=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"]), min_size=12, max_size=12),
    mark=st.booleans(),
    data=st.data(),
)
def test_any_cut_into_chunks_gives_the_same_messages(
    lines: list[bytes], ends: list[bytes], mark: bool, data: st.DataObject
) -> None:
    stream = b"\xef\xbb\xbf" * mark + b"".join(
        line + end for line, end in zip(lines, ends, strict=False)
    )
    whole = SseParser("0")
    expected = whole.feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    parser = SseParser("0")
    messages = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        messages += parser.feed(stream[begin:end])
    assert messages == expected
    assert parser.last_event_id == whole.last_event_id
    assert parser.retry_ms == whole.retry_ms
