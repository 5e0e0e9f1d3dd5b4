"""What a service's processes use, read from ``/proc``: CPU seconds and resident memory by kind of process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

__all__ = [
    "MachineUse",
    "ProcessUse",
    "cpu_between",
    "kind_of",
    "machine_use",
    "parse_machine_use",
    "rss_by_kind",
    "service_processes",
]

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
#: What a command line holds, and the kind that it tells; the first that fits counts.
_MARKS = (
    ("ray::ServeReplica:ingest", "ingest"),
    ("ray::ServeReplica:query", "query"),
    ("ray::ShardActor", "shard"),
    ("ray::ControlActor", "control"),
    ("ray::", "serve and ray"),
    ("gcs_server", "serve and ray"),
    ("raylet", "serve and ray"),
    ("/ray/", "serve and ray"),
    ("haproxy", "haproxy"),
    ("tradetrail", "launcher"),
)


class ProcessUse(msgspec.Struct, frozen=True):
    """One process at one moment."""

    pid: int
    kind: str
    cpu_s: float
    #: Shared pages included.
    rss_bytes: int


class MachineUse(msgspec.Struct, frozen=True):
    """CPU seconds of the whole machine since it was started."""

    #: Of all processes and the kernel.
    busy_s: float
    #: That the host gave to other machines while this one wanted to run.
    stolen_s: float


def machine_use() -> MachineUse:
    """The machine, now."""
    return parse_machine_use(Path("/proc/stat").read_text(encoding="ascii"))


def parse_machine_use(stat: str) -> MachineUse:
    """From ``/proc/stat``: user, nice, system, idle, waiting, interrupts (two), stolen."""
    ticks = [int(word) for word in stat.partition("\n")[0].split()[1:]]
    busy = sum(ticks[index] for index in (0, 1, 2, 5, 6))
    return MachineUse(busy / _TICKS_PER_S, ticks[7] / _TICKS_PER_S)


def kind_of(command: str) -> str:
    """The kind of process that a command line tells."""
    program = command.partition(" ")[0]
    if program.endswith("haproxy"):
        return "haproxy"
    return next((kind for mark, kind in _MARKS if mark in command), "other")


def service_processes(root_pid: int) -> list[ProcessUse]:
    """The process and all its descendants; empty where it is gone."""
    found = {use.pid: (parent, use) for parent, use in _all_processes()}
    wanted = {root_pid} & found.keys()
    while more := {pid for pid, (parent, _) in found.items() if parent in wanted} - wanted:
        wanted |= more
    return [found[pid][1] for pid in sorted(wanted)]


def cpu_between(before: Iterable[ProcessUse], after: Iterable[ProcessUse]) -> dict[str, float]:
    """CPU seconds by kind; a process that came in between counts from its begin."""
    start_s = {use.pid: use.cpu_s for use in before}
    total: dict[str, float] = {}
    for use in after:
        used_s = use.cpu_s - start_s.get(use.pid, 0.0)
        total[use.kind] = total.get(use.kind, 0.0) + max(0.0, used_s)
    return total


def rss_by_kind(uses: Iterable[ProcessUse]) -> dict[str, int]:
    """Resident bytes by kind, summed over its processes."""
    total: dict[str, int] = {}
    for use in uses:
        total[use.kind] = total.get(use.kind, 0) + use.rss_bytes
    return total


def _all_processes() -> Iterable[tuple[int, ProcessUse]]:
    """Each process with its parent's id; one that ends meanwhile is left out."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            # After the name, which stands in brackets and may hold spaces: state, parent, ...
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        kind = kind_of(words.decode(errors="replace").strip())
        yield (
            int(fields[1]),
            ProcessUse(int(folder.name), kind, cpu_s, int(fields[21]) * _PAGE_BYTES),
        )
