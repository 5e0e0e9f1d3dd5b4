"""``AuditLog``: pages become one iteration, bytes stay bytes, failures become our errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

import tradetrail
from tests.unit.fake_service import TOKEN, URL, FakeService, FakeTiming, problem, served
from tradetrail.client.audit_log import AuditLog
from tradetrail.client.http import is_local
from tradetrail.client.served import ServedRecord
from tradetrail.errors import (
    Backpressure,
    Conflict,
    Corrupt,
    Forbidden,
    Gone,
    Internal,
    Invalid,
    NotFound,
    StorageFull,
    TradeTrailError,
    Unauthenticated,
    Unavailable,
)

EXACT = (
    b'{"specversion":"1.0" ,"id":"e1","source":"s","type":"t","authid":"jane",'
    b'"data":{"Price":1.10000000000000000001e5,"OrderQty":18446744073709551617,'
    b'"ClOrdID":"C\\u00e91","deep":{"a":1},"none":null}}'
)


def text(number: int, user: str = "jane") -> bytes:
    return (
        f'{{"specversion":"1.0","id":"e{number}","source":"s","type":"t","authid":"{user}",'
        f'"data":{{"ClOrdID":"C{number}"}}}}'
    ).encode()


@pytest.fixture
def service() -> FakeService:
    return FakeService(page_records_max=7)


@pytest.fixture
def timing() -> FakeTiming:
    return FakeTiming()


@pytest.fixture
def log(service: FakeService, timing: FakeTiming) -> Iterator[AuditLog]:
    with AuditLog(URL, TOKEN, transport=service.transport, timing=timing.timing) as opened:
        yield opened


def test_the_package_offers_it() -> None:
    assert tradetrail.AuditLog is AuditLog
    assert "AuditLog" in tradetrail.__all__
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tradetrail.Nothing


@pytest.mark.parametrize("limit", [None, 0, 1, 7, 8, 24, 25, 99])
def test_pages_become_one_iteration_up_to_the_limit(
    log: AuditLog, service: FakeService, limit: int | None
) -> None:
    log.send(text(number) for number in range(25))
    numbers = [record.userseq for record in log.history("jane", limit=limit)]
    assert numbers == list(range(1, 26))[:limit]


def test_served_bytes_and_digits_are_kept(log: AuditLog, service: FakeService) -> None:
    log.send([EXACT])
    (record,) = log.history("jane")
    assert record.raw == service.records[0]
    assert record.event_text() == EXACT
    assert record.fields() == {
        "Price": "1.10000000000000000001e5",
        "OrderQty": "18446744073709551617",
        "ClOrdID": "Cé1",
    }
    assert (record.time, record.subject, record.user) == (None, None, "jane")


def test_every_filter_travels_under_the_name_of_the_contract(
    log: AuditLog, service: FakeService
) -> None:
    list(
        log.history(
            "a/b?%ß=&",
            from_="2026-03-02T09:00:00.123456789Z",
            to=datetime(2026, 3, 3, tzinfo=UTC),
            type=["tradetrail.order.*", "x"],
            order="desc",
            after=17,
            fields={"Symbol": "EUR/USD"},
            chain="C 1",
            limit=5,
        )
    )
    assert service.requests[0].url.params.multi_items() == [
        ("user", "a/b?%ß=&"),
        ("order", "desc"),
        ("from", "2026-03-02T09:00:00.123456789Z"),
        ("to", "2026-03-03T00:00:00+00:00"),
        ("type", "tradetrail.order.*"),
        ("type", "x"),
        ("Symbol", "EUR/USD"),
        ("after", "17"),
        ("chain", "C 1"),
        ("limit", "5"),
    ]


def test_what_cannot_be_asked_is_refused_before_it_is_sent(
    log: AuditLog, service: FakeService
) -> None:
    with pytest.raises(Invalid, match="must know its zone"):
        log.history("jane", from_=datetime(2026, 3, 2))
    with pytest.raises(Invalid, match="Price cannot be looked up"):
        log.history("jane", fields={"Price": "1"})
    with pytest.raises(Invalid, match="not valid Unicode"):
        next(log.history("\udcff"))
    with pytest.raises(Invalid, match="a place"):
        log.record("../x", 0)
    assert service.requests == []


def test_lookup_says_how_far_the_index_has_come(log: AuditLog, service: FakeService) -> None:
    log.send([text(1), text(2, "joe")])
    found = log.lookup("ClOrdID", "C2")
    assert [record.user for record in found] == ["joe"]
    assert found.indexed_to == b'{"00":"41"}'


def test_users_and_single_records(log: AuditLog) -> None:
    log.send([text(1), text(2), text(3, "joe")])
    assert [(user.user, user.count) for user in log.users()] == [("jane", 2), ("joe", 1)]
    assert [user.user for user in log.users("jo")] == ["joe"]
    assert log.record("00", 2).user == "joe"
    with pytest.raises(NotFound):
        log.record("00", 99)


def test_a_page_that_leads_nowhere_is_an_error_not_a_short_answer(
    log: AuditLog, service: FakeService
) -> None:
    service.failures.append(httpx2.Response(200, json={"items": [], "complete": False}))
    with pytest.raises(Internal, match="not where"):
        list(log.history("jane"))
    for body in (
        b"<html>",
        b'{"items":1}',
        b'{"items":[{"userseq":"x"}],"complete":true}',
        b"\xff",
    ):
        service.failures.append(httpx2.Response(200, content=body))
        with pytest.raises(Internal):
            list(log.history("jane"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (413, Invalid),
        (415, Invalid),
        (422, Invalid),
        (429, Backpressure),
        (500, Internal),
        (503, Backpressure),
        (504, Unavailable),
        (507, StorageFull),
    ],
)
def test_problems_become_the_tree(
    log: AuditLog, service: FakeService, status: int, kind: type[TradeTrailError]
) -> None:
    service.failures += [problem(status, "some_code", "some words", **{"Retry-After": "3"})] * 4
    with pytest.raises(kind) as caught:
        list(log.history("jane"))
    assert type(caught.value) is kind
    assert caught.value.code == "some_code"
    assert caught.value.detail == "some words"
    assert caught.value.status == status
    assert caught.value.retry_after_s == 3


def test_a_passing_failure_of_a_page_is_asked_again(
    log: AuditLog, service: FakeService, timing: FakeTiming
) -> None:
    log.send([text(1)])
    service.failures += [
        problem(503, "moving", **{"Retry-After": "1"}),
        httpx2.Response(500, text="gone"),
        httpx2.ReadError("cut"),
    ]
    assert len(list(log.history("jane"))) == 1
    assert timing.sleeps == [1.1, 0.2, 0.4]


def test_a_long_pause_and_an_absent_service_are_told_at_once(
    log: AuditLog, service: FakeService, timing: FakeTiming
) -> None:
    service.failures.append(problem(503, "starting", **{"Retry-After": "60"}))
    with pytest.raises(Backpressure):
        list(log.history("jane"))
    service.failures.append(httpx2.ConnectError("refused"))
    with pytest.raises(Unavailable, match="no service answers there"):
        list(log.history("jane"))
    assert timing.sleeps == []


def test_the_answer_of_something_on_the_way_means_unavailable(
    log: AuditLog, service: FakeService
) -> None:
    service.failures += [httpx2.Response(500, text="<h1>bad</h1>")] * 4
    with pytest.raises(Unavailable) as caught:
        list(log.history("jane"))
    assert caught.value.code == "http_500"
    assert "<h1>" not in caught.value.detail


def test_a_report_is_made_watched_and_fetched(
    log: AuditLog, service: FakeService, tmp_path: Path
) -> None:
    service.report_states += [
        {"status": "running", "progress": {"done": 1, "total": 2}},
        {"status": "succeeded", "progress": {"done": "2", "total": "2"}},
    ]
    seen: list[Any] = []
    path = tmp_path / "out.csv"
    made = log.report(
        ["jane", "joe"],
        "csv",
        path,
        from_="2026-03-02T00:00:00Z",
        title="T",
        on_progress=lambda report: seen.append((report.status, report.progress)),
    )
    assert service.report_request == {
        "users": ["jane", "joe"],
        "format": "csv",
        "timezone": "UTC",
        "from": "2026-03-02T00:00:00Z",
        "title": "T",
    }
    assert path.read_bytes() == service.report_bytes
    assert made.size_bytes == len(service.report_bytes)
    assert made.sha256 == hashlib.sha256(service.report_bytes).hexdigest()
    assert [status for status, _ in seen] == ["queued", "running", "succeeded"]
    assert seen[2][1].done == 2
    assert list(tmp_path.iterdir()) == [path]


def test_an_unclear_answer_to_a_report_is_asked_again_with_the_same_key(
    log: AuditLog, service: FakeService, tmp_path: Path
) -> None:
    service.failures.append(httpx2.ReadTimeout("slow"))
    log.report("jane", "csv", tmp_path / "out.csv")
    keys = {
        request.headers["idempotency-key"]
        for request in service.requests
        if request.method == "POST"
    }
    assert len(keys) == 1
    assert service.paths("POST") == ["/v1/reports"] * 2


def test_a_file_with_the_wrong_digest_never_gets_its_name(
    log: AuditLog, service: FakeService, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    path.write_bytes(b"earlier")
    service.report_digest = "sha-512=:AAAA:, sha-256=:AAAA:"
    with pytest.raises(Corrupt, match="another SHA-256"):
        log.report("jane", "csv", path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ({"status": "failed", "error": {"code": "x", "detail": "no font"}}, Internal, "no font"),
        ({"status": "failed"}, Internal, "no reason"),
        ({"status": "cancelled"}, Gone, "cancelled"),
        ({"status": "expired"}, Gone, "expired"),
    ],
)
def test_a_report_that_is_not_made_says_why(
    log: AuditLog,
    service: FakeService,
    tmp_path: Path,
    state: dict[str, Any],
    kind: type[TradeTrailError],
    words: str,
) -> None:
    service.report_states.append(state)
    with pytest.raises(kind, match=words):
        log.report("jane", "pdf", tmp_path / "out.pdf")
    assert list(tmp_path.iterdir()) == []


def test_the_services_name_for_a_file_cannot_leave_the_folder_or_replace_a_file(
    log: AuditLog, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, expected in [
        ("../../evil.csv", "evil.csv"),
        ("..\\evil2.csv", "evil2.csv"),
        (".bashrc", "report-r1.csv"),
        (None, "report-r1.csv"),
    ]:
        (tmp_path / "report-r1.csv").unlink(missing_ok=True)
        service.report_states.append({"status": "succeeded", "filename": name})
        assert log.report("jane", "csv").path == Path(expected)
    service.report_states.append({"status": "succeeded", "filename": "evil.csv"})
    with pytest.raises(Invalid, match="is there already"):
        log.report("jane", "csv")


def test_a_folder_that_is_not_there_is_named(log: AuditLog, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        log.report("jane", "csv", tmp_path / "no" / "out.csv")


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("ray://head:10001", "t", "http://"),
        ("localhost:8000", "t", "http://"),
        ("", "t", "http://"),
        ("http://", "t", "http://"),
        (URL, "t\n", "copied in whole"),
        (URL, "tö", "copied in whole"),
    ],
)
def test_addresses_and_tokens_that_cannot_be_right_are_refused(
    url: str, token: str, words: str
) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        AuditLog(url, token)
    assert "tö" not in str(caught.value)


def test_only_this_machine_is_local() -> None:
    local = ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:1", "http://127.8.9.1"]
    assert all(is_local(url) for url in local)
    distant = ["http://audit.example", "http://10.0.0.1", "http://127.0.0.1.example", "x"]
    assert not any(is_local(url) for url in distant)


def test_a_record_keeps_attributes_that_are_not_strings_out_of_the_way() -> None:
    odd = text(1).replace(b'"data"', b'"subject":"s","onbehalfof":12,"initiator":true,"data"')
    record = ServedRecord.parse(served(odd, 1))
    assert (record.subject, record.onbehalfof, record.initiator) == ("s", "12", None)
    nothing = ServedRecord.parse(served(text(1).replace(b'{"ClOrdID":"C1"}', b"[1]"), 1))
    assert nothing.fields() == {}
