"""The page in Debian's Chromium: browser and signed-in tabs.

The tests need a running service: the suite's ``service`` fixture, or one that runs already,
named by ``TRADETRAIL_TEST_URL`` and ``TRADETRAIL_TEST_TOKEN``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.browser.endpoint import Endpoint

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Watched:
    """A tab and what went wrong in it."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Refused calls are told by the page itself; any other error is a fault."""
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def on_request(self, request: Request) -> None:
        """Nothing may be fetched from elsewhere."""
        if request.url.startswith("http") and not request.url.startswith(self.origin):
            self.faults.append(f"fetched from elsewhere: {request.url}")


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """The service under test."""
    url = os.environ.get("TRADETRAIL_TEST_URL", "")
    if url:
        return Endpoint(url.rstrip("/"), os.environ["TRADETRAIL_TEST_TOKEN"])
    service = request.getfixturevalue("service")
    return Endpoint(service.url.rstrip("/"), service.token)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the module; its loop ends with it, so that other tests may run theirs."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Browser, endpoint: Endpoint) -> Iterator[Page]:
    """A tab of its own where nobody is signed in; fails the test on errors no one expects."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    parts = urlsplit(endpoint.url)
    watched = Watched(context.new_page(), f"{parts.scheme}://{parts.netloc}/")
    watched.page.on("console", watched.on_console)
    watched.page.on("pageerror", lambda error: watched.faults.append(str(error)))
    watched.page.on("request", watched.on_request)
    yield watched.page
    context.close()
    assert watched.faults == []


@pytest.fixture
def page(tab: Page, endpoint: Endpoint) -> Page:
    """A tab that is signed in."""
    tab.goto(endpoint.url)
    tab.fill("#token", endpoint.token)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#account:not([hidden])")
    return tab


@pytest.fixture
def user() -> str:
    """A user that no other test writes to."""
    return f"page-{secrets.token_hex(6)}"
