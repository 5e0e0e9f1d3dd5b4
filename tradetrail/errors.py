"""The one tree of errors.

    TradeTrailError
    ├── Invalid           fix the call                          400, 413, 415, 422
    ├── Unauthenticated   bring a valid token                   401
    ├── Forbidden         ask for the right                     403
    ├── NotFound          nothing there that you may see        404
    ├── Conflict          reload, then decide                   409
    ├── Gone              it was there and is not kept          410
    ├── Backpressure      wait ``retry_after_s``, send again    429, 503
    ├── Unavailable       outcome unknown or shard away, retry  503
    ├── StorageFull       wait until there is space             507
    ├── Fenced            a newer owner stands; stop, reopen    503
    ├── Corrupt           stop, alarm, call an operator         500
    └── Internal          report it                             500

A class says what the caller does next; ``code`` is the stable name of the reason. Errors cross process
boundaries by pickle, therefore every field is passed positionally to ``Exception`` and the text is built
in ``__str__``. Messages name what, where, the limit and what to do, and never hold payloads or secrets.
"""

from __future__ import annotations

__all__ = [
    "Backpressure",
    "Conflict",
    "Corrupt",
    "Fenced",
    "Forbidden",
    "Gone",
    "Internal",
    "Invalid",
    "NotFound",
    "StorageFull",
    "TradeTrailError",
    "Unauthenticated",
    "Unavailable",
]


class TradeTrailError(Exception):
    """Root of the tree.

    Args:
        code: stable machine name of the reason, for instance ``missing_attribute``.
        detail: one sentence for a person: what, where, the limit, what to do.
        status: the HTTP status that says the same; 0 takes the class's own.
        pointer: JSON Pointer fragment into the request (``#/2/authid``), empty where there is none.
        retry_after_s: seconds to wait before the same call may be sent again; 0 where waiting is no help.
    """

    #: HTTP status of the class where an instance names none.
    default_status = 500
    #: Whether the same call may be sent again as it is.
    retry = False

    def __init__(
        self,
        code: str,
        detail: str,
        status: int = 0,
        pointer: str = "",
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(code, detail, status, pointer, retry_after_s)
        self.code = code
        self.detail = detail
        self.status = status or self.default_status
        self.pointer = pointer
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        where = f" at {self.pointer}" if self.pointer else ""
        return f"{self.code}{where}: {self.detail}"


class Invalid(TradeTrailError):
    """The call itself is wrong; sending it again unchanged gives the same answer."""

    default_status = 400


class Unauthenticated(TradeTrailError):
    """No token, or one that is not valid."""

    default_status = 401


class Forbidden(TradeTrailError):
    """The token is valid and does not carry the right."""

    default_status = 403


class NotFound(TradeTrailError):
    """Absent, or not visible to this caller; the two are not told apart."""

    default_status = 404


class Conflict(TradeTrailError):
    """The state is not what the caller took it for."""

    default_status = 409


class Gone(TradeTrailError):
    """It existed and is kept no longer."""

    default_status = 410


class Backpressure(TradeTrailError):
    """Nothing was stored; the same call may be sent after ``retry_after_s``."""

    default_status = 503
    retry = True


class Unavailable(TradeTrailError):
    """A part is away or the outcome is unknown; send again, identity makes it safe."""

    default_status = 503
    retry = True


class StorageFull(TradeTrailError):
    """The disk is nearly full: writes are refused, reads go on."""

    default_status = 507
    retry = True


class Fenced(TradeTrailError):
    """A newer owner stands for this shard; this one must stop."""

    default_status = 503
    retry = True


class Corrupt(TradeTrailError):
    """Stored data contradicts itself; nothing is changed until an operator decides."""


class Internal(TradeTrailError):
    """A mistake of ours."""
