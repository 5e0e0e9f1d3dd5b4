"""The exact scan of JSON text: what a lenient parser would let through is refused here.

``split_array`` cuts a batch into its elements by brackets and quotes alone, so that one bad event never costs
a good one. ``check_value`` reads one element in full: duplicate keys at any depth, lone surrogates, NaN and
Infinity, exponents beyond range, overlong numbers, depth. Neither recurses without a bound.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tradetrail.errors import Invalid
from tradetrail.event import Refusal

__all__ = [
    "NUMBER_DIGITS_MAX",
    "Number",
    "ScanRefused",
    "check_value",
    "decode_utf8",
    "split_array",
]

#: Longer numbers are no prices and cost a reader quadratic time.
NUMBER_DIGITS_MAX = 1_000
_EXPONENT_MAX = 308
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_END = re.compile(rb'[\\"]')
_SPACE = b" \t\r\n"


class ScanRefused(Exception):
    """One event is refused, for this reason."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def decode_utf8(body: bytes) -> None:
    """Raises ``Invalid`` with the byte offset where the body is not valid UTF-8, or begins with a BOM."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise Invalid(
            "invalid_utf8", "The body begins with a byte order mark at byte 0; send it without."
        )
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            "invalid_utf8",
            f"The body is not valid UTF-8 at byte {error.start}; nothing of it was stored.",
        ) from error


def split_array(body: bytes, elements_max: int) -> list[bytes]:
    """The elements of a JSON array as slices of the body, without surrounding white space.

    Raises:
        Invalid: ``not_a_json_array``, ``invalid_json`` (with the byte offset), ``too_many_events``.
    """
    start = len(body) - len(body.lstrip(_SPACE))
    if body[start : start + 1] != b"[":
        raise Invalid(
            "not_a_json_array",
            f"A batch is a JSON array; byte {start} of the body does not open one with [.",
        )
    elements: list[bytes] = []
    depth, position, begin = 0, start, start + 1
    while (found := _STRUCTURE.search(body, position)) is not None:
        position = found.end()
        mark = found.group()
        if mark == b'"':
            position = _string_end(body, position)
        elif mark in b"[{":
            depth += 1
        elif mark == b"," and depth == 1:
            elements.append(_element(body, begin, position - 1))
            begin = position
        elif mark in b"]}":
            depth -= 1
            if depth == 0:
                break
        if len(elements) >= elements_max:
            raise Invalid(
                "too_many_events",
                f"The batch holds more than {elements_max} events; split it.",
                413,
            )
    closed = depth == 0 and found is not None and found.group() == b"]"
    return elements + _last_element(body, begin, position if closed else -1, bool(elements))


def check_value(text: bytes, depth_max: int) -> Any:
    """The parsed value, numbers as ``Number`` texts; raises ``ScanRefused`` for what is not exact JSON."""
    if _depth(text) > depth_max:
        raise ScanRefused(
            Refusal("too_deep", f"The event nests deeper than {depth_max} levels; flatten it.")
        )
    decoded = text.decode("utf-8")
    try:
        value = json.loads(
            decoded,
            object_pairs_hook=_unique,
            parse_float=_checked_number,
            parse_int=_checked_number,
            parse_constant=_constant,
        )
    except RecursionError as error:
        raise ScanRefused(Refusal("too_deep", "The event nests too deep to be read.")) from error
    except json.JSONDecodeError as error:
        offset = len(decoded[: error.pos].encode())
        raise ScanRefused(
            Refusal(
                "invalid_json", f"The event is not valid JSON at its byte {offset}: {error.msg}."
            )
        ) from error
    if "\\u" in decoded:
        _check_text(value)
    return value


class Number(str):
    """A JSON number's own digits."""

    __slots__ = ()


def _string_end(body: bytes, position: int) -> int:
    while (found := _STRING_END.search(body, position)) is not None:
        position = found.end()
        if found.group() == b'"':
            return position
        position += 1
    raise Invalid(
        "invalid_json", f"A string is not closed at byte {len(body)}; nothing was stored."
    )


def _last_element(body: bytes, begin: int, end: int, expected: bool) -> list[bytes]:
    """What stands before the closing bracket, after which nothing may follow."""
    if end == -1:
        raise Invalid(
            "invalid_json", f"The array is not closed at byte {len(body)}; nothing was stored."
        )
    if body[end:].strip(_SPACE):
        raise Invalid("invalid_json", f"Something follows the array at byte {end}.")
    if not expected and not body[begin : end - 1].strip(_SPACE):
        return []
    return [_element(body, begin, end - 1)]


def _element(body: bytes, begin: int, end: int) -> bytes:
    element = body[begin:end].strip(_SPACE)
    if not element:
        raise Invalid("invalid_json", f"An element of the array is missing at byte {begin}.")
    return element


def _depth(text: bytes) -> int:
    """Greatest depth of brackets outside strings; cheap where there are few."""
    if text.count(b"{") + text.count(b"[") < 8:
        return 8
    depth = deepest = position = 0
    while (found := _STRUCTURE.search(text, position)) is not None:
        position = found.end()
        mark = found.group()
        if mark == b'"':
            try:
                position = _string_end(text, position)
            except Invalid:
                break
        elif mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                shown = (
                    name if name.isascii() and name.isprintable() and len(name) <= 64 else "a name"
                )
                raise ScanRefused(
                    Refusal(
                        "duplicate_key",
                        f"The key {shown} stands twice in one object; send it once.",
                    )
                )
            seen.add(name)
    return found


def _checked_number(token: str) -> Number:
    if len(token) > NUMBER_DIGITS_MAX:
        raise ScanRefused(
            Refusal(
                "number_too_large",
                f"A number has {len(token)} characters, and the limit is {NUMBER_DIGITS_MAX}; "
                "send it as a string.",
            )
        )
    mantissa, _, exponent = token.lower().partition("e")
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > _EXPONENT_MAX) and mantissa:
        raise ScanRefused(
            Refusal(
                "invalid_number", f"An exponent is beyond ±{_EXPONENT_MAX}; send it as a string."
            )
        )
    return Number(token)


def _constant(name: str) -> Any:
    raise ScanRefused(Refusal("invalid_number", f"{name} is no JSON number; leave it out."))


def _check_text(value: Any) -> None:
    """An escape may spell half a surrogate pair, which no UTF-8 text can hold."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                raise ScanRefused(
                    Refusal(
                        "invalid_text",
                        "A string holds half a surrogate pair; send whole characters.",
                    )
                )
        elif isinstance(item, dict):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
