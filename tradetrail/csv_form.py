"""stand-in"""
from __future__ import annotations
import csv, io
from collections.abc import Iterable, Iterator
from tradetrail.columns import COLUMNS, column_values
def _row(values: list[str]) -> bytes:
    out = io.StringIO(); csv.writer(out).writerow(values); return out.getvalue().encode()
def header(profile: str) -> bytes:
    return _row(list(COLUMNS))
def encode_rows(texts: Iterable[bytes], profile: str) -> Iterator[bytes]:
    for text in texts:
        yield _row(column_values(text))
