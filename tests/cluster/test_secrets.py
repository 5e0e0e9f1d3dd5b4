"""A password in a trading log shows nowhere: in no answer, no document, no log, no file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.calls import walk
from tests.cluster.conftest import Service, processes
from tests.cluster.test_reports import ask, content, finished

PASSWORD = "Trillian-42-Betelgeuse"
USER = "vogon"

pytestmark = pytest.mark.parametrize("service", ["haproxy"], indirect=True)


def fix_message(*fields: str) -> str:
    body = "".join(f"{field}\x01" for field in fields)
    head = f"8=FIX.4.4\x019={len(body)}\x01"
    total = sum((head + body).encode()) % 256
    return f"{head}{body}10={total:03d}\x01"


def log_with_passwords(folder: Path) -> Path:
    logon = ("35=A", f"49={USER}", "56=FIRM", "34=1", "52=20260102-09:00:00.000", "98=0", "108=30")
    order = ("35=D", f"49={USER}", "56=FIRM", "34=2", "52=20260102-09:00:01.000", "11=P1", "55=X")
    change = ("35=BE", f"49={USER}", "56=FIRM", "34=3", "52=20260102-09:00:02.000", "923=1")
    lines = (
        fix_message(*logon, "553=joe", f"554={PASSWORD}", f"925={PASSWORD}-new"),
        fix_message(*order, "54=1", "38=10", f"554={PASSWORD}"),
        fix_message(*change, "924=3", f"554={PASSWORD}", f"925={PASSWORD}", f"1402={PASSWORD}"),
    )
    log = folder / "secret.log"
    log.write_text("\n".join(f"2026-01-02 09:00:00 {line}" for line in lines))
    return log


def test_a_password_shows_nowhere(service: Service, tmp_path: Path) -> None:
    done = service.command("import", "fix", str(log_with_passwords(tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    items = walk(service, USER, 100)
    assert len(items) == 3
    assert all(item["data"]["redacted"] for item in items)
    answers = [service.request("GET", "/v1/history", params={"user": USER}).content]
    for accept in ("application/x-ndjson", "text/csv"):
        headers = {"Accept": accept}
        answers.append(
            service.request("GET", "/v1/history", params={"user": USER}, headers=headers).content
        )
    for form in ("pdf", "csv"):
        made = ask(service, user=USER, format=form)
        assert finished(service, made["id"])["status"] == "succeeded"
        answers.append(content(service, made["id"]))
    for answer in answers:
        assert PASSWORD.encode() not in answer
    assert [path for path in files(service) if PASSWORD.encode() in path.read_bytes()] == []


def files(service: Service) -> Iterator[Path]:
    """Every file of the data folder, and what the running service wrote elsewhere."""
    folders = [service.data, service.data.with_name(service.data.name + ".keys")]
    for pid in processes(service):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        folders += [
            Path(entry.split(b"=", 1)[1].decode())
            for entry in variables
            if entry.startswith(b"TRADETRAIL_RUN_FOLDER=")
        ]
    assert len(set(folders)) == 3
    for folder in set(folders):
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path
