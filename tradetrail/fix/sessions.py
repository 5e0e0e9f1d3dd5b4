"""Which side of a FIX session is the client.

The side that sent the first Logon of a session pair is. A log that begins in the middle shows
none: there the first message that only one side sends decides (a client sends orders, a firm
reports executions). A named client overrides both. The first decision for a pair stands, so a
later Logon the firm might send changes no user. While nothing is decided, the sender is taken for
the client.

One instance reads one log in order; the same log gives the same answers.
"""

from __future__ import annotations

__all__ = ["ClientSides"]

_LOGON = "A"
#: NewOrderSingle, Cancel and Replace, status and mass requests, lists, quote, market data and
#: other requests.
_CLIENT_SENDS = frozenset(
    (
        "AB",
        "AC",
        "AD",
        "AF",
        "BE",
        "D",
        "E",
        "F",
        "G",
        "H",
        "R",
        "V",
        "c",
        "e",
        "g",
        "q",
        "s",
        "t",
        "u",
        "v",
        "x",
    )
)
#: Execution reports, rejects of requests, status, market data, responses.
_FIRM_SENDS = frozenset(
    ("8", "9", "AE", "AQ", "BF", "BZ", "CA", "N", "W", "X", "Y", "d", "f", "h", "j", "r", "w", "y")
)
#: A real log holds a handful; past this, pairs are judged message by message.
_PAIRS_MAX = 100_000


class ClientSides:
    """Remembers the client of each session pair.

    Args:
        client: the CompID that is the client wherever it takes part; ``None`` to find out.
    """

    def __init__(self, client: str | None = None) -> None:
        self._named = client
        #: Client's CompID by the pair in either order.
        self._client_of: dict[tuple[str, str], str] = {}

    def sent_by_client(self, message_type: str, sender: str, target: str) -> bool:
        """Whether the sender (tag 49) of this message is the client of its pair with tag 56."""
        if self._named in {sender, target}:
            return sender == self._named
        known = self._client_of.get((sender, target))
        if known is not None:
            return sender == known
        if message_type in _FIRM_SENDS:
            self._decide(sender, target, target)
            return False
        if message_type == _LOGON or message_type in _CLIENT_SENDS:
            self._decide(sender, target, sender)
        return True

    def _decide(self, sender: str, target: str, client: str) -> None:
        if len(self._client_of) < 2 * _PAIRS_MAX:
            self._client_of[sender, target] = client
            self._client_of[target, sender] = client
