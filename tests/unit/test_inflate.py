"""Inflating bodies: whole data only, never beyond the bound, whatever was sent."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tradetrail.errors import Invalid
from tradetrail.inflate import inflate

REPEATABLE = settings(derandomize=True, deadline=None)
MIB = 1024 * 1024
LIMIT = 5 * MIB
#: A frame that decoders pass over (RFC 8878, 3.1.2).
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0note"


def zstd(content: bytes, *, sized: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=sized).compress(content)


def deflated(coding: str, content: bytes) -> bytes:
    return zstd(content) if coding == "zstd" else gzip.compress(content, mtime=0)


def refusal(coding: str, body: bytes, limit: int = LIMIT) -> tuple[str, int]:
    with pytest.raises(Invalid) as caught:
        inflate(coding, body, limit)
    return caught.value.code, caught.value.status


CODINGS = pytest.mark.parametrize("coding", ["gzip", "zstd"])
DAMAGED = ("invalid_content_coding", 400)
TOO_LARGE = ("body_too_large", 413)


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_a_plain_body_stays_as_it_is(coding: str) -> None:
    assert inflate(coding, b"[]", 2) == b"[]"
    assert refusal(coding, b"[1]", 2) == TOO_LARGE


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", " gzip "])
def test_gzip_has_two_names(coding: str) -> None:
    assert inflate(coding, gzip.compress(b"[]"), 2) == b"[]"


@CODINGS
def test_the_exact_limit_fits_and_one_byte_more_does_not(coding: str) -> None:
    body = deflated(coding, b"x" * 100_000)
    assert inflate(coding, body, 100_000) == b"x" * 100_000
    assert refusal(coding, body, 99_999) == TOO_LARGE


@CODINGS
def test_a_high_ratio_alone_refuses_nothing(coding: str) -> None:
    body = deflated(coding, bytes(LIMIT))
    assert len(body) < LIMIT / 500
    assert len(inflate(coding, body, LIMIT)) == LIMIT


@CODINGS
def test_a_bomb_is_refused_in_bounded_memory(coding: str) -> None:
    body = deflated(coding, bytes(60 * MIB))
    tracemalloc.start()
    try:
        assert refusal(coding, body) == TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT
    finally:
        tracemalloc.stop()


def test_a_bomb_of_one_tiny_zstd_frame_is_refused_in_bounded_memory() -> None:
    # Blocks of one repeated byte: 4 bytes each give 128 KiB (RFC 8878, 3.1.1.2).
    block = ((128 * 1024) << 3 | 0b010).to_bytes(3, "little") + b"x"
    body = b"\x28\xb5\x2f\xfd\x00\x58" + block * 4_096
    tracemalloc.start()
    try:
        assert refusal("zstd", body) == TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT
    finally:
        tracemalloc.stop()


@CODINGS
@pytest.mark.parametrize("content", [b"", b"[]", b"abc" * 5_000])
def test_what_is_cut_short_is_refused_at_every_length(coding: str, content: bytes) -> None:
    body = deflated(coding, content)
    step = max(1, len(body) // 50)
    for length in range(0, len(body), step):
        assert refusal(coding, body[:length]) == DAMAGED
    assert refusal(coding, body[:-1]) == DAMAGED


@CODINGS
@pytest.mark.parametrize("tail", [b"\0", b"junk", b"[]" * 500])
def test_what_follows_the_data_is_refused(coding: str, tail: bytes) -> None:
    assert refusal(coding, deflated(coding, b"[]") + tail) == DAMAGED


@CODINGS
def test_several_members_or_frames_are_one_body(coding: str) -> None:
    body = b"".join(deflated(coding, part) for part in (b"[1,", b"", b"2", b"]"))
    assert inflate(coding, body, LIMIT) == b"[1,2]"
    assert refusal(coding, body, 4) == TOO_LARGE
    assert refusal(coding, body[:-1]) == DAMAGED


def test_frames_without_their_size_and_frames_to_skip_are_read() -> None:
    body = SKIPPABLE + zstd(b"[1,", sized=False) + SKIPPABLE + zstd(b"2]") + SKIPPABLE
    assert inflate("zstd", body, LIMIT) == b"[1,2]"


@CODINGS
def test_a_body_of_very_many_members_is_refused(coding: str) -> None:
    assert refusal(coding, deflated(coding, b"") * 20_000) == DAMAGED
    assert inflate(coding, deflated(coding, b"x") * 10_000, LIMIT) == b"x" * 10_000


@CODINGS
def test_data_within_data_is_unpacked_once(coding: str) -> None:
    inner = deflated(coding, b"[]")
    assert inflate(coding, deflated(coding, inner), LIMIT) == inner


@pytest.mark.parametrize(
    "coding", ["gzip, gzip", "gzip,zstd", "deflate", "br", "compress", "gzip;q=1", "zstd gzip", "*"]
)
def test_other_and_double_codings_are_unsupported(coding: str) -> None:
    assert refusal(coding, b"[]") == ("unsupported_content_encoding", 415)


@CODINGS
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", zlib.compress(b"[]")]
)
def test_a_body_of_another_kind_is_refused(coding: str, body: bytes) -> None:
    assert refusal(coding, body) == DAMAGED


def test_a_window_beyond_the_standard_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    stream = compressor.compressobj()
    body = stream.compress(bytes(MIB)) + stream.flush()
    assert zstandard.get_frame_parameters(body).window_size > 8 * MIB
    assert refusal("zstd", body, 32 * MIB) == DAMAGED


def test_a_damaged_checksum_is_found() -> None:
    body = bytearray(gzip.compress(b"[1,2,3]"))
    body[-6] ^= 1
    assert refusal("gzip", bytes(body)) == DAMAGED
    checked = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"[1,2,3]"))
    checked[-1] ^= 1
    assert refusal("zstd", bytes(checked)) == DAMAGED


@REPEATABLE
@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=300), st.integers(0, 300))
def test_whatever_fits_comes_back_and_the_rest_is_too_large(
    coding: str, content: bytes, limit: int
) -> None:
    body = deflated(coding, content)
    if len(content) <= limit:
        assert inflate(coding, body, limit) == content
    else:
        assert refusal(coding, body, limit) == TOO_LARGE


@REPEATABLE
@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=80), st.binary(max_size=40))
def test_random_bytes_are_refused_and_never_crash(
    coding: str, noise: bytes, content: bytes
) -> None:
    whole = deflated(coding, content)
    for body in (noise, whole[:12] + noise, noise + whole):
        try:
            inflated = inflate(coding, body, 1_000)
        except Invalid as error:
            assert error.code in ("invalid_content_coding", "body_too_large")  # noqa: PT017
        else:
            assert len(inflated) <= 1_000
