"""What a report is asked for with, and what is known of one: values, and the checks of a request.

Pure. Who makes it is ``actors.reports``; the wire form is DESIGN's ``/v1/reports``.
"""

from __future__ import annotations

from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from tradetrail.errors import Invalid, TradeTrailError
from tradetrail.filters import Filter
from tradetrail.times import parse_rfc3339

__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "ReportRequest",
    "ReportRow",
    "ReportStatus",
    "parse_request",
    "wanted_of",
]

FORMATS = ("pdf", "csv", "ndjson", "arrow")
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
}
_PROFILES = ("exact", "spreadsheet")
_USERS_MAX = 1_000
_TITLE_CHARACTERS_MAX = 200
_TYPES_MAX = 50


class ReportStatus(StrEnum):
    """queued ──> running ──> succeeded ──> expired; from the first two also failed or cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ReportRequest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/reports``; times are RFC 3339, ``from`` inclusive, ``to`` exclusive."""

    format: str
    user: str = ""
    users: tuple[str, ...] = ()
    scope: str = ""
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    type: tuple[str, ...] = ()
    profile: str = "exact"
    timezone: str = "UTC"
    title: str = ""

    @property
    def named_users(self) -> tuple[str, ...]:
        """The users, where they are named."""
        return (self.user,) if self.user else self.users


class ReportRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything kept of one report; times in ns since 1970, ``sha256`` in hex."""

    id: str
    #: Key id of who asked for it: it belongs to them.
    owner: str
    #: Their name, to be shown.
    requester: str
    request: ReportRequest
    status: ReportStatus
    created_ns: int
    finished_ns: int = 0
    expires_ns: int = 0
    #: How often making it was begun.
    attempts: int = 0
    done: int = 0
    total: int = 0
    size_bytes: int = 0
    sha256: str = ""
    filename: str = ""
    error_code: str = ""
    error_detail: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be made."""
        return self.status in (ReportStatus.QUEUED, ReportStatus.RUNNING)


_decoder = msgspec.json.Decoder(ReportRequest)


def parse_request(body: bytes) -> ReportRequest:
    """The checked request.

    Raises:
        Invalid: says which member is wrong and what it may be.
    """
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid("invalid_request", f"{error}.", 400) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid("invalid_json", "Send a JSON object; see /docs for its members.") from error
    _check_choice("format", request.format, FORMATS)
    _check_choice("profile", request.profile, _PROFILES)
    _check_users(request)
    wanted_of(request)
    if len(request.type) > _TYPES_MAX:
        raise _wrong("type", f"it names {len(request.type)} types, and the limit is {_TYPES_MAX}")
    if len(request.title) > _TITLE_CHARACTERS_MAX:
        raise _wrong("title", f"it is longer than {_TITLE_CHARACTERS_MAX} characters")
    try:
        ZoneInfo(request.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _wrong("timezone", "it is no IANA name such as Europe/Zurich or UTC") from error
    return request


def wanted_of(request: ReportRequest) -> Filter:
    """The filter of a request; raises ``Invalid`` for a time that cannot be read."""
    return Filter(_time("from", request.from_), _time("to", request.to), request.type)


def _check_users(request: ReportRequest) -> None:
    given = [bool(request.user), bool(request.users), bool(request.scope)]
    if sum(given) != 1:
        raise _wrong("user", 'give one of "user", "users" and "scope": "all"')
    if request.scope and request.scope != "all":
        raise _wrong("scope", 'it can only be "all"')
    if len(request.users) > _USERS_MAX or not all(request.users):
        raise _wrong("users", f"name 1 to {_USERS_MAX} users, none of them empty")
    if request.format == "pdf" and not request.user:
        raise _wrong("format", "a PDF is of one user; for several take csv, ndjson or arrow")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise _wrong(name, f"it is one of {', '.join(allowed)}")


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except TradeTrailError as error:
        raise _wrong(name, error.detail) from error


def _wrong(name: str, why: str) -> Invalid:
    return Invalid("invalid_request", f"{name}: {why}.", 400, f"#/{name}")
