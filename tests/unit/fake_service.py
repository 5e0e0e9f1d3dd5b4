"""A small TradeTrail behind ``httpx2.MockTransport``, for tests of the client and the command line.

It stores events with identity, numbers them, pages, reports and answers problems as the contract
says. ``failures`` are taken first: each is an answer to give, or an exception to raise, instead of
serving.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import zstandard

from tradetrail.client.backoff import Timing

__all__ = ["TOKEN", "URL", "FakeService", "FakeTiming", "listening", "problem", "served", "sse"]

URL = "http://127.0.0.1:8000"
TOKEN = "tt_aaaaaaaaaaaa_secret"
STOREDTIME = "2026-03-02T09:00:00.000000001Z"


@dataclass
class FakeTiming:
    """Time that passes only when someone sleeps; chance is always one half."""

    now_s: float = 0.0
    sleeps: list[float] = field(default_factory=list)
    on_sleep: Callable[[float], None] = lambda seconds: None

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds
        self.on_sleep(seconds)

    @property
    def timing(self) -> Timing:
        return Timing(self.sleep, lambda: self.now_s, lambda: 0.5)


def problem(status: int, code: str, detail: str = "no", **headers: str) -> httpx2.Response:
    """A refused call."""
    return httpx2.Response(
        status,
        headers={"Content-Type": "application/problem+json", **headers},
        content=json.dumps({"code": code, "detail": detail, "status": status}).encode(),
    )


def served(text: bytes, userseq: int, log: str = "00", logindex: int = 0) -> bytes:
    """A record as served."""
    head = (
        f'"userseq":"{userseq}","log":"{log}","logindex":"{logindex}","storedtime":"{STOREDTIME}"'
    )
    return b"{" + head.encode() + b"," + text[1:]


def sse(*blocks: bytes) -> Callable[[], httpx2.Response]:
    """An answer that streams these pieces and then ends."""

    def stream() -> Iterator[bytes]:
        yield from blocks

    return lambda: httpx2.Response(
        200, headers={"Content-Type": "text/event-stream"}, content=stream()
    )


class FakeService:
    """Serves one machine's worth of contract; ``requests`` keeps what was asked."""

    def __init__(self, page_records_max: int = 1_000) -> None:
        self.requests: list[httpx2.Request] = []
        self.failures: deque[httpx2.Response | Exception] = deque()
        #: Taken first by posts alone.
        self.post_failures: deque[httpx2.Response] = deque()
        self.streams: deque[Callable[[], httpx2.Response]] = deque()
        self.records: list[bytes] = []
        self.texts: list[bytes] = []
        self.tokens: list[dict[str, Any]] = []
        self.report_states: deque[dict[str, Any]] = deque()
        self.report_bytes = b"userseq,log\r\n1,00\r\n"
        #: Given instead of the right one.
        self.report_digest = ""
        self.report_request: dict[str, Any] = {}
        #: Refuses events: the event's id to the refusal.
        self.refusals: dict[str, dict[str, Any]] = {}
        #: Refusals that are given once and then forgotten.
        self.passing_refusals: dict[str, dict[str, Any]] = {}
        self.body_bytes_max = 5 * 1024 * 1024
        self._identities: dict[tuple[str, str, str], bytes] = {}
        self._userseqs: Counter[str] = Counter()
        self._page_records_max = page_records_max

    @property
    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.answer)

    def paths(self, method: str) -> list[str]:
        """Paths that were asked for by a method."""
        return [request.url.path for request in self.requests if request.method == method]

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, Exception):
                raise failure
            return failure
        if request.method == "POST" and self.post_failures:
            return self.post_failures.popleft()
        path = request.url.path
        if path in {"/livez", "/readyz"}:
            return httpx2.Response(200, json=READY)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "invalid_token", "the token is not valid")
        return self._route(request.method, path, request)

    def _route(self, method: str, path: str, request: httpx2.Request) -> httpx2.Response:
        routes: dict[tuple[str, str], Callable[[httpx2.Request], httpx2.Response]] = {
            ("POST", "/v1/events"): self._ingest,
            ("GET", "/v1/history"): self._history,
            ("GET", "/v1/lookup"): self._lookup,
            ("GET", "/v1/users"): self._users,
            ("GET", "/v1/feed"): self._feed,
            ("POST", "/v1/reports"): self._report,
            ("GET", "/v1/reports/r1"): self._report_status,
            ("GET", "/v1/reports/r1/content"): self._report_content,
            ("POST", "/v1/tokens"): self._new_token,
            ("GET", "/v1/tokens"): lambda request: httpx2.Response(
                200, json={"items": self.tokens}
            ),
        }
        if (method, path) in routes:
            return routes[method, path](request)
        if method == "DELETE" and path.startswith("/v1/tokens/"):
            return httpx2.Response(204)
        if path.startswith("/v1/records/"):
            index = int(path.rpartition("/")[2])
            if index < len(self.records):
                return httpx2.Response(200, content=self.records[index])
        return problem(404, "not_found", "there is nothing here")

    def _ingest(self, request: httpx2.Request) -> httpx2.Response:
        body = request.content
        if request.headers.get("content-encoding") == "zstd":
            body = zstandard.ZstdDecompressor().decompress(body)
        if len(body) > self.body_bytes_max:
            return problem(413, "body_too_large", f"a body holds {self.body_bytes_max} bytes")
        try:
            events = json.loads(body)
        except ValueError:
            return problem(400, "not_json", "the body is not a JSON array")
        texts = _split(body)
        counts: Counter[str] = Counter()
        results = []
        for index, (event, text) in enumerate(zip(events, texts, strict=True)):
            result = self._store(event, text)
            counts[result["status"]] += 1
            if result["status"] == "rejected":
                results.append({"index": index, **result})
        rejected = counts["rejected"]
        status = 200 if not rejected else 422 if rejected == len(events) else 207
        answer = {
            "durability": "fsync",
            "stored": counts["stored"],
            "duplicates": counts["duplicate"],
            "rejected": rejected,
            "results": results,
        }
        return httpx2.Response(status, json=answer)

    def _store(self, event: dict[str, Any], text: bytes) -> dict[str, Any]:
        refusal = self.passing_refusals.pop(event["id"], None) or self.refusals.get(event["id"])
        if refusal is not None:
            return {"status": "rejected", **refusal}
        identity = (event["authid"], event["source"], event["id"])
        first = self._identities.setdefault(identity, text)
        if first is not text:
            if first == text:
                return {"status": "duplicate"}
            return {
                "status": "rejected",
                "code": "conflict",
                "detail": "other bytes",
                "retry": False,
            }
        self._userseqs[event["authid"]] += 1
        self.texts.append(text)
        self.records.append(served(text, self._userseqs[event["authid"]], "00", len(self.records)))
        return {"status": "stored"}

    def _history(self, request: httpx2.Request) -> httpx2.Response:
        user = request.url.params["user"]
        return self._page(request, lambda event: event["authid"] == user)

    def _lookup(self, request: httpx2.Request) -> httpx2.Response:
        wanted = {name: request.url.params[name] for name in ("ClOrdID",)}
        return self._page(request, lambda event: wanted.items() <= event["data"].items())

    def _page(
        self, request: httpx2.Request, matches: Callable[[dict[str, Any]], bool]
    ) -> httpx2.Response:
        """A page; every second one is empty, as one that ended at its scan budget is."""
        found = [record for record in self.records if matches(json.loads(record))]
        if request.url.params.get("order") == "desc":
            found.reverse()
        begin, _, turn = request.url.params.get("cursor", "0.full").partition(".")
        size = min(int(request.url.params["limit"]), self._page_records_max)
        first = int(begin)
        end = first if turn == "empty" else min(len(found), first + size)
        complete = end >= len(found)
        following = (
            "null" if complete else json.dumps(f"{end}.{'full' if turn == 'empty' else 'empty'}")
        )
        items = b",".join(found[first:end])
        tail = f'],"next_cursor":{following},"complete":{str(complete).lower()},'
        return httpx2.Response(
            200, content=b'{"items":[' + items + tail.encode() + b'"indexed_to":{"00":"41"}}'
        )

    def _users(self, request: httpx2.Request) -> httpx2.Response:
        prefix = request.url.params.get("prefix", "")
        items = [
            {"user": user, "count": str(count), "first_time": STOREDTIME, "last_time": STOREDTIME}
            for user, count in self._userseqs.items()
            if user.startswith(prefix)
        ]
        return httpx2.Response(200, json={"items": items, "next_cursor": None})

    def _feed(self, request: httpx2.Request) -> httpx2.Response:
        """The next stream; when all were given, no content: the feed has ended."""
        return self.streams.popleft()() if self.streams else httpx2.Response(204)

    def _report(self, request: httpx2.Request) -> httpx2.Response:
        self.report_request = json.loads(request.content)
        return httpx2.Response(
            202, headers={"Location": "/v1/reports/r1"}, json={"id": "r1", "status": "queued"}
        )

    def _report_status(self, request: httpx2.Request) -> httpx2.Response:
        done = {"status": "succeeded", "progress": {"done": 2, "total": 2}, "filename": "jane.csv"}
        state = self.report_states.popleft() if self.report_states else done
        return httpx2.Response(200, json={"id": "r1", **state})

    def _report_content(self, request: httpx2.Request) -> httpx2.Response:
        sha256 = base64.b64encode(hashlib.sha256(self.report_bytes).digest()).decode()
        digest = self.report_digest or f"sha-256=:{sha256}:"
        return httpx2.Response(200, headers={"Repr-Digest": digest}, content=self.report_bytes)

    def _new_token(self, request: httpx2.Request) -> httpx2.Response:
        token = {"id": "bbbbbbbbbbbb", **json.loads(request.content)}
        self.tokens.append(token)
        return httpx2.Response(201, json={**token, "token": "tt_bbbbbbbbbbbb_new"})


READY = {
    "status": "ready",
    "shards": [
        {"shard": 0, "state": "serving", "size": "12"},
        {"shard": 1, "state": "serving", "size": "3"},
    ],
}


def _split(body: bytes) -> list[bytes]:
    """The texts of the events in a batch whose events were joined by single commas."""
    decoder = json.JSONDecoder()
    text = body.decode()
    texts, at = [], 1
    while at < len(text) - 1:
        _, end = decoder.raw_decode(text, at)
        texts.append(text[at:end].encode())
        at = end + 1
    return texts


@contextlib.contextmanager
def listening(service: FakeService) -> Iterator[str]:
    """The service on a real port of this machine; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            answer = service.answer(
                httpx2.Request(
                    self.command,
                    f"{URL}{self.path}",
                    headers=list(self.headers.items()),
                    content=self.rfile.read(length),
                )
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in {"content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            assert isinstance(answer.stream, httpx2.SyncByteStream)
            for piece in answer.stream:
                self.wfile.write(piece)
                self.wfile.flush()

        do_POST = do_GET  # noqa: N815 - the base class's names
        do_DELETE = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited
            """Tests keep the requests themselves."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
