"""The commands as a person runs them, against a service on a real port of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import typer

from tests.unit.fake_service import TOKEN, FakeService, listening, problem, served, sse
from tradetrail.cli import server
from tradetrail.cli.main import main


def event(number: int, user: str = "jane", symbol: str = "EUR/USD") -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "test:cli",
            "type": "tradetrail.order.new.v1",
            "authid": user,
            "time": "2026-03-02T09:30:00Z",
            "data": {"ClOrdID": f"C{number}", "Symbol": symbol, "Side": "1", "Price": "1.10"},
        },
        ensure_ascii=False,
    ).encode()


@pytest.fixture
def service() -> FakeService:
    service = FakeService()
    for number in range(1, 4):
        service._store(json.loads(event(number)), event(number))
    return service


@pytest.fixture
def url(service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADETRAIL_DATA", raising=False)
    with listening(service) as address:
        monkeypatch.setenv("TRADETRAIL_URL", address)
        monkeypatch.setenv("TRADETRAIL_TOKEN", TOKEN)
        yield address


@pytest.mark.usefixtures("url")
def test_history_elsewhere_than_on_a_terminal_is_separated_by_tabs(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["history", "jane", "--limit", "2"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split("\t")[:4] == ["seq", "time (UTC)", "event", "symbol"]
    assert lines[1].split("\t")[:7] == [
        "1", "2026-03-02 09:30:00", "order.new", "EUR/USD", "buy", "", "1.10",
    ]  # fmt: skip
    assert len(lines) == 3


@pytest.mark.usefixtures("url")
def test_json_is_one_exact_record_a_line(
    service: FakeService, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    odd = event(9, symbol="\u202e\x7f").replace(b', "data"', b',\r\n "data"')
    service._store(json.loads(odd), odd)
    assert main(["history", "jane", "--json"]) == 0
    lines = capfdbinary.readouterr().out.splitlines(keepends=True)
    assert lines[:3] == [record + b"\n" for record in service.records[:3]]
    assert lines[3] == service.records[3].replace(b"\r\n", b"  ") + b"\n"


@pytest.mark.usefixtures("url")
def test_options_of_history_become_the_question(service: FakeService) -> None:
    range_ = ["--from", "A", "--to", "B", "--type", "x", "--type", "y"]
    order = ["--order", "desc", "--after", "5", "--limit", "3"]
    fields = ["--field", "Symbol=EUR/USD=", "--chain", "C1"]
    assert main(["history", "jane", *range_, *order, *fields]) == 0
    assert service.requests[0].url.params.multi_items() == [
        ("user", "jane"),
        ("order", "desc"),
        ("from", "A"),
        ("to", "B"),
        ("type", "x"),
        ("type", "y"),
        ("Symbol", "EUR/USD="),
        ("after", "5"),
        ("chain", "C1"),
        ("limit", "3"),
    ]


@pytest.mark.usefixtures("url")
def test_nothing_found_is_said_and_is_no_failure(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "no\x1bbody"]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == "no records of no<U+001B>body match\n"


@pytest.mark.usefixtures("url")
def test_lookup_finds_an_order_without_naming_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lookup", "ClOrdID=C2"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["user", "seq"], ["jane", "2"]]


@pytest.mark.usefixtures("url")
def test_tail_resumes_and_shows_each_record_once(
    service: FakeService, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    blocks = [
        b"id: %d\ndata: %s\n\n" % (number, served(event(number), number)) for number in (1, 2)
    ]
    service.streams += [
        sse(b"retry: 1\n\n", blocks[0], blocks[1][:20]),
        sse(b'event: gap\nid: 0\ndata: {"from":"0","to":"0"}\n\n', blocks[1]),
    ]
    assert main(["tail", "jane", "--json", "--from", "earliest"]) == 0
    captured = capfdbinary.readouterr()
    assert captured.out == b"".join(served(event(number), number) + b"\n" for number in (1, 2))
    assert captured.err.count(b"live from") == 2
    assert b"GAP" in captured.err


@pytest.mark.usefixtures("url")
def test_report_is_downloaded_and_named(
    service: FakeService, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    service.report_states.append({"status": "succeeded", "filename": "jane.csv"})
    assert main(["report", "jane", "--format", "csv", "--zone", "Europe/Berlin"]) == 0
    assert (tmp_path / "jane.csv").read_bytes() == service.report_bytes
    assert "jane.csv: 19 bytes" in capfd.readouterr().err
    assert service.report_request == {
        "user": "jane",
        "format": "csv",
        "timezone": "Europe/Berlin",
    }


@pytest.mark.usefixtures("url")
def test_token_is_printed_alone_so_that_it_can_be_kept(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["token", "create", "desk", "--scope", "audit:read", "--user", "jane"]
    assert main([*arguments, "--expires", "90d"]) == 0
    captured = capfd.readouterr()
    assert captured.out == "tt_bbbbbbbbbbbb_new\n"
    assert "cannot be shown again" in captured.err
    assert json.loads(service.requests[0].content) == {
        "name": "desk",
        "scopes": ["audit:read"],
        "users": ["jane"],
        "expires_in_s": 90 * 86_400,
    }
    assert main(["token", "list"]) == 0
    assert "bbbbbbbbbbbb\tdesk\taudit:read\tjane" in capfd.readouterr().out
    assert main(["token", "revoke", "bbbbbbbbbbbb"]) == 0
    assert service.paths("DELETE") == ["/v1/tokens/bbbbbbbbbbbb"]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "create", "x"],
        ["token", "create", "x", "--scope", "audit:read", "--expires", "soon"],
        ["token", "revoke", "../sessions"],
        ["lookup", "ClOrdID"],
        ["history", "jane", "--order", "sideways"],
        ["history"],
        ["demo", "--speed", "0"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_code_2_and_asks_nothing(
    service: FakeService, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert service.requests == []
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err


@pytest.mark.usefixtures("url")
def test_status_shows_the_shards_and_needs_no_token(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRADETRAIL_TOKEN")
    assert main(["status"]) == 0
    out = capfd.readouterr().out
    assert "status   ready" in out
    assert "1\tserving\t3" in out
    service.failures.append(httpx2.Response(503, json={"status": "starting", "shards": []}))
    assert main(["status"]) == 1
    assert "not ready" in capfd.readouterr().out
    service.failures.append(httpx2.Response(200, text="<html>"))
    assert main(["status"]) == 1
    assert "not TradeTrail" in capfd.readouterr().err


@pytest.mark.usefixtures("url")
def test_demo_plays_the_first_seconds_of_a_day(
    service: FakeService, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["demo", "--users", "20", "--speed", "100000", "--seconds", "0.01"]
    assert main(arguments) == 0
    facts = dict(line.split() for line in capfd.readouterr().out.splitlines())
    assert int(facts["stored"]) == int(facts["sent"]) > 50
    assert facts["refused"] == "0"
    assert len(service.texts) == 3 + int(facts["stored"])


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (problem(401, "invalid_token", "the token is not valid"), "TRADETRAIL_TOKEN"),
        (problem(403, "missing_scope", "needs audit:read"), "needs audit:read"),
        (problem(404, "x", "no \x1b[31mred\u202e"), "no <U+001B>[31mred<U+202E>"),
    ],
)
def test_failures_are_one_clear_line(
    service: FakeService, failure: httpx2.Response, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    service.failures.append(failure)
    assert main(["history", "jane"]) == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tradetrail: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_an_absent_service_says_where_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADETRAIL_TOKEN", TOKEN)
    with listening(FakeService()) as address:
        monkeypatch.setenv("TRADETRAIL_URL", address)
    for arguments in (["history", "jane"], ["tail", "jane"], ["status"], ["demo"]):
        assert main(arguments) == 1
        error = capfd.readouterr().err
        assert address in error
        assert "is it running" in error
        assert "TRADETRAIL_URL" in error


def test_the_token_of_the_data_folder_goes_only_to_this_machine(
    url: str,
    service: FakeService,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("TRADETRAIL_TOKEN")
    assert main(["history", "jane"]) == 1
    assert "no token" in capfd.readouterr().err
    for folder in ("data", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "admin.token").write_text(TOKEN + "\n")
    assert main(["history", "jane"]) == 0
    (tmp_path / "data" / "admin.token").unlink()
    monkeypatch.setenv("TRADETRAIL_DATA", "elsewhere")
    assert main(["history", "jane"]) == 0
    asked = len(service.requests)
    monkeypatch.setenv("TRADETRAIL_URL", "http://audit.example")
    assert main(["history", "jane"]) == 1
    assert "no token for http://audit.example" in capfd.readouterr().err
    assert len(service.requests) == asked
    (tmp_path / "elsewhere" / "admin.token").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("TRADETRAIL_URL", url)
    assert main(["history", "jane"]) == 1
    assert "is not a token" in capfd.readouterr().err


@pytest.mark.parametrize("variable", ["TRADETRAIL_URL", "TRADETRAIL_TOKEN"])
def test_a_nonsense_environment_is_said_without_its_secret(
    variable: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADETRAIL_TOKEN", TOKEN)
    monkeypatch.setenv(variable, "se cret ä")
    assert main(["history", "jane"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("tradetrail: the ")
    assert "se cret" not in error


@pytest.mark.usefixtures("url")
def test_a_closed_pipe_ends_without_words(service: FakeService) -> None:
    for number in range(10, 3_000):
        service._store(json.loads(event(number)), event(number))
    command = [sys.executable, "-m", "tradetrail.cli.main", "history", "jane"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        error = process.stderr.read()
    assert process.wait(60) == 1
    assert error.decode() == ""


def test_version_and_help_need_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out.startswith("tradetrail 0.")
    assert main(["--help"]) == 0
    out = capfd.readouterr().out
    for command in ("up", "down", "status", "import", "history", "tail", "report", "lookup"):
        assert command in out
    assert main([]) == 2


@pytest.mark.parametrize(
    ("module", "words"),
    [("serve_app.no_such_module", "run this in a checkout"), ("no_such_lib", "no_such_lib")],
)
def test_an_absent_server_says_what_is_missing(
    module: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()
    server.register(app, module)
    with pytest.raises(SystemExit) as ended:
        app(["up", "--port", "8000"])
    assert ended.value.code == 1
    error = capfd.readouterr().err
    assert words in error
    assert "tradetrail up:" in error


def test_a_server_that_is_there_registers_its_own_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pretend_server.py").write_text(
        "def register(app):\n    app.command('up')(lambda: print('up'))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    app = typer.Typer()
    server.register(app, "pretend_server")
    assert [command.name for command in app.registered_commands] == ["up"]


@pytest.mark.usefixtures("url")
def test_a_user_that_is_not_unicode_is_a_clear_failure(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "\udcff"]) == 1
    assert "not valid Unicode" in capfd.readouterr().err
