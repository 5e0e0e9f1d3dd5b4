"""The exact scan of JSON text: what a lenient parser would let through is refused here.

``split_array`` cuts a batch into its elements: at C speed where the whole of it is JSON, else by brackets and
quotes alone, so that one bad event never costs a good one. ``check_value`` reads one element in full:
duplicate keys at any depth, lone surrogates, NaN and Infinity, exponents beyond range, overlong numbers,
depth. Both take time in proportion to the text, whatever it holds, and neither recurses without a bound.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

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
#: One string. Possessive, so that time and memory stay in proportion to the text; only where an item cannot
#: fail half-way, which Python before 3.11.5 does not undo.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_AT = re.compile(_STRING, re.DOTALL)
#: Every string, and all that is left where one is not closed.
_STRINGS = re.compile(_STRING + rb'|".*', re.DOTALL)
#: What needs no look of ours: text, strings, and brackets with nothing but those between them. Here one closing
#: bracket is like the other. The counts bound what a match remembers.
_PLAIN = rb"[^%s\"\[\]{}]++|" + _STRING
_INNERMOST = rb"[\[{][^\"\[\]{}]*+[\]}]|[\[{](?:" + _PLAIN % b"" + rb"){0,256}[\]}]"
_PASSED = rb"(?:" + _PLAIN + rb"|" + _INNERMOST + rb"){0,256}"
#: Up to the next comma, quotation mark or run of brackets; to none of them where the count was reached.
_OUTSIDE = re.compile(_PASSED.replace(b"%s", b",") + rb"([\[\]{}]++|[,\"]|)", re.DOTALL)
#: The same inside an element, where commas do not count.
_INSIDE = re.compile(_PASSED.replace(b"%s", b"") + rb"([\[\]{}]++|\"|)", re.DOTALL)
#: Opening brackets become 1, closing ones 0, all else is left out.
_BRACKETS = bytes.maketrans(b"[{]}", b"\1\1\0\0")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_elements = msgspec.json.Decoder(list[msgspec.Raw])
#: The quick cut makes an object of some 70 bytes for each element before they are counted.
_QUICK_BYTES_MAX: Final = 1024 * 1024
_QUICK_ELEMENTS_MAX: Final = 512 * 1024
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
    if body.isascii():
        return
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
    if len(body) <= _QUICK_BYTES_MAX or body.count(b",") < _QUICK_ELEMENTS_MAX:
        try:
            found = _elements.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            return _split_exactly(body, elements_max)
        if len(found) <= elements_max:
            return [bytes(element) for element in found]
    return _split_exactly(body, elements_max)


def _split_exactly(body: bytes, elements_max: int) -> list[bytes]:
    """By brackets, quotes and commas: what is wrong inside an element stays inside it."""
    start = len(body) - len(body.lstrip(_SPACE))
    if body[start : start + 1] != b"[":
        raise Invalid(
            "not_a_json_array",
            f"A batch is a JSON array; byte {start} of the body does not open one with [.",
        )
    elements: list[bytes] = []
    depth, position = 1, start + 1
    begin = position
    while depth > 0:
        found = (_OUTSIDE if depth == 1 else _INSIDE).match(body, position)
        if found is None or found.end() == position:
            break
        mark, position = found.group(1), found.end()
        if mark == b'"':
            position = _string_end(body, position - 1)
        elif mark == b",":
            elements.append(_element(body, begin, position - 1))
            begin = position
            if len(elements) >= elements_max:
                raise _too_many(elements_max)
        elif mark:
            depth, used = _through(mark, depth)
            position = found.start(1) + used
    closed = depth == 0 and body[position - 1 : position] == b"]"
    return elements + _last_element(body, begin, position if closed else -1, bool(elements))


def _string_end(body: bytes, start: int) -> int:
    found = _STRING_AT.match(body, start)
    if found is None:
        raise Invalid(
            "invalid_json", f"A string is not closed at byte {len(body)}; nothing was stored."
        )
    return found.end()


def _through(brackets: bytes, depth: int) -> tuple[int, int]:
    """The depth behind these brackets, and how many of them it took to close all that are open."""
    closing = brackets.count(b"]") + brackets.count(b"}")
    if closing < depth:
        return depth + len(brackets) - 2 * closing, len(brackets)
    for used, opens in enumerate(brackets.translate(_BRACKETS), 1):
        depth += 1 if opens else -1
        if depth == 0:
            return 0, used
    return depth, len(brackets)


def _too_many(elements_max: int) -> Invalid:
    return Invalid(
        "too_many_events", f"The batch holds more than {elements_max} events; split it.", 413
    )


def check_value(text: bytes, depth_max: int) -> Any:
    """The parsed value, numbers as ``Number`` texts; raises ``ScanRefused`` for what is not exact JSON."""
    if _is_deeper(text, depth_max):
        raise ScanRefused(
            Refusal("too_deep", f"The event nests deeper than {depth_max} levels; flatten it.")
        )
    decoded = text.decode("utf-8")
    try:
        value = json.loads(
            decoded,
            object_pairs_hook=_unique,
            parse_float=_checked_number,
            parse_int=_whole_number,
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


def _is_deeper(text: bytes, depth_max: int) -> bool:
    """Whether brackets outside strings nest deeper; cheap where there are few."""
    if text.count(b"{") + text.count(b"[") <= depth_max:
        return False
    depth = 0
    for opens in _STRINGS.sub(b"", text).translate(_BRACKETS, _NO_BRACKETS):
        depth += 1 if opens else -1
        if depth > depth_max:
            return True
    return False


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


def _whole_number(token: str) -> Number:
    if len(token) > NUMBER_DIGITS_MAX:
        raise ScanRefused(
            Refusal(
                "number_too_large",
                f"A number has {len(token)} characters, and the limit is {NUMBER_DIGITS_MAX}; "
                "send it as a string.",
            )
        )
    return Number(token)


def _checked_number(token: str) -> Number:
    number = _whole_number(token)
    mantissa, _, exponent = token.lower().partition("e")
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > _EXPONENT_MAX) and mantissa:
        raise ScanRefused(
            Refusal(
                "invalid_number", f"An exponent is beyond ±{_EXPONENT_MAX}; send it as a string."
            )
        )
    return number


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
