"""What went wrong in other audit and log services, as inputs for the scanner and what it feeds.

Each test is a kind of fault from public reports, with inputs of our own. What needs a running service is tested
there.
"""

from __future__ import annotations

import gzip
import json
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
import zstandard

from storage.hashing import Hasher
from storage.secrets import ClusterSecret
from tradetrail.errors import Invalid
from tradetrail.event import Event, Limits, Refusal
from tradetrail.inflate import inflate
from tradetrail.scan import Mode, content_mode, scan_batch, scan_binary, scan_structured

LIMITS = Limits()
HASHER = Hasher(ClusterSecret(bytes(32)))


def event(data: str = "{}", user: str = "alice", number: int = 1, extra: str = "") -> str:
    """An event whose data and extra members stand in it as they are written."""
    return (
        f'{{"specversion":"1.0","id":"{number}","source":"/oms","type":"tradetrail.order.new.v1",'
        f'"authid":{json.dumps(user, ensure_ascii=False)},{extra}"data":{data}}}'
    )


def timed(time: str) -> str:
    return event(extra=f'"time":"{time}",')


def scan(*events: str) -> list[Event | Refusal]:
    return scan_batch(("[" + ",".join(events) + "]").encode(), LIMITS)


def accepted(text: str) -> Event:
    """The event, its bytes kept, alone and in a batch."""
    (found,) = scan(text)
    assert isinstance(found, Event), found
    assert found.text == text.encode()
    assert scan_structured(text.encode(), LIMITS) == found
    return found


def refused_alone(text: str | bytes) -> Refusal:
    """The refusal of an event between two good ones, which it must not cost."""
    body = text if isinstance(text, bytes) else text.encode()
    good = event().encode()
    first, found, last = scan_batch(b"[" + good + b"," + body + b"," + good + b"]", LIMITS)
    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(found, Refusal), found
    assert scan_structured(body, LIMITS) == found
    assert not found.retry
    return found


def refused_whole(body: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        scan_batch(body, LIMITS)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        '{"note":"ok \\ud83d end"}',
        '{"note":"\\ude00"}',
        '{"note":"\\ude00\\ud83d"}',
        '{"note":"\\ud83d\\ud83d\\ude00"}',
        '{"\\udfff":1}',
        '{"deep":[[{"x":["\\uD800"]}]]}',
    ],
)
def test_half_an_emoji_refuses_its_event(data: str) -> None:
    assert refused_alone(event(data)).code == "invalid_text"


def test_half_an_emoji_in_an_attribute_refuses_its_event() -> None:
    assert refused_alone(event(extra='"subject":"x\\ud83d",')).code == "invalid_text"
    assert refused_alone(event().replace('"alice"', '"\\ud83d"')).code == "invalid_text"


def test_whole_emoji_are_kept_escaped_or_not() -> None:
    family = "👩‍👩‍👧"
    assert accepted(event(f'{{"note":"{family}"}}')).text.count(family.encode()) == 1
    escaped = json.dumps({"note": family})
    assert "\\ud83d" in escaped
    accepted(event(escaped))
    assert accepted(event(user=family)).user == family
    # Text that only looks like an escape is no escape.
    accepted(event('{"note":"\\\\ud83d"}'))


def test_normal_forms_of_a_name_are_two_users_and_each_can_be_found() -> None:
    composed = unicodedata.normalize("NFC", "José")
    decomposed = unicodedata.normalize("NFD", "José")
    users = [accepted(event(user=name)).user for name in (composed, decomposed)]
    assert users == [composed, decomposed]
    assert users[0] != users[1]
    assert HASHER.user_key(users[0]) != HASHER.user_key(users[1])


@pytest.mark.parametrize(
    "user",
    ["mallory\u202egnp.ecila", "\u0430lice", "alice\u200b", "דוד", "\u2066x\u2069", "alice\u00ad"],
)
def test_look_alikes_and_overrides_are_kept_as_they_are_and_never_merged(user: str) -> None:
    assert accepted(event(user=user)).user == user
    assert HASHER.user_key(user) != HASHER.user_key("alice")


@pytest.mark.parametrize(
    "user", ["desk/eu", "..", ".", "a%2Fb", "a/b", "a b", "a+b", "?x", "#", "\\", "'"]
)
def test_users_of_any_spelling_are_users_of_their_own(user: str) -> None:
    assert accepted(event(user=user)).user == user


def test_a_percent_sign_in_a_header_is_decoded_once() -> None:
    headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/"), ("ce-type", "t")]
    for sent, user in (
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("desk/eu", "desk/eu"),
        ("..", ".."),
    ):
        found = scan_binary([*headers, ("ce-authid", sent)], b"", LIMITS)
        assert isinstance(found, Event)
        assert found.user == user
    for sent in ("", "%00", "a%0Ab"):
        refused = scan_binary([*headers, ("ce-authid", sent)], b"", LIMITS)
        assert isinstance(refused, Refusal)
        assert refused.pointer == "/authid"


@pytest.mark.parametrize("user", ["", "\0", "a\tb", "a\nb", "\x7f", "\x85"])
def test_an_empty_user_and_control_characters_are_refused(user: str) -> None:
    escaped = json.dumps(user)
    found = refused_alone(event().replace('"alice"', escaped))
    assert (found.code, found.pointer) == ("invalid_attribute", "/authid")


@pytest.mark.parametrize(
    "digits",
    ["9007199254740993", "18446744073709551616", "-9223372036854775809", "1" * 1_000],
)
def test_large_whole_numbers_keep_every_digit(digits: str) -> None:
    found = accepted(event(f'{{"ClOrdID":{digits},"OrderID":"{digits}"}}'))
    assert digits.encode() in found.text
    if len(digits) <= 256:
        assert dict(found.lookups)["ClOrdID"] == digits
        assert dict(found.lookups)["OrderID"] == digits


@pytest.mark.parametrize("digits", ["9" * 5_000, "-" + "9" * 1_000, "0." + "1" * 1_000])
def test_a_number_beyond_the_limit_is_refused_and_the_limit_named(digits: str) -> None:
    found = refused_alone(event(f'{{"ClOrdID":{digits}}}'))
    assert (found.code, "1000" in found.detail) == ("number_too_large", True)


@pytest.mark.parametrize(
    "price",
    [
        "0.10",
        "2706.93",
        "7.3e-7",
        "1E+8",
        "-0",
        "-0.00",
        "0." + "1" * 40,
        "1e308",
        "1e-308",
        '"1,5"',
    ],
)
def test_prices_keep_their_digits_sign_and_scale(price: str) -> None:
    found = accepted(event(f'{{"Price":{price}}}'))
    assert f'"Price":{price}}}'.encode() in found.text


@pytest.mark.parametrize(
    ("price", "code"),
    [
        ("NaN", "invalid_number"),
        ("Infinity", "invalid_number"),
        ("-Infinity", "invalid_number"),
        ("1e400", "invalid_number"),
        ("-1e400", "invalid_number"),
        ("1e-400", "invalid_number"),
        ("1e99999999999999999999", "invalid_number"),
        ("0e400", "invalid_number"),
        ("1,5", "invalid_json"),
        ("01", "invalid_json"),
        ("+1", "invalid_json"),
        (".5", "invalid_json"),
        ("5.", "invalid_json"),
        ("0x10", "invalid_json"),
        ("1_000", "invalid_json"),
        ("١", "invalid_json"),
        ("nan", "invalid_json"),
    ],
)
def test_what_is_no_exact_number_refuses_its_event(price: str, code: str) -> None:
    assert refused_alone(event(f'{{"Price":{price}}}')).code == code


def test_a_leap_second_sorts_last_in_its_minute_and_keeps_its_text() -> None:
    times = [
        "2016-12-31T23:59:59.999Z",
        "2016-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60Z",
        "2017-01-01T00:00:00Z",
    ]
    found = [accepted(timed(time)) for time in times]
    keys = [item.time_key for item in found]
    assert all(a is not None and b is not None and a < b for a, b in pairwise(keys))
    assert b"23:59:60Z" in found[2].text
    # All instants of a leap second sort together, on any day and in any zone.
    assert accepted(timed("2016-12-31T23:59:60.500Z")).time_key == keys[2]
    assert accepted(timed("2017-01-01T00:59:60+01:00")).time_key == keys[2]
    assert accepted(timed("2026-05-05T23:59:60Z")).time_key is not None


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:60:00Z",
        "2026-01-02T23:59:61Z",
        "2026-01-02T03:04:05",
        "20260102T030405Z",
        "2026-W01-1T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2026-01-02T03:04:05.1234567890123Z",
        " 2026-01-02T03:04:05Z",
        "٢026-01-02T03:04:05Z",
    ],
)
def test_a_time_that_does_not_exist_or_is_not_exact_refuses_its_event(time: str) -> None:
    found = refused_alone(timed(time))
    assert (found.code, found.pointer) == ("invalid_time", "/time")


def test_nanoseconds_are_filed_and_finer_digits_kept() -> None:
    found = accepted(timed("2026-01-02T03:04:05.123456789Z"))
    assert found.time_key is not None
    assert found.time_key // 2 % 10**9 == 123_456_789
    assert b"05.123456789012Z" in accepted(timed("2026-01-02T03:04:05.123456789012Z")).text


def test_a_batch_with_a_bad_event_gives_the_same_results_each_time() -> None:
    unknown = event(number=3, extra='"Unknown_Field":1,')
    batch = (event(number=1), event(number=2), unknown, event(number=4))
    first, second, third = scan(*batch), scan(*batch), scan(*batch)
    assert first == second == third
    assert [type(item) for item in first] == [Event, Event, Refusal, Event]
    assert [item.id for item in first if isinstance(item, Event)] == ["1", "2", "4"]


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("17", "not_an_object"),
        ('"text"', "not_an_object"),
        ("null", "not_an_object"),
        ("[]", "not_an_object"),
        ("{}", "missing_attribute"),
        (event(json.dumps("x" * 70_000)), "event_too_large"),
        ('{"a":1}}', None),
    ],
)
def test_an_element_of_another_kind_is_refused_and_costs_no_other(
    last: str, code: str | None
) -> None:
    body = f"[{event()},{last}]".encode()
    if code is None:
        # A bracket too many: nothing can be said about where the next event begins.
        assert refused_whole(body).code == "invalid_json"
        return
    good, bad = scan_batch(body, LIMITS)
    assert isinstance(good, Event)
    assert isinstance(bad, Refusal)
    assert bad.code == code


def test_a_batch_cut_short_is_refused_whole_at_every_byte() -> None:
    body = f"[{event()},{event(number=2)}]".encode()
    for length in range(len(body)):
        error = refused_whole(body[:length])
        assert error.code in ("invalid_json", "not_a_json_array")
        assert error.status == 400
        assert "byte" in error.detail


def test_a_string_of_ten_megabytes_is_refused_by_the_bound_of_the_body() -> None:
    error = refused_whole(f"[{event(json.dumps('x' * 10_000_000))}]".encode())
    assert (error.code, error.status) == ("body_too_large", 413)
    assert str(LIMITS.body_bytes) in error.detail


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"\n[\t\r\n]\n"])
def test_an_empty_array_is_no_event_and_no_error(body: bytes) -> None:
    assert scan_batch(body, LIMITS) == []


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"null", b"{}", b'{"events":[]}', b"0", b'"[]"', b"\0", b"]["]
)
def test_what_is_no_array_is_refused_whole(body: bytes) -> None:
    error = refused_whole(body)
    assert (error.code, error.status) == ("not_a_json_array", 400)


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(b"")), ("zstd", zstandard.ZstdCompressor().compress(b""))],
)
def test_compressed_nothing_is_still_nothing(coding: str, body: bytes) -> None:
    assert refused_whole(inflate(coding, body, 100)).code == "not_a_json_array"


@pytest.mark.parametrize(
    ("noise", "offset"),
    [
        (b"\xff\xfe", 0),
        (b"\xc0\x80", 0),
        (b"caf\xe1 x", 3),
        (b"\xed\xa0\x80", 0),
        (b"\xf4\x90\x80\x80", 0),
        (b"ok\xe2\x82", 2),
    ],
)
def test_bytes_that_are_no_utf_8_refuse_the_request_and_name_the_byte(
    noise: bytes, offset: int
) -> None:
    before, after = event('{"note":"@"}').encode().split(b"@")
    body = b"[" + event().encode() + b"," + before + noise + after + b"]"
    error = refused_whole(body)
    assert (error.code, error.status) == ("invalid_utf8", 400)
    place = len(body) - len(after) - 1 - len(noise) + offset
    assert f"byte {place};" in error.detail
    with pytest.raises(Invalid) as caught:
        scan_structured(before + noise + after, LIMITS)
    assert caught.value.code == "invalid_utf8"


def test_a_cut_character_at_the_very_end_and_a_byte_order_mark_are_named() -> None:
    assert "byte 2" in refused_whole(b'["\xf0\x9f\x98').detail
    error = refused_whole(b"\xef\xbb\xbf[]")
    assert (error.code, "byte 0" in error.detail) == ("invalid_utf8", True)
    utf_16 = "[]".encode("utf-16")
    assert refused_whole(utf_16).code == "invalid_utf8"


@pytest.mark.parametrize(
    "data",
    [
        '{"user":"alice","amount":1,"user":"bob"}',
        '{"user":1,"\\u0075ser":2}',
        '{"a":{"b":[{"c":1,"c":1}]}}',
        '{"":1,"":2}',
        '{"é":1,"\\u00e9":2}',
        '{"a\\"b":1,"a\\u0022b":2}',
        '{"x":[{"k":"\\"","k":"\\""}]}',
    ],
)
def test_a_key_that_stands_twice_refuses_its_event(data: str) -> None:
    assert refused_alone(event(data)).code == "duplicate_key"


@pytest.mark.parametrize(
    "extra",
    [
        '"authid":"bob",',
        '"\\u0061uthid":"bob",',
        '"id":"1",',
        '"data":1,',
        '"time":null,"time":null,',
    ],
)
def test_an_attribute_that_stands_twice_refuses_its_event(extra: str) -> None:
    assert refused_alone(event(extra=extra)).code == "duplicate_key"


@pytest.mark.parametrize(
    "data",
    [
        '{"a":1,"A":2}',
        '{"é":1,"e\u0301":2}',
        '[{"a":1},{"a":2}]',
        '{"a":{"a":{"a":1}}}',
        '{"k":"\\"k\\":1,\\"k\\":2"}',
    ],
)
def test_keys_that_only_look_alike_are_kept(data: str) -> None:
    accepted(event(data))


def test_a_refusal_never_holds_a_value() -> None:
    secret = "quiet-harbour-17"
    bad: list[Any] = [
        event(f'{{"Password":"{secret}","Password":"{secret}"}}'),
        event(f'{{"Password":"{secret}\\ud83d"}}'),
        event(f'{{"Password":"{secret}'),
        event(user=secret * 20),
        event(extra=f'"subject":"{secret}\\u0000",'),
        event(extra=f'"time":"{secret}",'),
        event(extra=f'"x":{{"y":"{secret}"}},'),
    ]
    for text in bad:
        found = scan_structured(text.encode(), LIMITS)
        assert isinstance(found, Refusal)
        assert secret not in repr(found)


def test_depth_is_refused_at_the_limit_and_never_overflows_the_stack() -> None:
    # The event itself is the first level, data the second.
    deepest = "[" * 63 + "]" * 63
    accepted(event(deepest))
    assert refused_alone(event(f"[{deepest}]")).code == "too_deep"
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * 10_000 + "1" + closing * 10_000
        assert refused_alone(event(text)).code in ("too_deep", "event_too_large")


@pytest.mark.parametrize("depth", [2, 3, 7, 8, 9])
def test_a_lower_limit_of_depth_holds_to_the_level(depth: int) -> None:
    limits = Limits(json_depth=depth)
    fits, over = "[" * (depth - 1) + "]" * (depth - 1), "[" * depth + "]" * depth
    assert isinstance(scan_structured(event(fits).encode(), limits), Event)
    refused = scan_structured(event(over).encode(), limits)
    assert isinstance(refused, Refusal)
    assert (refused.code, str(depth) in refused.detail) == ("too_deep", True)


def test_batched_mode_is_told_from_structured_whatever_the_case_and_parameters() -> None:
    assert content_mode("APPLICATION/CLOUDEVENTS-BATCH+JSON;charset=utf-8") is Mode.BATCHED
    assert content_mode(" application/cloudevents+json") is Mode.STRUCTURED
    assert content_mode("application/json") is Mode.BINARY


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", Mode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=utf-8", Mode.STRUCTURED),
        ("application/cloudevents-batch+json", Mode.BATCHED),
        ("application/json", Mode.BINARY),
        (None, Mode.BINARY),
    ],
)
def test_the_content_type_tells_the_mode(content_type: str | None, mode: Mode) -> None:
    assert content_mode(content_type) is mode


@pytest.mark.parametrize("form", ["xml", "jsonx", "avro", "protobuf"])
@pytest.mark.parametrize("kind", ["cloudevents", "cloudevents-batch"])
def test_cloudevents_in_another_format_are_refused(kind: str, form: str) -> None:
    with pytest.raises(Invalid) as refusal:
        content_mode(f"application/{kind}+{form}")
    assert (refusal.value.code, refusal.value.status) == ("unsupported_event_format", 415)
