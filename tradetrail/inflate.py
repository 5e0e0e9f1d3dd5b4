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


def inflate(content_encoding: str, body: bytes, bytes_max: int) -> bytes:
    """The body without its content coding.

    Raises:
        Invalid: ``unsupported_content_encoding`` (415), ``body_too_large`` (413),
            ``invalid_content_coding`` (400: damaged or cut short).
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        inflated = body
    elif coding in ("gzip", "x-gzip"):
        inflated = _gunzip(body, bytes_max)
    elif coding == "zstd":
        inflated = _unzstd(body, bytes_max)
    else:
        raise Invalid(
            "unsupported_content_encoding", "Content-Encoding may be gzip or zstd, once.", 415
        )
    if len(inflated) > bytes_max:
        raise Invalid(
            "body_too_large", f"The body inflates beyond {bytes_max} bytes; send less at once.", 413
        )
    return inflated


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    room = bytes_max + 1
    rest = body
    try:
        while rest and room:
            member = zlib.decompressobj(31)
            part = member.decompress(rest, room)
            parts.append(part)
            room -= len(part)
            if room and not member.eof:
                raise _damaged("gzip")
            rest = member.unused_data
    except zlib.error as error:
        raise _damaged("gzip") from error
    if not parts:
        raise _damaged("gzip")
    return b"".join(parts)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
        unpacker = decompressor.decompressobj()
        parts: list[bytes] = []
        size = 0
        # Fed in small pieces, one piece can only grow so far before its output is counted.
        for start in range(0, len(body), 512):
            part = unpacker.decompress(body[start : start + 512])
            parts.append(part)
            size += len(part)
            if size > bytes_max:
                break
            if unpacker.eof:
                if unpacker.unused_data or body[start + 512 :]:
                    raise _damaged("zstd")
                return b"".join(parts)
    except zstandard.ZstdError as error:
        raise _damaged("zstd") from error
    if size <= bytes_max:
        raise _damaged("zstd")
    return b"".join(parts)


def _damaged(coding: str) -> Invalid:
    return Invalid(
        "invalid_content_coding", f"The body is not whole {coding} data; nothing was stored."
    )
