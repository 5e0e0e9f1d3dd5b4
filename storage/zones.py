"""Zones: what a run of one user's records may hold, so that a filter skips the runs it cannot match.

A level-1 zone covers 128 records that begin at userseq 1, 129, 257 …; a level-2 zone 128 of those. A zone is
written once its run is full and never changes. A filter is answered exactly: a zone only ever says "surely
not", and a run without a zone is read.

Value, big-endian: format 0x01 (1) ‖ least time key (8, signed) ‖ greatest (8, signed) ‖ bloom of types (128)
‖ bloom of looked-up values (1,024; level 1 only).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tradetrail.errors import Corrupt

__all__ = [
    "COARSE",
    "COARSE_RUN",
    "FINE",
    "FINE_RUN",
    "OpenZone",
    "Zone",
    "ZoneQuery",
    "merge_zones",
    "pack_zone",
    "parse_zone",
    "run_start",
]

FINE, COARSE = 1, 2
FINE_RUN = 128
COARSE_RUN = FINE_RUN * 128

_HEAD = struct.Struct(">Bqq")
#: 1,024 bits and 3 probes: below 1 % false for 60 types and prefixes in a run.
_TYPE_BYTES, _TYPE_BITS, _TYPE_PROBES = 128, 10, 3
#: 8,192 bits and 4 probes: below 1 % false for 640 values in a run of 128.
_FIELD_BYTES, _FIELD_BITS, _FIELD_PROBES = 1_024, 13, 4


class Zone(msgspec.Struct, frozen=True):
    """A full run's summary; ``fields`` is empty at level 2."""

    least_key: int
    greatest_key: int
    types: bytes
    fields: bytes


class OpenZone:
    """The run of a user that is still filling, in memory."""

    __slots__ = ("fields", "first", "greatest_key", "least_key", "next", "types")

    def __init__(self, userseq: int) -> None:
        self.first = userseq
        self.next = userseq
        self.least_key = 0
        self.greatest_key = 0
        self.types: array[int] = array("Q")
        self.fields: array[int] = array("Q")

    def add(self, time_key: int, types: Sequence[int], fields: Sequence[int]) -> None:
        """Take in the next record of the run."""
        if self.next == self.first:
            self.least_key = self.greatest_key = time_key
        elif time_key < self.least_key:
            self.least_key = time_key
        elif time_key > self.greatest_key:
            self.greatest_key = time_key
        self.next += 1
        for value in types:
            if value not in self.types:
                self.types.append(value)
        self.fields.extend(fields)

    @property
    def is_whole(self) -> bool:
        """Whether it covers a full run from its first record on."""
        return self.next - self.first == FINE_RUN and (self.first - 1) % FINE_RUN == 0

    def close(self) -> Zone:
        """The finished zone."""
        assert self.is_whole
        return Zone(
            self.least_key,
            self.greatest_key,
            _bloom(self.types, _TYPE_BYTES, _TYPE_BITS, _TYPE_PROBES),
            _bloom(self.fields, _FIELD_BYTES, _FIELD_BITS, _FIELD_PROBES),
        )


class ZoneQuery:
    """A filter's tokens as hashes, ready to be held against zones."""

    def __init__(self, types: Sequence[int], fields: Sequence[int]) -> None:
        """One of ``types`` must be there, where there are any, and each of ``fields``."""
        self._types = [_probes(value, _TYPE_BITS, _TYPE_PROBES) for value in types]
        self._fields = [_probes(value, _FIELD_BITS, _FIELD_PROBES) for value in fields]

    def may_match(self, zone: Zone) -> bool:
        """False only where no record of the run can match."""
        if self._types and not any(_has(zone.types, probes) for probes in self._types):
            return False
        if not zone.fields:
            return True
        return all(_has(zone.fields, probes) for probes in self._fields)


def run_start(userseq: int, run: int) -> int:
    """First userseq of the run that holds ``userseq``."""
    return (userseq - 1) // run * run + 1


def merge_zones(zones: Sequence[Zone]) -> Zone:
    """The level-2 zone over consecutive level-1 zones."""
    types = np.zeros(_TYPE_BYTES, dtype=np.uint8)
    for zone in zones:
        types |= np.frombuffer(zone.types, dtype=np.uint8)
    return Zone(
        min(zone.least_key for zone in zones),
        max(zone.greatest_key for zone in zones),
        types.tobytes(),
        b"",
    )


def pack_zone(zone: Zone) -> bytes:
    """The stored form."""
    return _HEAD.pack(1, zone.least_key, zone.greatest_key) + zone.types + zone.fields


def parse_zone(value: bytes) -> Zone:
    """Raises ``Corrupt`` for another format or length."""
    start = _HEAD.size + _TYPE_BYTES
    if len(value) not in (start, start + _FIELD_BYTES) or value[0] != 1:
        raise Corrupt("zone_format", "A zone is not of format 1; rebuild the index of this shard.")
    _, least, greatest = _HEAD.unpack_from(value)
    return Zone(least, greatest, value[_HEAD.size : start], value[start:])


def _bloom(values: array[int], size: int, bits: int, probes: int) -> bytes:
    flags: npt.NDArray[np.bool_] = np.zeros(size * 8, dtype=np.bool_)
    hashes = np.frombuffer(values, dtype=np.uint64) if values else np.empty(0, dtype=np.uint64)
    for probe in range(probes):
        flags[(hashes >> np.uint64(probe * bits)) & np.uint64(2**bits - 1)] = True
    return np.packbits(flags, bitorder="little").tobytes()


def _probes(value: int, bits: int, probes: int) -> tuple[int, ...]:
    return tuple((value >> (probe * bits)) & (2**bits - 1) for probe in range(probes))


def _has(bloom: bytes, probes: tuple[int, ...]) -> bool:
    return all(bloom[position >> 3] >> (position & 7) & 1 for position in probes)
