"""From a FIX message to the event that is sent: CloudEvents 1.0, structured, one line of JSON.

    source   fix:<8>/<49>/<56>, each percent-encoded
    id       <34>-<sending time>-<digest>
    type     by MsgType, see ``_TYPES``; others tradetrail.fix.<MsgType>.v1
    time     tag 60, else the sending time
    authid   who acted for the client, see ``sessions``
    subject  order/<ClOrdID>, else order/<OrderID>
    data     all fields under their names, ``raw`` and, where something was masked, ``redacted``

The sending time is tag 122 where 43=Y, else 52. The digest is over tag=value of all fields but 8,
9, 10, 43, 52, 97 and 122, secrets masked: so a resend has the identity of what it repeats, and a
sequence that starts again at 1 has not. Header and trailer stay in ``data``, since an auditor
wants what was sent.

A resend's bytes differ from the original's (43, 52, 122, length, checksum), and ``raw`` keeps them
as they are. The service therefore answers ``conflict`` for whichever of the two comes second, with
the numbers of the first, and keeps the refused one as a service event: recorded once and linked.
The identity holds the content, so an importer counts a ``conflict`` of an event with ``resend`` as
a duplicate. A repeat with other content, or one without the flag and sent at another time, has an
identity of its own.

``raw`` is the message as in the log, with secrets masked. Where its bytes are not UTF-8 it is
``raw_base64`` instead and the named fields read each byte as ISO 8859-1.

Invariants: the same messages in the same order give the same bytes; no text of a refusal holds a
    value.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote

import msgspec

from tradetrail.event import (
    EXECUTION_REPORT,
    MARKETDATA_REQUEST,
    ORDER_CANCEL_REJECT,
    ORDER_CANCEL_REQUEST,
    ORDER_NEW,
    ORDER_REPLACE_REQUEST,
    ORDER_STATUS_REQUEST,
    SERVICE_USER_PREFIX,
    SESSION_LOGOFF,
    SESSION_LOGON,
    Limits,
)
from tradetrail.fix.dictionary import VersionFacts, version_facts
from tradetrail.fix.groups import GROUP_COUNT, NamedFields, named_fields
from tradetrail.fix.message import Field, RawMessage, join_fields
from tradetrail.fix.redaction import redact
from tradetrail.fix.sessions import ClientSides
from tradetrail.fix.times import event_time

__all__ = [
    "SESSION_REJECT",
    "TIME",
    "Left",
    "MappedEvent",
    "Mapper",
    "MappingOptions",
    "Refused",
]

SESSION_REJECT = "tradetrail.session.reject.v1"
#: Problem: a time field holds no FIX time.
TIME = "time"

_TYPES = {
    "3": SESSION_REJECT,
    "5": SESSION_LOGOFF,
    "8": EXECUTION_REPORT,
    "9": ORDER_CANCEL_REJECT,
    "A": SESSION_LOGON,
    "D": ORDER_NEW,
    "F": ORDER_CANCEL_REQUEST,
    "G": ORDER_REPLACE_REQUEST,
    "H": ORDER_STATUS_REQUEST,
    "V": MARKETDATA_REQUEST,
}
#: Session upkeep without an action of a user.
_LEFT_OUT = {"0": "heartbeat", "1": "test_request", "2": "resend_request", "4": "sequence_reset"}
_INITIATED_BY_CLIENT = frozenset(("D", "F", "G"))
_NOT_CONTENT = frozenset((8, 9, 10, 43, 52, 97, 122))
_DIGEST_BYTES = 8
_MESSAGE_TYPE = re.compile(rb"[A-Za-z0-9_]{1,32}")
#: What CloudEvents forbids in attributes.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
#: What RFC 3986 allows in a segment of a path besides letters and digits.
_SEGMENT_SAFE = "!$&'()*+,;=:@-._~"
_ID_PART_CHARACTERS_MAX = 64
#: What the service takes as ``subject``; a longer order id stays in ``data`` only.
_SUBJECT_BYTES_MAX = 1_024
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class MappingOptions:
    """How messages become events.

    Args:
        client: CompID of the client's side; ``None``: found out by ``sessions``.
        user_tags_client: tags that name the user in what the client sent, first one present counts.
        user_tags_firm: the same for what the firm answered.
        strict: refuse messages with a problem instead of marking them with ``fixproblem``.
        limits: bounds of the service, so that what it would refuse is told here already.
    """

    client: str | None = None
    user_tags_client: tuple[int, ...] = (50, 116, 49)
    user_tags_firm: tuple[int, ...] = (57, 129, 56)
    strict: bool = False
    limits: Limits = field(default_factory=Limits)


class MappedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event ready to be sent; ``resend`` where the message is flagged 43=Y."""

    text: bytes
    user: str
    type: str
    id: str
    resend: bool
    problems: tuple[str, ...]


class Left(msgspec.Struct, frozen=True, gc=False):
    """A message that is no event by design, and why."""

    reason: str


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A message that ought to be an event and cannot be one; ``detail`` is for a person."""

    reason: str
    detail: str


class Mapper:
    """Makes events of the messages of one log, taken in order.

    Args:
        options: fixed for the life of the mapper.
    """

    def __init__(self, options: MappingOptions | None = None) -> None:
        self._options = options or MappingOptions()
        self._sides = ClientSides(self._options.client)

    def to_event(self, message: RawMessage) -> MappedEvent | Left | Refused:
        """The event, or why there is none. Never raises for any bytes."""
        wire_type = _first(message.fields, 35)
        if not _MESSAGE_TYPE.fullmatch(wire_type):
            return Refused("message_type", "tag 35 is absent or no message type")
        message_type = wire_type.decode("ascii")
        if message_type in _LEFT_OUT:
            return Left(_LEFT_OUT[message_type])
        return self._application_event(_Reading(message, message_type), message)

    def _application_event(self, reading: _Reading, message: RawMessage) -> MappedEvent | Refused:
        by_client = self._sides.sent_by_client(
            reading.message_type, reading.first(49), reading.first(56)
        )
        tags = self._options.user_tags_client if by_client else self._options.user_tags_firm
        user = next((value for tag in tags if (value := reading.first(tag))), "")
        source = _source(reading.first(8), reading.first(49), reading.first(56))
        refused = self._refusal(user, source)
        if refused is not None:
            return refused
        data, time, problems = reading.content(message)
        if problems and self._options.strict:
            return Refused("fixproblem", f"strict, and the message has: {','.join(problems)}")
        event_type = _TYPES.get(reading.message_type, f"tradetrail.fix.{reading.message_type}.v1")
        event_id = reading.identity()
        attributes = {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": event_type,
            "time": time,
            "subject": _subject(data),
            "datacontenttype": "application/json",
            "authtype": "app_user",
            "authid": user,
            "initiator": "client"
            if by_client and reading.message_type in _INITIATED_BY_CLIENT
            else None,
            "fixproblem": ",".join(problems) or None,
            "data": data,
        }
        text = _ENCODER.encode(
            {name: value for name, value in attributes.items() if value is not None}
        )
        bytes_max = self._options.limits.event_bytes
        if len(text) > bytes_max:
            return Refused(
                "event_too_large", f"the event has {len(text)} bytes of at most {bytes_max}"
            )
        return MappedEvent(text, user, event_type, event_id, reading.resend, problems)

    def _refusal(self, user: str, source: str) -> Refused | None:
        limits = self._options.limits
        if not user:
            return Refused("no_user", "none of the tags that name the user is present")
        if len(user.encode()) > limits.identifier_bytes:
            return Refused(
                "user_too_long", f"the user has more than {limits.identifier_bytes} bytes"
            )
        if _CONTROL.search(user):
            return Refused("invalid_user", "the user holds control characters")
        if user.startswith(SERVICE_USER_PREFIX):
            return Refused(
                "reserved_user",
                f"users that begin with {SERVICE_USER_PREFIX} are the service's own",
            )
        if len(source) > limits.source_bytes:
            return Refused(
                "source_too_long", f"the source has more than {limits.source_bytes} bytes"
            )
        return None


class _Reading:
    """One message with its secrets masked, read for what the event needs."""

    def __init__(self, message: RawMessage, message_type: str) -> None:
        self.message_type = message_type
        self._fields, self._masked = redact(message, message_type.encode())
        self._raw = message.raw
        if self._masked:
            tail = message.delimiter if message.raw.endswith(message.delimiter) else b""
            self._raw = join_fields(self._fields, message.delimiter) + tail
        #: ISO 8859-1 where the message as a whole is not UTF-8.
        self._encoding = "utf-8" if _is_utf8(self._raw) else "iso-8859-1"
        self._first = dict(reversed(self._fields))
        self.resend = self._first.get(43) == b"Y"

    def first(self, tag: int) -> str:
        """The first value of the tag, empty where it is absent."""
        return self._first.get(tag, b"").decode(self._encoding)

    def identity(self) -> str:
        """The event's ``id``."""
        content = b"\x01".join(
            [b"%d=%b" % item for item in self._fields if item[0] not in _NOT_CONTENT]
        )
        digest = blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()
        return f"{_id_part(self.first(34))}-{_id_part(self._sending_time())}-{digest}"

    def content(self, message: RawMessage) -> tuple[NamedFields, str | None, tuple[str, ...]]:
        """``data``, ``time`` and all problems."""
        facts = version_facts(self.first(8), self.first(1128))
        decoded = [(tag, value.decode(self._encoding)) for tag, value in self._fields]
        data, counts_hold = named_fields(decoded, facts, self.message_type)
        problems = message.problems if counts_hold else (*message.problems, GROUP_COUNT)
        time, time_holds = self._time(data)
        if not time_holds:
            problems = (*problems, TIME)
        self._add_raw(data, facts)
        return data, time, problems

    def _sending_time(self) -> str:
        return (self.resend and self.first(122)) or self.first(52)

    def _time(self, data: NamedFields) -> tuple[str | None, bool]:
        """The event's time, and whether every time that was looked at is one."""
        transact = data.get("TransactTime")
        if isinstance(transact, str) and (time := event_time(transact)):
            return time, True
        time = event_time(self._sending_time())
        return time, time is not None and transact is None

    def _add_raw(self, data: NamedFields, facts: VersionFacts) -> None:
        if self._encoding == "utf-8":
            data["raw"] = self._raw.decode()
        else:
            data["raw_base64"] = b64encode(self._raw).decode()
        if self._masked:
            data["redacted"] = [facts.field_name(tag) for tag in self._masked]


def _first(fields: tuple[Field, ...], wanted: int) -> bytes:
    return next((value for tag, value in fields if tag == wanted), b"")


def _is_utf8(raw: bytes) -> bool:
    """Whether the message is UTF-8 in whole and in each field.

    Separators are ASCII, so whole UTF-8 means UTF-8 in each field, but for data fields cut inside a
    character, which cannot be: what follows them is a separator.
    """
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _subject(data: NamedFields) -> str | None:
    for name in ("ClOrdID", "OrderID"):
        value = data.get(name)
        if isinstance(value, str) and value and not _CONTROL.search(value):
            subject = f"order/{value}"
            return subject if len(subject.encode()) <= _SUBJECT_BYTES_MAX else None
    return None


@lru_cache(maxsize=1024)
def _source(begin_string: str, sender: str, target: str) -> str:
    return "fix:" + "/".join(
        quote(part, safe=_SEGMENT_SAFE) for part in (begin_string, sender, target)
    )


def _id_part(text: str) -> str:
    """Digits and times as they are; anything else encoded and cut, the digest tells the rest."""
    return quote(text, safe=_SEGMENT_SAFE)[:_ID_PART_CHARACTERS_MAX]
