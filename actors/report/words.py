"""Words for the codes of FIX and for event types, as a report prints them."""

from __future__ import annotations

__all__ = ["order_status", "side", "type_name"]

#: Tag 54.
_SIDES = {
    "1": "Buy",
    "2": "Sell",
    "3": "Buy minus",
    "4": "Sell plus",
    "5": "Sell short",
    "6": "Sell short exempt",
    "7": "Undisclosed",
    "8": "Cross",
    "9": "Cross short",
}

#: Tag 39.
_STATUSES = {
    "0": "New",
    "1": "Partially filled",
    "2": "Filled",
    "3": "Done for day",
    "4": "Canceled",
    "5": "Replaced",
    "6": "Pending cancel",
    "7": "Stopped",
    "8": "Rejected",
    "9": "Suspended",
    "A": "Pending new",
    "B": "Calculated",
    "C": "Expired",
    "D": "Accepted for bidding",
    "E": "Pending replace",
}

_TYPES = {
    "tradetrail.order.new.v1": "New order",
    "tradetrail.order.cancel_request.v1": "Cancel request",
    "tradetrail.order.replace_request.v1": "Replace request",
    "tradetrail.order.status_request.v1": "Status request",
    "tradetrail.order.cancel_reject.v1": "Cancel reject",
    "tradetrail.execution.report.v1": "Execution report",
    "tradetrail.marketdata.request.v1": "Market data request",
    "tradetrail.session.logon.v1": "Log-on",
    "tradetrail.session.logoff.v1": "Log-off",
}


def side(code: str) -> str:
    """``Buy`` for ``1``; an unknown code as it is."""
    return _SIDES.get(code, code)


def order_status(code: str) -> str:
    """``Filled`` for ``2``; an unknown code as it is."""
    return _STATUSES.get(code, code)


def type_name(name: str) -> str:
    """``New order`` for ``tradetrail.order.new.v1``; an unknown type as it is."""
    return _TYPES.get(name, name)
