"""The data folder as the launcher sees it, and the short folder for files that live as long as the service.

Invariants: one running service per data folder (a lock on ``DATA/run/lock``, given back by the kernel when
the process ends; the file holds the holder's process id); ``DATA/run/service.json`` names the process, its run
folder and its URL once that is known, and counts only while that very process holds the lock; what a killed
service left is ended and removed before the next one starts.

Not here: what the data folder holds besides ``run/``.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from serve_app.launch.processes import end, left_behind
from tradetrail.errors import Conflict, Invalid

__all__ = ["DataLock", "RunningService", "make_run_folder", "running_service"]

#: Short: Ray and HAProxy put socket paths below it, which the kernel limits to 107 characters.
_RUN_PARENT = Path("/tmp")  # noqa: S108  # made with a random name, mode 0700
_RUN_NAME = re.compile(r"tt-[0-9a-f]{8}")
#: Processes of a killed service are gone after some seconds; then they are ended.
_LEFT_BEHIND_GRACE_S = 10.0


@dataclass(frozen=True)
class RunningService:
    """Who serves a data folder: process, run folder, URL."""

    pid: int
    run_folder: str
    url: str


class DataLock:
    """Holds a data folder for this process; a context manager."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._run = data / "run"
        self._descriptor = -1

    def __enter__(self) -> DataLock:
        """Makes the folder where it is missing (0700) and locks it.

        Raises:
            Conflict: another service runs on it.
            Invalid: the folder cannot be made or written.
        """
        try:
            if not self._data.exists():
                self._data.mkdir(parents=True, mode=0o700)
            self._run.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise Invalid(
                "invalid_setting",
                f"the data folder {self._data} cannot be used: {exc.strerror}; choose another --data",
            ) from exc
        if not _try_lock(self._descriptor):
            detail = _in_use(self._data, _holder(self._descriptor))
            os.close(self._descriptor)
            self._descriptor = -1
            raise Conflict("data_in_use", detail)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode("ascii"), 0)
        self._clear_left_behind()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (self._run / "service.json").unlink(missing_ok=True)
        os.close(self._descriptor)

    def announce(self, service: RunningService) -> None:
        """Writes who serves this folder; from then on ``running_service`` finds it."""
        fresh = self._run / "service.json.new"
        fresh.write_bytes(msgspec.json.encode(service))
        fresh.replace(self._run / "service.json")

    def keep_logs(self, logs: Path) -> Path | None:
        """Copies Ray's logs to ``DATA/run/failed`` in place of older ones; ``None`` where there are none."""
        kept = self._run / "failed"
        shutil.rmtree(kept, ignore_errors=True)
        if not logs.is_dir():
            return None
        shutil.copytree(logs, kept, symlinks=True, ignore_dangling_symlinks=True)
        kept.chmod(0o700)
        return kept

    def _clear_left_behind(self) -> None:
        """Ends and removes what a service that was killed left of itself."""
        service = _read(self._data)
        if service is None:
            return
        folder = Path(service.run_folder)
        if folder.parent == _RUN_PARENT and _RUN_NAME.fullmatch(folder.name):
            end(left_behind(folder), _LEFT_BEHIND_GRACE_S)
            shutil.rmtree(folder, ignore_errors=True)


def make_run_folder(random_hex: str) -> Path:
    """Makes ``/tmp/tt-<8 hex>``, mode 0700.

    Args:
        random_hex: eight hexadecimal digits, drawn at random.

    Raises:
        FileExistsError: the name is taken; draw again.
    """
    folder = _RUN_PARENT / f"tt-{random_hex}"
    assert _RUN_NAME.fullmatch(folder.name), folder.name
    folder.mkdir(mode=0o700)
    return folder


def running_service(data: Path) -> RunningService | None:
    """Who serves ``data`` now; ``None`` when nobody does or a start has not got that far."""
    try:
        descriptor = os.open(data / "run" / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        if _try_lock(descriptor):
            return None
        service = _read(data)
        # Until a start has announced itself the file may still name a service that was killed, and its
        # process id may be another's by now.
        return service if service is not None and service.pid == _holder(descriptor) else None
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int | None:
    """The process that holds the lock; ``None`` in the moment before it has said so."""
    try:
        return int(os.pread(descriptor, 20, 0))
    except ValueError:
        return None


def _read(data: Path) -> RunningService | None:
    try:
        content = (data / "run" / "service.json").read_bytes()
        return msgspec.json.decode(content, type=RunningService)
    except (OSError, msgspec.DecodeError):
        return None


def _in_use(data: Path, holder: int | None) -> str:
    service = _read(data)
    if service is not None and service.pid == holder:
        who = f" (process {holder}, {service.url})"
    else:
        who = f" (process {holder}, starting)" if holder is not None else ""
    return (
        f"a service already runs on {data}{who}; stop it with `tradetrail down --data {data}`, "
        "or start with another --data"
    )
