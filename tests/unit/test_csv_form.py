"""CSV: exact values back, formulas neutralised in one profile only, plain numbers left alone."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetrail.columns import COLUMNS, column_values
from tradetrail.csv_form import encode_rows, header
from tradetrail.event import Limits
from tradetrail.record import Record, record_text
from tradetrail.scan_event import exact_event

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def served(data: str, **attributes: str) -> bytes:
    event = json.dumps({"specversion": "1.0", **attributes}, ensure_ascii=False)
    text = f'{event[:-1]},"data":{data}}}'.encode()
    return record_text(Record(7, "03", 41, 1_767_323_045_000_000_001, text))


def parse(content: bytes) -> list[dict[str, str]]:
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def document(profile: str, *records: bytes) -> bytes:
    return header(profile) + b"".join(encode_rows(records, profile))


def test_every_digit_and_the_bytes_of_the_data_stay_as_they_came() -> None:
    data = (
        '{ "Price":0.10,"OrderQty":"1E+8", "ClOrdID":9007199254740993,"OrderID":-0.00,'
        '"Symbol":["A"],"Side":null}'
    )
    values = dict(zip(COLUMNS, column_values(served(data, id="1", type="t")), strict=True))
    assert values["Price"] == "0.10"
    assert values["OrderQty"] == "1E+8"
    assert values["ClOrdID"] == "9007199254740993"
    assert values["OrderID"] == "-0.00"
    assert values["Symbol"] == '["A"]'
    assert values["Side"] == "null"
    assert values["data"] == data
    assert values["OrigClOrdID"] == values["subject"] == ""
    assert (values["userseq"], values["log"], values["logindex"]) == ("7", "03", "41")
    assert values["storedtime"] == "2026-01-02T03:04:05.000000001Z"


def test_data_that_are_no_object_stand_in_their_column_only() -> None:
    text = b'{"id":"1","data_base64":"AAEC"}'
    values = column_values(record_text(Record(1, "00", 1, 0, text)))
    assert values[-1] == '"AAEC"'
    assert column_values(served('"plain"'))[-1] == '"plain"'


@pytest.mark.parametrize("name", ["time", "subject", "onbehalfof", "initiator"])
def test_an_attribute_that_is_null_is_an_empty_value(name: str) -> None:
    text = f'{{"specversion":"1.0","id":"1","source":"/s","type":"t","authid":"u","{name}":null}}'
    event = exact_event(text.encode(), Limits(), allow_service_user=False)
    values = column_values(record_text(Record(1, "00", 1, 0, event.text)))
    assert values[COLUMNS.index(name)] == ""
    assert values[COLUMNS.index("type")] == "t"


@settings(deadline=None)
@given(subject=TEXTS, order_id=TEXTS, rows=st.integers(1, 3))
def test_any_text_comes_back_from_a_standard_parser(subject: str, order_id: str, rows: int) -> None:
    data = json.dumps({"ClOrdID": order_id}, ensure_ascii=False)
    record = served(data, subject=subject)
    for profile in ("exact", "spreadsheet"):
        parsed = parse(document(profile, *[record] * rows))
        assert len(parsed) == rows
        for row in parsed:
            for name, value in (("subject", subject), ("ClOrdID", order_id), ("data", data)):
                found = row[name]
                if profile == "spreadsheet" and found.startswith("'"):
                    found = found[1:]
                assert found == value


@pytest.mark.parametrize(
    "value",
    ["=1+1", "+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", " =1", "'=1", "-1E5", "-"],
)
def test_a_formula_is_neutralised_in_the_spreadsheet_profile_only(value: str) -> None:
    record = served("{}", subject=value)
    assert parse(document("exact", record))[0]["subject"] == value
    assert parse(document("spreadsheet", record))[0]["subject"] == f"'{value}"


@pytest.mark.parametrize("value", ["-12.50", "0.10", "100", "9007199254740993", "plain", ""])
def test_a_plain_number_and_a_plain_text_stay_in_both_profiles(value: str) -> None:
    record = served("{}", subject=value)
    for profile in ("exact", "spreadsheet"):
        assert parse(document(profile, record))[0]["subject"] == value


def test_lines_end_as_rfc_4180_says_and_only_spreadsheets_get_a_mark() -> None:
    record = served("{}", subject="a")
    exact = document("exact", record)
    assert exact.endswith(b"\r\n")
    assert exact.count(b"\r\n") == 2
    assert exact.startswith(b"userseq,")
    assert document("spreadsheet", record) == b"\xef\xbb\xbf" + exact


@pytest.mark.parametrize("rows", [0, 1, 199, 200, 201, 401])
def test_a_long_document_in_parts_has_each_row_once(rows: int) -> None:
    records = [served("{}", subject=str(number)) for number in range(rows)]
    parsed = parse(document("exact", *records))
    assert [row["subject"] for row in parsed] == [str(number) for number in range(rows)]
