"""Signing in by token and by one-time link, signing out, and what ends a session."""

from __future__ import annotations

import re

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import expect_rows, open_user, sign_in
from tests.browser.endpoint import Endpoint, orders

pytestmark = pytest.mark.browser


def test_a_token_signs_in_until_signed_out_and_is_kept_nowhere(
    tab: Page, endpoint: Endpoint
) -> None:
    tab.goto(endpoint.url)
    expect(tab.locator("#token")).to_be_focused()
    tab.keyboard.type(endpoint.token)
    tab.keyboard.press("Enter")
    expect(tab.locator("#who")).to_have_text("admin")
    expect(tab.locator("#who")).to_have_attribute("title", re.compile(r"audit:read.* Until 20"))
    assert tab.input_value("#token") == ""
    assert (
        tab.evaluate("() => document.cookie + localStorage.length + sessionStorage.length") == "00"
    )
    tab.reload()
    expect(tab.locator("#who")).to_be_visible()
    cookies = [(cookie["name"], cookie["value"]) for cookie in tab.context.cookies()]
    tab.click("#sign-out")
    expect(tab.locator("#sign-in")).to_be_visible()
    tab.reload()
    expect(tab.locator("#sign-in")).to_be_visible()
    expect(tab.locator("#work")).to_be_hidden()
    kept = httpx2.get(f"{endpoint.url}/v1/session", cookies=dict(cookies), timeout=60)
    assert kept.status_code == 401, "a copied session outlives the sign-out"


def test_a_wrong_token_is_refused_in_words(tab: Page, endpoint: Endpoint) -> None:
    sign_in(tab, endpoint, "tt_wrongwrongwr_nothing")
    notice = tab.locator("#sign-in-notice [role=alert]")
    expect(notice.locator(".notice-title")).to_have_text("Invalid token")
    expect(notice.locator("code")).to_have_text("invalid_token")
    expect(tab.locator("#work")).to_be_hidden()
    expect(tab.locator("#token")).to_be_focused()


def test_a_one_time_link_works_once_and_leaves_the_address_bar(
    tab: Page, endpoint: Endpoint, user: str
) -> None:
    if not endpoint.code:
        pytest.skip("a service that is named by its address has no sign-in link of this run")
    endpoint.send(orders(user, 1, 2))
    link = f"{endpoint.url}/?code={endpoint.code}&user={user}"
    tab.goto(link)
    expect_rows(tab, [2, 1])
    assert tab.url == f"{endpoint.url}/?user={user}"
    expect(tab.locator("#who")).to_have_text("admin")
    tab.click("#sign-out")
    expect(tab.locator("#sign-in")).to_be_visible()
    tab.goto(link)
    expect(tab.locator("#sign-in-notice [role=alert]")).to_be_visible()
    expect(tab.locator("#work")).to_be_hidden()
    assert tab.url == f"{endpoint.url}/?user={user}"


def test_a_session_that_is_gone_asks_to_sign_in_and_shows_nothing_more(
    tab: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    refusals.add((401, "/v1/users"))
    endpoint.send(orders(user, 1, 2))
    sign_in(tab, endpoint, endpoint.token)
    expect(tab.locator("#who")).to_be_visible()
    open_user(tab, endpoint, user)
    tab.context.clear_cookies()
    tab.fill("#user-prefix", "x")
    expect(tab.locator("#sign-in-notice")).to_contain_text("token_required")
    expect(tab.locator("#work")).to_be_hidden()
    expect(tab.locator("tr.record")).to_have_count(0)


def test_a_token_that_expires_ends_the_live_feed_and_asks_to_sign_in(
    tab: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    # On a slow machine the token may expire before the feed opens; every call may be the refused one.
    for path in ("/v1/feed", "/v1/history", "/v1/users"):
        refusals.add((401, path))
    made = httpx2.post(
        f"{endpoint.url}/v1/tokens",
        json={"name": "brief", "scopes": ["audit:read"], "expires_in_s": 2},
        headers=endpoint.headers,
        timeout=60,
    ).json()
    sign_in(tab, endpoint, made["token"])
    tab.goto(f"{endpoint.url}/?user={user}")
    expect(tab.locator("#sign-in")).to_be_visible(timeout=30_000)
    expect(tab.locator("#work")).to_be_hidden()


def test_a_token_without_the_right_to_export_is_told_so(
    tab: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    refusals.add((403, "/v1/reports"))
    made = httpx2.post(
        f"{endpoint.url}/v1/tokens",
        json={"name": "reader", "scopes": ["audit:read"]},
        headers=endpoint.headers,
        timeout=60,
    ).json()
    sign_in(tab, endpoint, made["token"])
    expect(tab.locator("#who")).to_have_text("reader")
    open_user(tab, endpoint, user)
    tab.click("#report-open")
    tab.click("#report-ask")
    expect(tab.locator("#report-notice")).to_contain_text("scope audit:export")
    tab.click("#report-cancel")
    expect(tab.locator("#report-dialog")).to_be_hidden()
