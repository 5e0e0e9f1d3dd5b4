"""One real service for the tests of this room, started as a person starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

_START_S = 180


@dataclass
class Service:
    """A running service and how to talk to it."""

    url: str
    data: Path
    process: subprocess.Popen[str]

    @property
    def token(self) -> str:
        """The admin's API key."""
        return (self.data / "admin.token").read_text().strip()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One call with the admin's key."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return httpx2.request(method, self.url + path, headers=headers, timeout=60, **options)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line against this service."""
        environment = {
            **os.environ,
            "TRADETRAIL_URL": self.url,
            "TRADETRAIL_TOKEN": self.token,
        }
        return subprocess.run(
            [_tradetrail(), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, in the background."""
        return subprocess.Popen(
            [_tradetrail(), *arguments],
            env={**os.environ, "TRADETRAIL_URL": self.url, "TRADETRAIL_TOKEN": self.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _tradetrail() -> str:
    return str(Path(sys.executable).with_name("tradetrail"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(data: Path, proxy: str, port: int = 0, **variables: str) -> Service:
    """Start on a free port and return once it said ``ready``; ``variables`` join the environment."""
    port = port or free_port()
    command = [_tradetrail(), "up", "--port", str(port), "--data", str(data), "--proxy", proxy]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("ready "):
            return Service(line.split()[1], data, process)
    process.stdout.close()
    process.wait(60)
    pytest.fail("the service did not start:\n" + "".join(lines))


def kill(service: Service) -> None:
    """SIGKILL, as a power cut for the processes, and wait for the end."""
    service.process.kill()
    service.process.wait(60)
    assert service.process.stdout is not None
    service.process.stdout.close()


def processes(service: Service) -> dict[int, str]:
    """Everything that runs under the service: process id -> name."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                names[int(folder.name)] = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
                after_name = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(folder.name)] = int(after_name[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = {service.process.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: names.get(pid, "") for pid in found}


def stop(service: Service) -> None:
    """SIGTERM, then wait; the end must be in good order."""
    service.process.terminate()
    output, _ = service.process.communicate(timeout=60)
    assert service.process.returncode == 0, output


@pytest.fixture(scope="session", params=["haproxy", "python"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service for all tests of one proxy mode."""
    started = start(tmp_path_factory.mktemp("service") / "data", request.param)
    yield started
    stop(started)
