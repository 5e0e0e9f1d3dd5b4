"""A start that is refused before Ray: it says why, and nothing of it is left. No Ray."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.launch import folder
from serve_app.launch.folder import DataLock, RunningService, running_service
from serve_app.launch.up import public_url, run_service
from serve_app.settings import ServiceSettings
from tradetrail.errors import Conflict, Invalid, TradeTrailError


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts back what a start takes of this process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    timer = signal.getitimer(signal.ITIMER_REAL)
    yield
    signal.setitimer(signal.ITIMER_REAL, *timer)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parent = tmp_path / "short"
    parent.mkdir()
    monkeypatch.setattr(folder, "_RUN_PARENT", parent)
    return parent


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        yield held.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("audit.example", "http://audit.example:8000"),
    ],
)
def test_the_address_is_one_a_person_can_open(host: str, url: str) -> None:
    assert public_url(host, 8000) == url


def refused(settings: ServiceSettings, kind: type[TradeTrailError]) -> str:
    said: list[str] = []
    environment = dict(os.environ)
    with pytest.raises(kind) as caught:
        run_service(settings, said.append)
    assert said == []
    assert dict(os.environ) == environment
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    return str(caught.value)


def test_a_taken_port_ends_the_start_and_frees_the_folder(
    tmp_path: Path, run_parent: Path, taken: int
) -> None:
    data = tmp_path / "data"
    detail = refused(ServiceSettings(data=data, port=taken), Conflict)
    assert "port_in_use" in detail
    assert str(taken) in detail
    assert list(run_parent.iterdir()) == []
    with DataLock(data):
        pass


def test_a_folder_in_use_ends_the_start_and_leaves_its_holder_alone(
    tmp_path: Path, run_parent: Path, taken: int
) -> None:
    data = tmp_path / "data"
    with DataLock(data) as lock:
        holder = RunningService(os.getpid(), str(run_parent / "tt-0123abcd"), "http://x:1")
        lock.announce(holder)
        # The folder is looked at first: its holder may be the one who has the port.
        detail = refused(ServiceSettings(data=data, port=taken), Conflict)
        assert "data_in_use" in detail
        assert "http://x:1" in detail
        assert running_service(data) == holder


def test_a_host_of_another_machine_ends_the_start(tmp_path: Path, run_parent: Path) -> None:
    # 192.0.2.0/24 is kept for documentation (RFC 5737).
    settings = ServiceSettings(data=tmp_path / "data", host="192.0.2.1")
    assert "192.0.2.1" in refused(settings, Invalid)
    assert list(run_parent.iterdir()) == []
