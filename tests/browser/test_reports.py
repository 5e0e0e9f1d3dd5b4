"""Asking for a report, seeing it being made, and fetching it."""

from __future__ import annotations

import csv
import io
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import expect_rows, open_user
from tests.browser.endpoint import Endpoint, order, orders
from tradetrail.columns import COLUMNS

pytestmark = pytest.mark.browser


def ask(page: Page, form: str) -> None:
    """Opens the dialog, chooses a format and asks."""
    page.click("#report-open")
    page.check(f'input[name="format"][value="{form}"]')
    page.click("#report-ask")
    expect(page.locator("#report-dialog")).to_be_hidden()


def download(page: Page) -> bytes:
    """The newest report, once it is ready."""
    entry = page.locator("#report-list li").first
    expect(entry.locator(".report-state")).to_have_text("Ready", timeout=60_000)
    with page.expect_download() as fetched:
        entry.locator("a").click()
    return fetched.value.path().read_bytes()


def rows_of(content: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_pdf_and_a_csv_are_asked_for_made_and_fetched(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 30))
    open_user(page, endpoint, user)
    page.click("#report-open")
    expect(page.locator("#report-range")).to_have_text("the whole history")
    page.click("#report-cancel")
    ask(page, "pdf")
    assert download(page).startswith(b"%PDF-")
    ask(page, "csv")
    content = download(page)
    assert content.startswith(",".join(COLUMNS).encode() + b"\r\n")
    assert [row["userseq"] for row in rows_of(content)] == [str(n) for n in range(1, 31)]
    expect(page.locator("#report-list .report-name")).to_have_text(["CSV report", "PDF report"])
    expect(page.locator("#report-list .report-result").first).to_have_text("Download CSV (30 rows)")
    page.goto(f"{endpoint.url}/?user={user}-other")
    expect(page.locator("#notice")).to_contain_text("No events of this user")
    expect(page.locator("#reports")).to_be_hidden()
    page.go_back()
    expect(page.locator("#report-list .report-result")).to_have_text(
        ["Download CSV (30 rows)", "Download PDF (30 rows)"]
    )


def test_a_report_holds_what_the_filter_lets_through_and_says_so(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 9))
    time_from = "2026-03-02T09:00:00.003Z"
    open_user(page, endpoint, user, f"&from={time_from}&to=2026-03-02T09:00:00.006Z")
    expect_rows(page, [5, 4, 3])
    ask(page, "csv")
    assert [row["userseq"] for row in rows_of(download(page))] == ["3", "4", "5"]
    expect(page.locator(".report-range").first).to_have_text(
        re.compile(rf"^from {time_from}, before 2026-03-02T09:00:00.006Z, as of 20.* UTC$")
    )


def test_a_csv_for_a_spreadsheet_holds_no_live_formula(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([order(user, 1, Text="=1+1", ClOrdID="=cmd()")])
    open_user(page, endpoint, user)
    ask(page, "spreadsheet")
    content = download(page)
    assert content.startswith("\ufeff".encode())
    assert b",=" not in content
    assert b"'=cmd()" in content


def test_a_report_that_fails_says_why(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 1))
    failed = {
        "status": "failed",
        "error": {"code": "disk_full", "detail": "Free space, then ask again."},
    }
    page.route(re.compile(r"/v1/reports/[^/]+$"), lambda route: route.fulfill(json=failed))
    open_user(page, endpoint, user)
    ask(page, "pdf")
    expect(page.locator("#report-list .report-state")).to_have_text("Failed")
    expect(page.locator("#report-list")).to_contain_text("Free space, then ask again. disk_full")
