"""``import fix``: everything of a log is accounted for, and a second run stores nothing twice."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fake_service import TOKEN, FakeService, listening, problem
from tradetrail.cli.main import main

_REAL_LOG = Path(__file__).parents[3] / "shared" / "data" / "fix" / "fix42-orders.log"


def message(kind: str, number: int, *fields: str, checksum: str = "") -> bytes:
    """A FIX message with the right length and, unless another is given, the right checksum."""
    sent = f"52=20260302-09:30:{number % 60:02d}.000"
    body = "".join(
        f"{part}\x01"
        for part in (f"35={kind}", f"34={number}", "49=CLIENT", "56=FIRM", sent, *fields)
    )
    text = f"8=FIX.4.4\x019={len(body)}\x01{body}"
    return f"{text}10={checksum or f'{sum(text.encode()) % 256:03d}'}\x01".encode()


def order(number: int, *fields: str, checksum: str = "") -> bytes:
    parts = ("50=jane", f"11=C{number}", "55=DEMO", "54=1", "38=100", "40=1", *fields)
    return message("D", number, *parts, checksum=checksum)


LOGON = message("A", 1, "98=0", "108=30")
HEARTBEAT = message("0", 2)
LOG = b"\n".join([LOGON, HEARTBEAT, b"no message here", order(3), order(4), b""])


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def folder(service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fix.log").write_bytes(LOG)
    with listening(service) as address:
        monkeypatch.setenv("TRADETRAIL_URL", address)
        monkeypatch.setenv("TRADETRAIL_TOKEN", TOKEN)
        yield tmp_path


def counts(text: str) -> dict[str, str]:
    """The first word behind each name."""
    return {line.split()[0]: line.split()[1] for line in text.splitlines()}


@pytest.mark.usefixtures("folder")
def test_every_message_is_accounted_for_and_a_second_run_stores_nothing(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "fix", "fix.log"]) == 0
    shown = capfd.readouterr().out
    first = counts(shown)
    assert first == {
        "read": "4",
        "sent": "3",
        "stored": "3",
        "duplicate": "0",
        "refused": "0",
        "skipped": "1",
        "junk": "1",
    }
    assert "heartbeat" in shown
    assert main(["import", "fix", "fix.log", "--batch", "1"]) == 0
    second = counts(capfd.readouterr().out)
    assert second == {**first, "stored": "0", "duplicate": "3"}
    assert [json.loads(text)["authid"] for text in service.texts] == ["CLIENT", "jane", "jane"]


def test_a_resend_of_what_is_there_counts_as_a_duplicate(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    resend = order(3, "43=Y", "122=20260302-09:30:03.000")
    (folder / "fix.log").write_bytes(LOGON + order(3) + resend)
    assert main(["import", "fix", "fix.log"]) == 0
    found = counts(capfd.readouterr().out)
    assert (found["stored"], found["duplicate"], found["refused"]) == ("2", "1", "0")


def test_strict_refuses_what_is_marked_otherwise(
    folder: Path, service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "fix.log").write_bytes(LOGON + order(3) + order(4, checksum="999"))
    assert main(["import", "fix", "fix.log", "--strict"]) == 3
    captured = capfd.readouterr()
    assert counts(captured.out)["refused"] == "1"
    assert counts(captured.out)["stored"] == "2"
    assert captured.err.startswith("line 1 refused: ")
    assert main(["import", "fix", "fix.log"]) == 0
    found = counts(capfd.readouterr().out)
    assert (found["stored"], found["duplicate"], found["problems"]) == ("1", "2", "1")
    assert "fixproblem" in json.loads(service.texts[-1])


@pytest.mark.usefixtures("folder")
def test_refusals_of_the_service_are_named_by_line_and_end_with_code_3(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "fix", "fix.log"]) == 0
    refused_id = json.loads(service.texts[1])["id"]
    service.refusals[refused_id] = {"code": "event_too_large", "detail": "no", "retry": False}
    capfd.readouterr()
    assert main(["import", "fix", "fix.log"]) == 3
    captured = capfd.readouterr()
    assert captured.err == "line 4 refused: event_too_large: no\n"
    assert counts(captured.out)["refused"] == "1"


def test_a_flood_of_refusals_is_counted_and_not_printed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = b"".join(order(number, checksum="999") for number in range(3, 103))
    (folder / "fix.log").write_bytes(LOGON + bad)
    assert main(["import", "fix", "fix.log", "--strict"]) == 3
    captured = capfd.readouterr()
    assert len(captured.err.splitlines()) == 21
    assert counts(captured.out)["refused"] == "100"


@pytest.mark.usefixtures("folder")
def test_the_log_can_come_through_a_pipe_and_the_user_from_other_tags(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LOG)))
    assert main(["import", "fix", "-", "--user-tags", "49", "--client", "CLIENT"]) == 0
    assert {json.loads(text)["authid"] for text in service.texts} == {"CLIENT"}


@pytest.mark.usefixtures("folder")
def test_a_busy_service_is_waited_for(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    service.post_failures += [problem(503, "full", "too many events wait")] * 2
    assert main(["import", "fix", "fix.log"]) == 0
    assert capfd.readouterr().err.count("too many events wait; sending again in") == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.log"], 1, "nowhere.log: No such file"),
        (["."], 1, "Is a directory"),
        (["fix.log", "--user-tags", "x"], 2, "numbers with commas"),
        (["fix.log", "--batch", "0"], 2, "batch"),
    ],
)
def test_wrong_input_is_a_clear_failure(
    service: FakeService,
    arguments: list[str],
    code: int,
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["import", "fix", *arguments]) == code
    assert words in capfd.readouterr().err
    assert service.texts == []


@pytest.mark.usefixtures("folder")
@pytest.mark.skipif(not _REAL_LOG.exists(), reason="the real FIX logs are not here")
def test_the_real_log_gives_the_known_counts(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "fix", str(_REAL_LOG)]) == 0
    found = counts(capfd.readouterr().out)
    assert (found["read"], found["stored"], found["refused"]) == ("2,486", "2,410", "0")
    users = Counter(json.loads(text)["authid"] for text in service.texts)
    assert users["BONT"] == 2_408
    assert main(["import", "fix", str(_REAL_LOG)]) == 0
    again = counts(capfd.readouterr().out)
    assert (again["stored"], again["duplicate"]) == ("0", "2,410")
