"""The reports' desk: states, restarts, lost workers, rights, expiry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.reports import MadeReport, ReportDesk, ReportJob
from storage.control_store import ControlStore
from tradetrail.errors import Conflict, Gone, Invalid, NotFound, Unavailable
from tradetrail.report import ReportRequest, ReportStatus, parse_request
from tradetrail.tokens import SCOPES, Principal

ANN = Principal("ann", ("audit:export",), 0, "key-of-ann")
#: Another key of the same name.
BEN = Principal("ann", ("audit:export",), 0, "key-of-ben")
ADMIN = Principal("root", SCOPES, 0, "key-of-root")
REQUEST = ReportRequest(format="csv", user="u")
NS = 1_000_000_000


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


class House:
    """A desk over a real store; who makes reports is a script."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_ns = 1_000 * NS
        self.script: list[Callable[[ReportJob], MadeReport]] = []
        self.jobs: list[ReportJob] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.store = ControlStore(root / "control", bytes(32))

    def desk(self) -> ReportDesk:
        return ReportDesk(
            self.store,
            self.root,
            lambda label: label.encode(),
            self.make,
            clock=lambda: self.now_ns,
            kept_s=100,
            service_name="test",
            shards=2,
        )

    async def make(self, job: ReportJob) -> MadeReport:
        self.jobs.append(job)
        await self.hold.wait()
        if self.script:
            return self.script.pop(0)(job)
        (self.root / "objects" / "reports" / job.id).write_bytes(b"sealed")
        return MadeReport(7, 70, "ab" * 32)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.store.close()


async def until(desk: ReportDesk, report_id: str, *wanted: ReportStatus) -> Any:
    while (row := desk.get(ADMIN, report_id)).status not in wanted:
        await asyncio.sleep(0.005)
    return row


def lost(_: ReportJob) -> MadeReport:
    raise RuntimeError("the worker died")


def away(_: ReportJob) -> MadeReport:
    raise Unavailable("actor_away", "restarting")


def refused(_: ReportJob) -> MadeReport:
    raise Invalid("too_large", "It cannot be.")


def test_a_report_is_made_and_belongs_to_its_requester_and_to_admins(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        task = asyncio.create_task(desk.run())
        made = desk.create(ANN, REQUEST, "")
        assert made.status is ReportStatus.QUEUED
        row = await until(desk, made.id, ReportStatus.SUCCEEDED)
        assert (row.done, row.total, row.size_bytes, row.sha256) == (7, 7, 70, "ab" * 32)
        assert row.expires_ns == house.now_ns + 100 * NS
        assert row.filename == f"tradetrail-u-{made.id[:8]}.csv"
        assert desk.file(ANN, made.id).path.read_bytes() == b"sealed"
        assert desk.get(ADMIN, made.id) == row
        assert desk.list(BEN) == []
        with pytest.raises(NotFound):
            desk.get(BEN, made.id)
        with pytest.raises(NotFound):
            desk.file(BEN, made.id)
        task.cancel()

    run(work())


def test_a_lost_worker_is_replaced_and_the_third_loss_is_a_failure(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        task = asyncio.create_task(desk.run())
        house.script = [lost, away]
        made = desk.create(ANN, REQUEST, "")
        row = await until(desk, made.id, ReportStatus.SUCCEEDED)
        assert row.attempts == 3
        house.script = [lost, lost, lost]
        made = desk.create(ANN, REQUEST, "")
        row = await until(desk, made.id, ReportStatus.FAILED)
        assert (row.attempts, row.error_code) == (3, "report_failed")
        with pytest.raises(Conflict):
            desk.file(ANN, made.id)
        task.cancel()

    run(work())


def test_what_cannot_be_made_fails_at_once_with_its_reason(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        task = asyncio.create_task(desk.run())
        house.script = [refused]
        made = desk.create(ANN, REQUEST, "")
        row = await until(desk, made.id, ReportStatus.FAILED)
        assert (row.attempts, row.error_code, row.error_detail) == (1, "too_large", "It cannot be.")
        task.cancel()

    run(work())


def test_two_are_made_at_a_time_and_the_oldest_first(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        house.hold.clear()
        made = []
        for _ in range(5):
            house.now_ns += 1
            made.append(desk.create(ANN, REQUEST, "").id)
        task = asyncio.create_task(desk.run())
        while len(house.jobs) < 2:
            await asyncio.sleep(0.005)
        assert [job.id for job in house.jobs] == made[:2]
        assert desk.counts() == {
            "queued": 3,
            "running": 2,
            "succeeded": 0,
            "failed": 0,
            "cancelled": 0,
            "expired": 0,
        }
        house.hold.set()
        for report_id in made:
            await until(desk, report_id, ReportStatus.SUCCEEDED)
        assert sorted(job.id for job in house.jobs) == sorted(made)
        task.cancel()

    run(work())


def test_after_a_restart_everything_unfinished_is_made(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        house.hold.clear()
        made = [desk.create(ANN, REQUEST, "").id for _ in range(4)]
        task = asyncio.create_task(desk.run())
        await until(desk, made[0], ReportStatus.RUNNING)
        part = house.root / "objects" / "reports" / f".{made[0]}.00.part"
        part.write_bytes(b"half")
        task.cancel()
        # The owner died here: its unfinished work is nobody's.
        house.hold = asyncio.Event()
        house.hold.set()
        desk = house.desk()
        task = asyncio.create_task(desk.run())
        for report_id in made:
            await until(desk, report_id, ReportStatus.SUCCEEDED)
        assert not part.exists()
        task.cancel()

    run(work())


def test_a_cancelled_report_stops_its_task_and_leaves_no_file(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        house.hold.clear()
        task = asyncio.create_task(desk.run())
        made = desk.create(ANN, REQUEST, "")
        await until(desk, made.id, ReportStatus.RUNNING)
        assert desk.progress(made.id, 3, 9)
        assert (desk.get(ANN, made.id).done, desk.get(ANN, made.id).total) == (3, 9)
        with pytest.raises(NotFound):
            await desk.remove(BEN, made.id)
        row = await desk.remove(ANN, made.id)
        assert row is not None
        assert row.status is ReportStatus.CANCELLED
        assert not desk.progress(made.id, 4, 9)
        house.hold.set()
        other = desk.create(ANN, REQUEST, "")
        await until(desk, other.id, ReportStatus.SUCCEEDED)
        while (house.root / "objects" / "reports" / made.id).exists():
            await asyncio.sleep(0.005)
        assert desk.get(ANN, made.id).status is ReportStatus.CANCELLED
        assert await desk.remove(ANN, made.id) is None
        with pytest.raises(NotFound):
            desk.get(ANN, made.id)
        task.cancel()

    run(work())


def test_a_report_expires_with_its_file_and_is_forgotten_later(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        task = asyncio.create_task(desk.run())
        made = desk.create(ANN, REQUEST, "")
        await until(desk, made.id, ReportStatus.SUCCEEDED)
        house.now_ns += 101 * NS
        other = desk.create(ANN, REQUEST, "")
        await until(desk, made.id, ReportStatus.EXPIRED)
        assert not (house.root / "objects" / "reports" / made.id).exists()
        with pytest.raises(Gone):
            desk.file(ANN, made.id)
        house.now_ns += 101 * NS
        desk.create(ANN, REQUEST, "")
        await until(desk, other.id, ReportStatus.EXPIRED)
        assert made.id not in [row.id for row in desk.list(ANN)]
        assert made.id not in [row.id for row in house.store.reports()]
        task.cancel()

    run(work())


def test_an_idempotency_key_is_one_callers_and_one_requests(house: House) -> None:
    async def work() -> None:
        desk = house.desk()
        first = desk.create(ANN, REQUEST, "k")
        assert desk.create(ANN, REQUEST, "k").id == first.id
        assert desk.create(BEN, REQUEST, "k").id != first.id
        with pytest.raises(Conflict):
            desk.create(ANN, ReportRequest(format="pdf", user="u"), "k")
        assert house.desk().create(ANN, REQUEST, "k").id == first.id

    run(work())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"format":"csv"}', "#/user"),
        (b'{"format":"csv","user":"a","scope":"all"}', "#/user"),
        (b'{"format":"csv","scope":"some"}', "#/scope"),
        (b'{"format":"csv","users":["a",""]}', "#/users"),
        (b'{"format":"doc","user":"a"}', "#/format"),
        (b'{"format":"pdf","scope":"all"}', "#/format"),
        (b'{"format":"csv","user":"a","to":"soon"}', "#/to"),
        (b'{"format":"csv","user":"a","timezone":"../etc/passwd"}', "#/timezone"),
        (b'{"format":"csv","user":"a","title":"%b"}' % (b"x" * 300), "#/title"),
        (b'{"format":"csv","user":"a","nonsense":1}', ""),
        (b'{"format":1}', ""),
        (b"[" * 100_000, ""),
        (b"\xff", ""),
    ],
)
def test_a_wrong_request_is_refused_where_it_is_wrong(body: bytes, pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_request(body)
    assert refusal.value.pointer == pointer
