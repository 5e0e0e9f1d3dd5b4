"""Schemas of answers and of the small request bodies; events and records are ``event_schemas``'."""

from __future__ import annotations

from serve_app.openapi import bounds
from serve_app.openapi.event_schemas import LOG, NUMBER, TIME
from serve_app.openapi.parts import Json, reference
from tradetrail.report import FORMATS, ReportStatus
from tradetrail.tokens import SCOPES

__all__ = ["answer_schemas"]

_TEXT: Json = {"type": "string"}
_NEXT: Json = {
    "type": ["string", "null"],
    "description": "What to send as `cursor` for the next page; null at the end.",
}
_RETRY: Json = {"type": "boolean", "description": "Whether the same may be sent again as it is."}
_CODE: Json = {
    "type": "string",
    "pattern": "^[a-z0-9_]+$",
    "description": "Stable name of the reason.",
}
_SCOPES: Json = {"type": "array", "items": {"enum": list(SCOPES)}, "minItems": 1}
_LATER: Json = {"type": ["string", "null"], "format": "date-time"}


def answer_schemas() -> Json:
    """All of them, by name."""
    return {
        "Problem": _problem(),
        "BatchAnswer": _batch_answer(),
        "EventAnswer": _event_answer(),
        "Page": _page("Records in the order that was asked for."),
        "LookupPage": _lookup_page(),
        "Summary": _summary(),
        "Users": _users(),
        **_report_schemas(),
        **_access_schemas(),
        "Liveness": _object({"status": {"const": "pass"}}),
        "Readiness": _readiness(),
    }


def _object(properties: Json, *optional: str, **more: object) -> Json:
    """An object whose members are all there but the optional ones, and that has no others."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        "additionalProperties": False,
    } | more


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _problem() -> Json:
    place = _object(
        {"detail": _TEXT, "pointer": {"type": "string", "description": "JSON Pointer fragment."}}
    )
    members = {
        "type": {"type": "string", "format": "uri", "description": "Name of the kind; no page."},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {
            "type": "string",
            "description": "For a person: what, where, the limit, what to do.",
        },
        "code": _CODE,
        "retry": _RETRY,
        "errors": _list(place) | {"description": "Where in the request, if it can be said."},
    }
    return _object(members, "errors", description="RFC 9457; all codes stand in docs/errors.md.")


def _batch_answer() -> Json:
    count = {"type": "integer", "minimum": 0}
    return _object(
        {
            "durability": {
                "const": "fsync",
                "description": "Flushed to the disk before the answer.",
            },
            "stored": count,
            "duplicates": count,
            "rejected": count,
            "results": _list(reference("schemas", "EventAnswer"))
            | {"description": "In order; with `Prefer: return=minimal` the rejected ones only."},
        }
    )


def _event_answer() -> Json:
    index = {"type": "integer", "minimum": 0, "description": "Position in the batch, from 0."}
    numbers = {
        "log": LOG,
        "logindex": NUMBER,
        "userseq": NUMBER | {"description": "Position in the user's history."},
    }
    accepted = _object(
        {"index": index, "status": {"enum": ["stored", "duplicate"]}, **numbers},
        title="Stored, or known already under the numbers that stand here",
    )
    rejected = _object(
        {
            "index": index,
            "status": {"const": "rejected"},
            "code": _CODE,
            "detail": _TEXT,
            "pointer": {"type": "string", "description": "JSON Pointer fragment, `#/2/authid`."},
            "retry": _RETRY,
            **numbers,
        },
        *numbers,
        title="Refused; the numbers are those of the first record, for a conflict",
    )
    return {"oneOf": [accepted, rejected]}


def _page(description: str, **more: Json) -> Json:
    members = {
        "items": _list(reference("schemas", "Record")),
        "next_cursor": _NEXT,
        "complete": {"type": "boolean", "description": "False while more may follow."},
        **more,
    }
    return _object(members, description=description)


def _lookup_page() -> Json:
    position = {
        "type": "object",
        "propertyNames": {"pattern": LOG["pattern"]},
        "additionalProperties": NUMBER,
        "description": (
            "By log, how far the index has come: records at and above this logindex may be missing. Logs "
            "that were read to their end by earlier pages are left out."
        ),
    }
    return _page("Records of any user, by storedtime.", indexed_to=position)


def _summary() -> Json:
    counts = {"type": "object", "additionalProperties": NUMBER}
    item = _object({"start": TIME, "types": counts | {"description": "Records by type."}})
    members = {
        "items": _list(item) | {"description": "Only stretches that have records."},
        "bucket": {"enum": list(bounds.BUCKETS)},
        "total": NUMBER,
    }
    return _object(members)


def _users() -> Json:
    times = {name: TIME for name in ("first_time", "last_time")}
    item = _object({"user": _TEXT, "count": NUMBER, **times})
    return _object({"items": _list(item), "next_cursor": _NEXT})


def _report_members() -> Json:
    users = {"type": "string", "minLength": 1}
    types = _list(_TEXT) | {"maxItems": bounds.REPORT_TYPES_MAX}
    return {
        "format": {"enum": list(FORMATS)},
        "user": users | {"description": "One user; the only choice for a PDF."},
        "users": _list(users) | {"minItems": 1, "maxItems": bounds.REPORT_USERS_MAX},
        "scope": {"const": "all", "description": "All users."},
        "from": _LATER | {"description": "Earliest `time`, inclusive."},
        "to": _LATER | {"description": "Latest `time`, exclusive."},
        "type": types | {"description": "Exact, or a dotted prefix such as `tradetrail.order.*`."},
        "profile": {
            "enum": list(bounds.PROFILES),
            "default": bounds.PROFILES[0],
            "description": "Of CSV: `spreadsheet` neutralises formulas and adds a byte order mark.",
        },
        "timezone": {
            "type": "string",
            "default": "UTC",
            "description": "IANA name; days and times of the PDF are in it.",
        },
        "title": {"type": "string", "maxLength": bounds.REPORT_TITLE_CHARACTERS_MAX, "default": ""},
    }


def _report_schemas() -> Json:
    members = _report_members()
    chosen = ("user", "users", "scope")
    request = _object(
        members,
        *(name for name in members if name != "format"),
        oneOf=[{"required": [name]} for name in chosen],
        examples=[{"user": "jane", "format": "pdf", "timezone": "Europe/Zurich"}],
    )
    request["if"] = {"properties": {"format": {"const": "pdf"}}}
    request["then"] = {"required": ["user"]}
    later: Json = {
        "finished": TIME,
        "expires": TIME | {"description": "When the file is removed."},
        "filename": _TEXT,
        "size": NUMBER | {"description": "Bytes."},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "error": _object({"code": _CODE, "detail": _TEXT}) | {"description": "Why it failed."},
    }
    report: Json = {
        "id": _TEXT,
        "status": {"enum": [str(status) for status in ReportStatus]},
        "format": {"enum": list(FORMATS)},
        "requester": {"type": "string", "description": "Name of the token that asked for it."},
        "request": reference("schemas", "ReportRequest"),
        "created": TIME,
        "progress": _object(
            {"done": NUMBER, "total": NUMBER | {"description": "Rows; 0 while it is not known."}}
        ),
        **later,
    }
    listed = {"items": _list(reference("schemas", "Report")), "next_cursor": _NEXT}
    return {
        "ReportRequest": request,
        "Report": _object(report, *later),
        "Reports": _object(listed),
    }


def _access_schemas() -> Json:
    secret = {"type": "string", "maxLength": bounds.SECRET_CHARACTERS_MAX}
    request: Json = {
        "name": {
            "type": "string",
            "minLength": 1,
            "description": "Up to 100 printable characters.",
        },
        "scopes": _SCOPES,
        "users": {"const": "all", "default": "all", "description": "Limits are not made yet."},
        "sources": {"type": "array", "maxItems": 0, "description": "Limits are not made yet."},
        "expires_in_s": {
            "type": "integer",
            "minimum": 0,
            "maximum": bounds.TOKEN_LIFETIME_S_MAX,
            "default": 0,
            "description": "Seconds it is good for; 0 is for ever.",
        },
    }
    token: Json = {
        "id": _TEXT,
        "name": _TEXT,
        "scopes": _list({"enum": list(SCOPES)}),
        "users": {"const": "all"},
        "created": _LATER | {"description": "Null for keys older than this member."},
        "expires": _LATER | {"description": "Null for never."},
        "revoked": _LATER | {"description": "Null while it is good."},
    }
    made = {"id": _TEXT, "token": _TEXT | {"description": "Shown only here."}, "name": _TEXT}
    return {
        "SignIn": {
            "type": "object",
            "additionalProperties": _TEXT,
            "properties": {
                "token": secret | {"description": "An API key."},
                "code": secret | {"description": "The one-time code of the sign-in link."},
            },
            "anyOf": [{"required": ["token"]}, {"required": ["code"]}],
        },
        "Principal": _object(
            {
                "name": _TEXT,
                "scopes": _list({"enum": list(SCOPES)}),
                "expires_at": _LATER | {"description": "Null for never."},
            }
        ),
        "TokenRequest": _object(request, "users", "sources", "expires_in_s"),
        "NewToken": _object(made | {"scopes": _SCOPES}),
        "Tokens": _object({"items": _list(_object(token))}),
    }


def _readiness() -> Json:
    status = {"enum": ["pass", "fail"]}
    shard: Json = {
        "type": "object",
        "required": ["log", "status"],
        "properties": {"log": LOG, "status": status, "code": _CODE},
        "additionalProperties": NUMBER,
        "description": "With its numbers where it serves, with a code where it does not.",
    }
    return _object({"status": status, "shards": _list(shard)})
