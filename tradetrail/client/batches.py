"""Which events travel together: batches bounded by number and bytes. Pure."""

from __future__ import annotations

import msgspec

from tradetrail.errors import Invalid

__all__ = ["BatchBounds", "Outgoing", "Packer", "body_of"]


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One event on its way."""

    #: A CloudEvent in JSON form: one object.
    text: bytes
    #: What a message about it calls it, for instance ``line 17``; never sent.
    label: str = ""
    #: The source says itself that it was sent before: a ``conflict`` is then the same action in
    #: another wording and counts as a duplicate.
    resend: bool = False


class BatchBounds(msgspec.Struct, frozen=True):
    """Bounds of one batch; an event that is larger by itself travels alone."""

    #: Larger batches gain little and lose more where one must be sent again.
    events: int = 1_000
    #: Before compression. Proxies on the way hold a whole body in memory.
    body_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        if self.events < 1 or self.body_bytes < 2:
            raise Invalid("bad_bounds", "a batch holds at least one event and two bytes")


class Packer:
    """Collects events until a batch is full."""

    def __init__(self, bounds: BatchBounds) -> None:
        self._bounds = bounds
        self._events: list[Outgoing] = []
        #: Two brackets, the texts, and a comma between each two of them.
        self._body_bytes = 2

    def add(self, event: Outgoing) -> list[Outgoing]:
        """Takes an event; returns the batch that was full without it, else an empty list."""
        more = len(event.text) + (1 if self._events else 0)
        full: list[Outgoing] = []
        if self._events and (
            len(self._events) >= self._bounds.events
            or self._body_bytes + more > self._bounds.body_bytes
        ):
            full = self.take()
            more = len(event.text)
        self._events.append(event)
        self._body_bytes += more
        return full

    def take(self) -> list[Outgoing]:
        """Returns what is collected, possibly nothing, and begins anew."""
        events, self._events = self._events, []
        self._body_bytes = 2
        return events


def body_of(events: list[Outgoing]) -> bytes:
    """The body of a batch: a JSON array of the events' own texts."""
    return b"[" + b",".join(event.text for event in events) + b"]"
