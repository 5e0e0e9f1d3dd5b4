"""Bodies that mean harm: scanned in time in proportion to their length, with bounded recursion.

A scan whose time grew faster would not end within the tests' limit.
"""

from __future__ import annotations

import pytest

from tests.unit.test_scan_exact import REQUIRED, cut_by_service, event_text
from tradetrail.errors import Invalid
from tradetrail.event import Event, Limits, Refusal
from tradetrail.scan import scan_batch, scan_binary

LIMITS = Limits()
MIB = 1024 * 1024


def body_of(element: str, size: int = 5 * MIB) -> bytes:
    """A batch of the element again and again, as large as a body may be."""
    count = (size - 2) // (len(element.encode()) + 1)
    return ("[" + ",".join([element] * count) + "]").encode()


def bad_event(content: str) -> str:
    """An event of nearly the greatest size that no proof reaches: a key of ``data`` stands twice."""
    repeated = content * ((65_000 - 200) // len(content.encode()))
    return event_text('"data":{"a":1,"a":1,"b":[' + repeated + "0]}").decode()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * (5 * MIB),
        b"[" * (5 * MIB // 2) + b"]" * (5 * MIB // 2),
        b"[" + b"[]" * (5 * MIB // 2 - 2),
        b"[" + b"[1]" * (5 * MIB // 3 - 2),
        b"[" + b"[[]" * (5 * MIB // 3 - 2),
        b"[" + b"{]" * (5 * MIB // 2 - 2),
        b"[" + b'"' * (5 * MIB - 2),
        b'["' + b"\\" * (5 * MIB - 3),
        b'[{"a":[' + b'"",' * (5 * MIB // 3 - 9),
        b"[" + b"{" + b"," * (5 * MIB - 9) + b"}]",
    ],
    ids=lambda body: body[:12].decode(),
)
def test_hostile_bodies_are_refused_as_a_whole(body: bytes) -> None:
    assert 4 * MIB < len(body) <= LIMITS.body_bytes
    elements = cut_by_service(body, LIMITS.batch_events)
    if isinstance(elements, str):
        assert elements in ("invalid_json", "too_many_events")
        with pytest.raises(Invalid, match=elements):
            scan_batch(body, LIMITS)
    else:
        assert {type(item) for item in scan_batch(body, LIMITS)} == {Refusal}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[],", "duplicate_key"),
        ("{},", "duplicate_key"),
        ('"",', "duplicate_key"),
        ("1,", "duplicate_key"),
        ("1.5,", "duplicate_key"),
        ('"\\n\\u0001",', "duplicate_key"),
        ('{"k":{}},', "duplicate_key"),
        ("[0,[]],", "duplicate_key"),
        ("[" * 70 + "]" * 70 + ",", "too_deep"),
        ("[0},", "invalid_json"),
        ("9", "number_too_large"),
    ],
)
def test_batches_of_hostile_events_are_refused_event_by_event(content: str, code: str) -> None:
    found = scan_batch(body_of(bad_event(content), MIB), LIMITS)
    assert len(found) > 14
    assert {item.code for item in found if isinstance(item, Refusal)} == {code}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("escape", ["\\n", "\\u0001", '\\"', "\\\\", "\\ud83d\\ude00", "\\ud83d"])
def test_a_string_of_nothing_but_escapes_is_read_in_one_pass(escape: str) -> None:
    text = event_text('"data":"' + escape * (65_000 // len(escape) - 40) + '"').decode()
    found = scan_batch(body_of(text, MIB), LIMITS)
    assert len(found) > 14
    assert {type(item) for item in found} == {Refusal if escape == "\\ud83d" else Event}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("element", ["0", "{}", '""', "[]"])
def test_too_many_small_elements_are_refused(element: str) -> None:
    with pytest.raises(Invalid) as caught:
        scan_batch(body_of(element), LIMITS)
    assert caught.value.code == "too_many_events"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_data_over_the_limit_is_refused_before_it_is_read(content_type: str) -> None:
    headers = [("content-type", content_type), *((f"ce-{n}", v[1:-1]) for n, v in REQUIRED.items())]
    found = scan_binary(headers, b"[" * (5 * MIB), LIMITS)
    assert isinstance(found, Refusal)
    assert found.code == "event_too_large"
    assert "65536" in found.detail
    padded = scan_binary(headers[:1] + headers[1:], b" " * 70_000 + b"{}", LIMITS)
    assert isinstance(padded, Event) == (content_type == "application/json")
