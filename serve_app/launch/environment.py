"""The environment Ray and Serve are started with: pure, from settings, ports and paths.

Ray reads most of it when it is imported, therefore it is in place before that. Whatever ``RAY_…`` variables the
caller's shell holds are dropped: they could point at another Ray on this machine or change what is tested.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from serve_app.launch.ports import PortBlock
from serve_app.settings import ServiceSettings

__all__ = ["RUN_FOLDER_VARIABLE", "haproxy_connections", "install", "ray_environment"]

#: Every process of a service carries it, so that what a dead launcher left can be told from all else.
RUN_FOLDER_VARIABLE = "TRADETRAIL_RUN_FOLDER"

#: Connections that writers and short reads may take besides the viewers: the limit is shared.
_SHORT_CONNECTIONS = 4_096
#: Descriptors HAProxy needs besides two for each connection.
_SPARE_DESCRIPTORS = 256
#: HAProxy keeps a displaced worker, with its streams, this much longer than a stream may live.
_STOP_MARGIN_S = 60

_FOREIGN_PREFIXES = ("RAY_", "SERVE_")


def haproxy_connections(viewer_cap: int, descriptor_limit: int) -> int:
    """HAProxy's ``maxconn``: viewers and writers together, as far as the descriptors reach."""
    return min(
        viewer_cap + _SHORT_CONNECTIONS, max(64, (descriptor_limit - _SPARE_DESCRIPTORS) // 2)
    )


def ray_environment(
    settings: ServiceSettings,
    ports: PortBlock,
    *,
    run_folder: Path,
    token_file: Path,
    wrapper: Path,
    descriptor_limit: int,
) -> dict[str, str]:
    """The variables to set before ``ray`` is imported.

    Args:
        settings: of this service.
        ports: the block claimed for it.
        run_folder: short (socket paths are limited to 97 characters, 56 of them a node id) and private.
        token_file: holds Ray's shared secret, mode 0600.
        wrapper: the executable that stands in for HAProxy.
        descriptor_limit: open files a process may have.
    """
    haproxy_folder = run_folder / "h"
    return {
        RUN_FOLDER_VARIABLE: str(run_folder),
        # A worker imports numpy; on a small machine its threads only cost memory.
        "OMP_NUM_THREADS": "1",
        **_ray_variables(ports, token_file),
        **_serve_variables(settings, ports),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy_folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy_folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy_folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy_folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy_folder / "server-state"),
        "RAY_SERVE_HAPROXY_MAXCONN": str(
            haproxy_connections(settings.viewer_cap, descriptor_limit)
        ),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(settings.stream_age_s + _STOP_MARGIN_S),
    }


def install(variables: Mapping[str, str], environment: MutableMapping[str, str]) -> None:
    """Puts ``variables`` into ``environment`` and takes out what another Ray has left there."""
    for name in [name for name in environment if name.startswith(_FOREIGN_PREFIXES)]:
        del environment[name]
    environment.update(variables)


def _ray_variables(ports: PortBlock, token_file: Path) -> dict[str, str]:
    return {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Explicit, or Ray would write a token into the home folder and use it for all its clusters.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        # Puts the control store, node and workers on loopback.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # Under `uv run` Ray would upload the current folder and start workers through uv.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_DEDUP_LOGS": "0",
        # Ray's workers are the service itself here, not work in the background of something else.
        "RAY_worker_niceness": "0",
        "RAY_GCS_SERVER_PORT": str(ports.gcs),
        "AUTOSCALER_METRIC_PORT": str(ports.autoscaler_metrics),
        "DASHBOARD_METRIC_PORT": str(ports.dashboard_metrics),
    }


def _serve_variables(settings: ServiceSettings, ports: PortBlock) -> dict[str, str]:
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1" if settings.proxy == "haproxy" else "0",
        # Only so does a slow viewer's socket hold back its sender.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        # With it a second service on the same port would start and share the traffic.
        "SERVE_SOCKET_REUSE_PORT_ENABLED": "0",
        # A dead proxy is noticed within seconds instead of half a minute.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # On a busy machine a proxy needs longer than 5 s to begin; killed for it, it would begin again.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "20",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.fallback_grpc),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replica_http[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replica_http[1]),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.replica_grpc[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.replica_grpc[1]),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.haproxy_metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.haproxy_stats),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    }
