"""From the bytes of a request to events: every event is scanned once in full before it is stored.

Structured and batched mode keep an event's slice of the body, byte for byte. Binary mode builds the
structured form in ``structured_text``, the only place that does. What a producer did wrong in one event is a
``Refusal`` of that event; only a body that cannot be cut into events is refused as a whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from tradetrail.errors import Invalid
from tradetrail.event import (
    LOOKUP_FIELDS,
    RESERVED_ATTRIBUTES,
    SERVICE_USER_PREFIX,
    Event,
    Limits,
    Refusal,
)
from tradetrail.scan_json import Number, ScanRefused, check_value, decode_utf8, split_array
from tradetrail.times import parse_rfc3339

__all__ = [
    "Mode",
    "content_mode",
    "scan_batch",
    "scan_binary",
    "scan_structured",
    "structured_text",
]

#: Values longer than this are kept and shown, and cannot be looked up.
_LOOKUP_BYTES_MAX = 256
_TYPE_BYTES_MAX = 1_024
_ATTRIBUTE_BYTES_MAX = 4_096
_NAME = re.compile(r"[a-z0-9]+\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_REQUIRED = ("specversion", "id", "source", "type", "authid")
_INITIATORS = ("client", "firm", "venue")
_JSON_TYPE = re.compile(r"(application|text)/json\Z|[^/]+/[^/]+\+json\Z")


class Mode(Enum):
    """Content modes of the CloudEvents HTTP binding."""

    BATCHED = "batched"
    STRUCTURED = "structured"
    BINARY = "binary"


def content_mode(content_type: str | None) -> Mode:
    """The mode a ``Content-Type`` asks for; the batch prefix is tested first, since it holds the other."""
    lowered = (content_type or "").strip().lower()
    if lowered.startswith("application/cloudevents-batch"):
        return Mode.BATCHED
    if lowered.startswith("application/cloudevents"):
        return Mode.STRUCTURED
    return Mode.BINARY


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
        _scan(element, limits, allow_service_user)
        for element in split_array(body, limits.batch_events)
    ]


def scan_structured(
    body: bytes, limits: Limits, allow_service_user: bool = False
) -> Event | Refusal:
    """One event in structured mode; raises ``Invalid`` for a body that is not UTF-8 or too large."""
    _check_size(body, limits)
    decode_utf8(body)
    return _scan(body.strip(b" \t\r\n"), limits, allow_service_user)


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
                    raise _refused(
                        "invalid_attribute",
                        "ce-datacontenttype may not be sent in binary mode; use Content-Type.",
                        attribute,
                    )
                if attribute in attributes:
                    raise _refused(
                        "duplicate_key", f"The header ce-{attribute} stands twice.", attribute
                    )
                attributes[attribute] = _header_value(attribute, value)
        text = structured_text(attributes, content_type, body)
    except ScanRefused as refused:
        return refused.refusal
    return _scan(text, limits, False)


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
                raise _refused(
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


def _scan(text: bytes, limits: Limits, allow_service_user: bool) -> Event | Refusal:
    try:
        if len(text) > limits.event_bytes:
            raise _refused(
                "event_too_large",
                f"The event has {len(text)} bytes, and the limit is {limits.event_bytes}.",
            )
        if text[:1] != b"{":
            raise _refused("not_an_object", "An event is a JSON object.")
        value = check_value(text, limits.json_depth)
        return _event(value, text, limits, allow_service_user)
    except ScanRefused as refused:
        return refused.refusal


def _event(value: dict[str, Any], text: bytes, limits: Limits, allow_service_user: bool) -> Event:
    attributes = {
        name: item
        for name, item in value.items()
        if item is not None and name not in ("data", "data_base64")
    }
    _check_required(attributes)
    for name, item in attributes.items():
        _check_attribute(name, item, limits)
    if attributes["specversion"] != "1.0":
        raise _refused("unsupported_specversion", 'specversion must be "1.0".', "specversion")
    user: str = attributes["authid"]
    if user.startswith(SERVICE_USER_PREFIX) and not allow_service_user:
        raise _refused(
            "reserved_user",
            f"Users that begin with {SERVICE_USER_PREFIX} are the service's own.",
            "authid",
        )
    _check_data(value)
    if attributes.get("initiator", "client") not in _INITIATORS:
        raise _refused("invalid_attribute", "initiator is client, firm or venue.", "initiator")
    time_key = None
    if "time" in attributes:
        try:
            time_key = parse_rfc3339(attributes["time"])
        except Invalid as error:
            raise _refused(error.code, error.detail, "time") from error
    return Event(
        user,
        attributes["source"],
        attributes["id"],
        attributes["type"],
        time_key,
        _lookups(value.get("data"), attributes.get("subject")),
        text,
    )


def _check_required(attributes: dict[str, Any]) -> None:
    for name in RESERVED_ATTRIBUTES:
        if name in attributes:
            raise _refused(
                "reserved_attribute", f"{name} is given by the service; leave it out.", name
            )
    for name in _REQUIRED:
        if name not in attributes:
            raise _refused("missing_attribute", f"The attribute {name} is required.", name)
        if type(attributes[name]) is not str:
            raise _refused("invalid_attribute", f"{name} must be a string.", name)


_STRINGS = (
    *_REQUIRED,
    "time",
    "subject",
    "onbehalfof",
    "initiator",
    "datacontenttype",
    "dataschema",
)


def _check_attribute(name: str, item: Any, limits: Limits) -> None:
    if not _NAME.match(name):
        raise _refused(
            "invalid_attribute_name", "Attribute names are lower-case letters and digits only."
        )
    if isinstance(item, bool):
        if name in _STRINGS:
            raise _refused("invalid_attribute", f"{name} must be a string.", name)
        return
    if isinstance(item, Number):
        if name in _STRINGS or not _is_int32(item):
            raise _refused(
                "invalid_attribute", f"{name} must be a string or a signed 32-bit integer.", name
            )
        return
    if not isinstance(item, str):
        raise _refused("invalid_attribute", f"{name} may not be an object or an array.", name)
    if not item and name in _STRINGS:
        raise _refused("invalid_attribute", f"{name} may not be empty.", name)
    if _CONTROL.search(item):
        raise _refused("invalid_attribute", f"{name} holds a control character.", name)
    _check_length(name, item, limits)


def _check_length(name: str, item: str, limits: Limits) -> None:
    if name in ("id", "authid"):
        limit = limits.identifier_bytes
    elif name == "source":
        limit = limits.source_bytes
    else:
        limit = _TYPE_BYTES_MAX if name in ("type", "subject") else _ATTRIBUTE_BYTES_MAX
    size = len(item.encode())
    if size > limit:
        raise _refused(
            "attribute_too_long",
            f"{name} has {size} bytes of UTF-8, and the limit is {limit}.",
            name,
        )


def _is_int32(number: Number) -> bool:
    return number.lstrip("-").isdigit() and len(number) <= 11 and -(2**31) <= int(number) < 2**31


def _check_data(value: dict[str, Any]) -> None:
    encoded = value.get("data_base64")
    if encoded is None:
        return
    if "data" in value:
        raise _refused(
            "invalid_attribute", "data and data_base64 may not both be sent.", "data_base64"
        )
    try:
        base64.b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise _refused("invalid_attribute", "data_base64 is not base64.", "data_base64") from error


def _lookups(data: Any, subject: str | None) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if isinstance(data, dict):
        for field in LOOKUP_FIELDS[:-1]:
            item = data.get(field)
            if isinstance(item, str) and len(item.encode()) <= _LOOKUP_BYTES_MAX:
                found.append((field, str(item)))
    if subject and len(subject.encode()) <= _LOOKUP_BYTES_MAX:
        found.append(("subject", subject))
    return tuple(found)


def _header_value(name: str, value: str) -> str:
    if len(value) >= 2 and value[0] == '"' == value[-1]:
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(
            "invalid_text", f"The header ce-{name} is not percent-encoded UTF-8.", name
        ) from error


def _refused(code: str, detail: str, attribute: str = "") -> ScanRefused:
    return ScanRefused(Refusal(code, detail, f"/{attribute}" if attribute else ""))
