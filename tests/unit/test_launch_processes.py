"""Which processes are ours, how they end, and the signals that ask for it. No Ray."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.launch import processes
from serve_app.launch.environment import RUN_FOLDER_VARIABLE
from serve_app.launch.processes import descendants, end, left_behind, wait_for_exit
from serve_app.launch.reaper import start_reaper
from serve_app.launch.stopping import StartTimeout, Stopped, StopSignals

WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
DEAF = (
    "import signal,sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); sys.stdin.read()"
)


class Nursery:
    """Starts children that say when they run, and ends them all."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, code: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self.children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"up")
        return child


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    for child in made.children:
        child.kill()
        child.communicate()


def test_descendants_are_children_and_their_children_and_nobody_else(nursery: Nursery) -> None:
    grandchild = (
        "import subprocess,sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'],"
        " stdin=subprocess.PIPE)\n"
        "print('up', p.pid, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", grandchild], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    nursery.children.append(child)
    assert child.stdout is not None
    inner = int(child.stdout.readline().split()[1])
    found = descendants()
    assert {child.pid, inner} <= found
    assert os.getpid() not in found
    assert os.getppid() not in found


def test_a_process_that_carries_the_run_folder_is_left_behind_and_only_it(
    nursery: Nursery, tmp_path: Path
) -> None:
    ours = nursery.start(WAITS, **{RUN_FOLDER_VARIABLE: str(tmp_path / "tt-0123abcd")})
    nursery.start(WAITS, **{RUN_FOLDER_VARIABLE: str(tmp_path / "tt-0123abcde")})
    nursery.start(WAITS, **{"X": f"{RUN_FOLDER_VARIABLE}={tmp_path / 'tt-0123abcd'}"})
    assert left_behind(tmp_path / "tt-0123abcd") == {ours.pid}


def test_one_who_writes_below_the_folder_is_left_behind_and_a_reader_is_not(
    nursery: Nursery, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    log.write_text("")
    holds = "import sys; f = open(sys.argv[1], sys.argv[2]); " + WAITS
    writer = nursery.start(holds, str(log), "a")
    nursery.start(holds, str(log), "r")
    assert left_behind(tmp_path) == {writer.pid}
    # A folder whose name merely begins the same is another one.
    assert left_behind(tmp_path.parent / tmp_path.name[:-1]) == set()


def test_a_process_that_ended_counts_as_ended(nursery: Nursery) -> None:
    child = nursery.start(WAITS)
    assert not wait_for_exit(child.pid, 0.0)
    child.communicate()
    assert wait_for_exit(child.pid, 0.0)


def test_one_who_ends_in_the_time_of_grace_is_not_killed(nursery: Nursery) -> None:
    child = nursery.start(WAITS)
    assert child.stdin is not None
    child.stdin.close()
    child.stdin = None
    assert end({child.pid}, 60.0) == set()
    assert wait_for_exit(child.pid, 0.0)


def test_one_who_does_not_end_is_killed_after_it(nursery: Nursery) -> None:
    child, other = nursery.start(DEAF), nursery.start(DEAF)
    assert end({child.pid}, 0.05) == {child.pid}
    assert wait_for_exit(child.pid, 0.0)
    assert not wait_for_exit(other.pid, 0.0)


def test_ending_nobody_and_those_long_gone_is_no_error(nursery: Nursery) -> None:
    child = nursery.start(WAITS)
    child.communicate()
    assert end([], 1.0) == set()
    assert end([child.pid], 1.0) == set()


def test_names_of_processes_cannot_mislead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    for pid, status in ((7, "7 (a) S 1 b) S 42 0"), (8, "8 (dead) Z 42 0")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(status)
    assert processes._parent(7) == 42
    assert processes._parent(8) == 0
    assert processes._parent(9) == 0
    assert processes._pids() == [7, 8] or processes._pids() == [8, 7]


def test_the_reaper_clears_up_when_its_launcher_ends(tmp_path: Path, nursery: Nursery) -> None:
    folder = tmp_path / "tt-0123abcd"
    folder.mkdir()
    (folder / "token").write_text("x")
    reaper = start_reaper(folder)
    nursery.children.append(reaper)
    assert os.getsid(reaper.pid) != os.getsid(0)
    assert folder.exists()
    reaper.communicate()
    assert reaper.returncode == 0
    assert not folder.exists()


@pytest.fixture
def signals() -> Iterator[StopSignals]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    timer = signal.getitimer(signal.ITIMER_REAL)
    made = StopSignals()
    made.install()
    yield made
    signal.setitimer(signal.ITIMER_REAL, *timer)
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(made._read_end)
    os.close(made._write_end)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_starting_undoes_the_start(
    signals: StopSignals, number: signal.Signals
) -> None:
    signals.interrupting = True
    with pytest.raises(Stopped):
        signal.raise_signal(number)
    assert not signals.interrupting
    # Undoing the start is not interrupted by another one.
    signal.raise_signal(number)
    assert signals.hurried


def test_a_signal_while_serving_ends_the_wait(signals: StopSignals) -> None:
    signal.raise_signal(signal.SIGTERM)
    signals.wait([])
    assert (signals.count, signals.hurried) == (1, False)


def test_a_descriptor_ends_the_wait(signals: StopSignals) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    signals.wait([reader])
    os.close(reader)
    assert signals.count == 0


def test_a_signal_just_before_the_wait_is_not_lost(signals: StopSignals) -> None:
    signal.raise_signal(signal.SIGTERM)
    assert select.select([signals._read_end], [], [], 0)[0]
    signals.wait([])


def test_steps_run_and_their_errors_do_not_stop_the_stopping(signals: StopSignals) -> None:
    def broken() -> None:
        raise OSError("half gone")

    done: list[str] = []
    assert signals.run_step(broken, 5.0)
    assert signals.run_step(lambda: done.append("next"), 5.0)
    assert done == ["next"]


def test_a_step_has_a_bound(signals: StopSignals) -> None:
    held = threading.Event()
    assert not signals.run_step(held.wait, 0.01)
    held.set()


def test_a_second_signal_leaves_the_step_and_skips_the_rest(signals: StopSignals) -> None:
    held = threading.Event()
    signal.raise_signal(signal.SIGTERM)

    def step() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        held.wait(30)

    assert not signals.run_step(step, 30.0)
    held.set()
    assert signals.hurried
    assert not signals.run_step(lambda: pytest.fail("skipped"), 1.0)


def test_a_start_that_takes_too_long_is_given_up(signals: StopSignals) -> None:
    signals.interrupting = True
    signals.start_clock(0.01)
    with pytest.raises(StartTimeout):
        signal.sigtimedwait([signal.SIGUSR2], 30)
    assert not signals.interrupting


def test_the_clock_can_be_stopped_and_is_harmless_while_serving(signals: StopSignals) -> None:
    signals.start_clock(60)
    signals.start_clock(0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    signal.raise_signal(signal.SIGALRM)
    assert signals.count == 0
