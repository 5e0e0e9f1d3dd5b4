"""The events of a made-up day as CloudEvents text, with FIX names and wire strings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from tradetrail.demo.people import Instrument, Person

__all__ = ["DemoEvent", "EventWriter", "price_text"]

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class DemoEvent:
    """One event of the day.

    ``text`` is a CloudEvent in JSON form, ``offset_s`` the seconds from the day's start to its
    ``time``.
    """

    text: bytes
    user: str
    offset_s: float


class EventWriter:
    """Writes the events of one day; ids are numbered, so that no two are the same.

    Args:
        source: the events' ``source``.
        start_ns: begin of the day, nanoseconds since 1970 UTC.
    """

    def __init__(self, source: str, start_ns: int) -> None:
        self._source = source
        self._start_ns = start_ns
        self._count = 0

    def write(
        self,
        offset_s: float,
        person: Person,
        type_name: str,
        data: Mapping[str, object],
        *,
        initiator: str = "client",
        on_behalf_of: str = "",
    ) -> DemoEvent:
        """One event of ``person`` at this offset."""
        self._count += 1
        moment_ns = self._start_ns + int(offset_s * 1_000_000) * 1_000
        event: dict[str, object] = {
            "specversion": "1.0",
            "id": f"{self._count:08d}",
            "source": self._source,
            "type": type_name,
            "time": _rfc3339(moment_ns),
            "authid": person.user,
            "initiator": initiator,
        }
        if on_behalf_of:
            event["onbehalfof"] = on_behalf_of
        event["data"] = data
        return DemoEvent(msgspec.json.encode(event), person.user, offset_s)


def price_text(instrument: Instrument, ticks: int) -> str:
    """A price as a decimal string with all its places."""
    if instrument.decimals == 0:
        return str(ticks)
    whole, part = divmod(ticks, 10**instrument.decimals)
    return f"{whole}.{part:0{instrument.decimals}d}"


def _rfc3339(moment_ns: int) -> str:
    seconds, rest_ns = divmod(moment_ns, _NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000:06d}Z"
