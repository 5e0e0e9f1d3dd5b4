"""Schemas and examples of events and records.

They say of one event nearly all that ``tradetrail.scan_event`` says. What JSON Schema cannot say: sizes are
bytes of UTF-8 there and characters here (which are never more), and duplicate keys are refused.
"""

from __future__ import annotations

from serve_app.openapi.parts import Json
from tradetrail.event import (
    EXECUTION_REPORT,
    ORDER_CANCEL_REQUEST,
    ORDER_NEW,
    RESERVED_ATTRIBUTES,
    SERVICE_USER_PREFIX,
    Limits,
)
from tradetrail.scan_event import (
    ATTRIBUTE_BYTES_MAX,
    INITIATORS,
    REQUIRED_ATTRIBUTES,
    TYPE_BYTES_MAX,
)

__all__ = [
    "BATCH_EXAMPLE",
    "EVENT_EXAMPLE",
    "LOG",
    "NUMBER",
    "RECORD_EXAMPLE",
    "TIME",
    "event_schemas",
]

#: A whole number that may exceed 32 bits.
NUMBER: Json = {"type": "string", "pattern": "^[0-9]+$"}
TIME: Json = {"type": "string", "format": "date-time"}
LOG: Json = {"type": "string", "pattern": "^[0-9]{2}$", "description": "Name of a shard's log."}

#: ``tradetrail.scan_event.CONTROL`` in the words of JSON Schema.
_NO_CONTROL = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
_NUMBERS_EXAMPLE: Json = {
    "userseq": "7",
    "log": "01",
    "logindex": "41",
    "storedtime": "2026-01-02T03:04:05.124000000Z",
}
EVENT_EXAMPLE: Json = {
    "specversion": "1.0",
    "id": "oms-1-4711",
    "source": "/oms/1",
    "type": ORDER_NEW,
    "authid": "jane",
    "time": "2026-01-02T03:04:05.123456789Z",
    "data": {
        "ClOrdID": "A1",
        "Symbol": "DEMO",
        "Side": "1",
        "OrderQty": "100",
        "OrdType": "2",
        "Price": "99.10",
    },
}
BATCH_EXAMPLE: list[Json] = [
    EVENT_EXAMPLE,
    {
        "specversion": "1.0",
        "id": "oms-1-4712",
        "source": "/oms/1",
        "type": EXECUTION_REPORT,
        "authid": "jane",
        "time": "2026-01-02T03:04:05.130+00:00",
        "initiator": "venue",
        "data": {"ClOrdID": "A1", "OrderID": "X9", "ExecID": "E1", "ExecType": "0"},
    },
    {
        "specversion": "1.0",
        "id": "oms-1-4713",
        "source": "/oms/1",
        "type": ORDER_CANCEL_REQUEST,
        "authid": "jane",
        "data": {"ClOrdID": "A2", "OrigClOrdID": "A1"},
    },
]
RECORD_EXAMPLE: Json = _NUMBERS_EXAMPLE | EVENT_EXAMPLE


def event_schemas(limits: Limits) -> Json:
    """``Event``, ``Batch`` and ``Record``."""
    return {
        "Event": _event(limits),
        "Batch": {
            "type": "array",
            "maxItems": limits.batch_events,
            "items": {"$ref": "#/components/schemas/Event"},
            "description": "Each event is answered for itself; an empty array is answered with zero counts.",
        },
        "Record": _record(limits),
    }


def _event(limits: Limits) -> Json:
    attributes = _attributes(limits)
    attributes["authid"] = attributes["authid"] | {
        "pattern": f"^(?!{SERVICE_USER_PREFIX})" + _NO_CONTROL.removeprefix("^"),
    }
    both = {"required": ["data", "data_base64"], "properties": {"data_base64": {"type": "string"}}}
    return {
        "type": "object",
        "description": (
            "A CloudEvents 1.0 event. Unknown attributes are kept. Its bytes are kept as they are: at most "
            f"{limits.event_bytes} bytes, {limits.json_depth} levels deep. "
            f"{', '.join(f'`{name}`' for name in RESERVED_ATTRIBUTES)} are given by the service and may not be "
            f"sent; users that begin with `{SERVICE_USER_PREFIX}` are the service's own."
        ),
        "required": list(REQUIRED_ATTRIBUTES),
        "properties": attributes,
        "patternProperties": {"^(?!data$)[a-z0-9]+$": _attribute()},
        "propertyNames": {"anyOf": [{"pattern": "^[a-z0-9]+$"}, {"const": "data_base64"}]},
        "not": {"anyOf": [both, *({"required": [name]} for name in RESERVED_ATTRIBUTES)]},
        "examples": [EVENT_EXAMPLE],
    }


def _record(limits: Limits) -> Json:
    return {
        "type": "object",
        "description": (
            "An event as stored: the four numbers of the service first, then the received text of the event "
            "after its opening brace, unchanged to the byte."
        ),
        "required": [*RESERVED_ATTRIBUTES, *REQUIRED_ATTRIBUTES],
        "properties": {
            "userseq": NUMBER | {"description": "Position in the user's history: 1, 2, 3 … dense."},
            "log": LOG,
            "logindex": NUMBER | {"description": "Position in the log."},
            "storedtime": TIME | {"description": "When it was stored; never goes back in a log."},
            **_attributes(limits),
        },
        "examples": [RECORD_EXAMPLE],
    }


def _attribute() -> Json:
    return {
        "type": ["string", "integer", "boolean", "null"],
        "maxLength": ATTRIBUTE_BYTES_MAX,
        "pattern": _NO_CONTROL,
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    }


def _attributes(limits: Limits) -> Json:
    return {
        "specversion": {"const": "1.0", "description": "Version of CloudEvents."},
        "id": _required(
            limits.identifier_bytes, "With `source`, what the event is known by, for ever."
        ),
        "source": _required(limits.source_bytes, "Who produced the event: a URI reference."),
        "type": _required(TYPE_BYTES_MAX, "What was done, for instance `tradetrail.order.new.v1`."),
        "authid": _required(limits.identifier_bytes, "The user who acted."),
        "time": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it was done: RFC 3339 with an offset, up to 12 fractional digits.",
        },
        "subject": _optional(TYPE_BYTES_MAX, "What it was done to; can be looked up."),
        "onbehalfof": _optional(ATTRIBUTE_BYTES_MAX, "The user whom the actor acted for."),
        "initiator": {
            "enum": [*INITIATORS, None],
            "description": "Whose action it was.",
        },
        "datacontenttype": _optional(ATTRIBUTE_BYTES_MAX, "Media type of the data."),
        "dataschema": _optional(ATTRIBUTE_BYTES_MAX, "Schema of the data: a URI."),
        "data": {
            "description": (
                "Any JSON. Trading actions use FIX field names and wire strings; prices and quantities are "
                "decimal strings."
            )
        },
        "data_base64": {
            "type": ["string", "null"],
            "contentEncoding": "base64",
            "description": "Data that is no JSON; not together with `data`.",
        },
    }


def _required(bytes_max: int, description: str) -> Json:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": bytes_max,
        "pattern": _NO_CONTROL,
        "description": f"{description} Up to {bytes_max} bytes.",
    }


def _optional(bytes_max: int, description: str) -> Json:
    return _required(bytes_max, description) | {"type": ["string", "null"]}
