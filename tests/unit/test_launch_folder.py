"""The data folder: one service each, the holder is named, what a killed one left is taken over."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.launch import folder
from serve_app.launch.down import stop_service
from serve_app.launch.environment import RUN_FOLDER_VARIABLE
from serve_app.launch.folder import DataLock, RunningService, make_run_folder, running_service
from serve_app.launch.processes import wait_for_exit
from tradetrail.errors import Conflict, Invalid, NotFound, Unavailable

URL = "http://127.0.0.1:8000"
#: Takes the lock as a service does, says so, and ends as the test asks.
SERVICE = """
import os, signal, sys
from pathlib import Path
from serve_app.launch.folder import DataLock, RunningService
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with DataLock(Path(sys.argv[1])) as lock:
    if sys.argv[3] != "silent":
        lock.announce(RunningService(os.getpid(), sys.argv[2], "http://127.0.0.1:8000"))
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parent = tmp_path / "short"
    parent.mkdir()
    monkeypatch.setattr(folder, "_RUN_PARENT", parent)
    return parent


class Service:
    """Another process that holds the folder."""

    def __init__(self, data: Path, run_folder: Path, manner: str = "usual") -> None:
        command = [sys.executable, "-c", SERVICE, str(data), str(run_folder), manner]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def running(data: Path, tmp_path: Path) -> Iterator[Service]:
    service = Service(data, tmp_path / "tt-0123abcd")
    yield service
    service.kill()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_private(data: Path) -> None:
    with DataLock(data):
        assert (mode(data), mode(data / "run")) == (0o700, 0o700)


def test_a_second_start_is_refused_and_told_who_holds_it(data: Path, running: Service) -> None:
    with pytest.raises(Conflict) as caught, DataLock(data):
        pytest.fail("the folder is held")
    assert caught.value.code == "data_in_use"
    for part in (str(running.process.pid), URL, str(data), "tradetrail down"):
        assert part in caught.value.detail


def test_a_start_under_way_is_named_by_its_process(data: Path, tmp_path: Path) -> None:
    service = Service(data, tmp_path, "silent")
    try:
        with pytest.raises(Conflict) as caught, DataLock(data):
            pytest.fail("the folder is held")
        assert f"process {service.process.pid}, starting" in caught.value.detail
        assert running_service(data) is None
    finally:
        service.kill()


def test_the_lock_is_given_back_at_the_end(data: Path) -> None:
    with DataLock(data) as lock:
        service = RunningService(os.getpid(), "/tmp/tt-0123abcd", URL)
        lock.announce(service)
        assert running_service(data) == service
    assert running_service(data) is None
    assert not (data / "run" / "service.json").exists()
    with DataLock(data):
        pass


def test_the_folder_of_a_killed_service_is_taken_over_and_its_rest_removed(
    data: Path, run_parent: Path
) -> None:
    left = run_parent / "tt-0123abcd"
    (left / "ray").mkdir(parents=True)
    service = Service(data, left)
    service.kill()
    assert (data / "run" / "service.json").exists()
    assert running_service(data) is None
    with DataLock(data) as lock:
        assert not left.exists()
        mine = RunningService(os.getpid(), str(run_parent / "tt-00000000"), URL)
        lock.announce(mine)
        assert running_service(data) == mine


def test_processes_of_a_killed_service_are_ended_before_the_next_start(
    data: Path, run_parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LEFT_BEHIND_GRACE_S", 0.0)
    left = make_run_folder("0123abcd")
    Service(data, left).kill()
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, RUN_FOLDER_VARIABLE: str(left)},
    )
    try:
        assert orphan.stdout is not None
        assert orphan.stdout.readline() == b"up\n"
        with DataLock(data):
            # Whoever ended it has collected it too.
            assert wait_for_exit(orphan.pid, 10)
        assert not left.exists()
    finally:
        orphan.kill()
        orphan.communicate()
    assert run_parent.exists()


@pytest.mark.parametrize(
    "run_folder", ["elsewhere/tt-0123abcd", "tt-0123abcd/../precious", "precious", "tt-0123ABCD"]
)
def test_only_a_run_folder_is_ever_removed(data: Path, run_parent: Path, run_folder: str) -> None:
    kept = run_parent / run_folder
    (run_parent / "tt-0123abcd").mkdir()
    kept.mkdir(parents=True, exist_ok=True)
    (data / "run").mkdir(parents=True)
    service = {"pid": 1, "run_folder": str(kept), "url": URL}
    (data / "run" / "service.json").write_text(json.dumps(service))
    with DataLock(data):
        assert kept.exists()


@pytest.mark.parametrize(
    "content", ["", "null", "[]", "{}", '{"pid":"x","run_folder":5,"url":""}', "\xff"]
)
def test_a_damaged_note_of_the_last_service_does_not_stop_a_start(data: Path, content: str) -> None:
    (data / "run").mkdir(parents=True)
    (data / "run" / "service.json").write_text(content, encoding="latin-1")
    with DataLock(data) as lock:
        assert running_service(data) is None
        lock.announce(RunningService(os.getpid(), "/tmp/tt-0123abcd", URL))
        assert running_service(data) is not None


def test_the_note_of_a_killed_service_does_not_name_the_one_that_is_starting(data: Path) -> None:
    (data / "run").mkdir(parents=True)
    note = data / "run" / "service.json"
    note.write_text(json.dumps({"pid": 1, "run_folder": "/x", "url": "http://127.0.0.1:1"}))
    with DataLock(data):
        # Process 1 is somebody else's: `down` must not signal it.
        assert running_service(data) is None
        with pytest.raises(NotFound):
            stop_service(data, 1.0)
        with pytest.raises(Conflict) as caught, DataLock(data):
            pytest.fail("the folder is held")
        assert "127.0.0.1:1" not in caught.value.detail


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(Invalid) as caught, DataLock(path):
            pytest.fail("that is no folder")
        assert caught.value.code == "invalid_setting"
        assert str(path) in caught.value.detail


def test_nobody_serves_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert running_service(tmp_path / "absent") is None
    assert not (tmp_path / "absent").exists()


def test_run_folders_are_private_short_and_never_shared(run_parent: Path) -> None:
    made = make_run_folder("0123abcd")
    assert (made, mode(made)) == (run_parent / "tt-0123abcd", 0o700)
    with pytest.raises(FileExistsError):
        make_run_folder("0123abcd")
    # HAProxy allows 97 characters for a socket's path, 56 of which name the node.
    assert len("/tmp/tt-0123abcd/h/") <= 27


def test_logs_of_a_failed_start_are_kept_in_place_of_older_ones(data: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "raylet.err").write_text("why")
    (logs / "dangling").symlink_to("nowhere")
    with DataLock(data) as lock:
        (data / "run" / "failed").mkdir()
        (data / "run" / "failed" / "old").write_text("")
        kept = lock.keep_logs(logs)
        assert kept is not None
        assert ((kept / "raylet.err").read_text(), mode(kept)) == ("why", 0o700)
        assert not (kept / "old").exists()
        assert lock.keep_logs(tmp_path / "none") is None


def test_down_ends_the_service_of_its_folder(data: Path, running: Service) -> None:
    assert stop_service(data, 10.0) == running.process.pid
    assert running.process.wait(10) != 0


def test_down_says_when_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        stop_service(tmp_path, 1.0)
    assert caught.value.code == "not_running"


def test_down_says_when_it_has_not_ended_in_time(data: Path, tmp_path: Path) -> None:
    service = Service(data, tmp_path, "deaf")
    try:
        with pytest.raises(Unavailable) as caught:
            stop_service(data, 0.05)
        assert caught.value.code == "still_stopping"
        assert str(service.process.pid) in caught.value.detail
    finally:
        service.kill()


def test_a_reader_of_the_lock_does_not_keep_a_start_out(data: Path) -> None:
    with DataLock(data):
        pass
    running_service(data)
    descriptor = os.open(data / "run" / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
