"""One service and one Chromium for the tests of this room, and signed-in tabs.

Both end with the room, so that the rooms after it have the machine, and the main thread's event loop, for
themselves. A running service can be named instead: ``TRADETRAIL_TEST_URL`` and ``TRADETRAIL_TEST_TOKEN``.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.endpoint import Endpoint
from tests.browser.watched import Watched
from tests.cluster.conftest import start, stop

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def chromium() -> str:
    """The browser's program; the tests are skipped where there is none."""
    for name in _NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"no browser is installed: none of {', '.join(_NAMES)} (Debian package chromium)")


@pytest.fixture(scope="package")
def endpoint(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The service under test. Asks for the browser first: without one no service is started in vain."""
    url = os.environ.get("TRADETRAIL_TEST_URL", "")
    if url:
        yield Endpoint(url.rstrip("/"), os.environ["TRADETRAIL_TEST_TOKEN"], "")
        return
    service = start(tmp_path_factory.mktemp("browser") / "data", "haproxy")
    try:
        assert service.process.stdout is not None
        link = service.process.stdout.readline()
        yield Endpoint(service.url, service.token, link.split("?code=")[1].strip())
    finally:
        stop(service)


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tabs."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, endpoint: Endpoint) -> Iterator[BrowserContext]:
    """One signed-in browser window for all tabs: what the page's own sign-in gives is tested once."""
    answer = httpx2.post(f"{endpoint.url}/v1/session", json={"token": endpoint.token}, timeout=60)
    assert answer.status_code == 200, answer.text
    ((name, value),) = answer.cookies.items()
    with _window(browser) as context:
        context.add_cookies([{"name": name, "value": value, "url": endpoint.url, "httpOnly": True}])
        yield context


@pytest.fixture
def hosts(endpoint: Endpoint) -> set[str]:
    """Where the test's tab may fetch from."""
    return {urlsplit(endpoint.url).netloc}


@pytest.fixture
def refusals() -> set[tuple[int, str]]:
    """Status and path of the refusals that a test expects."""
    # Whether somebody is signed in can only be asked, and no is an answer.
    return {(401, "/v1/session")}


@pytest.fixture
def tab(browser: Browser, hosts: set[str], refusals: set[tuple[int, str]]) -> Iterator[Page]:
    """A tab where nobody is signed in, on an empty page; what no test expects there fails the test."""
    with _window(browser) as context, _watched(context.new_page(), hosts, refusals) as page:
        yield page


@pytest.fixture
def page(
    signed_in: BrowserContext, hosts: set[str], refusals: set[tuple[int, str]]
) -> Iterator[Page]:
    """A tab that is signed in, on an empty page; what no test expects there fails the test."""
    with _watched(signed_in.new_page(), hosts, refusals) as page:
        yield page


@contextmanager
def _window(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, accept_downloads=True, reduced_motion="reduce"
    )
    yield context
    context.close()


@contextmanager
def _watched(page: Page, hosts: set[str], refusals: set[tuple[int, str]]) -> Iterator[Page]:
    watched = Watched(page, hosts, refusals)
    yield page
    page.close()
    assert watched.faults == []


@pytest.fixture
def user() -> str:
    """A user that no other test writes to."""
    return f"page-{secrets.token_hex(6)}"
