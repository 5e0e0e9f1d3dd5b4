"""The quick scan and the exact one are the same scan: no text is told apart by which of them reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradetrail import scan_json, times
from tradetrail.demo.day import trading_day
from tradetrail.errors import Invalid
from tradetrail.event import LOOKUP_FIELDS, Event, Limits, Refusal
from tradetrail.facts import facts_of
from tradetrail.scan import scan_batch, scan_structured
from tradetrail.scan_event import exact_event
from tradetrail.scan_json import ScanRefused
from tradetrail.scan_proof import proven_event

LIMITS = Limits()
NARROW = Limits(
    event_bytes=400,
    batch_events=3,
    json_depth=3,
    identifier_bytes=8,
    source_bytes=6,
    body_bytes=900,
)

REQUIRED = {
    "specversion": '"1.0"',
    "id": '"1"',
    "source": '"/oms"',
    "type": '"t"',
    "authid": '"alice"',
}


def event_text(*members: str) -> bytes:
    """A valid event, and these members behind it as they are."""
    required = [f'"{name}":{value}' for name, value in REQUIRED.items()]
    return ("{" + ",".join([*required, *members]) + "}").encode()


def exactly(text: bytes, limits: Limits = LIMITS) -> Event | Refusal:
    """What the exact scan alone says of an element of a batch."""
    if len(text) > limits.event_bytes:
        return Refusal(
            "event_too_large",
            f"The event has {len(text)} bytes, and the limit is {limits.event_bytes}.",
        )
    if not text.startswith(b"{"):
        return Refusal("not_an_object", "An event is a JSON object.")
    try:
        return exact_event(text, limits, False)
    except ScanRefused as reason:
        return reason.refusal


# Texts of events, right and wrong.

NUMBERS = [
    "0", "-0", "-0.0", "0.10", "17", "2147483647", "2147483648", "9007199254740993",
    "18446744073709551616", "1e5", "1E+05", "1e308", "1e309", "1e-309", "1e400", "0.0001e309",
    "1e0000001", "1" * 999, "1" * 1_000, "1" * 1_001, "-" + "1" * 1_000, "1" * 4_400,
    "0." + "0" * 400 + "1e400", "0." + "1" * 998, "0." + "1" * 999, "01", "1.", ".5", "+1", "-",
    "NaN", "-NaN", "Infinity", "-Infinity",
]  # fmt: skip
STRINGS = [
    '""', '"a"', '"1.0"', '"0.3"', '"alice"', '"tradetrail:x"', '"client"', '"nobody"',
    '"2026-01-02T03:04:05Z"', '"2026-01-02T03:04:60.5Z"', '"2026-01-02T24:00:00Z"', '"a\\"b"',
    '"a\\\\"', '"\\\\\\""', '"\\u003a"', '"\\u0022"', '"\\ud83d"', '"\\ude00\\ud83d"',
    '"\\ud83d\\ude00"', '"\\u0000"', '"\\u0085"', '"a\tb"', '"a\x7fb"', '"a\x85b"', '"\u2028"',
    '"\u00a0"', '"e\u0301"', '"👩‍👩‍👧"', '"\\x"', '"\\u12"', f'"{"x" * 64}"', f'"{"x" * 65}"',
    f'"{"é" * 129}"', f'"{"x" * 256}"', f'"{"x" * 257}"', f'"{"😀" * 64}"', f'"{"😀" * 65}"',
    f'"{"x" * 1_024}"', f'"{"x" * 1_025}"', f'"{"é" * 513}"', f'"{"x" * 4_097}"', "'a'",
]  # fmt: skip
OTHERS = ["null", "true", "false", "nul", "[]", "{}", "[1,", "\ufeff1", "", "1 2", '{"a":1,"a":1}']
KEYS = [
    "specversion", "id", "source", "type", "authid", "time", "subject", "onbehalfof", "initiator",
    "datacontenttype", "dataschema", "authtype", "journalseq", "ext", "x1", "Upper", "under_score",
    "userseq", "storedtime", "data", "data_base64", "ClOrdID", "OrigClOrdID", "OrderID", "Account",
    "Symbol", "", "a", "é", "\\u0061uthid", "d\\u0061ta", "\\u0043lOrdID", "\\u0065xt", "a\\\"b",
    "\\ud83d", "a:b",
]  # fmt: skip
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t\r ", "\x0b", "\u00a0"])

scalars = st.sampled_from([*NUMBERS, *STRINGS, *OTHERS]) | st.text(max_size=6).map(json.dumps)


def _object(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(st.sampled_from(KEYS), SPACES, inner).map(lambda m: f'"{m[0]}"{m[1]}:{m[2]}')
    return st.lists(member, max_size=5).map(lambda members: "{" + ",".join(members) + "}")


values = st.recursive(
    scalars,
    lambda inner: (
        _object(inner) | st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=8,
)
fine_scalars = st.sampled_from(
    ['"C1"', '"a\\u0001b"', '"é"', '""', "17", "0", "-0", "0.10", "1e5", "null", "true", '"a\\"b"']
)
fine_keys = st.sampled_from(
    ["ClOrdID", "OrderID", "Symbol", "ExecID", "Account", "OrigClOrdID", "Price", "NoLegs", "id"]
)
fine_data = st.recursive(
    fine_scalars,
    lambda inner: (
        st.dictionaries(fine_keys, inner, max_size=5).map(
            lambda found: "{" + ",".join(f'"{key}":{value}' for key, value in found.items()) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
    ),
    max_leaves=12,
)
times_of_events = st.sampled_from(
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000001+01:00", "2016-12-31T23:59:60Z"]
)
TOKENS = [
    *'{}[],:"\\ \t-0.eE', "NaN", "1e400", "\\ud83d", "\ufeff", "\x00", "\x7f", '\\"', "\\\\", "\\u0061",
    '"a":', '"authid":"bob",', "[" * 70, "[" * 70 + "]" * 70, "[" * 2_000, "null", "é", "😀", "\u2028",
]  # fmt: skip


@st.composite
def fine_events(draw: st.DrawFn) -> str:
    """Events as producers send them."""
    members = [f'"{name}":{value}' for name, value in REQUIRED.items()]
    if draw(st.booleans()):
        members.append(f'"time":"{draw(times_of_events)}"')
    if draw(st.booleans()):
        members.append(f'"subject":{draw(st.sampled_from(STRINGS[1:6]))}')
    if draw(st.booleans()):
        extension = draw(st.sampled_from(["1", "-0", "null", "true", '""', '"x"']))
        members.append(f'"ext":{extension}')
    if draw(st.booleans()):
        members.append(f'"data":{draw(fine_data)}')
    return "{" + ",".join(draw(st.permutations(members))) + "}"


@st.composite
def odd_events(draw: st.DrawFn) -> str:
    """Events with members too many, and some bytes put in or taken out."""
    text = draw(fine_events())
    for key, space, value in draw(
        st.lists(st.tuples(st.sampled_from(KEYS), SPACES, values), max_size=2)
    ):
        text = f'{text[:-1]},"{key}"{space}:{value}}}'
    for position, length, token in draw(
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from(TOKENS)), max_size=2
        )
    ):
        at = position % (len(text) + 1)
        text = text[:at] + token + text[at + length :]
    return text


@settings(max_examples=300, deadline=None)
@given(odd_events() | fine_events(), st.sampled_from([LIMITS, NARROW]))
@example('{"specversion":"1.0"', LIMITS)
def test_quick_and_exact_scan_agree_on_every_text(event: str, limits: Limits) -> None:
    text = event.encode().strip(b" \t\r\n")
    expected = exactly(text, limits)
    proven = proven_event(text, limits, False)
    assert proven is None or proven == expected
    if len(text) <= limits.body_bytes and not text.startswith(b"\xef\xbb\xbf"):
        assert scan_structured(text, limits) == expected


@settings(max_examples=200, deadline=None)
@given(fine_events())
def test_facts_read_back_are_the_facts_of_the_scan(event: str) -> None:
    found = scan_structured(event.encode(), LIMITS)
    if isinstance(found, Event):
        facts = facts_of(found.text)
        assert (facts.type, facts.time_key, facts.lookups) == (
            found.type,
            found.time_key,
            found.lookups,
        )
    else:
        assert found.code == "reserved_user"


@settings(max_examples=150, deadline=None)
@given(odd_events())
def test_facts_of_whatever_is_accepted_are_the_facts_of_the_scan(event: str) -> None:
    found = exactly(event.encode())
    if isinstance(found, Event):
        facts = facts_of(found.text)
        assert (facts.type, facts.time_key, facts.lookups) == (
            found.type,
            found.time_key,
            found.lookups,
        )


@pytest.mark.parametrize("value", [value for value in NUMBERS if len(value) < 1_000])
def test_a_number_is_looked_up_by_the_digits_that_were_sent(value: str) -> None:
    text = event_text(f'"data":{{"OrderID":{value}}}')
    found = scan_structured(text, LIMITS)
    if isinstance(found, Event):
        expected = (("OrderID", value),) if len(value) <= 256 else ()
        assert found.lookups == expected
        assert facts_of(text).lookups == expected
    else:
        assert found.code in ("invalid_json", "invalid_number")


@pytest.mark.parametrize(
    "member",
    [
        '"data":{"ClOrdID":"C1","Price":"0.10"}',
        '"data":{"OrderQty":100,"Price":0.10,"Big":18446744073709551616,"Small":1e-5}',
        '"data":{"NoLegs":[{"LegSymbol":"A"},{"LegSymbol":"B"}],"Symbol":null}',
        '"data":{"raw":"8=FIX.4.2\\u00019=5\\u0001"}',
        '"data":{"Text":"said \\"no\\"","ClOrdID":"C1"}',
        '"data":"a string"',
        '"data":null',
        '"data":[]',
        '"time":"2026-01-02T03:04:05.123+01:00","subject":"é","traceparent":"00-ab","sampled":1',
        '"onbehalfof":null,"sequence":-0,"flag":true',
        '"subject":"' + "x" * 900 + '"',
    ],
)
def test_ordinary_events_need_no_exact_scan(member: str) -> None:
    text = event_text(member)
    proven = proven_event(text, LIMITS, False)
    assert proven is not None
    assert proven == exactly(text)


def test_facts_read_the_fields_in_the_order_of_the_contract() -> None:
    values = {field: f"value of {field}" for field in LOOKUP_FIELDS}
    data = ",".join(f'"{field}":"{values[field]}"' for field in reversed(LOOKUP_FIELDS[:-1]))
    text = event_text(f'"data":{{{data}}}', f'"subject":"{values["subject"]}"')
    assert facts_of(text).lookups == tuple(values.items())
    assert scan_structured(text, LIMITS) == exactly(text)


def test_a_trading_day_needs_no_exact_scan() -> None:
    texts = [event.text for event in trading_day(3, 5, 1_772_442_000_000_000_000)]
    assert len(texts) > 100
    assert [proven_event(text, LIMITS, False) for text in texts] == [
        exactly(text) for text in texts
    ]


@pytest.mark.parametrize(
    "member",
    [
        '"authid":"bob"',
        '"\\u0061uthid":"bob"',
        '"authid" :"bob"',
        '"data":{"a":1,"b":{"c":1,"\\u0063":2}}',
        '"data":{"a":"","a":""}',
        '"data":{"a":"\\\\","a":"\\\\"}',
        '"data":{"a":"\\"","a":"\\""}',
        '"data":{"a":"\\\\\\"\\\\","b":"","a":"x"}',
        '"data":[{"a":1},{"a":1,"a":1}]',
        '"data":{"a":1},"data":null',
        '"ext":1,"ext":null',
    ],
)
def test_a_key_that_stands_twice_is_never_proved(member: str) -> None:
    text = event_text(member)
    assert proven_event(text, LIMITS, False) is None
    found = scan_structured(text, LIMITS)
    assert isinstance(found, Refusal)
    assert found.code == "duplicate_key"


@pytest.mark.parametrize("depth", [1, 2, 3, 63, 64])
def test_depth_is_the_same_for_both(depth: int) -> None:
    limits = Limits(json_depth=depth)
    for inner in range(max(depth - 3, 0), depth + 3):
        for member in (
            f'"data":{"[" * inner}0{"]" * inner}',
            f'"data":["[{{",{"[" * inner}0{"]" * inner}]',
        ):
            text = event_text(member)
            levels = 1 + inner + member.count('["[')
            found = scan_structured(text, limits)
            assert found == exactly(text, limits)
            assert isinstance(found, Event) == (levels <= depth)


# Cutting a batch into its elements.


def marks_of(body: bytes) -> Iterator[tuple[int, str]]:
    """Position and mark of all that is in no string."""
    inside = escaped = False
    for position, mark in enumerate(body.decode("latin-1")):
        if inside:
            inside = escaped or mark != '"'
            escaped = mark == "\\" and not escaped
        elif mark == '"':
            inside = True
        else:
            yield position, mark


def cut(body: bytes, elements_max: int) -> list[bytes] | str:
    """Mark by mark: the elements, or the code of the refusal."""
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return "not_a_json_array"
    depth, begin, elements = 0, body.index(b"[") + 1, list[bytes]()
    for position, mark in marks_of(body):
        depth += (mark in "[{") - (mark in "]}")
        if depth == 0 and mark in "]}":
            last = body[begin:position].strip(b" \t\r\n")
            if mark == "}" or body[position + 1 :].strip(b" \t\r\n") or (elements and not last):
                return "invalid_json"
            return [*elements, last] if last else []
        if depth == 1 and mark == ",":
            elements.append(body[begin:position].strip(b" \t\r\n"))
            begin = position + 1
            if not elements[-1]:
                return "invalid_json"
            if len(elements) >= elements_max:
                return "too_many_events"
    return "invalid_json"


def cut_by_service(body: bytes, elements_max: int) -> list[bytes] | str:
    try:
        return scan_json.split_array(body, elements_max)
    except Invalid as error:
        return error.code


pieces = st.sampled_from(
    [
        *'[]{},:"\\ \n1',
        "[]",
        "{}",
        '""',
        '"a"',
        '"\\""',
        '"\\\\"',
        '"[,{"',
        "NaN",
        "1e400",
        ",",
        ",",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=24).map("".join), st.integers(1, 4))
@example("[1,2,", 2)
@example('[1,"a\\', 9)
@example('["\\ud83d",{"a":[1,{}]}]', 9)
@example("[1}", 9)
def test_a_batch_is_cut_as_byte_by_byte(inner: str, elements_max: int) -> None:
    for text in (inner, f"[{inner}]", f" [ {inner} ] "):
        body = text.encode()
        assert cut_by_service(body, elements_max) == cut(body, elements_max)


@settings(max_examples=60, deadline=None)
@given(st.lists(odd_events() | fine_events(), max_size=4))
def test_an_event_of_a_batch_is_scanned_as_if_alone(events: list[str]) -> None:
    body = ("[" + " ,".join(events) + "]").encode()
    elements = cut(body, LIMITS.batch_events)
    if isinstance(elements, str):
        with pytest.raises(Invalid) as caught:
            scan_batch(body, LIMITS)
        assert caught.value.code == elements
    else:
        assert scan_batch(body, LIMITS) == [exactly(element) for element in elements]


# Times.


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.text("0123456789", max_size=12),
)
def test_a_time_is_what_the_calendar_says(moment: datetime, offset_min: int, digits: str) -> None:
    moment = moment.replace(microsecond=0)
    sign, minutes = ("-" if offset_min < 0 else "+"), abs(offset_min)
    fraction = f".{digits}" if digits else ""
    text = f"{moment.isoformat()}{fraction}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    zone = timezone(timedelta(minutes=offset_min))
    since = moment.replace(tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (since.days * 86_400 + since.seconds) * 10**9 + int(digits[:9].ljust(9, "0"))
    assert times.parse_rfc3339(text) == ns * 2
    if offset_min == 0:
        assert times.parse_rfc3339(text[:-6] + "Z") == ns * 2


@settings(max_examples=400)
@given(
    st.sampled_from(
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123Z", "2026-01-02t23:59:59.5+01:00"]
    ),
    st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(0, 7), st.sampled_from([*"0569.:-+ZzTt٣ ", "", "60"])
        ),
        max_size=3,
    ),
)
def test_a_time_is_refused_alike_by_look_up_and_in_full(
    text: str, changes: list[tuple[int, int, str]]
) -> None:
    for position, length, token in changes:
        text = text[:position] + token + text[position + length :]

    def read(function: Any) -> int | str:
        try:
            key = function(text)
        except Invalid as error:
            return error.detail
        assert isinstance(key, int)
        return key

    assert read(times.parse_rfc3339) == read(times._read)


@pytest.mark.parametrize("value", ["1234", "true", "{}", '"####"', '"QQ"'])
def test_data_base64_is_a_string_of_base64(value: str) -> None:
    text = f'{{"specversion":"1.0","id":"1","source":"/s","type":"t","authid":"u","data_base64":{value}}}'
    (found,) = scan_batch(f"[{text}]".encode(), Limits())
    assert isinstance(found, Refusal)
    assert found.code == "invalid_attribute"


@pytest.mark.parametrize("name", ["userseq", "log", "logindex", "storedtime"])
@pytest.mark.parametrize("value", ["null", '"7"', "7"])
def test_a_name_of_the_services_own_is_refused_whatever_it_holds(name: str, value: str) -> None:
    text = (
        f'{{"specversion":"1.0","id":"1","source":"/s","type":"t","authid":"u","{name}":{value}}}'
    )
    (found,) = scan_batch(f"[{text}]".encode(), Limits())
    assert isinstance(found, Refusal)
    assert (found.code, found.pointer) == ("reserved_attribute", f"/{name}")
