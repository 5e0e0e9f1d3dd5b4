"""The reading and sending side of TradeTrail over HTTP.

Doors: ``audit_log.AuditLog`` asks and follows, ``sender.BatchSender`` sends. Each module is
imported by its own name, so that a trading process which only sends never loads what only readers
need.
"""

__all__: list[str] = []
