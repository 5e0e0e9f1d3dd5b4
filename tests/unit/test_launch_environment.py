"""The environment of Ray and Serve: every pin that keeps two services, and two Rays, apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from serve_app.launch.environment import (
    RUN_FOLDER_VARIABLE,
    haproxy_connections,
    install,
    ray_environment,
)
from serve_app.launch.ports import PortBlock
from serve_app.settings import ServiceSettings

SETTINGS = ServiceSettings(data=Path("/srv/data"))
RUN = Path("/tmp/tt-0123abcd")


def variables(
    settings: ServiceSettings = SETTINGS, first: int = 20_000, descriptor_limit: int = 65_536
) -> dict[str, str]:
    return ray_environment(
        settings,
        PortBlock(first),
        run_folder=RUN,
        token_file=RUN / "token",
        wrapper=RUN / "haproxy",
        descriptor_limit=descriptor_limit,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Nothing is reported home, and every call between Ray's processes needs the token.
        ("RAY_USAGE_STATS_ENABLED", "0"),
        ("RAY_AUTH_MODE", "token"),
        ("RAY_AUTH_TOKEN_PATH", "/tmp/tt-0123abcd/token"),
        ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0"),
        ("SERVE_SOCKET_REUSE_PORT_ENABLED", "0"),
        ("RAY_SERVE_ENABLE_HA_PROXY", "1"),
        ("RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD", "0"),
        ("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "1"),
        ("RAY_SERVE_HAPROXY_BINARY_PATH", "/tmp/tt-0123abcd/haproxy"),
        (RUN_FOLDER_VARIABLE, "/tmp/tt-0123abcd"),
    ],
)
def test_what_is_pinned(name: str, value: str) -> None:
    assert variables()[name] == value


def test_the_fallback_proxy_switches_haproxy_off() -> None:
    settings = dataclasses.replace(SETTINGS, proxy="python")
    assert variables(settings)["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


def test_every_port_comes_from_the_block_and_stands_once() -> None:
    block = range(20_000, 20_128)
    found = {
        name: int(value)
        for name, value in variables().items()
        if "PORT" in name and value.isdigit() and name != "SERVE_SOCKET_REUSE_PORT_ENABLED"
    }
    assert set(found.values()) <= set(block)
    assert len(set(found.values())) == len(found)
    for name in (
        "RAY_GCS_SERVER_PORT",
        "AUTOSCALER_METRIC_PORT",
        "DASHBOARD_METRIC_PORT",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
        "RAY_SERVE_HAPROXY_METRICS_PORT",
        "RAY_SERVE_HAPROXY_STATS_PORT",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT",
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT",
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT",
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT",
    ):
        assert name in found


def test_two_services_share_no_port() -> None:
    one, other = variables(first=20_000), variables(first=20_128)
    ports = [
        {value for name, value in each.items() if "PORT" in name and len(value) == 5}
        for each in (one, other)
    ]
    assert len(ports[0]) == len(ports[1]) > 8
    assert not ports[0] & ports[1]


def test_paths_of_sockets_fit_into_what_haproxy_allows() -> None:
    for name, value in variables().items():
        if name.endswith("SOCKET_PATH"):
            folder = Path(value).parent
            assert folder.parent == RUN
            assert len(f"{folder}/") <= 27, name


def test_connections_are_viewers_and_writers_as_far_as_descriptors_reach() -> None:
    assert haproxy_connections(2_000, 65_536) == 2_000 + 4_096
    assert haproxy_connections(2_000, 1_024) == (1_024 - 256) // 2
    assert haproxy_connections(2_000, 10) == 64
    assert variables(descriptor_limit=1_024)["RAY_SERVE_HAPROXY_MAXCONN"] == "384"


def test_a_displaced_worker_outlives_its_streams() -> None:
    assert int(variables()["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) > SETTINGS.stream_age_s


def test_what_another_ray_left_in_the_shell_is_dropped() -> None:
    environment = {
        "RAY_ADDRESS": "10.0.0.1:6379",
        "RAY_AUTH_MODE": "disabled",
        "SERVE_ROOT_URL": "http://elsewhere",
        "PATH": "/bin",
        "TRADETRAIL_TOKEN": "kept",
    }
    install(variables(), environment)
    assert "RAY_ADDRESS" not in environment
    assert "SERVE_ROOT_URL" not in environment
    assert environment["RAY_AUTH_MODE"] == "token"
    assert (environment["PATH"], environment["TRADETRAIL_TOKEN"]) == ("/bin", "kept")


def test_every_value_is_text() -> None:
    assert all(type(value) is str for value in variables().values())
