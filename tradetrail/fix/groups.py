"""From a flat row of FIX fields to named fields, repeating groups as arrays of objects.

    453=2 448=DEU 447=B 448=GSI 447=B 54=1
      -> "NoPartyIDs": [{"PartyID": "DEU", "PartyIDSource": "B"}, {"PartyID": "GSI", ...}], "Side":
      "1"

Rules, so that no field is ever lost:
- The tag that stands first after the counter begins each entry, whichever it is; a tag that stands
  in the entry already begins one too. A tag that is no member ends the group.
- The count is believed as a ceiling: entries past it are left to the level above. Fewer or more
  entries than counted are the problem ``group_count``; what is there is kept.
- A counter that is no number, or a group the standard does not know, is a plain field.
- A plain tag that repeats becomes an array in order. Unknown tags keep their number as the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tradetrail.fix.dictionary import Group, VersionFacts

__all__ = ["GROUP_COUNT", "NamedFields", "named_fields"]

#: Problem: a declared group has another number of entries than its counter says.
GROUP_COUNT = "group_count"
#: A message holds at most some ten thousand fields; more digits are no count.
_COUNT_DIGITS_MAX = 5

#: A value is a string, an array of strings, or an array of objects of the same shape.
NamedFields = dict[str, object]


def named_fields(
    fields: Sequence[tuple[int, str]], facts: VersionFacts, message_type: str
) -> tuple[NamedFields, bool]:
    """The message as an object, and whether its groups have as many entries as they count."""
    groups = facts.groups(message_type)
    names = facts.names
    result: NamedFields = {}
    counts_hold = True
    position, end = 0, len(fields)
    while position < end:
        tag, value = fields[position]
        position += 1
        name = names.get(tag) or str(tag)
        group = groups.get(tag) or facts.undeclared_group(tag)
        if group is not None and (count := _count(value)) is not None:
            read = _entries(fields, position, group, count, names)
            counts_hold = counts_hold and (read.counts_hold or tag not in groups)
            position = read.position
            _extend(result, name, read.entries)
        elif name in result:
            _append(result, name, value)
        else:
            result[name] = value
    return result, counts_hold


class _Read(NamedTuple):
    """Entries of one group, the position after them, whether their number is as counted."""

    entries: list[NamedFields]
    position: int
    counts_hold: bool


def _entries(
    fields: Sequence[tuple[int, str]],
    position: int,
    group: Group,
    count: int,
    names: Mapping[int, str],
) -> _Read:
    entries: list[NamedFields] = []
    counts_hold = True
    first_tag = fields[position][0] if position < len(fields) else group.delimiter
    entry: NamedFields = {}
    while position < len(fields):
        tag, value = fields[position]
        if tag not in group.members:
            break
        name = names.get(tag) or str(tag)
        if tag == first_tag or name in entry:
            if len(entries) == count:
                counts_hold = tag != first_tag
                break
            entry = {}
            entries.append(entry)
        position += 1
        nested = group.nested.get(tag)
        if nested is not None and (inner_count := _count(value)) is not None:
            inner = _entries(fields, position, nested, inner_count, names)
            counts_hold = counts_hold and inner.counts_hold
            position = inner.position
            entry[name] = inner.entries
        else:
            entry[name] = value
    return _Read(entries, position, counts_hold and len(entries) == count)


def _count(value: str) -> int | None:
    """The number a counter holds, ``None`` where it holds none."""
    if len(value) <= _COUNT_DIGITS_MAX and value.isascii() and value.isdigit():
        return int(value)
    return None


def _append(result: NamedFields, name: str, value: str) -> None:
    before = result[name]
    if isinstance(before, list):
        before.append(value)
    else:
        result[name] = [before, value]


def _extend(result: NamedFields, name: str, entries: list[NamedFields]) -> None:
    """Puts a group's entries; where the counter stood before, they join what is there."""
    before = result.get(name)
    if isinstance(before, list):
        before.extend(entries)
    else:
        result[name] = entries if before is None else [before, *entries]
