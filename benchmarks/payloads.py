"""What is sent: events of a made-up day or of a real FIX log, each sent under an identity of its own.

The service keeps identities for ever, so that a repeated event would only be counted as a duplicate. Every
event is therefore cut once, at the end of the value of its ``source``, and an *edition* is put in there:
``urn:tradetrail:demo:1:0/<edition>``. Everything else of an event stays as it was. Pure but for reading the
FIX log.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from tradetrail.demo.day import trading_day
from tradetrail.errors import Invalid
from tradetrail.fix.mapping import MappedEvent, Mapper
from tradetrail.fix.message import RawMessage
from tradetrail.fix.reader import Junk, read_messages

__all__ = ["Material", "Payload", "Template", "load_templates", "payloads", "template"]

#: 2026-03-02 09:30 UTC. Fixed, so that the same seed gives the same bytes on any day.
_START_NS = 1_772_443_800_000_000_000
_SOURCE = b'"source":"'


class Material(msgspec.Struct, frozen=True):
    """Which events are sent.

    Args:
        seed: of the made-up day.
        users: how many people trade in it.
        events: how many of its events are taken, from its begin; then they start again.
        fix: path of a FIX log that takes the day's place; empty for the day.
    """

    seed: int = 1
    users: int = 300
    events: int = 20_000
    fix: str = ""


class Template(msgspec.Struct, frozen=True, gc=False):
    """One event, cut where the edition goes in; ``id`` with the edition is its identity."""

    head: bytes
    tail: bytes
    user: str
    id: str


class Payload(msgspec.Struct, frozen=True, gc=False):
    """One request's body, and the identity and user of each event in it."""

    body: bytes
    identities: list[tuple[str, str]]


class _Identity(msgspec.Struct):
    id: str
    source: str
    authid: str


_identity = msgspec.json.Decoder(_Identity)


def load_templates(material: Material) -> list[Template]:
    """The events as templates, in order.

    Raises:
        Invalid: the FIX log cannot be read or holds nothing that can be sent.
    """
    if not material.fix:
        day = trading_day(material.seed, material.users, _START_NS)
        return [template(event.text) for event in itertools.islice(day, material.events)]
    try:
        with Path(material.fix).open("rb") as stream:
            found = list(itertools.islice(_fix_events(read_messages(stream)), material.events))
    except OSError as error:
        raise Invalid("fix_log", f"The FIX log cannot be read: {error.strerror}.") from error
    if not found:
        raise Invalid("fix_log", "The FIX log holds no message that becomes an event.")
    return [template(event.text) for event in found]


def template(text: bytes) -> Template:
    """Cut one event.

    Raises:
        Invalid: its ``source`` cannot be found as plain text.
    """
    known = _identity.decode(text)
    start = text.find(_SOURCE) + len(_SOURCE)
    end = text.find(b'"', start)
    if text[start:end] != known.source.encode():
        raise Invalid("no_source", f"The source of event {known.id} is not written plainly.")
    return Template(text[:end] + b"/", text[end:], known.authid, known.id)


def payloads(
    templates: Sequence[Template], edition: str, count: int, *, batch_events: int
) -> Iterator[Payload]:
    """So many bodies, no identity twice in them.

    Args:
        templates: taken in order, and again from the first where they do not suffice.
        edition: of this call; two calls with different editions share no identity. Letters, digits, ``-``.
        count: how many bodies.
        batch_events: events in each; 0 makes bodies of one event without the array around it.
    """
    events = _endless(templates, edition)
    for _ in range(count):
        taken = list(itertools.islice(events, max(batch_events, 1)))
        texts = [text for text, _, _ in taken]
        body = b"[" + b",".join(texts) + b"]" if batch_events else texts[0]
        yield Payload(body, [(identity, user) for _, identity, user in taken])


def _endless(templates: Sequence[Template], edition: str) -> Iterator[tuple[bytes, str, str]]:
    """Text, identity and user of each event."""
    for lap in itertools.count():
        mark = f"{edition}.{lap}"
        marked = mark.encode()
        for one in templates:
            yield one.head + marked + one.tail, f"{mark}/{one.id}", one.user


def _fix_events(messages: Iterable[RawMessage | Junk]) -> Iterator[MappedEvent]:
    """A log may hold a message twice; sent as it is, it would be a duplicate."""
    mapper = Mapper()
    seen: set[tuple[str, str]] = set()
    for message in messages:
        if isinstance(message, Junk):
            continue
        mapped = mapper.to_event(message)
        if isinstance(mapped, MappedEvent):
            identity = (mapped.user, mapped.id)
            if identity not in seen:
                seen.add(identity)
                yield mapped
