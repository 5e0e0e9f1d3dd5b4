"""What a person does in the page, in a real browser against a real service."""

from __future__ import annotations

import json
import re
import threading
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.endpoint import Endpoint, order, orders, problem

pytestmark = pytest.mark.browser

LIVE = '#live-state[data-state="live"]'


def open_user(page: Page, endpoint: Endpoint, user: str, rest: str = "") -> None:
    """Goes to a user's trail and waits until it is live."""
    page.goto(f"{endpoint.url}/?user={quote(user, safe='')}{rest}")
    page.wait_for_selector(LIVE)


def numbers(page: Page) -> list[int]:
    """The userseq of each row on show, from the top."""
    texts: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('tr.record')].map((row) => row.dataset.seq)"
    )
    return [int(text) for text in texts]


def wait_for_rows(page: Page, count: int) -> None:
    """Waits until exactly this many rows are on show."""
    expect(page.locator("tr.record")).to_have_count(count, timeout=30_000)


def test_signing_in_and_out_with_a_token(tab: Page, endpoint: Endpoint) -> None:
    tab.goto(endpoint.url)
    expect(tab.locator("#token")).to_be_focused()
    tab.fill("#token", endpoint.token)
    tab.keyboard.press("Enter")
    expect(tab.locator("#who")).not_to_be_empty()
    assert tab.input_value("#token") == ""
    assert (
        tab.evaluate("() => document.cookie + localStorage.length + sessionStorage.length") == "00"
    )
    tab.reload()
    expect(tab.locator("#who")).to_be_visible()
    tab.click("#sign-out")
    expect(tab.locator("#sign-in")).to_be_visible()
    tab.reload()
    expect(tab.locator("#sign-in")).to_be_visible()
    expect(tab.locator("#work")).to_be_hidden()


def test_a_wrong_token_is_refused_in_words(tab: Page, endpoint: Endpoint) -> None:
    tab.goto(endpoint.url)
    tab.fill("#token", "tt_wrongwrongwr_nothing")
    tab.click("#sign-in-button")
    expect(tab.locator("#sign-in-notice [role=alert] p").first).to_be_visible()
    expect(tab.locator("#sign-in-notice code")).not_to_be_empty()
    expect(tab.locator("#work")).to_be_hidden()


def test_a_one_time_link_is_exchanged_and_leaves_the_address_bar(
    tab: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    sent: list[Any] = []

    def exchange(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        sent.append((json.loads(route.request.post_data or ""), tab.url))
        route.continue_(post_data=json.dumps({"token": endpoint.token}))

    tab.route("**/v1/session", exchange)
    tab.goto(f"{endpoint.url}/?code=once-only&user={user}")
    wait_for_rows(tab, 2)
    assert sent == [({"code": "once-only"}, f"{endpoint.url}/?user={user}")]
    assert tab.url == f"{endpoint.url}/?user={user}"


def test_a_spent_link_is_refused_and_leaves_the_address_bar(tab: Page, endpoint: Endpoint) -> None:
    tab.goto(f"{endpoint.url}/?code=spent")
    expect(tab.locator("#sign-in-notice [role=alert]")).to_be_visible()
    assert tab.url == f"{endpoint.url}/"


def test_a_session_that_ends_asks_to_sign_in_again(page: Page, endpoint: Endpoint) -> None:
    page.context.clear_cookies()
    page.fill("#user-prefix", "x")
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#work")).to_be_hidden()


def test_finding_a_user_by_keyboard_and_reading_a_record(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send([*orders(user, 1, 3), *orders(f"{user}-second", 1, 1)])
    page.goto(endpoint.url)
    page.wait_for_selector("#user-list li")
    page.keyboard.press("Control+k")
    expect(page.locator("#user-prefix")).to_be_focused()
    page.keyboard.type(user)
    expect(page.locator("#user-list li")).to_have_count(2)
    expect(page.locator("#user-list li").first).to_contain_text("3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#user-list a").nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    wait_for_rows(page, 3)
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
    page.fill("#user-prefix", user)
    page.keyboard.press("Enter")
    expect(page.locator("#user-title")).to_have_text(user)
    wait_for_rows(page, 2)


def test_a_prefix_without_users_says_so(page: Page) -> None:
    page.fill("#user-prefix", "nobody-has-this-name")
    expect(page.locator("#user-notice")).to_contain_text("No user begins with")


def test_rows_say_codes_in_words_and_keep_digits(page: Page, endpoint: Endpoint, user: str) -> None:
    fill = {
        "Side": "2",
        "Price": "0.10",
        "ClOrdID": "9007199254740993",
        "ExecType": "F",
        "OrdStatus": "1",
        "LastQty": "4",
        "LastPx": "0.1000",
    }
    report = {**order(user, 1, **fill), "type": "tradetrail.execution.report.v1"}
    report["time"] = "2026-03-02T10:15:30.123456+01:00"
    endpoint.send([report])
    open_user(page, endpoint, user)
    cells = page.locator("tr.record td").all_inner_texts()
    assert cells == [
        "2026-03-02 09:15:30.123456",
        "1",
        "execution.report",
        "DEMO",
        "Sell",
        "4/100",
        "0.1000",
        "9007199254740993",
        "Partially filled",
    ]


def test_numbers_beyond_a_double_are_shown_digit_by_digit(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    event = json.dumps(order(user, 1, ClOrdID="?", Price="?"))
    event = event.replace('"ClOrdID": "?"', '"ClOrdID": 18446744073709551616')
    event = event.replace('"Price": "?"', '"Price": 1.10')
    endpoint.send(f"[{event}]")
    open_user(page, endpoint, user)
    expect(page.locator("td.order")).to_have_text("18446744073709551616")
    expect(page.locator("td.price")).to_have_text("1.10")


def test_the_panel_shows_the_exact_text_of_the_record(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    event = json.dumps(
        order(user, 1, Text='quote " and <b>tag</b> é'), indent=1, ensure_ascii=False
    )
    [result] = endpoint.send(f"[{event}]")
    open_user(page, endpoint, user)
    page.click("tr.record")
    page.wait_for_selector("#panel-content:not([hidden])")
    name = f"{result['log']}/{result['logindex']}"
    served = endpoint.get(f"/v1/records/{name}").text
    assert event[1:] in served
    assert page.text_content("#panel-text") == served
    assert f"record={quote(name, safe='')}" in page.url
    page.reload()
    expect(page.locator("#panel-title")).to_have_text(f"Record 1 of {user}")


def test_user_text_is_never_markup_and_cannot_reorder_its_neighbours(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    name = f"{user}\u202e<img src=x onerror=alert(1)>"
    endpoint.send([order(name, 1, Symbol="<i>A</i>", ClOrdID="a\u202eb\u0007c")])
    open_user(page, endpoint, name)
    shown = f"{user}<U+202E><img src=x onerror=alert(1)>"
    expect(page.locator("#user-title")).to_have_text(shown)
    expect(page.locator("td.symbol")).to_have_text("<i>A</i>")
    expect(page.locator("td.order")).to_have_text("a<U+202E>b<U+0007>c")
    assert page.locator("main img").count() == 0
    page.fill("#user-prefix", user)
    expect(page.locator("#user-list bdi")).to_have_text([shown])
    assert page.evaluate(
        "() => getComputedStyle(document.querySelector('td.order bdi')).unicodeBidi"
    ) in {"isolate", "plaintext"}


def test_older_pages_reach_the_beginning_without_repeat_or_hole(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 250))
    open_user(page, endpoint, user)
    assert numbers(page) == list(range(250, 150, -1))
    page.click("#older-button")
    wait_for_rows(page, 200)
    page.click("#older-button")
    wait_for_rows(page, 250)
    assert numbers(page) == list(range(250, 0, -1))
    expect(page.locator("#older-end")).to_contain_text("nothing older")
    expect(page.locator("#older-button")).to_be_hidden()


def test_live_records_join_the_history_without_a_seam(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 40))
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for first in range(41, 641, 5):
                endpoint.send(orders(user, first, first + 4))
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    open_user(page, endpoint, user)
    begun_at = numbers(page)[0]
    writer.join()
    assert failures == []
    assert begun_at < 640, "the page opened after the last event; the test shows nothing"
    expect(page.locator("tr.record").first).to_have_attribute("data-seq", "640", timeout=30_000)
    shown = numbers(page)
    assert shown == list(range(640, 640 - len(shown), -1))
    assert (
        page.evaluate("() => document.querySelectorAll('tr.record a[tabindex=\"0\"]').length") == 1
    )


def test_the_first_record_of_a_user_arrives_in_an_empty_view(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    open_user(page, endpoint, user)
    expect(page.locator("#notice")).to_contain_text("No events of this user")
    endpoint.send(orders(user, 1, 1))
    wait_for_rows(page, 1)
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
    assert numbers(page) == [2, 1]
    page.click("#pause")
    wait_for_rows(page, 9)
    assert numbers(page) == list(range(9, 0, -1))
    expect(page.locator("#waiting")).to_be_hidden()


def test_a_reader_who_scrolled_down_is_not_moved(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 100))
    open_user(page, endpoint, user)
    page.evaluate("() => document.getElementById('ledger').scrollTo(0, 900)")
    endpoint.send(orders(user, 101, 104))
    expect(page.locator("#waiting")).to_have_text("4 new · show")
    assert page.evaluate("() => document.getElementById('ledger').scrollTop") == 900
    assert numbers(page)[0] == 100
    page.click("#waiting")
    wait_for_rows(page, 104)
    assert numbers(page) == list(range(104, 0, -1))


def test_a_long_pause_holds_no_more_than_the_table_can_show(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    open_user(page, endpoint, user)
    page.click("#pause")
    endpoint.send(orders(user, 3, 1500))
    expect(page.locator("#waiting")).to_have_text("1,498 new · show", timeout=30_000)
    page.click("#waiting")
    expect(page.locator("tr.record").first).to_have_attribute("data-seq", "1500")
    shown = numbers(page)
    assert shown == list(range(1500, 1500 - len(shown), -1))


def test_the_table_stays_bounded_and_every_row_can_be_reached(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 300))
    open_user(page, endpoint, user)
    for first in range(301, 1301, 250):
        endpoint.send(orders(user, first, first + 249))
    expect(page.locator("tr.record").first).to_have_attribute("data-seq", "1300", timeout=30_000)
    assert numbers(page) == list(range(1300, 300, -1))
    for oldest in (201, 101, 1):
        page.click("#older-button")
        expect(page.locator("tr.record").last).to_have_attribute("data-seq", str(oldest))
        assert numbers(page) == list(range(oldest + 999, oldest - 1, -1))
    expect(page.locator("#waiting")).to_have_text("Back to the newest")
    endpoint.send(orders(user, 1301, 1302))
    expect(page.locator("#waiting")).to_have_text("2 new · show")
    page.click("#waiting")
    expect(page.locator("tr.record").first).to_have_attribute("data-seq", "1302")


def test_a_filter_goes_to_the_address_bar_and_holds_for_live_records(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    cancel = {
        **order(user, 3, ClOrdID="C3", OrigClOrdID="C1"),
        "type": "tradetrail.order.cancel_request.v1",
    }
    endpoint.send([*orders(user, 1, 2), cancel])
    open_user(page, endpoint, user)
    page.fill("#filter-type", "order.new")
    page.keyboard.press("Enter")
    wait_for_rows(page, 2)
    assert "type=tradetrail.order.new.*" in page.url
    page.wait_for_selector(LIVE)
    endpoint.send([{**cancel, "id": "again"}, order(user, 5)])
    expect(page.locator("tr.record").first).to_have_attribute("data-seq", "5")
    assert numbers(page) == [5, 2, 1]
    page.go_back()
    wait_for_rows(page, 5)
    page.go_forward()
    wait_for_rows(page, 3)
    expect(page.locator("#filter-type")).to_have_value("order.new")
    page.click("#filter-clear")
    wait_for_rows(page, 5)


def test_times_filter_exactly_and_a_wrong_one_is_explained(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 9))
    open_user(page, endpoint, user)
    page.fill("#filter-from", "2026-03-02 09:00:00.003")
    page.fill("#filter-to", "2026-03-02T10:00:00.006+01:00")
    page.keyboard.press("Enter")
    wait_for_rows(page, 3)
    assert numbers(page) == [5, 4, 3]
    page.reload()
    wait_for_rows(page, 3)
    expect(page.locator("#filter-from")).to_have_value("2026-03-02T09:00:00.003Z")
    page.fill("#filter-from", "2026-02-30")
    page.keyboard.press("Enter")
    expect(page.locator("#filter-error")).to_contain_text("is not a time")
    expect(page.locator("#filter-from")).to_be_focused()
    assert numbers(page) == [5, 4, 3]


def test_the_records_of_one_order_are_a_click_away(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    cancel = order(user, 3, ClOrdID="C3", OrigClOrdID="C1")
    endpoint.send([*orders(user, 1, 2), cancel])
    open_user(page, endpoint, user)
    page.click('tr[data-seq="1"]')
    page.click("#panel-chain")
    wait_for_rows(page, 2)
    assert numbers(page) == [3, 1]
    assert "chain=C1" in page.url


def test_an_empty_result_of_a_filter_says_so(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 1))
    open_user(page, endpoint, user, "&type=tradetrail.session.*")
    expect(page.locator("#notice")).to_contain_text("No record matches the filter")
    page.get_by_role("button", name="Clear the filter").click()
    wait_for_rows(page, 1)


@pytest.mark.parametrize("form", ["pdf", "csv"])
def test_a_document_is_asked_for_made_and_fetched(
    page: Page, endpoint: Endpoint, user: str, form: str
) -> None:
    endpoint.send(orders(user, 1, 30))
    open_user(page, endpoint, user)
    page.click("#report-open")
    expect(page.locator("#report-range")).to_have_text("the whole history")
    page.check(f'input[name="format"][value="{form}"]')
    page.click("#report-ask")
    link = page.locator("#report-list a")
    expect(link).to_have_text(f"Download {form.upper()}", timeout=60_000)
    with page.expect_download() as download:
        link.click()
    content = download.value.path().read_bytes()
    if form == "pdf":
        assert content.startswith(b"%PDF-")
    else:
        assert len(content.splitlines()) == 31


def test_a_document_that_fails_says_why(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 1))
    failed = {
        "status": "failed",
        "progress": {"done": 0, "total": 1},
        "error": {"code": "disk_full", "detail": "Free space, then ask again."},
    }
    page.route(re.compile(r"/v1/reports/[^/]+$"), lambda route: route.fulfill(json=failed))
    open_user(page, endpoint, user)
    page.click("#report-open")
    page.click("#report-ask")
    expect(page.locator("#report-list")).to_contain_text("Free space, then ask again. disk_full")
    expect(page.locator("#report-list .report-state")).to_have_text("Failed")


def test_a_refused_document_says_why_in_the_dialog(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 1))
    page.route(
        "**/v1/reports",
        lambda route: problem(route, 403, "No right", "The token may not export.", "no_scope"),
    )
    open_user(page, endpoint, user)
    page.click("#report-open")
    page.click("#report-ask")
    expect(page.locator("#report-notice")).to_contain_text("The token may not export.")


def test_a_history_without_the_right_says_so_and_offers_no_retry(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    page.route(
        "**/v1/history?*",
        lambda route: problem(route, 403, "No right", "The token may not read it.", "no_right"),
    )
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#notice")).to_contain_text("The token may not read it.")
    expect(page.locator("#notice code")).to_have_text("no_right")
    expect(page.locator("#notice button")).to_have_count(0)


def test_a_service_that_is_away_is_told_and_can_be_tried_again(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 1))
    page.route("**/v1/history?*", lambda route: route.abort())
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#notice")).to_contain_text("The service does not answer")
    page.unroute("**/v1/history?*")
    page.get_by_role("button", name="Try again").click()
    wait_for_rows(page, 1)


def test_a_refused_feed_says_why_and_can_be_tried_again(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 1))
    page.route(
        "**/v1/feed?*",
        lambda route: problem(route, 403, "No right", "The right was withdrawn.", "no_right"),
    )
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-state")).to_have_text("Live feed stopped")
    expect(page.locator("#live-detail")).to_contain_text("The right was withdrawn. (no_right)")
    wait_for_rows(page, 1)
    page.unroute("**/v1/feed?*")
    endpoint.send(orders(user, 2, 3))
    page.click("#live-retry")
    wait_for_rows(page, 3)
    expect(page.locator("#live-state")).to_have_text("Live")


def test_a_busy_service_is_asked_again_by_the_page_itself(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 1))
    asked: list[str] = []

    def busy_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= 2:  # the feed itself, and the question why it was refused
            problem(route, 503, "Too many viewers", "Try again in a moment.", "viewer_cap")
        else:
            route.continue_()

    page.route("**/v1/feed?*", busy_at_first)
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-detail")).to_contain_text("viewer_cap")
    page.wait_for_selector(LIVE)
    endpoint.send(orders(user, 2, 2))
    wait_for_rows(page, 2)


def test_an_ended_feed_tells_the_reason_and_resumes_without_repeat_or_hole(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 2))
    ended: list[str] = []

    def end_once(route: Route) -> None:
        if ended:
            route.continue_()
            return
        ended.append(route.request.url)
        endpoint.send(orders(user, 3, 5))
        third = endpoint.get("/v1/history", user=user, after="2", limit="1").json()["items"][0]
        body = (
            f"retry: 600\nid: 2\n\nid: 3\ndata: {json.dumps(third)}\n\n"
            'event: end\ndata: {"reason":"maximum age reached"}\n\n'
        )
        route.fulfill(headers={"Content-Type": "text/event-stream"}, body=body)

    page.route("**/v1/feed?*", end_once)
    page.goto(f"{endpoint.url}/?user={user}")
    expect(page.locator("#live-detail")).to_have_text(
        "The service ended the feed: maximum age reached."
    )
    expect(page.locator("#live-state")).to_have_text("Connection lost, reconnecting…")
    page.wait_for_selector(LIVE)
    wait_for_rows(page, 5)
    assert numbers(page) == [5, 4, 3, 2, 1]


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
    wait_for_rows(page, 6)
    assert numbers(page) == [6, 5, 4, 3, 2, 1]


def test_the_page_forbids_what_does_not_come_from_the_service(
    tab: Page, endpoint: Endpoint
) -> None:
    response = tab.goto(endpoint.url)
    assert response is not None
    assert "default-src 'self'" in response.headers["content-security-policy"]
    markup = response.text()
    assert "<style" not in markup
    assert " style=" not in markup
    assert re.search(r"<script(?![^>]*\bsrc=)", markup) is None
    tab.wait_for_selector("#sign-in:not([hidden])")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_systems_colours_and_fits_a_phone(
    page: Page, endpoint: Endpoint, user: str, scheme: Any
) -> None:
    endpoint.send(orders(user, 1, 3))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(endpoint.url)
    expect(page.locator("#finder")).to_be_visible()
    open_user(page, endpoint, user)
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", ground)[:3])
    assert (brightness < 200) == (scheme == "dark")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    expect(page.locator("#finder")).to_be_hidden()
    page.click("tr.record")
    page.click("#panel-close")
    page.click("#back-to-users")
    expect(page.locator("#user-prefix")).to_be_focused()


def test_the_reference_is_drawn_from_vendored_scripts(tab: Page, endpoint: Endpoint) -> None:
    tab.goto(f"{endpoint.url}/docs")
    expect(tab.locator("#docs .opblock").first).to_be_visible(timeout=20_000)
