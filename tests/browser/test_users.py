"""Finding a user: by the beginning of the name, by keyboard, among the most recently active."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import expect_rows
from tests.browser.endpoint import Endpoint, order, orders

pytestmark = pytest.mark.browser


def test_a_user_is_found_by_prefix_and_a_record_read_without_a_mouse(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([*orders(user, 1, 3), *orders(f"{user}-second", 1, 1)])
    page.goto(endpoint.url)
    page.wait_for_selector("#user-list li")
    page.keyboard.press("Control+k")
    expect(page.locator("#user-prefix")).to_be_focused()
    page.keyboard.type(user)
    expect(page.locator("#user-list li")).to_have_count(2)
    expect(page.locator("#user-caption")).to_have_text("Matching users")
    expect(page.locator("#user-list .user-count")).to_have_text(["3", "1"])
    expect(page.locator("#user-list .user-last").first).to_have_text("2026-03-02 09:00:00")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#user-list a").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect_rows(page, [3, 2, 1])
    page.focus("#ledger")
    page.keyboard.press("Tab")
    expect(page.locator('tr[data-seq="3"] a')).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#panel-title")).to_have_text(f"Record 2 of {user}")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator('tr[data-seq="2"] a')).to_be_focused()
    page.keyboard.press("p")
    expect(page.locator("#live-state")).to_have_text("Live, paused")


def test_a_user_of_exactly_the_typed_name_is_taken_by_enter(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([*orders(f"{user}-longer", 1, 1), *orders(user, 1, 2)])
    page.goto(endpoint.url)
    page.fill("#user-prefix", user)
    page.keyboard.press("Enter")
    expect(page.locator("#user-title")).to_have_text(user)
    expect_rows(page, [2, 1])
    assert page.url == f"{endpoint.url}/?user={user}"


def test_a_prefix_without_users_says_so(page: Page, endpoint: Endpoint) -> None:
    page.goto(endpoint.url)
    page.fill("#user-prefix", "nobody-has-this-name")
    expect(page.locator("#user-notice")).to_contain_text("No user begins with")


def test_the_most_recently_active_come_first_and_more_lists_nobody_twice(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([order(f"{user}-{number:02d}", 1) for number in range(60)])
    page.goto(endpoint.url)
    expect(page.locator("#user-list li")).to_have_count(50)
    expect(page.locator("#user-caption")).to_have_text("Most recently active")
    # Whoever acts now pushes the others down a place, and so some of them onto the next page.
    endpoint.send([order(f"{user}-newest", number) for number in range(2)])
    page.click("#user-more")
    expect(page.locator(f'#user-list a[data-user^="{user}-"]')).to_have_count(60)
    names = page.locator("#user-list a").evaluate_all("links => links.map(a => a.dataset.user)")
    assert len(names) == len(set(names))
    page.reload()
    expect(page.locator("#user-list a").first).to_have_attribute("data-user", f"{user}-newest")
