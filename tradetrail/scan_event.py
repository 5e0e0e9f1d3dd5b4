"""The exact rules of one event: from its text to an ``Event``, or the reason why it is refused.

This is the definition of what is accepted. ``tradetrail.scan_proof`` is its quick twin for ordinary events and
may accept less, never more, and never another ``Event``; a property test holds the two together. Bodies and
content modes are ``tradetrail.scan``'s, the JSON itself ``tradetrail.scan_json``'s.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

from tradetrail.errors import Invalid
from tradetrail.event import (
    LOOKUP_FIELDS,
    RESERVED_ATTRIBUTES,
    SERVICE_USER_PREFIX,
    Event,
    Limits,
    Refusal,
)
from tradetrail.facts import LOOKUP_VALUE_BYTES_MAX
from tradetrail.scan_json import Number, ScanRefused, check_value
from tradetrail.times import parse_rfc3339

__all__ = [
    "ATTRIBUTE_BYTES_MAX",
    "ATTRIBUTE_NAME",
    "CONTROL",
    "INITIATORS",
    "REQUIRED_ATTRIBUTES",
    "STRING_ATTRIBUTES",
    "TYPE_BYTES_MAX",
    "exact_event",
    "refused",
]

#: UTF-8 bytes of ``type`` and ``subject``, and of attributes that have no bound of their own.
TYPE_BYTES_MAX: Final = 1_024
ATTRIBUTE_BYTES_MAX: Final = 4_096
ATTRIBUTE_NAME: Final = re.compile(r"[a-z0-9]+\Z")
#: The control characters of Unicode (category Cc), which no attribute may hold.
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
REQUIRED_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "authid")
INITIATORS: Final = ("client", "firm", "venue")
#: Attributes that are strings and not empty where they are given.
STRING_ATTRIBUTES: Final = (
    *REQUIRED_ATTRIBUTES,
    "time",
    "subject",
    "onbehalfof",
    "initiator",
    "datacontenttype",
    "dataschema",
)


def exact_event(text: bytes, limits: Limits, allow_service_user: bool) -> Event:
    """The event of a text that begins with ``{``.

    Raises:
        ScanRefused: with the first reason found why it is not accepted.
    """
    value = check_value(text, limits.json_depth)
    attributes = {
        name: item
        for name, item in value.items()
        if item is not None and name not in ("data", "data_base64")
    }
    _check_reserved(value)
    _check_required(attributes)
    for name, item in attributes.items():
        _check_attribute(name, item, limits)
    if attributes["specversion"] != "1.0":
        raise refused("unsupported_specversion", 'specversion must be "1.0".', "specversion")
    user: str = attributes["authid"]
    if user.startswith(SERVICE_USER_PREFIX) and not allow_service_user:
        raise refused(
            "reserved_user",
            f"Users that begin with {SERVICE_USER_PREFIX} are the service's own.",
            "authid",
        )
    _check_data(value)
    if attributes.get("initiator", "client") not in INITIATORS:
        raise refused("invalid_attribute", "initiator is client, firm or venue.", "initiator")
    time_key = None
    if "time" in attributes:
        try:
            time_key = parse_rfc3339(attributes["time"])
        except Invalid as error:
            raise refused(error.code, error.detail, "time") from error
    return Event(
        user,
        attributes["source"],
        attributes["id"],
        attributes["type"],
        time_key,
        _lookups(value.get("data"), attributes.get("subject")),
        text,
    )


def refused(code: str, detail: str, attribute: str = "") -> ScanRefused:
    """The exception that refuses one event; ``attribute`` is where, empty for the event itself."""
    return ScanRefused(Refusal(code, detail, f"/{attribute}" if attribute else ""))


def _check_reserved(value: dict[str, Any]) -> None:
    """A null is no attribute, but its name would stand twice in the record as it is served."""
    for name in RESERVED_ATTRIBUTES:
        if name in value:
            raise refused(
                "reserved_attribute", f"{name} is given by the service; leave it out.", name
            )


def _check_required(attributes: dict[str, Any]) -> None:
    for name in REQUIRED_ATTRIBUTES:
        if name not in attributes:
            raise refused("missing_attribute", f"The attribute {name} is required.", name)
        if type(attributes[name]) is not str:
            raise refused("invalid_attribute", f"{name} must be a string.", name)


def _check_attribute(name: str, item: Any, limits: Limits) -> None:
    if not ATTRIBUTE_NAME.match(name):
        raise refused(
            "invalid_attribute_name", "Attribute names are lower-case letters and digits only."
        )
    if isinstance(item, bool):
        if name in STRING_ATTRIBUTES:
            raise refused("invalid_attribute", f"{name} must be a string.", name)
        return
    if isinstance(item, Number):
        if name in STRING_ATTRIBUTES or not _is_int32(item):
            raise refused(
                "invalid_attribute", f"{name} must be a string or a signed 32-bit integer.", name
            )
        return
    if not isinstance(item, str):
        raise refused("invalid_attribute", f"{name} may not be an object or an array.", name)
    if not item and name in STRING_ATTRIBUTES:
        raise refused("invalid_attribute", f"{name} may not be empty.", name)
    if CONTROL.search(item):
        raise refused("invalid_attribute", f"{name} holds a control character.", name)
    _check_length(name, item, limits)


def _check_length(name: str, item: str, limits: Limits) -> None:
    if name in ("id", "authid"):
        limit = limits.identifier_bytes
    elif name == "source":
        limit = limits.source_bytes
    else:
        limit = TYPE_BYTES_MAX if name in ("type", "subject") else ATTRIBUTE_BYTES_MAX
    size = len(item.encode())
    if size > limit:
        raise refused(
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
        raise refused(
            "invalid_attribute", "data and data_base64 may not both be sent.", "data_base64"
        )
    try:
        # A number is a text here, too, and its digits would pass for base64.
        if type(encoded) is not str:
            raise TypeError
        base64.b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise refused("invalid_attribute", "data_base64 is not base64.", "data_base64") from error


def _lookups(data: Any, subject: str | None) -> tuple[tuple[str, str], ...]:
    """As ``tradetrail.facts`` reads them back: strings, and numbers by their own digits."""
    found: list[tuple[str, str]] = []
    if isinstance(data, dict):
        for field in LOOKUP_FIELDS[:-1]:
            item = data.get(field)
            if isinstance(item, str) and len(item.encode()) <= LOOKUP_VALUE_BYTES_MAX:
                found.append((field, str(item)))
    if subject and len(subject.encode()) <= LOOKUP_VALUE_BYTES_MAX:
        found.append(("subject", subject))
    return tuple(found)
