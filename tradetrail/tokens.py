"""API keys and principals, pure: the format of a token, its hash, and what its holder may do.

A token is ``tt_<id>_<secret>``: 12 base32 characters and 43 base64url characters (256 bits). It is shown once
and kept as SHA-256 only; a secret of that entropy needs no slow hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable

import msgspec

__all__ = ["SCOPES", "Principal", "is_token", "new_token", "token_hash", "token_id"]

_TOKEN = re.compile(r"tt_[a-z2-7]{12}_[A-Za-z0-9_-]{43}")

SCOPES = ("audit:write", "audit:read", "audit:export", "audit:verify", "audit:hold", "audit:admin")


class Principal(msgspec.Struct, frozen=True):
    """Who calls, and what the token allows; ``expires_ns`` 0 is never.

    ``key_id`` tells two keys of one name apart; a session has that of the key it was opened with.
    """

    name: str
    scopes: tuple[str, ...]
    expires_ns: int = 0
    key_id: str = ""


def new_token(random: Callable[[int], bytes]) -> str:
    """A fresh token text."""
    key_id = base64.b32encode(random(8)).decode().lower()[:12]
    secret = base64.urlsafe_b64encode(random(32)).decode().rstrip("=")
    return f"tt_{key_id}_{secret}"


def token_hash(text: str) -> bytes:
    """What is stored of a token: 32 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def token_id(text: str) -> str:
    """The part of a token that may be shown: what stands between the first two underscores."""
    return text.split("_", 2)[1]


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None
