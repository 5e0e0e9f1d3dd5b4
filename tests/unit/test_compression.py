"""Compression at rest: what went in comes out, and damage is told."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import compression
from storage.compression import PLAIN, compress, decompress
from tradetrail.errors import Corrupt

REPEATABLE = settings(derandomize=True, deadline=None)
EVENT = (
    b'{"specversion":"1.0","id":"1","source":"/oms","type":"tradetrail.order.new.v1",'
    b'"authid":"alice","time":"2026-01-02T03:04:05Z","data":{"ClOrdID":"C1","Price":"0.10"}}'
)


def test_an_event_becomes_shorter_and_comes_back() -> None:
    codec, packed = compress(EVENT)
    assert codec != PLAIN
    assert len(packed) < len(EVENT) / 2
    assert decompress(codec, packed) == EVENT


def test_what_does_not_compress_is_kept_plain() -> None:
    noise = bytes(range(256))
    assert compress(noise) == (PLAIN, noise)
    assert decompress(PLAIN, noise) == noise
    assert compress(b"") == (PLAIN, b"")


@REPEATABLE
@given(st.binary(max_size=500) | st.text(max_size=200).map(str.encode))
def test_any_text_comes_back(text: bytes) -> None:
    codec, packed = compress(text)
    assert len(packed) <= len(text)
    assert decompress(codec, packed) == text


def test_the_same_text_gives_the_same_bytes_in_every_thread() -> None:
    found: list[tuple[int, bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(compress(EVENT))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [compress(EVENT)] * 4


def test_damaged_bytes_are_corrupt() -> None:
    codec, packed = compress(EVENT)
    for damaged in (packed[:-2], b"", b"junk", packed[:4]):
        with pytest.raises(Corrupt) as caught:
            decompress(codec, damaged)
        assert caught.value.code == "record_not_decompressed"


def test_a_dictionary_this_version_does_not_have_is_named() -> None:
    with pytest.raises(Corrupt) as caught:
        decompress(200, b"x")
    assert (caught.value.code, "200" in caught.value.detail) == ("unknown_dictionary", True)


def test_nothing_grows_beyond_what_was_ever_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    codec, packed = compress(bytes(1_000_000))
    monkeypatch.setattr(compression, "TEXT_BYTES_MAX", 1_000)
    with pytest.raises(Corrupt):
        decompress(codec, packed)
