"""``POST /v1/events``: authenticate, bound, scan, split by shard, answer when durable."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec
from fastapi import FastAPI, Request, Response

from serve_app.access import authorize
from serve_app.metering import Metered
from serve_app.problems import install_problems
from serve_app.services import EventOutcome, Services
from storage.hashing import shard_of
from tradetrail.errors import Invalid, TradeTrailError, Unavailable
from tradetrail.event import Event, Limits, Refusal
from tradetrail.inflate import inflate
from tradetrail.meter import Meter
from tradetrail.names import log_name
from tradetrail.scan import Mode, content_mode, scan_batch, scan_binary, scan_structured

__all__ = ["create_ingest"]

#: A sender that stops in the middle of a body is let go after this.
_BODY_TIMEOUT_S = 30.0
#: The worst text of this size is scanned in some milliseconds; more goes to a thread, so that a body made to
#: be slow holds back nobody else.
_SCAN_INLINE_BYTES = 64 * 1024
_DUPLICATE = 1


def create_ingest(services: Services) -> FastAPI:
    """The ingest application; its one route answers at the mount point itself, without a redirect."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_problems(app)
    app.add_middleware(Metered, services=services, name="ingest")

    @app.post("")
    @app.post("/")
    async def post_events(request: Request) -> Response:
        await authorize(request, services.principals, "audit:write")
        body = await _read_body(request, services.limits)
        services.meter.add("tradetrail_ingest_body_bytes_total", (), len(body))
        if len(body) > _SCAN_INLINE_BYTES:
            items = await asyncio.to_thread(_scan, request, body, services.limits)
        else:
            items = _scan(request, body, services.limits)
        # The commit goes on when the client goes away: a half-applied batch would be worse.
        answers = await asyncio.shield(_store(services, items))
        _count(services.meter, answers)
        return _answer(answers, "return=minimal" in request.headers.get("prefer", ""))

    return app


async def _read_body(request: Request, limits: Limits) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError as error:
        raise Invalid(
            "body_timeout", f"The body did not arrive within {_BODY_TIMEOUT_S:.0f} s.", 408
        ) from error
    coding = ",".join(request.headers.getlist("content-encoding"))
    return inflate(coding, b"".join(parts), limits.body_bytes)


def _too_large(limits: Limits) -> Invalid:
    return Invalid(
        "body_too_large", f"The body is over {limits.body_bytes} bytes; send smaller batches.", 413
    )


def _scan(request: Request, body: bytes, limits: Limits) -> list[Event | Refusal]:
    mode = content_mode(request.headers.get("content-type"))
    if mode is Mode.BATCHED:
        return scan_batch(body, limits)
    if mode is Mode.STRUCTURED:
        return [scan_structured(body, limits)]
    return [scan_binary(request.headers.items(), body, limits)]


async def _store(services: Services, items: Sequence[Event | Refusal]) -> list[dict[str, object]]:
    """One result per item, in order; raises only where nothing was stored."""
    answers: list[dict[str, object]] = [{} for _ in items]
    by_shard: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        if isinstance(item, Event):
            by_shard.setdefault(shard_of(item.user, len(services.shards)), []).append(index)
        else:
            answers[index] = _refused(index, item)
    calls = [
        services.shards[shard].append(
            [item for i in indexes if isinstance(item := items[i], Event)]
        )
        for shard, indexes in by_shard.items()
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures and len(failures) == len(results) and not any(answers):
        raise _failed(failures[0])
    for (shard, indexes), result in zip(by_shard.items(), results, strict=True):
        if isinstance(result, BaseException):
            refusal = _failure(result)
            for index in indexes:
                answers[index] = _refused(index, refusal)
        else:
            for index, outcome in zip(indexes, result, strict=True):
                answers[index] = _outcome(index, shard, outcome)
    return answers


def _failed(error: BaseException) -> TradeTrailError:
    """The error a shard's call ended with; whatever is not ours leaves the outcome unknown."""
    if isinstance(error, TradeTrailError):
        return error
    failed = Unavailable(
        "outcome_unknown", "The shard failed on this; send the same events again.", 503, "", 1
    )
    failed.__cause__ = error
    return failed


def _failure(error: BaseException) -> Refusal:
    failed = _failed(error)
    return Refusal(failed.code, failed.detail, "", failed.retry)


def _refused(index: int, refusal: Refusal) -> dict[str, object]:
    return {
        "index": index,
        "status": "rejected",
        "code": refusal.code,
        "detail": refusal.detail,
        "pointer": f"#/{index}{refusal.pointer}",
        "retry": refusal.retry,
    }


def _outcome(index: int, shard: int, outcome: EventOutcome) -> dict[str, object]:
    numbers = {
        "log": log_name(shard),
        "logindex": str(outcome.logindex),
        "userseq": str(outcome.userseq),
    }
    if outcome.refusal is not None:
        return _refused(index, outcome.refusal) | numbers
    status = "duplicate" if outcome.status == _DUPLICATE else "stored"
    return {"index": index, "status": status} | numbers


def _count(meter: Meter, answers: list[dict[str, object]]) -> None:
    for status, count in Counter(str(answer["status"]) for answer in answers).items():
        meter.add("tradetrail_ingest_events_total", (status,), count)
    for code in (answer["code"] for answer in answers if "code" in answer):
        meter.add("tradetrail_ingest_refusals_total", (str(code),))


def _answer(answers: list[dict[str, object]], minimal: bool) -> Response:
    counts = {"stored": 0, "duplicate": 0, "rejected": 0}
    for answer in answers:
        counts[str(answer["status"])] += 1
    kept = [answer for answer in answers if not minimal or answer["status"] == "rejected"]
    body = {
        "durability": "fsync",
        "stored": counts["stored"],
        "duplicates": counts["duplicate"],
        "rejected": counts["rejected"],
        "results": kept,
    }
    status = 200
    if counts["rejected"]:
        status = 422 if counts["rejected"] == len(answers) else 207
    headers = {"Preference-Applied": "return=minimal"} if minimal else {}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
