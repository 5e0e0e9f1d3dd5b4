"""HAProxy's configuration is mended in seven points, or nothing starts."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import stat
import subprocess
from pathlib import Path

import pytest

from serve_app.launch import haproxy
from serve_app.launch.haproxy import (
    STRIPPED_HEADERS,
    HaproxySettings,
    main,
    mend,
    write_wrapper,
)
from tradetrail.errors import Internal

SETTINGS = HaproxySettings("/opt/haproxy", metrics_port=9_101, stats_port=8_404)
#: The parts that are mended, in the shape Serve writes them, and some that must stay.
CONFIG = """global
    # a comment
    log 127.0.0.1:514 local0 info
    stats socket /tmp/x/admin.sock mode 666 level admin expose-fd listeners
    stats timeout 30s
    maxconn 6096
    nbthread 1
defaults
    mode http
    option log-health-checks
    timeout connect 5s
    timeout client 600s
    timeout http-request 999s
    log global
    option httplog
    errorfile 503 /tmp/x/500.http
frontend prometheus
    bind :9101
    mode http
    no log
frontend http_frontend
    bind 127.0.0.1:8000
    log /tmp/x/metrics.sock len 8192 format rfc5424 local1 debug
    use_backend ingest if is_ingest
    default_backend default_backend
backend default_backend
    http-request return status 404 content-type text/plain lf-string "Path '%[path]' not found."
backend ingest
    server one 127.0.0.1:20016 check
listen stats
  bind *:8404
  stats enable
  stats uri /stats
"""


def lines(config: str) -> list[str]:
    return [line.strip() for line in config.splitlines()]


def section(config: str, name: str) -> list[str]:
    """The stripped lines of one section."""
    _, _, behind = config.partition(f"\n{name}\n")
    return [line.strip() for line in re.split(r"^\S", behind, flags=re.MULTILINE)[0].splitlines()]


def test_statistics_and_metrics_listen_on_loopback_only() -> None:
    mended = mend(CONFIG, SETTINGS)
    assert section(mended, "frontend prometheus")[0] == "bind 127.0.0.1:9101"
    assert section(mended, "listen stats")[0] == "bind 127.0.0.1:8404"
    assert not re.search(r"bind (\*|0\.0\.0\.0|::)?:", mended)


def test_the_public_listener_stays_where_it_was() -> None:
    assert section(mend(CONFIG, SETTINGS), "frontend http_frontend")[0] == "bind 127.0.0.1:8000"


def test_the_admin_socket_is_its_owners_alone() -> None:
    mended = mend(CONFIG, SETTINGS)
    assert "mode 666" not in mended
    assert "stats socket /tmp/x/admin.sock mode 600 level admin expose-fd listeners" in mended


def test_headers_must_arrive_in_time_and_idle_connections_end() -> None:
    defaults = section(mend(CONFIG, SETTINGS), "defaults")
    assert defaults[:3] == ["mode http", "timeout http-request 10s", "timeout http-keep-alive 60s"]
    assert "timeout http-request 999s" not in defaults
    assert "timeout client 600s" in defaults


def test_no_client_can_switch_off_limits_of_serve() -> None:
    frontend = section(mend(CONFIG, SETTINGS), "frontend http_frontend")
    rules = frontend[1 : 1 + len(STRIPPED_HEADERS)]
    assert rules == [f"http-request del-header {name}" for name in STRIPPED_HEADERS]


def test_buffers_are_bounded() -> None:
    mended = mend(CONFIG, HaproxySettings("x", 9_101, 8_404, client_send_bytes=7))
    start = lines(mended).index("global")
    assert lines(mended)[start + 1 : start + 3] == [
        "tune.sndbuf.client 7",
        "tune.rcvbuf.server 131072",
    ]


def test_request_lines_are_logged_nowhere() -> None:
    mended = mend(CONFIG, SETTINGS)
    assert "514" not in mended
    assert "httplog" not in mended
    assert 'log-format "%ST %Ta %ts"' in lines(mended)


def test_nothing_else_changes() -> None:
    kept = set(lines(CONFIG)) & set(lines(mend(CONFIG, SETTINGS)))
    gone = set(lines(CONFIG)) - kept
    assert gone == {
        "log 127.0.0.1:514 local0 info",
        "stats socket /tmp/x/admin.sock mode 666 level admin expose-fd listeners",
        "timeout http-request 999s",
        "option httplog",
        "bind :9101",
        "bind *:8404",
        "http-request return status 404 content-type text/plain "
        "lf-string \"Path '%[path]' not found.\"",
    }


def test_mending_twice_changes_nothing_more() -> None:
    once = mend(CONFIG, SETTINGS)
    assert mend(once, SETTINGS) == once


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("log 127.0.0.1:514 local0 info", "log target"),
        ("mode 666", "admin socket"),
        ("bind :9101", "metrics listener"),
        ("bind *:8404", "statistics listener"),
        ("option httplog", "log format"),
        ("frontend http_frontend", "public listener"),
        ("defaults", "defaults section"),
        ("global\n    #", "global section"),
    ],
)
def test_a_configuration_of_another_shape_stops_the_start(part: str, what: str) -> None:
    with pytest.raises(Internal) as caught:
        mend(CONFIG.replace(part, "other"), SETTINGS)
    assert caught.value.code == "haproxy_config_unknown"
    assert what in caught.value.detail
    assert "--proxy python" in caught.value.detail


def test_the_template_of_the_installed_ray_has_the_lines_that_are_mended() -> None:
    ray = importlib.util.find_spec("ray")
    if ray is None or ray.origin is None:
        pytest.skip("Ray is not installed")
    # The one file, read without importing Ray.
    path = Path(ray.origin).parent / "serve" / "_private" / "haproxy_templates.py"
    template = str(runpy.run_path(str(path))["HAPROXY_CONFIG_TEMPLATE"])
    jinja2 = pytest.importorskip("jinja2")
    environment = jinja2.Environment(undefined=jinja2.ChainableUndefined, autoescape=True)
    environment.filters["haproxy_fmt"] = str
    rendered = environment.from_string(template).render(
        config={
            "log_target": "127.0.0.1:514",
            "socket_path": "/tmp/x/admin.sock",
            "metrics_port": 9_101,
            "stats_port": 8_404,
            "frontend_host": "127.0.0.1",
            "frontend_port": 8_000,
            "metrics_enabled": True,
            "timeout_client_s": 600,
        },
        metrics_socket_path="/tmp/x/metrics.sock",
        backends=[],
        backends_with_health_config=[],
        healthz_rules="",
    )
    mended = mend(rendered, SETTINGS)
    wide = [line for line in lines(mended) if re.match(r"bind (?!127\.0\.0\.1:)(?!.*\.sock)", line)]
    assert wide == []
    assert "timeout http-request 10s" in section(mended, "defaults")
    assert "127.0.0.1:514" not in mended


def test_the_wrapper_is_private(tmp_path: Path) -> None:
    wrapper = write_wrapper(tmp_path, SETTINGS)
    assert stat.S_IMODE(wrapper.stat().st_mode) == 0o700


def test_the_wrapper_mends_the_file_it_is_given_and_becomes_haproxy(tmp_path: Path) -> None:
    fake = tmp_path / "real"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o700)
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    settings = HaproxySettings(str(fake), metrics_port=9_101, stats_port=8_404)
    folder = tmp_path / "a 'quoted' folder"
    folder.mkdir()
    wrapper = write_wrapper(folder, settings)
    options = ["-db", "-f", str(config), "-x", "/tmp/x/admin.sock", "-sf", "12"]
    ran = subprocess.run(
        [str(wrapper), *options],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == options
    assert config.read_text() == mend(CONFIG, settings)
    assert [path.name for path in tmp_path.glob("haproxy.cfg*")] == ["haproxy.cfg"]


def test_an_unknown_configuration_is_left_as_it_was_and_haproxy_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_arguments: object) -> None:
        pytest.fail("HAProxy was started")

    monkeypatch.setattr(os, "execv", started)
    monkeypatch.setattr(haproxy, "_end_with_parent", lambda: None)
    config = tmp_path / "haproxy.cfg"
    config.write_text("global\n")
    write_wrapper(tmp_path, SETTINGS)
    with pytest.raises(Internal):
        main([str(tmp_path / "haproxy.json"), "-f", str(config)])
    assert config.read_text() == "global\n"


def test_a_question_about_the_version_reaches_haproxy_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: calls.append((path, arguments)))
    monkeypatch.setattr(haproxy, "_end_with_parent", lambda: None)
    write_wrapper(tmp_path, SETTINGS)
    main([str(tmp_path / "haproxy.json"), "-v"])
    assert calls == [("/opt/haproxy", ["/opt/haproxy", "-v"])]
