"""The scanner: exact JSON, one bad event never costs a good one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetrail.errors import Invalid
from tradetrail.event import Event, Limits, Refusal
from tradetrail.facts import facts_of
from tradetrail.scan import Mode, content_mode, scan_batch, scan_binary, scan_structured

LIMITS = Limits()


def event_json(**changes: Any) -> str:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/oms",
        "type": "tradetrail.order.new.v1",
        "authid": "alice",
        "time": "2026-01-02T03:04:05Z",
        "data": {"ClOrdID": "C1", "Price": "0.10"},
    }
    event.update(changes)
    return json.dumps({name: value for name, value in event.items() if value is not None})


def refusal(text: str | bytes) -> Refusal:
    body = text.encode() if isinstance(text, str) else text
    (found,) = scan_batch(b"[" + body + b"]", LIMITS)
    assert isinstance(found, Refusal)
    return found


def accepted(text: str) -> Event:
    (found,) = scan_batch(f"[{text}]".encode(), LIMITS)
    assert isinstance(found, Event), found
    return found


def test_an_event_keeps_its_bytes_and_gives_its_facts() -> None:
    text = '{ "specversion":"1.0","id":"1","source":"/oms",\n"type":"t","authid":"bob", "data":{"Price":0.10}}'
    found = accepted(text)
    assert found.text == text.encode()
    assert (found.user, found.source, found.id, found.type, found.time_key) == (
        "bob",
        "/oms",
        "1",
        "t",
        None,
    )


def test_one_bad_event_never_costs_a_good_one() -> None:
    good = event_json()
    body = f"[{good}, {event_json(authid=None)} ,17,{good}]".encode()
    found = scan_batch(body, LIMITS)
    assert [type(item) for item in found] == [Event, Refusal, Refusal, Event]
    assert found[1] == Refusal("missing_attribute", "The attribute authid is required.", "/authid")


@pytest.mark.parametrize("digits", ["9007199254740993", "18446744073709551616", "0.10", "-0.00"])
def test_digits_are_never_altered(digits: str) -> None:
    text = event_json().replace('"C1"', digits)
    found = accepted(text)
    assert found.text == text.encode()
    assert ("ClOrdID", digits) in found.lookups


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ('"note":"ok \\ud83d end"', "invalid_text"),
        ('"price":NaN', "invalid_number"),
        ('"price":-Infinity', "invalid_number"),
        ('"price":1e400', "invalid_number"),
        (f'"price":{"9" * 5_000}', "number_too_large"),
        ('"user":"a","\\u0075ser":"b"', "duplicate_key"),
        ('"user":"a","amount":1,"user":"b"', "duplicate_key"),
        ('"deep":' + "[" * 20_000 + "]" * 20_000, "too_deep"),
        ('"tab":"a\tb"', "invalid_json"),
        ('"price":1,5', "invalid_json"),
    ],
)
def test_inexact_json_refuses_that_event_alone(member: str, code: str) -> None:
    bad = event_json().replace('"ClOrdID": "C1"', member)
    found = scan_batch(f"[{event_json()},{bad},{event_json()}]".encode(), LIMITS)
    assert [type(item) for item in found] == [Event, Refusal, Event]
    assert isinstance(found[1], Refusal)
    assert found[1].code == code


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"id": ""}, "invalid_attribute", "/id"),
        ({"source": 5}, "invalid_attribute", "/source"),
        ({"specversion": "0.3"}, "unsupported_specversion", "/specversion"),
        ({"authid": "tradetrail:x"}, "reserved_user", "/authid"),
        ({"authid": "a\u0000b"}, "invalid_attribute", "/authid"),
        ({"authid": "x" * 257}, "attribute_too_long", "/authid"),
        ({"source": "x" * 1_025}, "attribute_too_long", "/source"),
        ({"userseq": "1"}, "reserved_attribute", "/userseq"),
        ({"Upper": "1"}, "invalid_attribute_name", ""),
        ({"count": 2**31}, "invalid_attribute", "/count"),
        ({"count": {}}, "invalid_attribute", "/count"),
        ({"time": "yesterday"}, "invalid_time", "/time"),
        ({"initiator": "nobody"}, "invalid_attribute", "/initiator"),
        ({"data_base64": "AA=="}, "invalid_attribute", "/data_base64"),
    ],
)
def test_attributes_are_checked(changes: dict[str, Any], code: str, pointer: str) -> None:
    found = refusal(event_json(**changes))
    assert (found.code, found.pointer, found.retry) == (code, pointer, False)


def test_an_event_over_the_limit_is_refused_and_names_it() -> None:
    found = refusal(event_json(data="x" * 65_536))
    assert found.code == "event_too_large"
    assert "65536" in found.detail


def test_normal_forms_are_different_users_and_emoji_round_trip() -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    assert (
        accepted(event_json(authid=composed)).user != accepted(event_json(authid=decomposed)).user
    )
    family = "👩‍👩‍👧"
    text = event_json(data={"note": family}).encode().decode("unicode_escape", "ignore")
    assert accepted(event_json(authid=family)).user == family
    assert text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_a_json_array"),
        (b"  ", "not_a_json_array"),
        (b"null", "not_a_json_array"),
        (b'{"events":[]}', "not_a_json_array"),
        (b"[1,", "invalid_json"),
        (b"[1,]", "invalid_json"),
        (b"[1] 2", "invalid_json"),
        (b'["open', "invalid_json"),
        (b'[{"a":"\xff\xfe"}]', "invalid_utf8"),
        (b'[{"a":"\xc0\x80"}]', "invalid_utf8"),
        (b"\xef\xbb\xbf[]", "invalid_utf8"),
        (b'["\xf0\x9f', "invalid_utf8"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        scan_batch(body, LIMITS)
    assert (caught.value.code, caught.value.status) == (code, 400)
    assert "byte" in caught.value.detail


def test_an_empty_batch_is_no_event() -> None:
    assert scan_batch(b" [ ] ", LIMITS) == []


def test_too_many_events_are_refused() -> None:
    limits = Limits(batch_events=2)
    with pytest.raises(Invalid) as caught:
        scan_batch(b"[1,2,3]", limits)
    assert (caught.value.code, caught.value.status) == ("too_many_events", 413)


def test_binary_mode_builds_the_structured_form() -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/oms"),
        ("ce-type", "t"),
        ("ce-authid", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
    ]
    found = scan_binary(headers, b'{"Price":"0.10"}', LIMITS)
    assert isinstance(found, Event)
    assert found.user == "Euro € 😀"
    assert (
        found.text
        == (
            '{"authid":"Euro € 😀","datacontenttype":"application/json","id":"1","source":"/oms",'
            '"specversion":"1.0","type":"t","data":{"Price":"0.10"}}'
        ).encode()
    )
    other = scan_binary([*headers[1:], ("Content-Type", "text/plain")], b"hi", LIMITS)
    assert isinstance(other, Event)
    assert other.text.endswith(b',"data_base64":"aGk="}')


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("ce-datacontenttype", "application/json"), "invalid_attribute"),
        (("ce-subject", "%C0%A0"), "invalid_text"),
    ],
)
def test_binary_headers_are_checked(header: tuple[str, str], code: str) -> None:
    found = scan_binary([("ce-specversion", "1.0"), header], b"", LIMITS)
    assert isinstance(found, Refusal)
    assert found.code == code


def test_binary_data_cannot_smuggle_attributes() -> None:
    headers = [("ce-specversion", "1.0"), ("content-type", "application/json")]
    found = scan_binary(headers, b'1,"authid":"bob"', LIMITS)
    assert isinstance(found, Refusal)
    assert found.code == "invalid_json"


def test_modes_are_told_apart_by_the_longer_prefix_first() -> None:
    assert content_mode("Application/CloudEvents-Batch+json; charset=utf-8") is Mode.BATCHED
    assert content_mode("application/cloudevents+json") is Mode.STRUCTURED
    assert content_mode("application/json") is Mode.BINARY
    assert content_mode(None) is Mode.BINARY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5), st.booleans())
def test_elements_are_cut_where_a_parser_would_cut(data: list[Any], escaped: bool) -> None:
    texts = [json.dumps(item, ensure_ascii=escaped, indent=1) for item in data]
    events = [event_json(data=None)[:-1] + f',"data":{text}}}' for text in texts]
    try:
        body = ("[" + " , ".join(events) + "]").encode()
    except UnicodeEncodeError:
        return
    found = scan_batch(body, LIMITS)
    assert [item.text.decode() for item in found if isinstance(item, Event)] == events


@given(st.binary(max_size=60))
def test_random_bytes_give_refusals_only(body: bytes) -> None:
    for scan in (scan_batch, scan_structured):
        try:
            scan(body, LIMITS)
        except Invalid as error:
            assert error.status == 400  # noqa: PT017 - not raising is fine as well


def test_facts_read_back_are_the_facts_scanned() -> None:
    text = event_json(
        subject="order/C1",
        data={"ClOrdID": "C\u00e91", "OrderID": 17, "Symbol": None, "Account": "A"},
    )
    found = accepted(text)
    facts = facts_of(found.text)
    assert (facts.type, facts.time_key, facts.lookups) == (
        found.type,
        found.time_key,
        found.lookups,
    )
