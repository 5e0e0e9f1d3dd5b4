"""Facts of the FIX standard: names of tags and messages, members of groups, data fields.

The facts lie in ``dictionary.json`` beside this module, whose layout is told in the script that
makes it, ``scripts/build-fix-dictionary``. They cover FIX 4.0 to 4.4, 5.0 with both service packs,
and FIXT 1.1.

Invariants: within one version no two tags share a name; a group never holds itself. What values
    mean
(enumerations) does not live here: events keep the values of the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate

import msgspec

__all__ = ["Group", "VersionFacts", "data_fields", "version_facts"]

_FORMAT = 1
_HEADER = "header"
_TRANSPORT = "FIXT11"
_NEWEST = "FIX50SP2"
#: BeginString as it stands in tag 8.
_BY_BEGIN_STRING = {
    "FIX.4.0": "FIX40",
    "FIX.4.1": "FIX41",
    "FIX.4.2": "FIX42",
    "FIX.4.3": "FIX43",
    "FIX.4.4": "FIX44",
    "FIX.5.0": "FIX50",
    "FIX.5.0SP1": "FIX50SP1",
    "FIX.5.0SP2": "FIX50SP2",
}
#: Values of ApplVerID (1128), which names the version of one message under FIXT.1.1.
_BY_APPLICATION_VERSION = {
    "2": "FIX40",
    "3": "FIX41",
    "4": "FIX42",
    "5": "FIX43",
    "6": "FIX44",
    "7": "FIX50",
    "8": "FIX50SP1",
    "9": "FIX50SP2",
}


@dataclass(frozen=True, slots=True)
class Group:
    """One repeating group as one message declares it.

    ``members`` are all tags of an entry, counters of ``nested`` groups among them; ``delimiter``
    is the one the standard puts first.
    """

    counter: int
    delimiter: int
    members: frozenset[int]
    nested: Mapping[int, Group]


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What one version of FIX says."""

    names: Mapping[int, str]
    message_names: Mapping[str, str]
    _groups: Mapping[str, Mapping[int, Group]]
    #: For messages that carry a group the version does not declare for them.
    _elsewhere: Mapping[int, Group]

    def field_name(self, tag: int) -> str:
        """The tag's name, or its number in digits where the standard has none."""
        return self.names.get(tag) or str(tag)

    def groups(self, message_type: str) -> Mapping[int, Group]:
        """The top-level groups the message declares, by counter; empty for unknown types."""
        return self._groups.get(message_type, {})

    def undeclared_group(self, tag: int) -> Group | None:
        """The least group other messages have with this counter; ``None`` where it counts nothing.

        The least one, because tags that follow are then rather left at the top level than drawn
        into the group wrongly.
        """
        return self._elsewhere.get(tag)


def version_facts(begin_string: str, application_version: str = "") -> VersionFacts:
    """Facts for a message.

    Args:
        begin_string: tag 8.
        application_version: tag 1128; only FIXT.1.1 has it. Unknown or absent versions read as the
            newest, which knows nearly all older tags.
    """
    version = _BY_BEGIN_STRING.get(begin_string)
    if version is None:
        version = _BY_APPLICATION_VERSION.get(application_version, _NEWEST)
        return _facts(version, True)
    return _facts(version, False)


@cache
def data_fields() -> Mapping[int, int]:
    """Tag of a length field to the tag of the data field that follows it and may hold any byte."""
    return dict(_table().data_fields)


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """The file as it is."""

    format: int
    versions: list[str]
    fields: dict[int, str]
    renamed: dict[str, dict[int, str]]
    data_fields: list[tuple[int, int]]
    groups: list[tuple[int, int, list[int], list[int]]]
    messages: dict[str, dict[str, str]]


@cache
def _table() -> _Table:
    content = files("tradetrail.fix").joinpath("dictionary.json").read_bytes()
    table = msgspec.json.decode(content, type=_Table, strict=False)
    assert table.format == _FORMAT, f"dictionary.json has format {table.format}, not {_FORMAT}"
    return table


@cache
def _all_groups() -> tuple[Group, ...]:
    built: list[Group] = []
    for counter, delimiter, others, positions in _table().groups:
        nested = {built[position].counter: built[position] for position in positions}
        members = frozenset((delimiter, *accumulate(others), *nested))
        built.append(Group(counter, delimiter, members, nested))
    return tuple(built)


@cache
def _newest_names() -> Mapping[int, str]:
    return {
        first + step: name
        for first, joined in _table().fields.items()
        for step, name in enumerate(joined.split(" "))
    }


@cache
def _facts(version: str, with_transport: bool) -> VersionFacts:
    messages = dict(_table().messages[version])
    if with_transport:
        messages |= _table().messages[_TRANSPORT]
    header = _message(messages.pop(_HEADER))[1]
    read = {message_type: _message(line) for message_type, line in messages.items()}
    declared = {message_type: {**header, **groups} for message_type, (_, groups) in read.items()}
    return VersionFacts(
        names={**_newest_names(), **_table().renamed.get(version, {})},
        message_names={message_type: name for message_type, (name, _) in read.items()},
        _groups=declared,
        _elsewhere=_least_groups(declared, version),
    )


def _message(line: str) -> tuple[str, Mapping[int, Group]]:
    name, *steps = line.split(" ")
    groups = (_all_groups()[position] for position in accumulate(map(int, steps)))
    return name, {group.counter: group for group in groups}


def _least_groups(declared: Mapping[str, Mapping[int, Group]], version: str) -> Mapping[int, Group]:
    """The least definition by counter: of this version, else of the newest."""
    least: dict[int, Group] = {}
    for groups in declared.values():
        for group in _with_nested(groups):
            known = least.get(group.counter)
            if known is None or len(group.members) < len(known.members):
                least[group.counter] = group
    if version != _NEWEST:
        renamed = _table().renamed.get(version, {})
        for counter, group in _facts(_NEWEST, False)._elsewhere.items():
            if counter not in renamed:
                least.setdefault(counter, group)
    return least


def _with_nested(groups: Mapping[int, Group]) -> list[Group]:
    result = []
    waiting = list(groups.values())
    while waiting:
        group = waiting.pop()
        result.append(group)
        waiting.extend(group.nested.values())
    return result
