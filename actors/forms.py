"""The forms a history leaves in besides pages: NDJSON, CSV, Arrow. Pure: lists of records in, bytes out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from tradetrail.columns import COLUMNS, column_values
from tradetrail.csv_form import encode_rows, header
from tradetrail.record import Record, one_line, record_text

__all__ = ["FORMS", "encode"]

#: A piece is an object on its way through Ray: large enough to be cheap, small enough to be bounded.
PIECE_BYTES = 256 * 1024
_NUMBERS = ("userseq", "logindex")


def encode(form: str, profile: str, parts: Iterable[list[Record]]) -> Iterator[bytes]:
    """The records of ``parts`` in a form of ``FORMS``, in pieces of about ``PIECE_BYTES``."""
    return _in_pieces(FORMS[form](profile, parts))


def _ndjson(_: str, parts: Iterable[list[Record]]) -> Iterator[bytes]:
    for records in parts:
        for record in records:
            yield one_line(record_text(record))
            yield b"\n"


def _csv(profile: str, parts: Iterable[list[Record]]) -> Iterator[bytes]:
    yield header(profile)
    for records in parts:
        yield from encode_rows((record_text(record) for record in records), profile)


def _arrow(_: str, parts: Iterable[list[Record]]) -> Iterator[bytes]:
    schema = pa.schema(
        [pa.field(name, pa.uint64() if name in _NUMBERS else pa.string()) for name in COLUMNS]
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for records in parts:
            rows = [column_values(record_text(record)) for record in records]
            if rows:
                columns = list(zip(*rows, strict=True))
                arrays = [
                    pa.array(map(int, values), field.type)
                    if field.name in _NUMBERS
                    else pa.array(values, field.type)
                    for field, values in zip(schema, columns, strict=True)
                ]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
            yield _drained(sink)
    yield _drained(sink)


def _drained(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


#: Name of a form -> what makes it from a profile and records.
FORMS: dict[str, Callable[[str, Iterable[list[Record]]], Iterator[bytes]]] = {
    "ndjson": _ndjson,
    "csv": _csv,
    "arrow": _arrow,
}
