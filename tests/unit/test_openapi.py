"""The OpenAPI document against the applications it describes: paths, parameters, rights, codes, examples."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import pytest
from fastapi import FastAPI
from jsonschema import (  # type: ignore[import-untyped]  # published without types
    Draft202012Validator,
    FormatChecker,
)
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Mount, Route

from serve_app import openapi as package
from serve_app.ingest import create_ingest
from serve_app.openapi import add_openapi, document
from serve_app.openapi.parts import _STATUS
from serve_app.query import create_query
from serve_app.services import Services
from storage.append import Outcome, Status
from storage.control_store import Credential, CredentialKind
from storage.shard_reads import LookupPage, UserSummary
from storage.user_records import Page
from tests.unit.test_docs import statuses_by_code
from tradetrail.errors import NotFound, StorageFull, Unauthenticated
from tradetrail.event import Event, Limits, Refusal
from tradetrail.filters import Filter, HistoryQuery
from tradetrail.meter import Sample
from tradetrail.record import Record
from tradetrail.report import ReportRequest, ReportRow, ReportStatus, parse_request
from tradetrail.scan import scan_batch, scan_binary, scan_structured
from tradetrail.scan_event import CONTROL
from tradetrail.tokens import SCOPES, Principal

Json = dict[str, Any]
METHODS = ("get", "post", "put", "delete", "patch")
LIMITS = Limits()
#: Routes that are files, with how the document writes them.
MOUNTS = {"/assets": "/assets/{path}"}
WHERE = "serve_app/openapi"


class Holders:
    """Knows one token, whose holder has these scopes."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    async def principal(self, secret: str) -> Principal:
        if secret != "known":
            raise Unauthenticated("invalid_token", "not known")
        return Principal("someone", self.scopes)

    def forget(self) -> None:
        return None


NS = 1_767_323_045_123_456_789
TEXT = json.dumps(document()["components"]["schemas"]["Event"]["examples"][0]).encode()  # type: ignore[index]  # JSON
RECORD = Record(7, "00", 41, NS, TEXT)
REQUEST = ReportRequest("csv", users=("jane", "joe"), from_="2026-01-01T00:00:00Z")
OPEN_REPORT = ReportRow("queued-one", "key", "someone", REQUEST, ReportStatus.QUEUED, NS)
DONE_REPORT = ReportRow(
    "done-one",
    "key",
    "someone",
    REQUEST,
    ReportStatus.SUCCEEDED,
    NS,
    finished_ns=NS + 1,
    expires_ns=NS + 2,
    size_bytes=3,
    sha256="00" * 32,
    filename="tradetrail-several-users-done-one.csv",
)
FAILED_REPORT = ReportRow(
    "failed-one",
    "key",
    "someone",
    REQUEST,
    ReportStatus.FAILED,
    NS,
    error_code="report_failed",
    error_detail="lost",
)


@dataclass
class Counted:
    start_ns: int
    type: str
    count: int


class House:
    """One shard, the control actor and the exports: each answers what its kind of answer can hold."""

    async def status(self) -> dict[str, int]:
        return {"size": 42}

    async def append(self, events: list[Event]) -> list[Outcome]:
        refusal = Refusal("conflict", "another event", "/id")
        found = {
            "again": Outcome(Status.DUPLICATE, 3, 5),
            "other": Outcome(Status.REJECTED, 3, 5, refusal),
        }
        if any(event.id == "full" for event in events):
            raise StorageFull("disk_nearly_full", "full", retry_after_s=10)
        return [found.get(event.id, Outcome(Status.STORED, 7, 41)) for event in events]

    async def history(self, query: HistoryQuery, start: int, limit: int) -> Page:
        return Page([RECORD], 8 if limit == 1 else 0)

    async def plan(self, query: HistoryQuery) -> None:
        return None

    async def lookup(self, wanted: Filter, first: int, limit: int) -> LookupPage:
        return LookupPage([RECORD], 42 if limit == 1 else 0, 42)

    async def recent_users(self, limit: int, system: bool) -> list[UserSummary]:
        return [
            UserSummary("jane", 7, NS * 2, NS * 2, NS),
            UserSummary("joe", 1, NS * 2, NS * 2, NS),
        ]

    async def record(self, logindex: int) -> tuple[str, Record] | None:
        return ("jane", RECORD) if logindex == 41 else None

    async def summary(self, plan: None, bucket: str) -> list[Counted]:
        return [Counted(NS, "a", 1), Counted(NS, "b", 2), Counted(NS * 2, "a", 3)]

    async def stream(
        self, plan: None, form: str, profile: str, start: int, descending: bool
    ) -> AsyncGenerator[bytes, None]:
        yield b"piece"

    async def numbers(self) -> list[Sample]:
        return [Sample("tradetrail_feed_viewers", (), 3)]

    async def open_session(self, secret: str) -> tuple[str, Principal]:
        return "session", Principal("someone", SCOPES, NS)

    async def close_session(self, secret: str) -> None:
        return None

    async def create_key(
        self, name: str, scopes: tuple[str, ...], lifetime_s: int
    ) -> tuple[str, str]:
        return "tt_aaaaaaaaaaaa_secret", "aaaaaaaaaaaa"

    async def keys(self) -> list[Credential]:
        holder = Principal("oms", ("audit:write",))
        return [
            Credential(1, CredentialKind.KEY, holder, "aaaaaaaaaaaa", NS),
            Credential(1, CredentialKind.KEY, holder, "bbbbbbbbbbbb", NS, NS + 1),
        ]

    async def revoke_key(self, key_id: str) -> None:
        if key_id != "aaaaaaaaaaaa":
            raise NotFound("no_such_token", "no such key")

    async def create_report(
        self, principal: Principal, request: ReportRequest, claim_key: str
    ) -> ReportRow:
        return OPEN_REPORT

    async def report(self, principal: Principal, report_id: str) -> ReportRow:
        return {row.id: row for row in (OPEN_REPORT, DONE_REPORT, FAILED_REPORT)}[report_id]

    async def reports(self, principal: Principal) -> list[ReportRow]:
        return [OPEN_REPORT, DONE_REPORT, FAILED_REPORT]

    async def report_content(
        self, principal: Principal, report_id: str
    ) -> tuple[ReportRow, AsyncGenerator[bytes, None]]:
        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"a,b"

        return DONE_REPORT, chunks()

    async def remove_report(self, principal: Principal, report_id: str) -> ReportRow | None:
        return OPEN_REPORT if report_id == OPEN_REPORT.id else None


def services(*scopes: str) -> Services:
    async def push(process: str, samples: list[Sample]) -> None:
        return None

    house = cast(Any, House())
    holders = cast(Any, Holders(*scopes))
    return Services([house], house, holders, house, LIMITS, bytes(32), "test", push)


def told() -> Json:
    """The document as a client reads it."""
    found = json.loads(json.dumps(document()))
    assert isinstance(found, dict)
    return found


DOCUMENT = told()


def operations() -> Iterator[tuple[str, str, Json]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


OPERATIONS = list(operations())
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
each_operation = pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)


def routes(app: FastAPI, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, Mount):
            yield "GET", MOUNTS.get(route.path, route.path)
            continue
        assert isinstance(route, Route), f"{route} is of a kind that this test does not know"
        path = prefix + route.path
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, path.removesuffix("/") if prefix else path


def call(
    method: str,
    url: str,
    *scopes: str,
    token: str = "known",
    accept: str = "*/*",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> httpx2.Response:
    """One request to whichever application answers it, by a caller with these scopes."""

    async def asked() -> httpx2.Response:
        is_ingest = url.startswith("/v1/events")
        app = (create_ingest if is_ingest else create_query)(services(*scopes))
        transport = httpx2.ASGITransport(app=app)
        sent = {"Accept": accept} | (headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            target = url.removeprefix("/v1/events") or "/" if is_ingest else url
            return await client.request(method, target, headers=sent, content=body)

    return asyncio.run(asked())


def filled(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "00", path)


def validator(schema: Json) -> Draft202012Validator:
    """For a schema of the document, whose references begin at the document's root."""
    rooted = {"components": DOCUMENT["components"], **schema}
    return Draft202012Validator(rooted, format_checker=FormatChecker())


def mistakes(schema: Json, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(value)]


def component(name: str) -> Json:
    found = DOCUMENT["components"]["schemas"][name]
    assert isinstance(found, dict)
    return found


def contents() -> Iterator[tuple[str, str, Json]]:
    """Every media type object: where it stands, its media type, itself."""
    for method, path, operation in OPERATIONS:
        for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path} request", media_type, body
        for status, found in operation["responses"].items():
            for media_type, body in found.get("content", {}).items():
                yield f"{method} {path} {status}", media_type, body


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    found = list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())
    assert found == [], [f"{error.json_path}: {error.message}" for error in found]


def test_every_route_is_described_and_nothing_else() -> None:
    house = services()
    served = {*routes(create_query(house)), *routes(create_ingest(house), "/v1/events")}
    described = {(method, path) for method, path, _ in OPERATIONS}
    assert not served - described, f"describe these routes in {WHERE}/*_routes.py"
    assert not described - served, f"no application has these routes; remove them from {WHERE}"


def test_every_schema_is_valid_and_used() -> None:
    text = json.dumps(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert f'"#/components/schemas/{name}"' in text, f"the schema {name} is used nowhere"


@each_operation
def test_every_operation_says_what_it_is(method: str, path: str, operation: Json) -> None:
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"][0] in tags
    names = [other["operationId"] for _, _, other in OPERATIONS]
    assert names.count(operation["operationId"]) == 1


PROTECTED = [(m, p, o) for m, p, o in OPERATIONS if o["security"]]
OPEN = [(m, p, o) for m, p, o in OPERATIONS if m == "GET" and not o["security"]]


@pytest.mark.parametrize(("method", "path", "operation"), PROTECTED)
def test_the_right_that_is_named_is_the_one_that_is_asked_for(
    method: str, path: str, operation: Json
) -> None:
    without = call(method, filled(path), token="")
    assert (without.status_code, without.json()["code"]) == (401, "token_required")
    assert mistakes(component("Problem"), without.json()) == []
    scope = operation.get("x-required-scope", "")
    roles = [scope] if scope else []
    assert operation["security"] == [{"bearer": roles}, {"session": roles}]
    if not scope:
        assert "Any valid token will do" in operation["description"]
        return
    assert f"`{scope}`" in operation["description"]
    refused = call(method, filled(path), *(other for other in SCOPES if other != scope))
    assert refused.status_code == 403, f"{method} {path} does not ask for {scope}"
    assert scope in refused.json()["detail"]
    assert refused.json()["code"] in operation["responses"]["403"]["x-problem-codes"]


@pytest.mark.parametrize(("method", "path", "operation"), OPEN)
def test_open_routes_ask_for_no_token(method: str, path: str, operation: Json) -> None:
    assert "Open to all" in operation["description"]
    found = call(method, path.replace("{path}", "docs.html"), token="")
    assert found.status_code == 200
    content = operation["responses"]["200"]["content"]
    media_type = found.headers["content-type"].partition(";")[0]
    assert media_type in content or "*/*" in content
    if media_type == "application/json":
        assert mistakes(content[media_type]["schema"], found.json()) == []


def test_each_form_of_a_history_needs_the_right_that_stands_at_it() -> None:
    operation = DOCUMENT["paths"]["/v1/history"]["get"]
    content = operation["responses"]["200"]["content"]
    assert len(content) == 4
    for media_type, body in content.items():
        scope = body.get("x-required-scope", operation["x-required-scope"])
        others = [other for other in SCOPES if other != scope]
        refused = call("GET", "/v1/history?user=jane", *others, accept=media_type)
        assert refused.status_code == 403, f"{media_type} does not need {scope}"
        assert scope in refused.json()["detail"]


WITH_QUERY = [
    (path, operation)
    for _, path, operation in OPERATIONS
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ()))
]


@pytest.mark.parametrize(("path", "operation"), WITH_QUERY, ids=[path for path, _ in WITH_QUERY])
def test_the_query_parameters_are_those_that_the_route_knows(path: str, operation: Json) -> None:
    refused = call("GET", f"{path}?no_such_parameter=1", *SCOPES)
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_parameter")
    known = refused.json()["detail"].partition("there are ")[2].rstrip(".").split(", ")
    described = [item["name"] for item in operation["parameters"] if item["in"] == "query"]
    assert sorted(described) == sorted(known), f"mend the parameters of {path} in {WHERE}"


@pytest.mark.parametrize(
    ("path", "operation"),
    [(path, operation) for path, operation in WITH_QUERY if path != "/readyz"],
)
def test_bounds_of_pages_are_those_that_the_route_keeps(path: str, operation: Json) -> None:
    found = [item["schema"] for item in operation["parameters"] if item["name"] == "limit"]
    asked = f"{path}?user=jane&Symbol=A" if path == "/v1/history" else f"{path}?"
    asked = "/v1/lookup?Symbol=A" if path == "/v1/lookup" else asked
    for schema in found:
        for outside in (schema["minimum"] - 1, schema["maximum"] + 1):
            refused = call("GET", f"{asked}&limit={outside}", *SCOPES).json()
            bounds = f"limit is a number from {schema['minimum']} to {schema['maximum']}."
            assert refused["detail"] == bounds


def test_a_parameter_of_a_path_is_described_where_the_path_has_it() -> None:
    for method, path, operation in OPERATIONS:
        named = re.findall(r"\{([^}]+)\}", path)
        described = [
            item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"
        ]
        assert described == named, f"{method} {path}"


def test_every_code_in_the_document_is_raised_with_that_status() -> None:
    raised = statuses_by_code()
    for code, status in _STATUS.items():
        assert code in raised, f"{code} is raised nowhere; remove it from {WHERE}/parts.py"
        # A time in a query is refused by another route of the code than one in an event.
        if code != "invalid_time":
            assert str(status) in raised[code], f"{code} is {raised[code]}, not {status}"
    used = {
        code
        for _, _, operation in OPERATIONS
        for found in operation["responses"].values()
        for code in found.get("x-problem-codes", ())
    }
    assert used == set(_STATUS), f"no operation names {set(_STATUS) - used}; see {WHERE}/parts.py"


def test_every_problem_that_may_be_sent_again_says_when() -> None:
    for method, path, operation in OPERATIONS:
        for status, found in operation["responses"].items():
            if "x-problem-codes" in found:
                waits = status in ("503", "507")
                assert ("Retry-After" in found.get("headers", {})) == waits, f"{method} {path}"


def test_every_example_is_of_its_schema() -> None:
    seen = 0
    for where, media_type, body in contents():
        if "example" in body:
            seen += 1
            assert mistakes(body["schema"], body["example"]) == [], f"{where} {media_type}"
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            seen += 1
            assert mistakes(schema, example) == [], name
    assert seen > 20


STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


def event(**changes: object) -> Json:
    return json.loads(TEXT) | changes  # type: ignore[no-any-return]  # an object


#: Method, path in the document, what is asked, expected status; then headers and body.
ASKED: list[tuple[str, str, str, int, dict[str, str], object]] = [
    ("POST", "/v1/events", "/v1/events", 200, {"Content-Type": STRUCTURED}, event()),
    (
        "POST",
        "/v1/events",
        "/v1/events",
        200,
        {"Content-Type": BATCHED, "Prefer": "return=minimal"},
        [event()],
    ),
    ("POST", "/v1/events", "/v1/events", 200, {"Content-Type": BATCHED}, []),
    (
        "POST",
        "/v1/events",
        "/v1/events",
        207,
        {"Content-Type": BATCHED},
        [event(), event(id="again"), event(id="other"), {}],
    ),
    ("POST", "/v1/events", "/v1/events", 422, {"Content-Type": STRUCTURED}, event(authid="")),
    ("POST", "/v1/events", "/v1/events", 400, {"Content-Type": BATCHED}, {}),
    ("POST", "/v1/events", "/v1/events", 415, {"Content-Encoding": "br"}, {}),
    ("POST", "/v1/events", "/v1/events", 507, {"Content-Type": STRUCTURED}, event(id="full")),
    ("GET", "/v1/history", "/v1/history?user=jane", 200, {}, None),
    ("GET", "/v1/history", "/v1/history?user=jane&limit=1", 200, {}, None),
    ("GET", "/v1/history", "/v1/history", 400, {}, None),
    ("GET", "/v1/history/summary", "/v1/history/summary?user=jane", 200, {}, None),
    ("GET", "/v1/lookup", "/v1/lookup?ClOrdID=A1", 200, {}, None),
    ("GET", "/v1/lookup", "/v1/lookup?ClOrdID=A1&limit=1", 200, {}, None),
    ("GET", "/v1/users", "/v1/users?limit=1", 200, {}, None),
    ("GET", "/v1/records/{log}/{logindex}", "/v1/records/00/41", 200, {}, None),
    ("GET", "/v1/records/{log}/{logindex}", "/v1/records/00/40", 404, {}, None),
    ("GET", "/v1/feed", "/v1/feed", 400, {}, None),
    ("POST", "/v1/reports", "/v1/reports", 202, {}, {"user": "jane", "format": "csv"}),
    ("POST", "/v1/reports", "/v1/reports", 400, {}, {"format": "csv"}),
    ("GET", "/v1/reports", "/v1/reports?limit=2", 200, {}, None),
    ("GET", "/v1/reports/{report_id}", "/v1/reports/queued-one", 200, {}, None),
    ("GET", "/v1/reports/{report_id}", "/v1/reports/done-one", 200, {}, None),
    ("GET", "/v1/reports/{report_id}", "/v1/reports/failed-one", 200, {}, None),
    ("GET", "/v1/reports/{report_id}/content", "/v1/reports/done-one/content", 200, {}, None),
    ("DELETE", "/v1/reports/{report_id}", "/v1/reports/queued-one", 200, {}, None),
    ("DELETE", "/v1/reports/{report_id}", "/v1/reports/done-one", 204, {}, None),
    ("POST", "/v1/session", "/v1/session", 200, {}, {"token": "tt_a_b"}),
    ("POST", "/v1/session", "/v1/session", 400, {}, []),
    ("GET", "/v1/session", "/v1/session", 200, {}, None),
    ("DELETE", "/v1/session", "/v1/session", 204, {}, None),
    ("POST", "/v1/tokens", "/v1/tokens", 201, {}, {"name": "oms", "scopes": ["audit:write"]}),
    ("POST", "/v1/tokens", "/v1/tokens", 400, {}, {"name": "oms"}),
    ("GET", "/v1/tokens", "/v1/tokens", 200, {}, None),
    ("DELETE", "/v1/tokens/{key_id}", "/v1/tokens/aaaaaaaaaaaa", 204, {}, None),
    ("DELETE", "/v1/tokens/{key_id}", "/v1/tokens/bbbbbbbbbbbb", 404, {}, None),
]
#: Headers that stand in an answer only where there is something to say.
SOMETIMES = {"Link", "Preference-Applied"}


@pytest.mark.parametrize(("method", "path", "url", "status", "headers", "body"), ASKED)
def test_an_answer_is_as_it_is_described(
    method: str, path: str, url: str, status: int, headers: dict[str, str], body: object
) -> None:
    content = b"" if body is None else encoded(body)
    found = call(method, url, *SCOPES, headers=headers, body=content)
    assert found.status_code == status, found.text
    described = DOCUMENT["paths"][path][method.lower()]["responses"][str(status)]
    missing = set(described.get("headers", {})) - SOMETIMES
    assert {name for name in missing if name not in found.headers} == set()
    media_type = found.headers.get("content-type", "")
    if not found.content:
        assert "content" not in described
    elif media_type.endswith("json"):
        schema = described["content"][media_type]["schema"]
        assert mistakes(schema, found.json()) == []
        if "x-problem-codes" in described:
            assert found.json()["code"] in described["x-problem-codes"]
    else:
        assert media_type in described["content"]


def test_headers_that_are_described_as_occasional_come_on_their_occasion() -> None:
    for url in ("/v1/history?user=jane&limit=1", "/v1/lookup?ClOrdID=A1&limit=1"):
        assert 'rel="next"' in call("GET", url, *SCOPES).headers["Link"]
    batch = {"Content-Type": BATCHED, "Prefer": "return=minimal"}
    found = call("POST", "/v1/events", *SCOPES, headers=batch, body=b"[]")
    assert found.headers["Preference-Applied"] == "return=minimal"


@pytest.mark.parametrize("form", ["application/x-ndjson", "text/csv"])
def test_a_streamed_history_has_the_media_type_that_was_asked_for(form: str) -> None:
    found = call("GET", "/v1/history?user=jane", *SCOPES, accept=form)
    assert found.headers["content-type"].partition(";")[0] == form
    assert found.content == b"piece"


def test_every_answer_in_json_has_an_example() -> None:
    for where, media_type, body in contents():
        if media_type == "application/json" and "/openapi.json" not in where:
            assert "example" in body, where


def events_content() -> Json:
    found = DOCUMENT["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    assert isinstance(found, dict)
    return found


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_the_examples_of_events_are_accepted_in_each_mode() -> None:
    content = events_content()
    structured = content["application/cloudevents+json"]["example"]
    batch = content["application/cloudevents-batch+json"]["example"]
    assert isinstance(scan_structured(encoded(structured), LIMITS), Event)
    assert len(batch) > 1
    assert all(isinstance(item, Event) for item in scan_batch(encoded(batch), LIMITS))
    parameters = DOCUMENT["paths"]["/v1/events"]["post"]["parameters"]
    headers = [
        (item["name"], item["example"]) for item in parameters if item["name"].startswith("ce-")
    ]
    headers.append(("content-type", "application/json"))
    data = encoded(content["application/json"]["example"])
    found = scan_binary(headers, data, LIMITS)
    assert isinstance(found, Event)
    assert mistakes(component("Event"), json.loads(found.text)) == []


def test_the_example_of_a_report_is_accepted() -> None:
    content = DOCUMENT["paths"]["/v1/reports"]["post"]["requestBody"]["content"]
    assert parse_request(encoded(content["application/json"]["example"])).format == "pdf"


GOOD = component("Event")["examples"][0]
REFUSED_CHANGES: list[Json] = [
    {"specversion": "0.3"},
    {"id": ""},
    {"id": 7},
    {"id": "x" * (LIMITS.identifier_bytes + 1)},
    {"source": "x" * (LIMITS.source_bytes + 1)},
    {"source": None},
    {"authid": "tradetrail:reader/x"},
    {"authid": "a\u0085b"},
    {"type": "a\nb"},
    {"subject": ""},
    {"subject": "x" * 1025},
    {"initiator": "somebody"},
    {"time": "2026-01-02T03:04:05"},
    {"logindex": "7"},
    {"Upper": "x"},
    {"under_score": "x"},
    {"extension": {"an": "object"}},
    {"extension": 2**31},
    {"extension": 1.5},
    {"extension": "x" * 4097},
    {"data_base64": "AAAA"},
]
ACCEPTED_CHANGES: list[Json] = [
    {},
    {"id": "x" * LIMITS.identifier_bytes},
    {"authid": "Jürgen / 50%"},
    {"time": "2026-01-02T03:04:05.123456789012+05:30"},
    {"time": None},
    {"subject": None, "initiator": None},
    {"initiator": "venue"},
    {"extension": True, "other": -(2**31), "third": None, "fourth": "x" * 4096},
    {"data": [1, "two", None]},
    {"data_base64": None},
]


@pytest.mark.parametrize("change", REFUSED_CHANGES)
def test_the_schema_refuses_what_the_scan_refuses(change: Json) -> None:
    changed = GOOD | change
    assert isinstance(scan_structured(encoded(changed), LIMITS), Refusal)
    assert mistakes(component("Event"), changed)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "authid"])
def test_the_schema_requires_what_the_scan_requires(name: str) -> None:
    without = {other: value for other, value in GOOD.items() if other != name}
    assert isinstance(scan_structured(encoded(without), LIMITS), Refusal)
    assert mistakes(component("Event"), without)


@pytest.mark.parametrize("change", ACCEPTED_CHANGES)
def test_the_schema_takes_what_the_scan_takes(change: Json) -> None:
    changed = GOOD | change
    assert isinstance(scan_structured(encoded(changed), LIMITS), Event)
    assert mistakes(component("Event"), changed) == []


def test_control_characters_are_the_same_for_the_schema_and_the_scan() -> None:
    pattern = re.compile(component("Event")["properties"]["id"]["pattern"])
    for code in range(0x200):
        # Python's $ also stands before a last line break, that of JSON Schema does not.
        text = f"a{chr(code)}b"
        assert bool(pattern.search(text)) != bool(CONTROL.search(text)), hex(code)


def test_the_limits_of_a_service_stand_in_its_document() -> None:
    small = Limits(body_bytes=70_001, event_bytes=60_001, batch_events=77, json_depth=9)
    text = json.dumps(document(small))
    for number in (70_001, 60_001, 77):
        assert str(number) in text
    found = cast(Json, document(small))
    assert found["components"]["schemas"]["Batch"]["maxItems"] == 77


def test_the_page_of_the_description_loads_it_from_the_service_itself() -> None:
    page = call("GET", "/docs", token="")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    scripts = [source for source in sources if source.endswith((".js", ".css"))]
    assert len(scripts) == 3
    for source in sources:
        assert call("GET", source, token="").status_code == 200, source
    script = call("GET", "/assets/docs.js", token="").text
    assert '"/openapi.json"' in script
    assert "http" not in page.text + re.sub(r"//.*", "", script)


def test_neither_the_description_nor_the_routes_load_ray() -> None:
    program = (
        "import sys, serve_app.query, serve_app.ingest, serve_app.openapi; "
        "sys.exit('ray' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_package_offers_two_names() -> None:
    assert package.__all__ == ["add_openapi", "document"]
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    add_openapi(app)
    assert list(routes(app)) == [("GET", "/openapi.json")]
