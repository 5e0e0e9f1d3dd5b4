"""An order's life: the records that hang together through ClOrdID, OrigClOrdID and OrderID.

A record belongs where its ClOrdID or OrigClOrdID is one of the chain's client ids, or its OrderID one of the
chain's order ids; what belongs brings its own ids in. Pure: where records are found is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradetrail.errors import Invalid

__all__ = ["CHAIN_RECORDS_MAX", "Link", "follow_chain"]

#: A market maker replaces one order some thousand times; more is no question for a screen.
CHAIN_RECORDS_MAX = 10_000
#: What FIX puts where there is no order id; it would link every rejected order with every other.
_NO_ORDER = frozenset({"", "NONE", "0", "UNKNOWN"})

#: A field and a value that records are found by.
Link = tuple[str, str]
#: Userseq and looked-up pairs of each record that has one of the links.
Find = Callable[[list[Link]], Iterable[tuple[int, tuple[Link, ...]]]]


def follow_chain(client_order_id: str, find: Find) -> tuple[int, ...]:
    """Userseqs of the chain around a ClOrdID, ascending.

    Raises:
        Invalid: ``chain_too_long``, above ``CHAIN_RECORDS_MAX`` records.
    """
    members: set[int] = set()
    asked: set[Link] = set()
    links = _client_links(client_order_id)
    while links:
        asked.update(links)
        following: list[Link] = []
        for userseq, pairs in find(links):
            if userseq in members:
                continue
            members.add(userseq)
            if len(members) > CHAIN_RECORDS_MAX:
                raise Invalid(
                    "chain_too_long",
                    f"This order's chain has more than {CHAIN_RECORDS_MAX} records; ask for its records by "
                    "ClOrdID or OrderID and a time range.",
                    pointer="#/chain",
                )
            following.extend(_links(pairs))
        links = [link for link in dict.fromkeys(following) if link not in asked]
    return tuple(sorted(members))


def _client_links(value: str) -> list[Link]:
    return [("ClOrdID", value), ("OrigClOrdID", value)]


def _links(pairs: tuple[Link, ...]) -> list[Link]:
    links: list[Link] = []
    for field, value in pairs:
        if field in ("ClOrdID", "OrigClOrdID") and value not in _NO_ORDER:
            links.extend(_client_links(value))
        elif field == "OrderID" and value not in _NO_ORDER:
            links.append((field, value))
    return links
