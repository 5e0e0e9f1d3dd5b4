"""Page cursors: they continue their own question, and nothing else opens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.cursors import open_cursor, seal_cursor
from tradetrail.errors import Invalid

REPEATABLE = settings(derandomize=True, deadline=None)
KEY = b"k" * 32
QUESTION = "history\nalice\nfrom=2026-01-01T00:00:00Z\ndesc"


def refused(cursor: str, question: str = QUESTION, key: bytes = KEY) -> None:
    with pytest.raises(Invalid) as caught:
        open_cursor(key, question, cursor)
    assert (caught.value.code, caught.value.status) == ("invalid_cursor", 400)
    assert "alice" not in caught.value.detail


def test_a_cursor_continues_its_own_question() -> None:
    cursor = seal_cursor(KEY, QUESTION, "4711")
    assert open_cursor(KEY, QUESTION, cursor) == "4711"
    assert seal_cursor(KEY, QUESTION, "4711") == cursor


def test_a_cursor_stands_in_a_query_string_as_it_is() -> None:
    for position in ("", "1", "99999999999999999999", "Zoë/😀?&=#"):
        cursor = seal_cursor(KEY, QUESTION, position)
        assert set(cursor) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        )
        assert open_cursor(KEY, QUESTION, cursor) == position


@pytest.mark.parametrize(
    "question",
    [
        "",
        QUESTION + " ",
        QUESTION.replace("alice", "bob"),
        QUESTION.replace("desc", "asc"),
        QUESTION.replace("2026-01-01", "2026-01-02"),
        QUESTION.replace("alice", "\ud800"),
    ],
)
def test_a_cursor_of_another_question_is_refused(question: str) -> None:
    refused(seal_cursor(KEY, QUESTION, "1"), question)
    refused(seal_cursor(KEY, question, "1"))


def test_a_cursor_of_another_service_is_refused() -> None:
    refused(seal_cursor(b"o" * 32, QUESTION, "1"))


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "AAAA", "A" * 22, "1", "None", "%00", "ä", "\ud800", "=", "====", "a\nb", "🂡" * 8],
)
def test_garbage_is_refused(cursor: str) -> None:
    refused(cursor)


def test_every_single_changed_bit_is_found() -> None:
    cursor = seal_cursor(KEY, QUESTION, "12345")
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            refused(base64.urlsafe_b64encode(changed).decode().rstrip("="))


def test_every_shorter_and_longer_cursor_is_refused() -> None:
    cursor = seal_cursor(KEY, QUESTION, "12345")
    for length in range(len(cursor)):
        refused(cursor[:length])
    for tail in ("A", "AA", "!", "\n", " ", "~~~~", "AAAA"):
        refused(cursor + tail)
        refused(tail + cursor)


def test_characters_that_are_no_base64_are_not_passed_over() -> None:
    cursor = seal_cursor(KEY, QUESTION, "12345")
    for position in range(len(cursor)):
        refused(f"{cursor[:position]}!{cursor[position:]}")


@REPEATABLE
@given(st.text(max_size=40), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_position_of_any_question_comes_back_and_the_two_are_not_mixed(
    question: str, position: str
) -> None:
    cursor = seal_cursor(KEY, question, position)
    assert open_cursor(KEY, question, cursor) == position
    refused(cursor, question + "x")
    if position:
        # Text cannot move from the question into the position.
        refused(cursor, question + position[0])


@REPEATABLE
@given(st.text(max_size=60))
def test_no_text_crashes_it(cursor: str) -> None:
    refused(cursor)
