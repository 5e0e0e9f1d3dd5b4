"""Keyed hashes: what stands in keys and indexes in place of ids.

All are BLAKE2b keyed from the cluster secret: without it no id can be tested against the store. Which shard a
user belongs to is not keyed, so that every replica can tell without a key.
"""

from __future__ import annotations

from hashlib import blake2b

from storage.secrets import ClusterSecret

__all__ = ["Hasher", "shard_of"]

#: Bounds the cache of hashed tokens; symbols, accounts and types recur, order ids do for a while.
_CACHED_TOKENS_MAX = 65_536


def shard_of(user: str, shards: int) -> int:
    """The shard of a user: BLAKE2b(user, 8 bytes) modulo the number of shards."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest(), "big") % shards


class Hasher:
    """The keyed hashes of one shard."""

    def __init__(self, secret: ClusterSecret) -> None:
        self._user = secret.derive("hash/user")
        self._identity = secret.derive("hash/identity")
        self._token = secret.derive("hash/token")
        self._tokens: dict[str, int] = {}

    def user_key(self, user: str) -> bytes:
        """16 bytes that stand for a user on disk."""
        return blake2b(user.encode(), digest_size=16, key=self._user).digest()

    def identity(self, user: str, source: str, event_id: str) -> bytes:
        """16 bytes that stand for one event's identity."""
        # Control characters are refused in all three, so the separator is unambiguous.
        text = f"{user}\0{source}\0{event_id}"
        return blake2b(text.encode(), digest_size=16, key=self._identity).digest()

    def token(self, token: str) -> int:
        """64 bits that stand for one looked-up value or type."""
        found = self._tokens.get(token)
        if found is None:
            if len(self._tokens) >= _CACHED_TOKENS_MAX:
                self._tokens.clear()
            digest = blake2b(token.encode(), digest_size=8, key=self._token).digest()
            found = int.from_bytes(digest, "big")
            self._tokens[token] = found
        return found
