"""Which service the client commands talk to, and with which token.

``TRADETRAIL_URL`` (else the local service) and ``TRADETRAIL_TOKEN``. Without a token the
``admin.token`` of the data folder (``TRADETRAIL_DATA``, else ``data``) is taken, but only for a
service on this machine: it must never travel to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tradetrail.client.audit_log import AuditLog
from tradetrail.client.http import is_local
from tradetrail.errors import Invalid, Unauthenticated

__all__ = ["DEFAULT_URL", "open_log", "service_url"]

DEFAULT_URL = "http://127.0.0.1:8000"
#: A token is under 100 characters; a JWT under 8 KiB.
_TOKEN_BYTES_MAX = 16_384


def service_url(environment: Mapping[str, str]) -> str:
    """Address of the service."""
    return environment.get("TRADETRAIL_URL") or DEFAULT_URL


def open_log(environment: Mapping[str, str], *, token_needed: bool = True) -> AuditLog:
    """The service's audit trail; close it after use.

    Args:
        environment: variables of the process.
        token_needed: whether a missing token is an error.

    Raises:
        Unauthenticated: no token was found.
        Invalid: the address or the token cannot be right.
    """
    url = service_url(environment)
    token = environment.get("TRADETRAIL_TOKEN", "").strip()
    if not token and is_local(url):
        token = _admin_token(Path(environment.get("TRADETRAIL_DATA") or "data") / "admin.token")
    if not token and token_needed:
        where = "TRADETRAIL_TOKEN is not set"
        if is_local(url):
            where += " and there is no data/admin.token here (TRADETRAIL_DATA names another folder)"
        raise Unauthenticated("no_token", f"no token for {url}: {where}")
    return AuditLog(url, token)


def _admin_token(path: Path) -> str:
    """The token that ``tradetrail up`` left in its data folder; empty where there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_TOKEN_BYTES_MAX)
        return content.decode("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not a token"
        raise Invalid(
            "bad_token_file", f"{path} cannot be read ({reason}); set TRADETRAIL_TOKEN"
        ) from exc
