"""From the bytes of a request to events: every event is scanned once in full before it is stored.

Structured and batched mode keep an event's slice of the body, byte for byte. Binary mode builds the
structured form in ``structured_text``, the only place that does. What a producer did wrong in one event is a
``Refusal`` of that event; only a body that cannot be cut into events is refused as a whole.

Ordinary events are accepted by the cheap proof of ``tradetrail.scan_proof``; the rest go through the exact
scan of ``tradetrail.scan_event``, which alone refuses. Both give the same event for the same text.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from urllib.parse import unquote_to_bytes

import msgspec

from tradetrail.errors import Invalid
from tradetrail.event import Event, Limits, Refusal
from tradetrail.scan_event import exact_event, refused
from tradetrail.scan_json import ScanRefused, check_value, decode_utf8, split_array
from tradetrail.scan_proof import proven_event

__all__ = [
    "Mode",
    "content_mode",
    "scan_batch",
    "scan_binary",
    "scan_structured",
    "structured_text",
]

_JSON_TYPE = re.compile(r"(application|text)/json\Z|[^/]+/[^/]+\+json\Z")


class Mode(Enum):
    """Content modes of the CloudEvents HTTP binding."""

    BATCHED = "batched"
    STRUCTURED = "structured"
    BINARY = "binary"


_MODES = {
    "application/cloudevents-batch": Mode.BATCHED,
    "application/cloudevents": Mode.STRUCTURED,
}


def content_mode(content_type: str | None) -> Mode:
    """The mode a ``Content-Type`` asks for.

    Raises:
        Invalid: ``unsupported_event_format``, for CloudEvents in another format than JSON.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    kind, _, form = media_type.partition("+")
    if kind not in _MODES:
        return Mode.BINARY
    if form not in ("json", ""):
        raise Invalid(
            "unsupported_event_format",
            "CloudEvents are taken as JSON: application/cloudevents+json or -batch+json.",
            415,
        )
    return _MODES[kind]


def scan_batch(
    body: bytes, limits: Limits, allow_service_user: bool = False
) -> list[Event | Refusal]:
    """Each element of a batch as an event or its refusal, in order.

    Raises:
        Invalid: the body as a whole: ``invalid_utf8``, ``not_a_json_array``, ``invalid_json``,
            ``too_many_events``, ``body_too_large``.
    """
    _check_size(body, limits)
    decode_utf8(body)
    return [
        proven_event(element, limits, allow_service_user)
        or _scan_exactly(element, limits, allow_service_user)
        for element in split_array(body, limits.batch_events)
    ]


def scan_structured(
    body: bytes, limits: Limits, allow_service_user: bool = False
) -> Event | Refusal:
    """One event in structured mode; raises ``Invalid`` for a body that is not UTF-8 or too large."""
    _check_size(body, limits)
    decode_utf8(body)
    text = body.strip(b" \t\r\n")
    return proven_event(text, limits, allow_service_user) or _scan_exactly(
        text, limits, allow_service_user
    )


def scan_binary(headers: Iterable[tuple[str, str]], body: bytes, limits: Limits) -> Event | Refusal:
    """One event in binary mode: ``ce-`` headers are attributes, the body is the data."""
    _check_size(body, limits)
    attributes: dict[str, str] = {}
    content_type = ""
    try:
        for name, value in headers:
            lowered = name.lower()
            if lowered == "content-type":
                content_type = value
            elif lowered.startswith("ce-"):
                attribute = lowered[3:]
                if attribute == "datacontenttype":
                    raise refused(
                        "invalid_attribute",
                        "ce-datacontenttype may not be sent in binary mode; use Content-Type.",
                        attribute,
                    )
                if attribute in attributes:
                    raise refused(
                        "duplicate_key", f"The header ce-{attribute} stands twice.", attribute
                    )
                attributes[attribute] = _header_value(attribute, value)
        size = len(body.strip(b" \t\r\n"))
        if size > limits.event_bytes:
            # Before the data is read, so that a large body costs no more than its length.
            raise refused(
                "event_too_large",
                f"The data alone has {size} bytes, and the limit of an event is {limits.event_bytes}.",
            )
        text = structured_text(attributes, content_type, body)
    except ScanRefused as reason:
        return reason.refusal
    return _scan_exactly(text, limits, False)


def structured_text(attributes: Mapping[str, str], content_type: str, body: bytes) -> bytes:
    """The structured form of a binary-mode event: attributes in lexical order, then the data.

    JSON data keeps its bytes; any other data is carried as ``data_base64``. An empty body is no data.
    """
    members = dict(attributes)
    if content_type:
        members["datacontenttype"] = content_type
    parts = [
        msgspec.json.encode(name) + b":" + msgspec.json.encode(members[name])
        for name in sorted(members)
    ]
    if body:
        media_type = content_type.partition(";")[0].strip().lower()
        if not media_type or _JSON_TYPE.match(media_type):
            try:
                body.decode("utf-8")
            except UnicodeDecodeError as error:
                raise refused(
                    "invalid_utf8", f"The data is not valid UTF-8 at byte {error.start}.", "data"
                ) from error
            # On its own first: a body such as ``1,"id":"x"`` must not become members of the event.
            check_value(body, 64)
            parts.append(b'"data":' + body.strip(b" \t\r\n"))
        else:
            parts.append(b'"data_base64":"' + base64.b64encode(body) + b'"')
    return b"{" + b",".join(parts) + b"}"


def _check_size(body: bytes, limits: Limits) -> None:
    if len(body) > limits.body_bytes:
        raise Invalid(
            "body_too_large",
            f"The body has {len(body)} bytes, and the limit is {limits.body_bytes}; send smaller batches.",
            413,
        )


def _scan_exactly(text: bytes, limits: Limits, allow_service_user: bool) -> Event | Refusal:
    if len(text) > limits.event_bytes:
        return Refusal(
            "event_too_large",
            f"The event has {len(text)} bytes, and the limit is {limits.event_bytes}.",
        )
    if text[:1] != b"{":
        return Refusal("not_an_object", "An event is a JSON object.")
    try:
        return exact_event(text, limits, allow_service_user)
    except ScanRefused as reason:
        return reason.refusal


def _header_value(name: str, value: str) -> str:
    if len(value) >= 2 and value[0] == '"' == value[-1]:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise refused(
            "invalid_text", f"The header ce-{name} is not percent-encoded UTF-8.", name
        ) from error
