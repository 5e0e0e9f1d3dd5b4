"""Inflating request bodies, bounded while it happens: a small body may not become a large one.

The size of the output counts; a high ratio alone refuses nothing that fits.
"""

from __future__ import annotations

import zlib

import zstandard

from tradetrail.errors import Invalid

__all__ = ["inflate"]

#: RFC 9659: a decoder supports windows up to 8 MiB, an encoder stays within.
_WINDOW_BYTES_MAX = 8 * 1024 * 1024
#: Both codings allow several members or frames in a row. Each costs a decoder its set-up, so their number
#: is bounded; a client that flushes after each event of the largest batch stays within.
_FRAMES_MAX = 10_000
#: Output of gzip at a time.
_STEP_BYTES = 1024 * 1024
#: A block of zstd takes at least 4 bytes and gives at most 128 KiB: one piece gives at most 2 MiB.
_PIECE_BYTES = 64


def inflate(content_encoding: str, body: bytes, bytes_max: int) -> bytes:
    """The body without its content coding.

    Raises:
        Invalid: ``unsupported_content_encoding`` (415), ``body_too_large`` (413),
            ``invalid_content_coding`` (400: damaged or cut short).
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        if len(body) > bytes_max:
            raise Invalid(
                "body_too_large",
                f"The body has {len(body)} bytes, and the limit is {bytes_max}; send less at once.",
                413,
            )
        return body
    if coding in ("gzip", "x-gzip"):
        return _gunzip(body, bytes_max)
    if coding == "zstd":
        return _unzstd(body, bytes_max)
    raise Invalid(
        "unsupported_content_encoding", "Content-Encoding may be gzip or zstd, once.", 415
    )


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = members = 0
    rest = body
    try:
        while rest and members < _FRAMES_MAX:
            member = zlib.decompressobj(31)
            while not member.eof:
                part = member.decompress(rest, _STEP_BYTES)
                rest = member.unconsumed_tail
                # There is room for output, so the input has come to its end.
                if not part and not member.eof:
                    raise _damaged("gzip")
                parts.append(part)
                size += len(part)
                if size > bytes_max:
                    raise _too_large(bytes_max)
            rest = member.unused_data
            members += 1
    except zlib.error as error:
        raise _damaged("gzip") from error
    if not members or rest:
        raise _damaged("gzip")
    return b"".join(parts)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    parts: list[bytes] = []
    position = size = frames = 0
    try:
        while position < len(body) and frames < _FRAMES_MAX:
            frame = decompressor.decompressobj()
            while position < len(body) and not frame.eof:
                part = frame.decompress(body[position : position + _PIECE_BYTES])
                position = min(position + _PIECE_BYTES, len(body))
                parts.append(part)
                size += len(part)
                if size > bytes_max:
                    raise _too_large(bytes_max)
            if not frame.eof:
                raise _damaged("zstd")
            position -= len(frame.unused_data)
            frames += 1
    except zstandard.ZstdError as error:
        raise _damaged("zstd") from error
    if not frames or position < len(body):
        raise _damaged("zstd")
    return b"".join(parts)


def _too_large(bytes_max: int) -> Invalid:
    return Invalid(
        "body_too_large", f"The body inflates beyond {bytes_max} bytes; send less at once.", 413
    )


def _damaged(coding: str) -> Invalid:
    return Invalid(
        "invalid_content_coding", f"The body is not whole {coding} data; nothing was stored."
    )
