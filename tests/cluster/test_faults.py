"""Processes that are killed, clients that vanish, a disk that fills, and a neighbour on the same machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cluster.calls import make_event, post, send, walk
from tests.cluster.conftest import Service, free_port, kill, processes, start, stop
from tests.cluster.test_fix_import import FIX_LOG
from tests.cluster.test_reports import ask, finished
from tests.cluster.test_secrets import fix_message

MIB = 1024 * 1024


def wait_for(condition: Callable[[], object], what: str, within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not happen within {within_s} s"
        time.sleep(0.02)  # between two looks at a condition that another process changes


def log_to_import(folder: Path) -> Path:
    """The recorded log, four times with other users and order ids; made-up orders where it is not there."""
    text = FIX_LOG.read_bytes() if FIX_LOG.exists() else made_up_log()
    log = folder / "orders.log"
    parts = [
        text.replace(b"BON", b"KI%d" % number).replace(b"ORTT1", b"ORTT%d" % number)
        for number in range(5, 9)
    ]
    log.write_bytes(b"\n".join(parts))
    return log


def made_up_log() -> bytes:
    """Two thousand orders of one user."""
    return b"\n".join(
        fix_message(
            "35=D",
            "49=BON",
            "50=BONT",
            "56=KOD",
            f"34={number}",
            f"52=20260102-09:{number // 60:02d}:{number % 60:02d}.000",
            f"11=ORTT1_{number}",
            "55=DEMO",
            "54=1",
            "38=10",
        ).encode()
        for number in range(1, 2_001)
    )


def everything(service: Service) -> dict[str, list[str]]:
    """Identities of every record, by user; each user's numbers must be dense."""
    found = {}
    for user in service.request("GET", "/v1/users", params={"limit": 1_000}).json()["items"]:
        items = walk(service, user["user"], 1_000)
        assert [int(item["userseq"]) for item in items] == list(range(1, len(items) + 1))
        found[user["user"]] = [item["id"] for item in items]
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, service: Service) -> dict[str, list[str]]:
    """What the log leaves where nothing goes wrong: sorted identities by user."""
    log = log_to_import(tmp_path_factory.mktemp("plain"))
    done = service.command("import", "fix", str(log))
    assert done.returncode == 0, done.stdout + done.stderr
    found = everything(service)
    return {user: sorted(ids) for user, ids in found.items() if user.startswith("KI")}


@pytest.mark.parametrize("service", ["haproxy"], indirect=True)
@pytest.mark.parametrize("victim", ["shard", "service"])
def test_an_import_completes_through_a_kill_and_stores_each_event_once(
    service: Service, undisturbed: dict[str, list[str]], victim: str, tmp_path: Path
) -> None:
    data, port = tmp_path / "data", free_port()
    hurt = start(data, "haproxy", port)
    try:
        importing = hurt.begin("import", "fix", str(log_to_import(tmp_path)))
        wait_for(lambda: _size(hurt) > 200, "the first batch")
        asked = [ask(hurt, scope="all", format="csv")["id"] for _ in range(4)]
        if victim == "shard":
            killed = [
                pid for pid, name in processes(hurt).items() if name.startswith("ray::ShardActor")
            ]
            assert len(killed) == 2
            before = len(walk(hurt, "KI5T", 1_000))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            _never_less_than(hurt, "KI5T", before)
        else:
            kill(hurt)
            hurt = start(data, "haproxy", port)
        output, _ = importing.communicate(timeout=120)
        assert importing.returncode == 0, output
        found = everything(hurt)
        assert {user: sorted(found[user]) for user in undisturbed} == undisturbed
        # Reports that were asked for before are made all the same.
        assert [finished(hurt, report_id)["status"] for report_id in asked] == ["succeeded"] * 4
    finally:
        stop(hurt)


def _never_less_than(service: Service, user: str, count: int) -> None:
    """While its shard comes back, a history is refused for now or whole, never short or empty."""
    statuses: list[int] = []
    while statuses[-3:] != [200] * 3 or 503 not in statuses:
        answer = service.request("GET", "/v1/history", params={"user": user, "limit": 1_000})
        statuses.append(answer.status_code)
        if answer.status_code == 200:
            assert len(answer.json()["items"]) >= min(count, 1_000)
        else:
            assert (answer.status_code, answer.json()["retry"]) == (503, True)
        assert len(statuses) < 10_000


def _size(service: Service) -> int:
    """Log entries of all shards; 0 while one does not answer."""
    answer = service.request("GET", "/readyz")
    shards = answer.json()["shards"]
    return sum(int(shard.get("size", 0)) for shard in shards) - len(shards)


@pytest.mark.parametrize("service", ["haproxy"], indirect=True)
def test_a_thousand_clients_that_vanish_leave_nothing_behind(service: Service) -> None:
    _vanish(service, 300)
    wait_for(lambda: _active(service) == 0, "an idle ingest", 10)
    before = _resident(service)
    _vanish(service, 1_000)
    wait_for(lambda: _active(service) == 0, "an idle ingest", 10)
    grown = {
        name: size - before.get((pid, name), size)
        for (pid, name), size in _resident(service).items()
    }
    assert {name: size for name, size in grown.items() if size > 20 * MIB} == {}
    answer = post(service, json.dumps([make_event("after-the-crowd", 1)]).encode())
    assert answer.json()["stored"] == 1


def _vanish(service: Service, count: int) -> None:
    """Clients that go away in their headers, in their body, and before the answer."""
    place = urlsplit(service.url)
    assert place.hostname is not None
    for number in range(count):
        body = json.dumps([make_event("vanishing", number)]).encode()
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: {place.netloc}\r\n"
            f"Authorization: Bearer {service.token}\r\n"
            "Content-Type: application/cloudevents-batch+json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        request = head + body
        sent = request[: (len(head) // 2, len(head) + len(body) // 2, len(request))[number % 3]]
        with socket.create_connection((place.hostname, place.port), 10) as connection:
            connection.sendall(sent)


def _active(service: Service) -> float:
    """Requests that ingest works on, by its own count."""
    text = service.request("GET", "/metrics").text
    line = next(
        line
        for line in text.splitlines()
        if line.startswith('http_server_active_requests{app="ingest"}')
    )
    return float(line.split()[-1])


def _resident(service: Service) -> dict[tuple[int, str], int]:
    found = {}
    for pid, name in processes(service).items():
        if name.startswith("ray::") or "haproxy" in name:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found[pid, name] = pages * os.sysconf("SC_PAGE_SIZE")
    return found


@pytest.mark.parametrize("service", ["haproxy"], indirect=True)
def test_a_second_service_with_a_full_disk_refuses_writes_reads_on_and_disturbs_nobody(
    service: Service, tmp_path: Path
) -> None:
    second = start(tmp_path / "data", "haproxy", TRADETRAIL_DISK_LOW_WATER_BYTES=str(2**61))
    try:
        send(service, [make_event("side", 1)])
        answer = post(second, json.dumps([make_event("side", 2)]).encode())
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_nearly_full")
        assert answer.json()["retry"] is True
        assert int(answer.headers["retry-after"]) > 0
        assert walk(second, "side", 10) == []
        assert second.request("GET", "/readyz?strict=1").status_code == 200
    finally:
        stop(second)
    assert service.request("GET", "/readyz?strict=1").status_code == 200
    send(service, [make_event("side", 2)])
    assert [item["id"] for item in walk(service, "side", 10)] == ["1", "2"]


@pytest.mark.parametrize("service", ["haproxy"], indirect=True)
def test_a_stream_whose_worker_is_killed_ends_visibly(service: Service) -> None:
    note = "x" * 2_000
    send(service, [make_event("cut", number, note=note) for number in range(16_000)])
    received: list[int] = []
    with pytest.raises(httpx2.TransportError):
        _read_and_kill(service, "cut", received)
    assert sum(received) > 0
    # The next reader is served as if nothing had been.
    answer = service.request(
        "GET", "/v1/history", params={"user": "cut"}, headers={"Accept": "application/x-ndjson"}
    )
    assert answer.content.count(b"\n") == 16_000


def _read_and_kill(service: Service, user: str, received: list[int]) -> None:
    """Read a stream whose worker is killed after the first piece."""
    headers = {
        "Authorization": f"Bearer {service.token}",
        "Accept": "application/x-ndjson",
        "Accept-Encoding": "identity",
    }
    url = f"{service.url}/v1/history?user={user}"
    with httpx2.stream("GET", url, headers=headers, timeout=30) as answer:
        for piece in answer.iter_bytes():
            if not received:
                found = processes(service).items()
                (worker,) = [pid for pid, name in found if name.startswith("ray::stream_history")]
                os.kill(worker, signal.SIGKILL)
            received.append(len(piece))


@pytest.mark.parametrize("service", ["haproxy"], indirect=True)
def test_readers_that_leave_in_the_middle_free_their_place(service: Service) -> None:
    send(service, [make_event("left", number, note="y" * 2_000) for number in range(4_000)])
    headers = {"Authorization": f"Bearer {service.token}", "Accept": "text/csv"}
    for _ in range(8):
        with httpx2.stream(
            "GET", f"{service.url}/v1/history?user=left", headers=headers, timeout=30
        ) as answer:
            assert answer.status_code == 200
            next(answer.iter_bytes())
    wait_for(
        lambda: not any("stream_history" in name for name in processes(service).values()),
        "the end of the readers' tasks",
        20,
    )
