"""The reference against the code: settings, error codes, metrics, links, and the calls that http.md shows."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from serve_app.openapi import document
from serve_app.settings import ENVIRONMENT_PREFIX, ServiceSettings
from serve_app.tokens import _parse as parse_token_request
from tradetrail import errors
from tradetrail.event import Event, Limits
from tradetrail.meter import METRICS
from tradetrail.report import parse_request
from tradetrail.scan import Mode, content_mode, scan_batch, scan_binary, scan_structured

__all__ = ["statuses_by_code"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Where codes are looked for: everything that a client or an operator of the service can meet.
ROOMS = (
    *("serve_app/**/*.py", "actors/**/*.py", "storage/**/*.py"),
    *("tradetrail/*.py", "tradetrail/tlog/*.py"),
)
CLASSES = {
    name: kind.default_status
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.TradeTrailError)
}
#: A refusal of one event stands in the answer's results and has no status of its own.
EVENT = "event"
#: Codes whose status is not the one at the place that names them, and why.
ELSEWHERE = {
    # Of an event it is a refusal; of a query parameter it becomes 400.
    "invalid_time": {"400", EVENT},
    # Raised by the framework, with the framework's status.
    "http_error": {"4xx"},
    "method_not_allowed": {"405"},
    "no_such_route": {"404"},
    # The same words for an event and for a body as a whole.
    "invalid_json": {"400", EVENT},
    # One event's answer where its shard failed, and the whole answer.
    "internal_error": {"500", EVENT},
}
#: Places that hand on a code that was named elsewhere.
HANDED_ON = {"error.code", "failed.code"}


def table(name: str) -> list[list[str]]:
    """The rows of all tables of a page, cells without back quotes."""
    found = []
    for line in (DOCS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append([cell.strip().replace("\\|", "|").strip("`") for cell in cells])
    return found


def words(node: ast.AST | None) -> set[str]:
    """Every text in an expression that looks like a code."""
    if node is None:
        return set()
    texts = (item.value for item in ast.walk(node) if isinstance(item, ast.Constant))
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z0-9_]+", text)}


@dataclasses.dataclass(frozen=True)
class Found:
    """A code, the status it is raised with, and where."""

    code: str
    status: str
    place: str


def codes_of(path: Path) -> Iterator[Found]:
    """Every code that a module names: as the first argument of an error, or of a function that makes one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes: list[ast.AST] = [tree]
    scopes += [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(call): scope for scope in scopes for call in ast.walk(scope)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and call.args:
            name = ast.unparse(call.func).rpartition(".")[2]
            if name in CLASSES or name in ("Refusal", "refused"):
                place = f"{path.relative_to(ROOT)}:{call.lineno}"
                for code in named(call.args[0], inside[id(call)], place):
                    yield Found(code, status_of(name, call), place)
    for text in ast.walk(tree):
        # A problem that stands ready as text, for a part of the house that is no Python.
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            ready = re.search(r'"status":(\d+),.*"code":"(\w+)"', text.value)
            if ready:
                yield Found(ready[2], ready[1], f"{path.relative_to(ROOT)}:{text.lineno}")


def named(argument: ast.expr, scope: ast.AST, place: str) -> set[str]:
    if isinstance(argument, ast.Constant):
        return {argument.value} if isinstance(argument.value, str) else set()
    if ast.unparse(argument) in HANDED_ON:
        return set()
    if isinstance(argument, ast.Name):
        if isinstance(scope, ast.FunctionDef) and argument.id in [
            item.arg for item in scope.args.args
        ]:
            return set()
        given = [
            node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == argument.id
        ]
        found = set().union(*(words(value) for value in given))
        if found:
            return found
    raise AssertionError(
        f"{place}: the code is no text; write it there, or add {ast.unparse(argument)!r} to HANDED_ON"
    )


def status_of(name: str, call: ast.Call) -> str:
    if name not in CLASSES:
        return EVENT
    given = call.args[2] if len(call.args) > 2 else None
    for keyword in call.keywords:
        given = keyword.value if keyword.arg == "status" else given
    if given is None or (isinstance(given, ast.Constant) and given.value == 0):
        return str(CLASSES[name])
    return ast.unparse(given)


@lru_cache(maxsize=1)
def raised() -> tuple[Found, ...]:
    paths = sorted({path for room in ROOMS for path in ROOT.glob(room)})
    return tuple(found for path in paths for found in codes_of(path))


def statuses_by_code() -> dict[str, set[str]]:
    """Every code that the code names, with the statuses it is raised with."""
    found: dict[str, set[str]] = {}
    for item in raised():
        found.setdefault(item.code, set()).add(item.status)
    return found


def test_the_walk_finds_codes_of_every_kind() -> None:
    found = statuses_by_code()
    assert found["missing_attribute"] == {EVENT}
    assert found["body_timeout"] == {"408"}
    assert found["no_such_report"] == {"404"}
    assert found["conflict"] == {EVENT}
    assert found["starting"] == {"503"}
    assert {"no_such_route", "method_not_allowed", "http_error"} <= set(found)
    assert len(found) > 80


def test_every_code_stands_in_the_reference() -> None:
    described = {row[0] for row in table("errors.md")}
    missing = {item.code: item.place for item in raised() if item.code not in described}
    assert not missing, (
        "add a row | `code` | status | when | what to do | to docs/errors.md for: "
        + ", ".join(f"{code} ({place})" for code, place in sorted(missing.items()))
    )


def test_every_code_of_the_reference_is_raised_somewhere() -> None:
    gone = sorted({row[0] for row in table("errors.md")} - set(statuses_by_code()))
    assert not gone, f"no code raises these any more; remove their rows from docs/errors.md: {gone}"


def test_no_code_stands_twice() -> None:
    codes = [row[0] for row in table("errors.md")]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("row", table("errors.md"), ids=lambda row: row[0])
def test_a_code_has_the_status_that_the_reference_names(row: list[str]) -> None:
    assert len(row) == 4, f"{row[0]}: a row has four cells"
    code, status, when, what = row
    assert when
    assert what
    found = ELSEWHERE.get(code) or statuses_by_code().get(code, set())
    assert set(re.split(r", ", status)) == found, f"{code}: write {', '.join(sorted(found))}"


def default_of(name: str) -> str:
    """A setting's default as the reference writes it."""
    written = {"keys": "DATA.keys", "shards": "as the data has it, 2 for new data"}
    return written.get(name, str(ServiceSettings.__dataclass_fields__[name].default))


def test_every_setting_stands_in_the_reference_with_its_default() -> None:
    rows = {row[0]: row for row in table("settings.md")}
    names = [field.name for field in dataclasses.fields(ServiceSettings)]
    for name in names:
        variable = ENVIRONMENT_PREFIX + name.upper()
        begin = f"| `{name}` | `{variable}` | UNIT | `{default_of(name)}` | WHY |"
        assert name in rows, f"add to docs/settings.md: {begin}"
        _, found, unit, default, why = rows[name]
        assert (found, default) == (variable, default_of(name)), f"docs/settings.md: {begin}"
        assert unit
        assert why
        for suffix, expected in (("_bytes", "bytes"), ("_s", "seconds"), ("_events", "events")):
            if name.endswith(suffix):
                assert unit.startswith(expected), f"docs/settings.md: the unit of {name}"
    assert list(rows) == names, "docs/settings.md: one row for each setting, in the code's order"


def test_every_metric_stands_in_the_reference() -> None:
    rows = {row[0]: row for row in table("metrics.md")}
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        row = f"| `{name}` | {metric.kind} | {labels} | MEANING |"
        assert name in rows, f"add to docs/metrics.md: {row}"
        _, kind, found, meaning = rows[name]
        assert (kind, found.strip("`")) == (metric.kind, labels.strip("`")), f"write: {row}"
        assert meaning
    assert list(rows) == list(METRICS), (
        "docs/metrics.md: one row for each metric, in METRICS' order"
    )


PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}: no such heading"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@dataclasses.dataclass(frozen=True)
class Call:
    """One ``curl`` of a page."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    body: bytes


def calls(page: Path) -> Iterator[Call]:
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        # A line goes on behind a backslash, and a text in quotes over several lines.
        text = block.replace("\\\n", " ")
        for begun in re.finditer(r"^curl .*?(?=^curl |^# |\Z)", text, re.M | re.S):
            yield parsed(shlex.split(begun.group().partition("\n\n")[0].strip()))


def parsed(words: list[str]) -> Call:
    method, url, body = "", "", b""
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    rest = iter(words[1:])
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(":")
            headers.append((name.strip(), value.strip()))
        elif word == "-X":
            method = next(rest)
        elif word in ("-d", "--data-binary"):
            body = next(rest).encode()
        elif word == "--data-urlencode":
            name, _, value = next(rest).partition("=")
            query.append((name, value))
        elif word.startswith("$TRADETRAIL_URL"):
            url = word.removeprefix("$TRADETRAIL_URL")
        elif word == "-o":
            next(rest)
        elif word == "|":
            break
        else:
            assert re.fullmatch(r"-[A-Za-z]+|>", word), f"{word!r} in {words}"
    parts = urlsplit(url)
    query += parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    return Call(method or ("POST" if body else "GET"), parts.path, query, headers, body)


SHOWN = [
    pytest.param(found, id=f"{page.name}-{number}")
    for page in (ROOT / "README.md", DOCS / "http.md")
    for number, found in enumerate(calls(page), 1)
]


DESCRIBED = json.loads(msgspec.json.encode(document()))["paths"]


def operation_of(call: Call) -> dict[str, object]:
    for path, item in DESCRIBED.items():
        pattern = re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, call.path) and call.method.lower() in item:
            found = item[call.method.lower()]
            assert isinstance(found, dict)
            return found
    raise AssertionError(f"no route answers {call.method} {call.path}")


def test_the_guide_shows_calls_of_every_kind() -> None:
    shown = {found.path for found in calls(DOCS / "http.md")}
    for path in (
        "/v1/events",
        "/v1/history",
        "/v1/lookup",
        "/v1/feed",
        "/v1/reports",
        "/v1/tokens",
    ):
        assert path in shown


@pytest.mark.parametrize("call", SHOWN)
def test_every_call_that_is_shown_would_be_understood(call: Call) -> None:
    operation = operation_of(call)
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    known = [item["name"] for item in parameters if item["in"] == "query"]
    assert {name for name, _ in call.query} <= set(known), f"{call.path} knows {known}"
    if operation["security"]:
        assert ("$auth", "") in call.headers
    if call.path == "/v1/events":
        check_events(call)
    elif call.path == "/v1/reports" and call.method == "POST":
        parse_request(call.body)
    elif call.path == "/v1/tokens" and call.method == "POST":
        parse_token_request(call.body)


def check_events(call: Call) -> None:
    limits = Limits()
    content_type = next(value for name, value in call.headers if name.lower() == "content-type")
    mode = content_mode(content_type)
    if mode is Mode.BATCHED:
        found = scan_batch(call.body, limits)
    elif mode is Mode.STRUCTURED:
        found = [scan_structured(call.body, limits)]
    else:
        found = [scan_binary(call.headers, call.body, limits)]
    for item in found:
        assert isinstance(item, Event), item
