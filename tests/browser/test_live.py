"""Following a user live: the seam, pauses, bounds, and connections that end, are refused or lost."""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import LIVE, expect_rows, listed_numbers, open_user
from tests.browser.endpoint import Endpoint, orders, problem
from tests.browser.relay import Relay

pytestmark = pytest.mark.browser


def test_live_records_join_the_history_without_a_seam(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 40))
    opened = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        """Writes without a break until the page is live, and then a little more."""
        first = 41
        try:
            while not opened.is_set():
                endpoint.send(orders(user, first, first + 2))
                first += 3
            endpoint.send(orders(user, first, first + 49))
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        open_user(page, endpoint, user)
        begun_at = listed_numbers(page)[0]
    finally:
        opened.set()
        writer.join()
    assert failures == []
    newest = int(
        endpoint.get("/v1/history", user=user, order="desc", limit="1").json()["items"][0][
            "userseq"
        ]
    )
    assert begun_at < newest
    first_row = page.locator("tr.record").first
    expect(first_row).to_have_attribute("data-seq", str(newest), timeout=30_000)
    shown = listed_numbers(page)
    assert shown == list(range(newest, newest - len(shown), -1))
    assert page.locator('tr.record a[tabindex="0"]').count() == 1


def test_the_first_record_of_a_user_arrives_in_an_empty_view(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    open_user(page, endpoint, user)
    expect(page.locator("#notice")).to_contain_text("No events of this user")
    endpoint.send(orders(user, 1, 1))
    expect_rows(page, [1])
    expect(page.locator("#notice")).to_be_hidden()


def test_a_pause_counts_what_waits_and_resume_shows_it(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    open_user(page, endpoint, user)
    page.click("#pause")
    expect(page.locator("#live-state")).to_have_text("Live, paused")
    endpoint.send(orders(user, 3, 9))
    expect(page.locator("#waiting")).to_have_text("7 new · show")
    assert listed_numbers(page) == [2, 1]
    page.click("#pause")
    expect_rows(page, range(9, 0, -1))
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator("#live-state")).to_have_text("Live")


def test_a_reader_who_scrolled_down_is_not_moved(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 100))
    open_user(page, endpoint, user)
    page.evaluate("() => document.getElementById('ledger').scrollTo(0, 900)")
    endpoint.send(orders(user, 101, 104))
    expect(page.locator("#waiting")).to_have_text("4 new · show")
    assert page.evaluate("() => document.getElementById('ledger').scrollTop") == 900
    assert listed_numbers(page)[0] == 100
    page.click("#waiting")
    expect_rows(page, range(104, 0, -1))


def test_a_long_pause_and_a_long_history_stay_bounded_and_every_row_can_be_reached(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    open_user(page, endpoint, user)
    # In parts: more than the table holds at one moment is shown from the newest page on.
    endpoint.send(orders(user, 3, 550))
    expect_rows(page, range(550, 0, -1))
    endpoint.send(orders(user, 551, 1_050))
    expect_rows(page, range(1_050, 50, -1))
    page.click("#older-button")
    expect_rows(page, range(1_000, 0, -1))
    expect(page.locator("#waiting")).to_have_text("Back to the newest")
    page.click("#waiting")
    expect_rows(page, range(1_050, 950, -1))
    page.wait_for_selector(LIVE)
    page.click("#pause")
    endpoint.send(orders(user, 1_051, 2_100))
    expect(page.locator("#waiting")).to_have_text("1,050 new · show", timeout=30_000)
    page.click("#waiting")
    expect_rows(page, range(2_100, 2_000, -1))


def test_a_lost_connection_is_taken_up_without_loss_or_repeat(
    page: Page, endpoint: Endpoint, user: str, hosts: set[str]
) -> None:
    endpoint.send(orders(user, 1, 3))
    with Relay(endpoint.url) as relay:
        hosts.add(urlsplit(relay.url).netloc)
        page.goto(f"{relay.url}/?user={user}")
        page.wait_for_selector(LIVE)
        for newest in (20, 40):
            relay.cut()
            expect(page.locator("#live-state")).to_have_text("Connection lost, reconnecting…")
            endpoint.send(orders(user, len(listed_numbers(page)) + 1, newest))
            relay.mend()
            page.wait_for_selector(LIVE)
            expect_rows(page, range(newest, 0, -1))
        asked = [text.lower() for text in relay.requests if text.startswith("GET /v1/feed")]
        assert "last-event-id" not in asked[0]
        assert "last-event-id: 20\r\n" in asked[-1]


def test_an_ended_feed_tells_the_reason_and_resumes_without_repeat_or_hole(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    asked: list[str] = []

    def end_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()
            return
        endpoint.send(orders(user, 3, 5))
        third = endpoint.get("/v1/history", user=user, after="2", limit="1").json()["items"][0]
        body = (
            f"retry: 600\nid: 2\n\nid: 3\ndata: {json.dumps(third)}\n\n"
            'event: end\ndata: {"reason":"max_age"}\n\n'
        )
        route.fulfill(headers={"Content-Type": "text/event-stream"}, body=body)

    page.route("**/v1/feed?*", end_at_first)
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-detail")).to_have_text(
        "The service ended the feed: it renews each connection from time to time."
    )
    expect(page.locator("#live-state")).to_have_text("Connection lost, reconnecting…")
    page.wait_for_selector(LIVE)
    expect_rows(page, [5, 4, 3, 2, 1])
    assert len(asked) == 2
    expect(page.locator("#live-detail")).to_be_empty()


def test_a_record_the_feed_left_out_is_read_from_the_history(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))

    def skip(route: Route) -> None:
        endpoint.send(orders(user, 3, 6))
        sixth = endpoint.get("/v1/history", user=user, after="5", limit="1").json()["items"][0]
        body = f"retry: 600000\nid: 2\n\nid: 6\ndata: {json.dumps(sixth)}\n\n"
        route.fulfill(headers={"Content-Type": "text/event-stream"}, body=body)

    page.route("**/v1/feed?*", skip)
    page.goto(f"{endpoint.url}/?user={user}")
    expect_rows(page, [6, 5, 4, 3, 2, 1])


def test_what_is_no_longer_kept_is_told_and_the_feed_goes_on(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    asked: list[str] = []

    def gap_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()
            return
        body = 'retry: 600\nid: 2\nevent: gap\ndata: {"detail":"1 to 2 were removed."}\n\n'
        route.fulfill(headers={"Content-Type": "text/event-stream"}, body=body)

    page.route("**/v1/feed?*", gap_at_first)
    open_user(page, endpoint, user)
    told = "Some records are no longer kept: 1 to 2 were removed."
    expect(page.locator("#live-detail")).to_have_text(told)
    endpoint.send(orders(user, 3, 3))
    expect_rows(page, [3, 2, 1])
    expect(page.locator("#live-detail")).to_have_text(told)


def test_a_refused_feed_says_why_and_can_be_tried_again(
    page: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    refusals.add((403, "/v1/feed"))
    endpoint.send(orders(user, 1, 1))
    page.route(
        "**/v1/feed?*",
        lambda route: problem(route, 403, "No right", "The right was withdrawn.", "no_right"),
    )
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-state")).to_have_text("Live feed stopped")
    expect(page.locator("#live-detail")).to_contain_text("The right was withdrawn. (no_right)")
    expect(page.locator("#pause")).to_be_hidden()
    expect_rows(page, [1])
    page.unroute("**/v1/feed?*")
    endpoint.send(orders(user, 2, 3))
    page.click("#live-retry")
    expect_rows(page, [3, 2, 1])
    expect(page.locator("#live-state")).to_have_text("Live")
    expect(page.locator("#pause")).to_be_visible()


def test_a_busy_service_is_asked_again_by_the_page_itself(
    page: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    refusals.add((503, "/v1/feed"))
    endpoint.send(orders(user, 1, 1))
    asked: list[str] = []

    def busy_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= 2:  # the feed itself, and the question why it was refused
            problem(route, 503, "too many viewers", "Try again in a moment.", "too_many_viewers")
        else:
            route.continue_()

    page.route("**/v1/feed?*", busy_at_first)
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-detail")).to_have_text(
        re.compile(r"^Too many viewers: .* \(too_many_viewers\) Next try in \d s\.$")
    )
    page.wait_for_selector(LIVE)
    endpoint.send(orders(user, 2, 2))
    expect_rows(page, [2, 1])


def test_a_service_that_is_away_is_told_and_can_be_tried_again(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 1))
    page.route("**/v1/history?*", lambda route: route.abort())
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#notice")).to_contain_text("The service does not answer")
    expect(page.locator("#live-state")).to_have_text("Not live")
    page.unroute("**/v1/history?*")
    page.get_by_role("button", name="Try again").click()
    expect_rows(page, [1])


def test_a_history_without_the_right_says_so_and_offers_no_retry(
    page: Page, endpoint: Endpoint, user: str, refusals: set[tuple[int, str]]
) -> None:
    refusals.add((403, "/v1/history"))
    page.route(
        "**/v1/history?*",
        lambda route: problem(route, 403, "no right", "The token may not read it.", "no_right"),
    )
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#notice")).to_contain_text("The token may not read it.")
    expect(page.locator("#notice code")).to_have_text("no_right")
    expect(page.locator("#notice button")).to_have_count(0)
