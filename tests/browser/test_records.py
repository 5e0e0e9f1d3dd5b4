"""Reading what is stored: rows and their words, the whole record, pages of older rows, filters."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import LIVE, expect_rows, listed_numbers, open_user
from tests.browser.endpoint import Endpoint, order, orders

pytestmark = pytest.mark.browser


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


def test_the_panel_shows_the_whole_event_and_its_exact_text(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    sent = order(user, 1, Text='quote " and <b>tag</b> é', Parties=[{"PartyID": "P1"}])
    event = json.dumps(sent, indent=1, ensure_ascii=False)
    [result] = endpoint.send(f"[{event}]")
    open_user(page, endpoint, user)
    page.click("tr.record")
    page.wait_for_selector("#panel-content:not([hidden])")
    name = f"{result['log']}/{result['logindex']}"
    served = endpoint.get(f"/v1/records/{name}").text
    assert event[1:] in served
    assert page.text_content("#panel-text") == served
    fields = page.locator("#panel-data dt").all_inner_texts()
    assert fields == list(sent["data"])
    attributes = page.locator("#panel-attributes dt").all_inner_texts()
    added = ["userseq", "log", "logindex", "storedtime"]
    assert attributes == [*added, *(key for key in sent if key != "data")]
    assert f"record={quote(name, safe='')}" in page.url
    page.reload()
    expect(page.locator("#panel-title")).to_have_text(f"Record 1 of {user}")


def test_hostile_names_and_texts_are_shown_inert(page: Page, endpoint: Endpoint, user: str) -> None:
    name = f"{user}\u202e<img src=x onerror=alert(1)><script>alert(2)</script>"
    long = "W" * 300
    texts = {
        "Symbol": "<i>A</i>",
        "ClOrdID": "a\u202eb\u0007c",
        "Text": long,
        "Account": "\u202eevil",
    }
    endpoint.send([order(name, 1, **texts), order(name, 2, Symbol=long, Price=long, OrderQty=long)])
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    open_user(page, endpoint, name)
    shown = name.replace("\u202e", "<U+202E>")
    expect(page.locator("#user-title")).to_have_text(shown)
    expect(page.locator("td.symbol")).to_have_text([long, "<i>A</i>"])
    expect(page.locator("td.order").last).to_have_text("a<U+202E>b<U+0007>c")
    page.click('tr[data-seq="1"]')
    expect(page.locator("#panel-data")).to_contain_text(long)
    expect(page.locator("#panel-data")).to_contain_text("<U+202E>evil")
    assert page.locator("main img, main script, main i").count() == 0
    page.fill("#user-prefix", user)
    expect(page.locator("#user-list bdi")).to_have_text([shown])
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1280
    styles = "nodes => nodes.map((node) => getComputedStyle(node).unicodeBidi)"
    isolated = page.locator("tr.record bdi, #user-title bdi, #panel bdi").evaluate_all(styles)
    assert set(isolated) <= {"isolate", "plaintext", "isolate-override"}


def test_older_pages_reach_the_beginning_without_repeat_or_hole(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 250))
    open_user(page, endpoint, user)
    expect_rows(page, range(250, 150, -1))
    page.click("#older-button")
    expect_rows(page, range(250, 50, -1))
    page.click("#older-button")
    expect_rows(page, range(250, 0, -1))
    expect(page.locator("#older-end")).to_contain_text("nothing older")
    expect(page.locator("#older-button")).to_be_hidden()


def test_a_type_filter_goes_to_the_address_bar_and_holds_for_live_records(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    cancel = {
        **order(user, 3, ClOrdID="C3", OrigClOrdID="C1"),
        "type": "tradetrail.order.cancel_request.v1",
    }
    endpoint.send([*orders(user, 1, 2), cancel])
    open_user(page, endpoint, user)
    expect_rows(page, [3, 2, 1])
    page.fill("#filter-type", "order.new")
    page.keyboard.press("Enter")
    expect_rows(page, [2, 1])
    assert "type=tradetrail.order.new.*" in page.url
    page.wait_for_selector(LIVE)
    endpoint.send([{**cancel, "id": "again"}, order(user, 5)])
    expect_rows(page, [5, 2, 1])
    page.go_back()
    expect_rows(page, [5, 4, 3, 2, 1])
    page.go_forward()
    expect_rows(page, [5, 2, 1])
    expect(page.locator("#filter-type")).to_have_value("order.new")
    page.click("#filter-clear")
    expect_rows(page, [5, 4, 3, 2, 1])
    assert page.url == f"{endpoint.url}/?user={user}"


def test_times_filter_exactly_and_a_wrong_one_is_explained(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    endpoint.send(orders(user, 1, 9))
    open_user(page, endpoint, user)
    page.fill("#filter-from", "2026-03-02 09:00:00.003")
    page.fill("#filter-to", "2026-03-02T10:00:00.006+01:00")
    page.keyboard.press("Enter")
    expect_rows(page, [5, 4, 3])
    assert "from=2026-03-02T09%3A00%3A00.003Z" in page.url
    page.reload()
    expect_rows(page, [5, 4, 3])
    expect(page.locator("#filter-from")).to_have_value("2026-03-02T09:00:00.003Z")
    page.fill("#filter-from", "2026-02-30")
    page.keyboard.press("Enter")
    expect(page.locator("#filter-error")).to_contain_text("is not a time")
    expect(page.locator("#filter-from")).to_be_focused()
    assert listed_numbers(page) == [5, 4, 3]


def test_the_records_of_one_order_are_a_click_away_and_stay_live(
    page: Page, endpoint: Endpoint, user: str
) -> None:
    cancel = order(user, 3, ClOrdID="C3", OrigClOrdID="C1")
    endpoint.send([*orders(user, 1, 2), cancel])
    open_user(page, endpoint, user)
    page.click('tr[data-seq="1"]')
    page.click("#panel-chain")
    expect_rows(page, [3, 1])
    assert "chain=C1" in page.url
    page.wait_for_selector(LIVE)
    endpoint.send([order(user, 4), order(user, 5, ClOrdID="C5", OrigClOrdID="C3")])
    expect_rows(page, [5, 3, 1])


def test_an_empty_result_of_a_filter_says_so(page: Page, endpoint: Endpoint, user: str) -> None:
    endpoint.send(orders(user, 1, 1))
    open_user(page, endpoint, user, "&type=tradetrail.session.*")
    expect(page.locator("#notice")).to_contain_text("No record matches the filter")
    page.get_by_role("button", name="Clear the filter").click()
    expect_rows(page, [1])
