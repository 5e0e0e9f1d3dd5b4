"""TradeTrail: an audit trail for trading platforms, for both sides of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradetrail.client.audit_log import AuditLog

__all__ = ["AuditLog", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Loads what only some programs need when it is first asked for (PEP 562)."""
    if name == "AuditLog":
        from tradetrail.client.audit_log import AuditLog  # noqa: PLC0415 - that is the point

        return AuditLog
    raise AttributeError(f"module 'tradetrail' has no attribute {name!r}")
