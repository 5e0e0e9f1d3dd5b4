"""Query parameters: read in one place, refused with the name, the place and the limit."""

from __future__ import annotations

from starlette.datastructures import QueryParams

from tradetrail.errors import Invalid, TradeTrailError
from tradetrail.event import LOOKUP_FIELDS
from tradetrail.filters import Filter
from tradetrail.times import parse_rfc3339

__all__ = ["REPEATED", "check_known", "number", "one_of", "required", "wanted_filter"]

#: Of these each value counts.
REPEATED = ("type", *LOOKUP_FIELDS)
#: A shell's empty variable does no harm there, and these have messages of their own.
_MAY_BE_EMPTY = ("prefix", "user", "last_event_id", "log", "limit", "after")

#: A filter is evaluated on each record; more than these is no question of a person.
_TYPES_MAX = 50
_FIELDS_MAX = 20


def check_known(
    query: QueryParams, known: tuple[str, ...], repeated: tuple[str, ...] = REPEATED
) -> None:
    """Raises ``Invalid`` for a parameter that is none, stands twice, or is empty where that asks for nothing.

    A filter that is misspelt or lost must not answer with everything.
    """
    for name in query:
        if name not in known:
            raise Invalid(
                "unknown_parameter", f"A parameter is not known here; there are {', '.join(known)}."
            )
        if name not in repeated and len(query.getlist(name)) > 1:
            raise Invalid("invalid_parameter", f"Give {name} once.", pointer=f"#/{name}")
        if name not in _MAY_BE_EMPTY and not all(query.getlist(name)):
            raise Invalid(
                "invalid_parameter", f"{name} is empty; give a value.", pointer=f"#/{name}"
            )


def required(query: QueryParams, name: str) -> str:
    """A parameter that must be there and not empty."""
    value = query.get(name, "")
    if not value:
        raise Invalid("missing_parameter", f"Give {name}: ?{name}=….", pointer=f"#/{name}")
    return value


def one_of(query: QueryParams, name: str, allowed: tuple[str, ...]) -> str:
    """One of a few words; the first where it is absent."""
    value = query.get(name, allowed[0])
    if value not in allowed:
        raise Invalid(
            "invalid_parameter", f"{name} is one of {', '.join(allowed)}.", pointer=f"#/{name}"
        )
    return value


def number(query: QueryParams, name: str, default: int, most: int, least: int = 1) -> int:
    """A decimal number from ``least`` to ``most``."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise Invalid(
            "invalid_parameter", f"{name} is a number from {least} to {most}.", pointer=f"#/{name}"
        )
    return int(text)


def wanted_filter(query: QueryParams) -> Filter:
    """``from``, ``to``, ``type`` and the looked-up fields."""
    types = tuple(query.getlist("type"))
    if any("*" in name.removesuffix(".*") or name == ".*" for name in types):
        raise Invalid(
            "invalid_parameter",
            "type is an event type, or the beginning of one up to a point with * behind it: tradetrail.order.*",
            pointer="#/type",
        )
    fields = tuple((name, value) for name, value in query.multi_items() if name in LOOKUP_FIELDS)
    if len(types) > _TYPES_MAX or len(fields) > _FIELDS_MAX:
        raise Invalid(
            "too_many_filters",
            f"A query names up to {_TYPES_MAX} types and {_FIELDS_MAX} fields; ask in parts.",
        )
    return Filter(_time(query, "from"), _time(query, "to"), types, fields)


def _time(query: QueryParams, name: str) -> int | None:
    if name not in query:
        return None
    try:
        return parse_rfc3339(query[name])
    except TradeTrailError as error:
        raise Invalid(error.code, f"{name}: {error.detail}", pointer=f"#/{name}") from error
