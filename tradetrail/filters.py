"""What a reader asks for, decided in one place: exactly by ``matches``, roughly by ``tokens``.

Zones and indexes answer roughly (they never miss, they may offer too much); every candidate is then decided
by ``Filter.matches`` on the event's own facts. Times are keys of ``tradetrail.times``; an event without
``time`` is filtered by its storedtime.
"""

from __future__ import annotations

import msgspec

from tradetrail.facts import Facts

__all__ = ["Filter", "HistoryQuery", "effective_time_key", "field_token", "type_tokens"]


def effective_time_key(time_key: int | None, storedtime_ns: int) -> int:
    """The time an event is filtered by."""
    return storedtime_ns * 2 if time_key is None else time_key


def field_token(field: str, value: str) -> str:
    """The token a looked-up value is hashed as."""
    return f"{field}\0{value}"


def type_tokens(type_name: str) -> list[str]:
    """The tokens of a type: itself and each dotted prefix, as ``tradetrail.order.*`` asks for it."""
    tokens = [f"type\0{type_name}"]
    dot = type_name.find(".")
    while dot != -1:
        tokens.append(f"type\0{type_name[: dot + 1]}*")
        dot = type_name.find(".", dot + 1)
    return tokens


class Filter(msgspec.Struct, frozen=True, array_like=True):
    """A conjunction; an empty part asks for nothing.

    ``from_key`` is inclusive, ``to_key`` exclusive. ``types`` are exact names or prefixes that end in
    ``.*``; any of them may match. Each of ``fields`` must match.
    """

    from_key: int | None = None
    to_key: int | None = None
    types: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every record matches."""
        return self == _EVERYTHING

    @property
    def has_time(self) -> bool:
        """Whether it bounds the time."""
        return self.from_key is not None or self.to_key is not None

    def matches(self, facts: Facts, storedtime_ns: int) -> bool:
        """Whether a record is asked for; exact."""
        if self.has_time and not self._in_time(effective_time_key(facts.time_key, storedtime_ns)):
            return False
        if self.types and not self._type_matches(facts.type):
            return False
        return all(pair in facts.lookups for pair in self.fields)

    def may_overlap(self, least_key: int, greatest_key: int) -> bool:
        """Whether a record with a time in this closed range could match."""
        if self.from_key is not None and greatest_key < self.from_key:
            return False
        return self.to_key is None or least_key < self.to_key

    def type_group(self) -> list[str]:
        """Tokens of which one must be present for the types to match; empty where any type will do."""
        return [f"type\0{name}" for name in self.types]

    def field_tokens(self) -> list[str]:
        """Tokens that must all be present."""
        return [field_token(field, value) for field, value in self.fields]

    def _in_time(self, key: int) -> bool:
        if self.from_key is not None and key < self.from_key:
            return False
        return self.to_key is None or key < self.to_key

    def _type_matches(self, name: str) -> bool:
        return any(
            name.startswith(wanted[:-1]) if wanted.endswith(".*") else name == wanted
            for wanted in self.types
        )


_EVERYTHING = Filter()


class HistoryQuery(msgspec.Struct, frozen=True, array_like=True):
    """Which of one user's records are asked for, and in which order of userseq.

    ``chain`` is a ClOrdID whose order's life is asked for; empty for all records.
    """

    user: str
    wanted: Filter = _EVERYTHING
    chain: str = ""
    descending: bool = False
