"""Reports from the request to the file, by the command line and by hand."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from tests.cluster.calls import make_event, send, walk
from tests.cluster.conftest import Service
from tradetrail.columns import COLUMNS

pytestmark = pytest.mark.parametrize("service", ["haproxy"], indirect=True)


def ask(service: Service, **request: Any) -> dict[str, Any]:
    answer = service.request("POST", "/v1/reports", json=request)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/reports/{made['id']}"
    return made


def finished(service: Service, report_id: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + 90
    while True:
        row: dict[str, Any] = service.request("GET", f"/v1/reports/{report_id}").json()
        if row["status"] not in ("queued", "running"):
            return row
        assert time.monotonic() < deadline_s, row
        time.sleep(0.05)  # between two looks at a status that another process changes


def content(service: Service, report_id: str) -> bytes:
    answer = service.request("GET", f"/v1/reports/{report_id}/content")
    assert answer.status_code == 200, answer.text
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer.content


def rows_of(text: bytes) -> list[dict[str, str]]:
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]


def test_a_csv_has_every_row_and_belongs_to_who_asked(service: Service) -> None:
    send(service, [make_event("paper", number) for number in range(1_500)])
    made = ask(service, user="paper", format="csv")
    row = finished(service, made["id"])
    assert (row["status"], row["progress"]) == ("succeeded", {"done": "1500", "total": "1500"})
    named = rows_of(content(service, made["id"]))
    assert [item["userseq"] for item in named] == [str(number) for number in range(1, 1_501)]
    assert [item["id"] for item in named] == [item["id"] for item in walk(service, "paper", 1_000)]
    other = service.request(
        "POST", "/v1/tokens", json={"name": "other", "scopes": ["audit:export", "audit:read"]}
    ).json()
    headers = {"Authorization": f"Bearer {other['token']}"}
    for path in (f"/v1/reports/{made['id']}", f"/v1/reports/{made['id']}/content"):
        assert service.request("GET", path, headers=headers).status_code == 404
    assert service.request("GET", "/v1/reports", headers=headers).json()["items"] == []
    ids = [item["id"] for item in service.request("GET", "/v1/reports").json()["items"]]
    assert made["id"] in ids


def test_the_same_idempotency_key_gives_the_same_report(service: Service) -> None:
    send(service, [make_event("again", 1)])
    headers = {"Idempotency-Key": '"k-1"'}
    body = {"user": "again", "format": "ndjson"}
    first = service.request("POST", "/v1/reports", json=body, headers=headers).json()
    second = service.request("POST", "/v1/reports", json=body, headers=headers).json()
    assert first["id"] == second["id"]
    answer = service.request("POST", "/v1/reports", json={**body, "format": "csv"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert finished(service, first["id"])["status"] == "succeeded"


def test_a_pdf_has_every_row_and_says_which_page_of_how_many(
    service: Service, tmp_path: Path
) -> None:
    events = [make_event("pdf-user", number) for number in range(700)]
    send(service, events)
    path = tmp_path / "report.pdf"
    done = service.command(
        "report", "pdf-user", "--format", "pdf", "--zone", "Europe/Zurich", "--out", str(path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with pikepdf.open(path) as document:
        pages = len(document.pages)
    text = _text(path)
    assert f"1 of {pages}" in text
    assert f"{pages} of {pages}" in text
    words = set(text.split())
    assert {event["data"]["ClOrdID"] for event in events} <= words
    assert "Europe/Zurich" in text
    assert "pdf-user" in text


def test_the_pdf_of_the_real_log_has_every_order(service: Service, tmp_path: Path) -> None:
    items = walk(service, "BONT", 1_000)
    if not items:
        pytest.skip("the recorded log was not imported on this machine")
    path = tmp_path / "bont.pdf"
    done = service.command("report", "BONT", "--format", "pdf", "--out", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    words = _text(path).split()
    ids = {item["data"]["ClOrdID"] for item in items if "ClOrdID" in item["data"]}
    assert len(ids) > 1_000
    assert ids <= set(words)


def _text(path: Path) -> str:
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    done = subprocess.run(
        [program, "-layout", str(path), "-"], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def test_an_unknown_user_gives_a_document_that_says_so(service: Service) -> None:
    made = ask(service, user="never-seen", format="csv")
    assert finished(service, made["id"])["progress"] == {"done": "0", "total": "0"}
    assert content(service, made["id"]).decode() == ",".join(COLUMNS) + "\r\n"
    made = ask(service, user="never-seen", format="pdf")
    assert finished(service, made["id"])["status"] == "succeeded"
    assert content(service, made["id"]).startswith(b"%PDF-")


def test_several_users_and_all_users_come_in_one_file(service: Service) -> None:
    for user in ("many-b", "many-a", "many-c"):
        send(service, [make_event(user, number) for number in range(40)])
    made = ask(service, users=["many-b", "many-a"], format="csv")
    assert finished(service, made["id"])["progress"]["done"] == "80"
    rows = rows_of(content(service, made["id"]))
    assert [row["userseq"] for row in rows] == [str(n) for n in range(1, 41)] * 2
    made = ask(service, scope="all", format="ndjson")
    row = finished(service, made["id"])
    records = [json.loads(line) for line in content(service, made["id"]).splitlines()]
    users = service.request("GET", "/v1/users", params={"limit": 1_000}).json()["items"]
    assert len(records) == sum(int(user["count"]) for user in users) == int(row["progress"]["done"])


@pytest.mark.parametrize(
    ("request_body", "pointer"),
    [
        ({"format": "csv"}, "#/user"),
        ({"user": "a", "users": ["b"], "format": "csv"}, "#/user"),
        ({"user": "a", "format": "docx"}, "#/format"),
        ({"users": ["a", "b"], "format": "pdf"}, "#/format"),
        ({"user": "a", "format": "csv", "from": "monday"}, "#/from"),
        ({"user": "a", "format": "csv", "timezone": "Mars/Olympus"}, "#/timezone"),
        ({"user": "a", "format": "csv", "profile": "fancy"}, "#/profile"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    service: Service, request_body: dict[str, Any], pointer: str
) -> None:
    answer = service.request("POST", "/v1/reports", json=request_body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_report_is_removed_with_its_file(service: Service) -> None:
    send(service, [make_event("removed", 1)])
    made = ask(service, user="removed", format="csv")
    finished(service, made["id"])
    file = service.data / "objects" / "reports" / made["id"]
    assert file.exists()
    assert b"removed" not in file.read_bytes()
    assert service.request("DELETE", f"/v1/reports/{made['id']}").status_code == 204
    assert not file.exists()
    assert service.request("GET", f"/v1/reports/{made['id']}").status_code == 404
