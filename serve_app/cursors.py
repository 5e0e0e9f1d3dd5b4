"""Page cursors: opaque, authenticated, bound to the question they continue."""

from __future__ import annotations

import base64
import hashlib
import hmac

from tradetrail.errors import Invalid

__all__ = ["open_cursor", "seal_cursor"]

_TAG_BYTES = 16


def seal_cursor(key: bytes, question: str, position: str) -> str:
    """A cursor that continues ``question`` at ``position``."""
    payload = position.encode()
    return base64.urlsafe_b64encode(_tag(key, question, payload) + payload).decode().rstrip("=")


def open_cursor(key: bytes, question: str, cursor: str) -> str:
    """The position; raises ``Invalid`` for a cursor that is forged or of another question."""
    try:
        padding = "=" * (-len(cursor) % 4)
        raw = base64.b64decode(cursor + padding, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
    if len(tag) != _TAG_BYTES or not hmac.compare_digest(tag, _tag(key, question, payload)):
        raise Invalid(
            "invalid_cursor",
            "The cursor was not given by this service for this question; begin again without it.",
        )
    return payload.decode()


def _tag(key: bytes, question: str, payload: bytes) -> bytes:
    bound = hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()
    return hmac.digest(key, bound + payload, "sha256")[:_TAG_BYTES]
