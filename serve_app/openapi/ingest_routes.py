"""The route of the ingest application: ``POST /v1/events``."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.event_schemas import BATCH_EXAMPLE, EVENT_EXAMPLE
from serve_app.openapi.parts import (
    Json,
    answer,
    header,
    json_content,
    needs,
    problems,
    reference,
    request_header,
)
from tradetrail.event import ORDER_CANCEL_REQUEST, Limits
from tradetrail.scan_event import REQUIRED_ATTRIBUTES

__all__ = ["ingest_paths"]

_MODES = """\
Three content modes of CloudEvents over HTTP, told apart by `Content-Type`:
batched `application/cloudevents-batch+json`, structured `application/cloudevents+json`, and for any other type
binary, where `ce-` headers are the attributes and the body is the data.
"""
_ATTRIBUTE_EXAMPLES = {
    "specversion": "1.0",
    "id": "oms-1-4714",
    "source": "/oms/1",
    "type": ORDER_CANCEL_REQUEST,
    "authid": "jane",
    "time": "2026-01-02T03:04:06Z",
}
_RESULT: Json = {"index": 0, "status": "stored", "log": "01", "logindex": "41", "userseq": "7"}
_REFUSED: Json = {
    "index": 1,
    "status": "rejected",
    "code": "missing_attribute",
    "detail": "The attribute authid is required.",
    "pointer": "#/1/authid",
    "retry": False,
}
_BINARY: Json = {"ClOrdID": "A3", "OrigClOrdID": "A1"}


def ingest_paths(limits: Limits) -> Json:
    """The path item."""
    declared, codes = needs("audit:write", changes=True)
    operation: Json = {
        "operationId": "postEvents",
        "tags": ["Ingest"],
        "summary": "Store events",
        "description": (
            f"{_MODES}\nAnswered when what was stored is on the disk. Each event is answered for itself: one "
            "bad event never costs a good one. An event that is sent again is a `duplicate` with its first "
            "numbers; another event under the same user, `source` and `id` is refused as `conflict`. "
            f"A body has at most {limits.body_bytes} bytes after inflating, {limits.batch_events} events, and "
            f"arrives within {bounds.BODY_TIMEOUT_S:.0f} s. Needs `audit:write`."
        ),
        "parameters": _parameters(),
        "requestBody": _body(),
        "responses": _responses(codes),
    }
    return {"/v1/events": {"post": operation | declared}}


def _parameters() -> list[Json]:
    found = [
        request_header(
            "Content-Encoding",
            {"enum": ["gzip", "zstd", "identity"]},
            "How the body is compressed, once; its bounds count after inflating.",
        ),
        request_header(
            "Prefer",
            {"type": "string"},
            "`return=minimal` leaves only the counts and the rejected events in the answer.",
        ),
    ]
    for name, example in _ATTRIBUTE_EXAMPLES.items():
        needed = "required" if name in REQUIRED_ATTRIBUTES else "optional"
        words = f"Binary mode only, {needed} there: the attribute `{name}`, percent-encoded UTF-8."
        if name == "authid":
            words += " Any other `ce-` header is an attribute, too."
        found.append(request_header(f"ce-{name}", {"type": "string"}, words, example=example))
    return found


def _body() -> Json:
    return {
        "required": True,
        "content": {
            "application/cloudevents+json": {
                "schema": reference("schemas", "Event"),
                "example": EVENT_EXAMPLE,
            },
            "application/cloudevents-batch+json": {
                "schema": reference("schemas", "Batch"),
                "example": BATCH_EXAMPLE,
            },
            "application/json": {
                "schema": {"description": "Binary mode: the data, any JSON; kept byte for byte."},
                "example": _BINARY,
            },
            "*/*": {
                "schema": {"description": "Binary mode: the data, kept as `data_base64`."},
            },
        },
    }


def _responses(codes: tuple[str, ...]) -> Json:
    def answered(description: str, *results: Json) -> Json:
        refused = sum(result["status"] == "rejected" for result in results)
        example = {
            "durability": "fsync",
            "stored": len(results) - refused,
            "duplicates": 0,
            "rejected": refused,
            "results": list(results),
        }
        content = json_content(reference("schemas", "BatchAnswer"), example)
        applied = header("What of Prefer was followed; only where something was.", "return=minimal")
        return answer(description, content, Preference_Applied=applied)

    return {
        "200": answered("All events are stored, or were.", _RESULT),
        "207": answered("Some events are stored, some were refused.", _RESULT, _REFUSED),
        "422": answered(
            "Every event was refused.", _REFUSED | {"index": 0, "pointer": "#/0/authid"}
        ),
        **problems(
            *codes,
            "invalid_utf8",
            "not_a_json_array",
            "invalid_json",
            "invalid_content_coding",
            "body_timeout",
            "body_too_large",
            "too_many_events",
            "unsupported_content_encoding",
            "shard_busy",
            "outcome_unknown",
            "disk_nearly_full",
        ),
    }
