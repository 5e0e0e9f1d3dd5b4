"""What holds for every view: its policy, its colours, its widths, the order of the keyboard; and /docs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import open_user
from tests.browser.endpoint import Endpoint, order, orders

pytestmark = pytest.mark.browser

#: Names of what reaches beyond the window's edge: the page itself, or a control nobody could press.
_BEYOND = """() => {
    const width = document.documentElement.clientWidth;
    const controls = [...document.querySelectorAll("button, input, a:not(.skip), h2")];
    const beyond = controls.filter((control) => {
        const box = control.getBoundingClientRect();
        return box.width > 0 && (box.left < 0 || box.right > width + 0.5);
    });
    const names = beyond.map((control) => control.id || control.textContent);
    return document.documentElement.scrollWidth > width ? ["the page", ...names] : names;
}"""

_FOCUSED = """() => {
    const element = document.activeElement;
    return element.id || element.getAttribute("aria-label") || element.textContent.trim();
}"""


def test_the_page_forbids_what_does_not_come_from_the_service(
    tab: Page, endpoint: Endpoint
) -> None:
    response = tab.goto(endpoint.url)
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    markup = response.text()
    assert "<style" not in markup
    assert " style=" not in markup
    assert re.search(r"<script(?![^>]*\bsrc=)", markup) is None
    tab.wait_for_selector("#sign-in:not([hidden])")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_systems_colours(tab: Page, endpoint: Endpoint, scheme: Any) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.goto(endpoint.url)
    tab.wait_for_selector("#sign-in:not([hidden])")
    ground = tab.evaluate("() => getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", ground)[:3])
    assert (brightness < 200) == (scheme == "dark")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_every_view_fits_the_window(
    page: Page, endpoint: Endpoint, user: str, width: int, height: int
) -> None:
    long_name = f"{user}-{'W' * 200}"
    endpoint.send(
        [*orders(long_name, 1, 3), order(long_name, 4, ClOrdID="W" * 200, Price="9" * 90)]
    )
    page.set_viewport_size({"width": width, "height": height})
    page.goto(endpoint.url)
    expect(page.locator("#finder")).to_be_visible()
    assert page.evaluate(_BEYOND) == []
    open_user(page, endpoint, long_name)
    assert page.evaluate(_BEYOND) == []
    page.click("#pause")
    endpoint.send(orders(long_name, 5, 8))
    expect(page.locator("#waiting")).to_be_visible()
    assert page.evaluate(_BEYOND) == []
    page.click("#report-open")
    assert page.evaluate(_BEYOND) == []
    page.click("#report-cancel")
    page.click('tr[data-seq="4"]')
    page.wait_for_selector("#panel-content:not([hidden])")
    assert page.evaluate(_BEYOND) == []


def test_a_phone_shows_one_thing_at_a_time(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 3))
    page.set_viewport_size({"width": 390, "height": 844})
    open_user(page, endpoint, user)
    expect(page.locator("#finder")).to_be_hidden()
    expect(page.locator("#filters")).to_be_hidden()
    page.click("#filters-toggle")
    expect(page.locator("#filter-from")).to_be_visible()
    page.click("#filters-toggle")
    page.click('tr[data-seq="2"]')
    expect(page.locator("#panel")).to_be_focused()
    page.click("#panel-close")
    expect(page.locator('tr[data-seq="2"] a')).to_be_focused()
    page.click("#back-to-users")
    expect(page.locator("#user-prefix")).to_be_focused()
    expect(page.locator("#trail")).to_be_hidden()


def test_the_keyboard_goes_through_the_page_in_the_order_it_is_read(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([*orders(user, 1, 2), *orders(f"{user}-other", 1, 1)])
    open_user(page, endpoint, user)
    page.fill("#user-prefix", user)
    expect(page.locator("#user-list li")).to_have_count(2)
    page.focus(".skip")
    stops = ["Skip to the content"]
    for _ in range(13):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(_FOCUSED))
    assert stops[:4] == ["Skip to the content", "TradeTrail", "sign-out", "user-prefix"]
    assert stops[4].startswith(user)
    assert stops[5:] == [
        "pause",
        "report-open",
        "filter-from",
        "filter-to",
        "filter-type",
        "filter-chain",
        "Filter",
        "ledger",
        "Record 2",
    ]
    page.focus("#report-open")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#report-open")).to_be_focused()


def test_the_reference_is_drawn_from_the_services_own_description(
    tab: Page, endpoint: Endpoint
) -> None:
    tab.goto(f"{endpoint.url}/docs")
    expect(tab).to_have_title("TradeTrail HTTP interface")
    expect(tab.locator("#docs .info .title")).to_contain_text("TradeTrail", timeout=20_000)
    expect(tab.locator("#docs .opblock-summary-path", has_text="/v1/history").first).to_be_visible()
