"""Reports over HTTP: ask, wait until it is made, fetch it whole or not at all.

A file appears under its name only after every byte arrived and its SHA-256 is the one the service
named.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
import msgspec

from tradetrail.client.backoff import Backoff
from tradetrail.client.http import HttpService
from tradetrail.errors import Corrupt, Gone, Internal, NotFound, TradeTrailError, Unavailable

__all__ = ["Report", "ReportFile", "ReportProgress", "create", "fetch", "wait"]

_POLL_S = 0.2
_POLL_S_MAX = 2.0
#: Tries of one download; each begins anew.
_FETCH_TRIES = 4
_SILENCE_S = 60.0
_UNFINISHED = frozenset({"queued", "running"})
_REPORT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class ReportProgress(msgspec.Struct, frozen=True):
    """Rows written and rows in all; ``total`` is 0 while it is not known."""

    done: int = 0
    total: int = 0


class ReportFailure(msgspec.Struct, frozen=True):
    """Why a report was not made."""

    code: str = "report_failed"
    detail: str = "the service gave no reason"


class Report(msgspec.Struct, frozen=True):
    """What the service says about one report.

    ``status`` is ``queued``, ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``expired``.
    """

    id: str
    status: str
    progress: ReportProgress | None = None
    error: ReportFailure | None = None
    filename: str | None = None
    sha256: str | None = None


class ReportFile(msgspec.Struct, frozen=True):
    """A downloaded report: where it lies, its length and its SHA-256 in hex."""

    path: Path
    size_bytes: int
    sha256: str
    report: Report


def create(service: HttpService, request: Mapping[str, object], key: str) -> Report:
    """Asks for a report.

    Args:
        service: that makes it.
        request: the body of ``POST /v1/reports``.
        key: ``Idempotency-Key``; the same key again gives the same report, so an unclear answer is
            asked again here.

    Raises:
        TradeTrailError: the report was refused, or the service is away.
    """
    body = msgspec.json.encode(request)
    headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{key}"'}
    backoff = Backoff(service.timing.random)
    for tries_left in range(_FETCH_TRIES - 1, -1, -1):
        try:
            return _report(service.send("POST", "/v1/reports", body, headers))
        except TradeTrailError as exc:
            if tries_left == 0 or not exc.retry:
                raise
            service.timing.sleep(backoff.next_s(exc.retry_after_s))
    raise AssertionError("the last try returns or raises")


def wait(service: HttpService, report: Report, on_progress: Callable[[Report], None]) -> Report:
    """Returns the report when it succeeded; ``on_progress`` hears each answer on the way.

    Raises:
        Internal: it failed.
        Gone: it was cancelled or is no longer kept.
    """
    pause_s = _POLL_S
    on_progress(report)
    while report.status in _UNFINISHED:
        service.timing.sleep(pause_s)
        pause_s = min(_POLL_S_MAX, pause_s * 1.3)
        report = _report(service.get(f"/v1/reports/{report.id}"))
        on_progress(report)
    if report.status == "succeeded":
        return report
    if report.status == "failed":
        failure = report.error or ReportFailure()
        raise Internal(failure.code, f"the report was not made: {failure.detail}")
    raise Gone(
        f"report_{report.status}", f"report {report.id} is {report.status}; ask for it again"
    )


def fetch(service: HttpService, report: Report, path: Path, key: str) -> ReportFile:
    """Downloads a finished report to ``path``, replacing what lies there only when all is well.

    Args:
        service: that made it.
        report: that succeeded.
        path: of the file; its folder must exist.
        key: unique part of the name that the file has while it arrives.

    Raises:
        Corrupt: what arrives is not what the service's digest says, several times.
        NotFound: the folder does not exist.
        TradeTrailError: the service refused, or is away.
    """
    if not path.parent.is_dir():
        raise NotFound("no_folder", f"the folder {path.parent} does not exist; make it first")
    arriving = path.parent / f".{path.name}.{key}.part"
    backoff = Backoff(service.timing.random)
    try:
        for tries_left in range(_FETCH_TRIES - 1, -1, -1):
            try:
                size_bytes, sha256 = _download(service, report, arriving)
                os.replace(arriving, path)
                return ReportFile(path, size_bytes, sha256, report)
            except (Unavailable, Corrupt):
                if tries_left == 0:
                    raise
            service.timing.sleep(backoff.next_s())
    finally:
        with contextlib.suppress(FileNotFoundError):
            arriving.unlink()
    raise AssertionError("the last try returns or raises")


def _download(service: HttpService, report: Report, arriving: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    # The digest is over the file itself, so no content coding may stand between.
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    with (
        service.stream(f"/v1/reports/{report.id}/content", (), headers, _SILENCE_S) as response,
        arriving.open("wb") as file,
    ):
        expected = _expected_sha256(response, report)
        for piece in response.iter_bytes():
            digest.update(piece)
            size_bytes += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != expected:
        raise Corrupt(
            "digest_mismatch",
            f"the file of report {report.id} arrived with another SHA-256 than the service named",
        )
    return size_bytes, expected


def _expected_sha256(response: httpx2.Response, report: Report) -> str:
    """Hex digest from ``Repr-Digest`` (RFC 9530), else from the report itself."""
    for member in response.headers.get("repr-digest", "").split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256" and len(value) > 2 and value[0] == value[-1] == ":":
            with contextlib.suppress(binascii.Error):
                return base64.b64decode(value[1:-1], validate=True).hex()
    if report.sha256:
        return report.sha256.lower()
    raise Internal("no_digest", f"the service named no SHA-256 for the file of report {report.id}")


def _report(response: httpx2.Response) -> Report:
    try:
        report = msgspec.json.decode(response.content, type=Report, strict=False)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise Internal("not_a_report", "the service sent something that is no report") from exc
    if not _REPORT_ID.fullmatch(report.id):
        raise Internal("not_a_report", "the service sent a report id that is none")
    return report
