"""The stored clock: never back, never led forward by a jump, exact in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.clock import AHEAD_NS_MAX, StoredClock, boot_ns, wall_ns

REPEATABLE = settings(derandomize=True, deadline=None)
S = 1_000_000_000


class Clocks:
    """A wall clock and a monotonic one that the test moves."""

    def __init__(self, wall_ns: int) -> None:
        self.wall_ns = wall_ns
        self.monotonic_ns = 5_000 * S

    def wall(self) -> int:
        return self.wall_ns

    def monotonic(self) -> int:
        return self.monotonic_ns

    def run(self, ns: int) -> None:
        self.wall_ns += ns
        self.monotonic_ns += ns


def stored(clocks: Clocks, last_ns: int = 0) -> StoredClock:
    return StoredClock(last_ns, clocks.wall, clocks.monotonic)


def test_a_stamp_is_the_wall_clock_to_the_nanosecond() -> None:
    clocks = Clocks(1_000 * S + 7)
    clock = stored(clocks)
    assert clock.stamp() == 1_000 * S + 7
    clocks.run(1)
    assert clock.stamp() == 1_000 * S + 8
    assert (clock.doubted, clock.steps_back) == (False, 0)


def test_a_clock_that_stands_gives_the_same_stamp() -> None:
    clock = stored(Clocks(10))
    assert [clock.stamp(), clock.stamp()] == [10, 10]
    assert clock.steps_back == 0


def test_a_step_back_is_counted_and_the_last_stamp_stands_until_it_is_passed() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.wall_ns -= 10 * S
    assert clock.stamp() == 1_000 * S
    clocks.run(9 * S)
    assert clock.stamp() == 1_000 * S
    assert clock.steps_back == 2
    clocks.run(2 * S)
    assert clock.stamp() == 1_001 * S


def test_a_restart_goes_on_from_the_last_stamp() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks, last_ns=1_005 * S)
    assert clock.stamp() == 1_005 * S
    assert clock.steps_back == 1
    clocks.run(6 * S)
    assert clock.stamp() == 1_006 * S


def test_at_start_the_wall_clock_is_taken_as_it_is() -> None:
    clock = stored(Clocks(10**9 * S), last_ns=1)
    assert clock.stamp() == 10**9 * S
    assert not clock.doubted


def test_a_jump_ahead_is_not_believed() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.wall_ns += AHEAD_NS_MAX + 1
    assert clock.stamp() == 1_000 * S + 1
    assert clock.stamp() == 1_000 * S + 2
    assert clock.doubted


def test_a_jump_of_the_bound_itself_is_believed() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.wall_ns += AHEAD_NS_MAX
    assert clock.stamp() == 1_000 * S + AHEAD_NS_MAX
    assert not clock.doubted


def test_the_bound_counts_from_the_last_stamp_that_was_believed() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    for _ in range(3):
        clocks.wall_ns += AHEAD_NS_MAX
        clocks.run(1)
        assert clock.stamp() == clocks.wall_ns
    assert not clock.doubted


def test_a_long_sleep_of_the_machine_is_no_jump() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.run(7 * 24 * 3_600 * S)
    assert clock.stamp() == clocks.wall_ns
    assert not clock.doubted


def test_a_clock_put_right_again_is_believed_without_an_operator() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.wall_ns += 3_600 * S
    clock.stamp()
    clocks.wall_ns -= 3_600 * S
    clocks.run(1 * S)
    assert clock.stamp() == 1_001 * S
    assert not clock.doubted


def test_an_operator_confirms_a_jump() -> None:
    clocks = Clocks(1_000 * S)
    clock = stored(clocks)
    clock.stamp()
    clocks.wall_ns += 3_600 * S
    clock.stamp()
    clock.confirm()
    assert not clock.doubted
    assert clock.stamp() == 4_600 * S


def test_real_clocks_run() -> None:
    assert wall_ns() > 1_600_000_000 * S
    assert boot_ns() <= boot_ns()


STEPS = st.lists(
    st.tuples(
        st.integers(-(10**13), 10**13)
        | st.sampled_from([0, 1, -1, AHEAD_NS_MAX, AHEAD_NS_MAX + 1]),
        st.integers(0, 10**12),
        st.booleans(),
    ),
    max_size=30,
)


@REPEATABLE
@given(STEPS, st.integers(0, 10**15))
def test_no_movement_of_the_clocks_makes_a_stamp_go_back_or_run_away(
    steps: list[tuple[int, int, bool]], last_ns: int
) -> None:
    clocks = Clocks(10**14)
    clock = stored(clocks, last_ns)
    last = last_ns
    for step, passed, confirmed in steps:
        clocks.run(passed)
        clocks.wall_ns += step
        if confirmed:
            clock.confirm()
        stamp = clock.stamp()
        assert stamp >= last
        # Only what was read from the wall clock, or one step on from the last, is ever given.
        assert stamp in (last, last + 1, clocks.wall_ns)
        last = stamp
