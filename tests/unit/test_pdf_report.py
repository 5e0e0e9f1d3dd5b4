"""The PDF: every row, page x of y, any text, days and offsets of a zone, and nothing half."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import subprocess
import unicodedata
from collections.abc import Iterable
from datetime import UTC
from typing import Any

import pikepdf
import pytest

from actors.report.lettering import lettered, prepare_fonts, width_of, wrapped
from actors.report.lines import Row, line_of
from actors.report.pdf import Heading, render_pdf
from tradetrail.errors import Internal
from tradetrail.event import Limits
from tradetrail.record import Record
from tradetrail.scan_event import exact_event

NOON_NS = 1_767_355_200_000_000_000


def row(number: int, time: str | None = None, *, late: bool = False, **event: Any) -> Row:
    body: dict[str, Any] = {
        "specversion": "1.0",
        "type": "tradetrail.order.new.v1",
        "authid": "u",
        **({"time": time} if time else {}),
        **event,
    }
    text = json.dumps(body, ensure_ascii=False).encode()
    return Row(Record(number, "00", number, NOON_NS, text), late)


def heading(rows: int, **changes: Any) -> Heading:
    facts: dict[str, Any] = {
        "service_name": "test.example",
        "user": "desk/ann",
        "requester": "auditor",
        "title": "",
        "from_text": "",
        "to_text": "",
        "types": (),
        "zone": "UTC",
        "generated_ns": NOON_NS,
        "rows": rows,
        "first_userseq": 1 if rows else 0,
        "last_userseq": rows,
    }
    return Heading(**{**facts, **changes})


def render(facts: Heading, rows: Iterable[Row]) -> tuple[bytes, int]:
    file = io.BytesIO()
    pages = render_pdf(file, facts, rows)
    return file.getvalue(), pages


def text_of(content: bytes) -> str:
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("pdftotext (Debian package poppler-utils) is not installed")
    done = subprocess.run(
        [program, "-layout", "-", "-"], input=content, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def orders(count: int) -> list[Row]:
    return [
        row(
            number,
            f"2026-01-{2 + number // 400:02d}T09:{number // 60 % 60:02d}:{number % 60:02d}.5Z",
            data={"ClOrdID": f"ORDER-{number:06d}-ABCDEFGHIJKLMNOP", "Symbol": "DEMO", "Side": "1"},
        )
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [0, 1, 35, 36, 37, 900])
def test_every_row_is_on_a_page_that_says_which_of_how_many(count: int) -> None:
    content, pages = render(heading(count), orders(count))
    with pikepdf.open(io.BytesIO(content)) as document:
        assert len(document.pages) == pages
    text = text_of(content)
    for number in range(1, pages + 1):
        assert f"Page {number} of {pages}" in text
    words = text.split()
    for item in orders(count):
        assert words.count(json.loads(item.record.text)["data"]["ClOrdID"]) == 1
    assert f"{count:,} records" in text
    if count == 0:
        assert "There is nothing in this range" in text


def test_fewer_or_more_rows_than_told_are_an_error_and_nothing_is_written() -> None:
    for told in (9, 11):
        file = io.BytesIO()
        with pytest.raises(Internal, match="report_incomplete"):
            render_pdf(file, heading(told), orders(10))
        assert file.getvalue() == b""


def test_rows_without_an_end_are_refused_at_the_first_too_many() -> None:
    file = io.BytesIO()
    with pytest.raises(Internal, match="more than 3 came"):
        render_pdf(file, heading(3), (row(number) for number in itertools.count(1)))
    assert file.getvalue() == b""


def test_the_document_says_who_made_it_when_and_carries_its_fonts() -> None:
    title = "報告 <b>2026</b> \u202e"
    content, _ = render(heading(40, title=title), orders(40))
    with pikepdf.open(io.BytesIO(content)) as document:
        facts = document.docinfo
        assert (str(facts["/Title"]), str(facts["/Author"])) == (title, "test.example")
        assert facts["/CreationDate"] == facts["/ModDate"] == "D:20260102120000Z"
        assert document.Root["/Lang"] == "en"
        for page in document.pages:
            assert page.mediabox[2] > page.mediabox[3]
            for font in page.resources["/Font"].values():
                assert "/FontFile2" in font["/FontDescriptor"]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render(heading(50), orders(50)) == render(heading(50), orders(50))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Grüße, naïve Ωmega Привет", "Grüße, naïve Ωmega Привет"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("mallory\u202egnp.ecila", "mallory<U+202E>gnp.ecila"),
        ("報告", "<U+5831><U+544A>"),
        ("a\nb\tc\x00d", "a<U+000A>b<U+0009>c<U+0000>d"),
        ("\U0001f469\u200d\U0001f467", "<U+1F469><U+200D><U+1F467>"),
        ("\ue000", "<U+E000>"),
        ("a\u00a0b", "a<U+00A0>b"),
        # Vowel signs are kept, before their letter as the fonts want them in a line from the left.
        ("مُ", "\u064fﻡ"),
        ("שָׁ", "\u05c1\u05b8ש"),
        # Spelt letter, sign i; written the other way round.
        ("अनिल", "अिनल"),
    ],
)
def test_any_text_is_shown_or_written_out(value: str, shown: str) -> None:
    prepare_fonts()
    assert "".join(run.text for run in lettered(value)) == shown


def test_right_to_left_texts_read_as_they_are_spelt_and_stay_in_their_cell() -> None:
    content, _ = render(
        heading(2, user="שלום עולם"),
        [
            row(1, "2026-01-02T09:00:00Z", data={"ClOrdID": "שלום", "Symbol": "AFTER1"}),
            row(2, "2026-01-02T09:00:01Z", data={"ClOrdID": "محمد", "Symbol": "AFTER2"}),
        ],
    )
    text = text_of(content)
    plain = "".join(sign for sign in text if sign not in "\u202a\u202b\u202c\u200e\u200f")
    assert "שלום" in plain
    assert plain.index("שלום") < plain.index("AFTER1") < plain.index("AFTER2")
    # Joined letters are drawn as such; compatibility folding gives the spelling back.
    assert "محمد" in unicodedata.normalize("NFKC", plain)


def test_a_value_longer_than_a_page_goes_on_overleaf_and_is_complete() -> None:
    value = "".join(f"{number:05d}" for number in range(1_200))
    content, pages = render(heading(1), [row(1, "2026-01-02T09:00:00Z", data={"ClOrdID": value})])
    assert pages >= 3
    digits = "".join(sign for sign in text_of(content) if sign.isdigit())
    assert "0000000001" in digits
    found = {word for word in text_of(content).split() if len(word) > 12 and word.isdigit()}
    assert sum(map(len, found)) == len(value)


def test_days_and_offsets_follow_the_zone() -> None:
    rows = [
        row(1, "2026-03-28T22:59:59.999999999Z", data={}),
        row(2, "2026-03-28T23:00:00Z", data={}),
        row(3, "2026-03-29T00:59:59Z", data={}),
        row(4, "2026-03-29T01:00:00Z", data={}),
        row(5, "2016-12-31T23:59:60.500Z", data={}),
    ]
    text = text_of(render(heading(5, zone="Europe/Zurich"), rows)[0])
    order = [
        "Saturday 28 March 2026, UTC+01:00",
        "23:59:59.999999999",
        "Sunday 29 March 2026, UTC+01:00",
        "00:00:00",
        "01:59:59",
        "Sunday 29 March 2026, UTC+02:00",
        "03:00:00",
        "Sunday 1 January 2017, UTC+01:00",
        "00:59:60.500",
    ]
    positions = [text.index(part) for part in order]
    assert positions == sorted(positions)
    assert "Europe/Zurich" in text


def test_what_has_to_be_known_about_a_row_stands_beside_it() -> None:
    line = line_of(
        row(
            7,
            None,
            late=True,
            onbehalfof="ben",
            initiator="firm",
            corrects="00/12",
            data={"OrdStatus": "2", "Side": "5", "Price": "-0.00", "OrderQty": "1E+8"},
        ),
        UTC,
    )
    assert line.cells[:3] == ("7", "12:00:00.000000000", "New order")
    assert line.cells[6:9] == ("Sell short", "1E+8", "-0.00")
    assert line.cells[9] == (
        "Filled; time of storing; arrived late; for ben; by firm; corrects 00/12"
    )


@pytest.mark.parametrize("value", ["5", "true", '"half"', "null"])
@pytest.mark.parametrize("name", ["corrects", "fixproblem", "anyother"])
def test_an_extension_attribute_of_any_type_can_be_printed(name: str, value: str) -> None:
    text = (
        f'{{"specversion":"1.0","id":"1","source":"/s","type":"t","authid":"u","{name}":{value}}}'
    )
    event = exact_event(text.encode(), Limits(), allow_service_user=False)
    notes = line_of(Row(Record(1, "00", 1, NOON_NS, event.text), False), UTC).cells[-1]
    said = {"corrects": "corrects ", "fixproblem": "FIX problem: "}.get(name)
    expected = f"; {said}{value.strip(chr(34))}" if said and value != "null" else ""
    assert notes == f"time of storing{expected}"


def test_attributes_that_are_null_count_as_absent() -> None:
    item = row(1, time=None, onbehalfof=None, initiator=None, data={"Text": "too late to cancel"})
    assert line_of(item, UTC).cells[-1] == "time of storing; too late to cancel"


def test_the_heading_of_a_day_is_never_left_behind_by_its_first_row() -> None:
    rows = [row(number, "2026-01-02T09:00:00Z", data={}) for number in range(1, 33)]
    rows.append(row(33, "2026-01-03T09:00:00Z", data={"ClOrdID": "x" * 300}))
    content, pages = render(heading(33), rows)
    first, second = text_of(content).split("\f")[:2]
    assert pages == 2
    assert "3 January 2026" not in first
    assert "Saturday 3 January 2026, UTC+00:00\n" in second


def test_a_user_too_long_for_the_foot_of_a_page_is_marked_as_cut_there() -> None:
    user = "w" * 250
    text = text_of(render(heading(1, user=user), [row(1)])[0])
    assert " …" in text
    # In full at the head, broken over lines.
    assert text.count("w") > len(user)


@pytest.mark.parametrize(
    "text", ["short", "words that have to be broken", "x" * 100, "", "שלום " * 9]
)
def test_wrapping_loses_nothing_and_fits(text: str) -> None:
    prepare_fonts()
    lines = wrapped(text, 60, 7)
    assert all(width_of(line, 7) <= 60 for line in lines)
    shown = sorted("".join(run.text for line in lines for run in line).replace(" ", ""))
    assert shown == sorted("".join(run.text for run in lettered(text)).replace(" ", ""))
