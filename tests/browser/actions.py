"""What a person does in the page, in the words of the tests."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.endpoint import Endpoint

__all__ = [
    "LIVE",
    "expect_rows",
    "listed_numbers",
    "open_user",
    "sign_in",
]

LIVE = '#live-state[data-state="live"]'
#: For what takes the service and the browser a while on a busy machine.
_SLOW_MS = 30_000


def sign_in(tab: Page, endpoint: Endpoint, token: str) -> None:
    """Opens the page, types a token and sends it."""
    tab.goto(endpoint.url)
    tab.fill("#token", token)
    tab.keyboard.press("Enter")


def open_user(page: Page, endpoint: Endpoint, user: str, rest: str = "") -> None:
    """Goes to a user's history and waits until it is live."""
    page.goto(f"{endpoint.url}/?user={quote(user, safe='')}{rest}")
    page.wait_for_selector(LIVE)


def listed_numbers(page: Page) -> list[int]:
    """The userseq of each row on show, from the top."""
    texts: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('tr.record')].map((row) => row.dataset.seq)"
    )
    return [int(text) for text in texts]


def expect_rows(page: Page, numbers: range | list[int]) -> None:
    """Waits until exactly these records are on show, from the top; they are told by their userseq."""
    wanted = list(numbers)
    expect(page.locator("tr.record")).to_have_count(len(wanted), timeout=_SLOW_MS)
    first = page.locator("tr.record").first
    expect(first).to_have_attribute("data-seq", str(wanted[0]), timeout=_SLOW_MS)
    assert listed_numbers(page) == wanted
