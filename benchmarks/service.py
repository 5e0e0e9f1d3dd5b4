"""The service that is measured: one of our own with data that is thrown away, or one that runs already."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.wire import Target
from tradetrail.errors import Invalid, Unavailable

__all__ = ["Subject", "own_service", "running_service", "target_of"]

#: The service itself gives up after 180 s.
_START_TIMEOUT_S = 200.0
_STOP_TIMEOUT_S = 60.0


class Subject(msgspec.Struct, frozen=True):
    """What is measured. ``pid`` is its first process, 0 where that is not known here."""

    target: Target
    pid: int


def target_of(url: str, token: str) -> Target:
    """Where a service is.

    Raises:
        Invalid: this is no ``http://`` address.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise Invalid("invalid_url", f"{url} is no address; write http://host:port.")
    return Target(parts.hostname, parts.port or 80, token)


def running_service(url: str, token: str, pid: int) -> Subject:
    """A service that somebody else started and stops."""
    return Subject(target_of(url, token), pid)


@contextmanager
def own_service(scratch: Path | None, arguments: list[str]) -> Iterator[Subject]:
    """Start a service on a free port with an empty data folder; stop it and remove the data at the end.

    Args:
        scratch: where the data folder is made, since its disk is what is measured; ``None`` takes the
            system's folder for temporary files.
        arguments: further ones of ``tradetrail up``.

    Raises:
        Unavailable: it did not start; with what it said.
    """
    folder = Path(tempfile.mkdtemp(prefix="tradetrail-benchmark-", dir=scratch))
    try:
        process, lines = _start(folder / "data", arguments)
        try:
            url = _wait_until_ready(process, lines)
            token = (folder / "data" / "admin.token").read_text(encoding="utf-8").strip()
            # Nobody may let the pipe run full.
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            yield Subject(target_of(url, token), process.pid)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder)


def _start(data: Path, arguments: list[str]) -> tuple[subprocess.Popen[str], list[str]]:
    command = [
        str(Path(sys.executable).with_name("tradetrail")),
        "up",
        "--port",
        str(_free_port()),
        "--data",
        str(data),
        *arguments,
    ]
    # In a session of its own: Ctrl-C of the terminal reaches this process, which then stops the service.
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ},
    )
    return process, []


def _wait_until_ready(process: subprocess.Popen[str], lines: list[str]) -> str:
    assert process.stdout is not None
    timer = threading.Timer(_START_TIMEOUT_S, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready "):
                return line.split()[1]
    finally:
        timer.cancel()
    raise Unavailable("no_service", "The service did not start:\n" + "".join(lines[-40:]))


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for _ in process.stdout:
        pass


def _stop(process: subprocess.Popen[str]) -> None:
    """End the service in good order; a second Ctrl-C must not leave it running."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
