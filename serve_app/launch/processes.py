"""Which processes belong to a service, read from ``/proc``, and how they are ended.

Two ways to tell: descendants of this process (it adopts orphans of its tree, so none gets lost), and, for what
a killed launcher left behind, processes that carry the run folder in their environment or hold a file below
it open for writing (the folder is private to the user). Nothing is ever chosen by name.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from serve_app.launch.environment import RUN_FOLDER_VARIABLE

__all__ = ["adopt_orphans", "descendants", "end", "left_behind", "wait_for_exit"]

#: prctl option: orphans below this process become its children (Linux, prctl(2)).
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.05
_PROC = Path("/proc")


def adopt_orphans() -> None:
    """From now on orphaned descendants become children of this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def descendants() -> set[int]:
    """All living processes below this one."""
    parents = {pid: _parent(pid) for pid in _pids()}
    found: set[int] = set()
    frontier = {os.getpid()}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def left_behind(run_folder: Path) -> set[int]:
    """Processes of this user that belong to the service which used ``run_folder``."""
    marker = f"{RUN_FOLDER_VARIABLE}={run_folder}".encode()
    return {
        pid
        for pid in _pids()
        if pid != os.getpid() and (_carries(pid, marker) or _writes_into(pid, run_folder))
    }


def wait_for_exit(pid: int, timeout_s: float) -> bool:
    """Whether process ``pid`` has ended within ``timeout_s`` seconds; a pid that is free counts as ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def end(pids: Iterable[int], grace_s: float) -> set[int]:
    """Gives processes ``grace_s`` seconds to end by themselves, then kills them; returns those killed."""
    deadline = time.monotonic() + grace_s
    waiting = set(pids)
    while waiting and time.monotonic() < deadline:
        _reap()
        pid = min(waiting)
        if wait_for_exit(pid, _POLL_S):
            waiting.discard(pid)
    killed = {pid for pid in waiting if not wait_for_exit(pid, 0)}
    for pid in killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in killed:
        wait_for_exit(pid, 5)
    _reap()
    return killed


def _reap() -> None:
    """Collects ended children, adopted ones included."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The name in parentheses may hold anything; the state and the parent follow the last one.
    state, parent = status.rpartition(")")[2].split()[:2]
    return 0 if state == "Z" else int(parent)


def _carries(pid: int, marker: bytes) -> bool:
    try:
        return marker in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _writes_into(pid: int, folder: Path) -> bool:
    """Ray's workers overwrite their environment with a title; the logs they write tell whose they are."""
    process = _PROC / str(pid)
    try:
        for descriptor in os.listdir(process / "fd"):
            if os.readlink(process / "fd" / descriptor).startswith(f"{folder}/"):
                information = (process / "fdinfo" / descriptor).read_text(encoding="ascii")
                # A line "flags: <octal>"; one who only reads a log there is no part of the service.
                flags = int(information.partition("flags:")[2].split()[0], 8)
                if flags & os.O_ACCMODE != os.O_RDONLY:
                    return True
    except OSError:
        pass
    return False
