"""Ports of one service: the public one is tested, all others come from a block of its own.

Invariants: a block belongs to one service on the machine for as long as its process lives; every port of
it was free when it was claimed; no block meets the ports that another Ray takes by default (workers
10002 to 19999, per-client servers 23000 to 23999, Serve replicas 30000 to 31000) nor the kernel's own range,
which usually begins at 32768.

The claim is a bound name in the abstract socket namespace: like ports it is per network namespace and
seen by all users of the machine, and the kernel gives it back when the process ends, however it ends.

Ports that Ray asks the kernel for (port 0) cannot collide and are not in the block.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from tradetrail.errors import Conflict, Invalid, Unavailable

__all__ = ["BLOCK_PORTS", "PortBlock", "candidate_blocks", "claim_block", "require_free_port"]

#: 16 single ports, then two ranges. A freed replica port rests for minutes, so the ranges hold far more
#: ports than there are replicas.
BLOCK_PORTS = 128
_SINGLE_PORTS = 16
_RANGE_PORTS = 56

#: First and last port of each stretch that blocks are cut from.
_STRETCHES = ((20_000, 22_999), (24_001, 29_999), (31_001, 32_767))

_CLAIM_NAME = "\0tradetrail-ports-{first}"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class PortBlock:
    """``BLOCK_PORTS`` consecutive ports by use, from ``first`` on."""

    first: int

    @property
    def fallback_http(self) -> int:
        """Serve's own proxy behind HAProxy."""
        return self.first

    @property
    def fallback_grpc(self) -> int:
        """The same proxy's gRPC side."""
        return self.first + 1

    @property
    def haproxy_metrics(self) -> int:
        """HAProxy's Prometheus page."""
        return self.first + 2

    @property
    def haproxy_stats(self) -> int:
        """HAProxy's statistics page."""
        return self.first + 3

    @property
    def autoscaler_metrics(self) -> int:
        """Ray's autoscaler monitor."""
        return self.first + 4

    @property
    def dashboard_metrics(self) -> int:
        """Ray's dashboard process, which runs without a page too."""
        return self.first + 5

    @property
    def dashboard(self) -> int:
        """Ray's dashboard page, switched off; named so that nothing looks for another."""
        return self.first + 6

    @property
    def ray_metrics(self) -> int:
        """Metrics of the node's agent."""
        return self.first + 7

    @property
    def gcs(self) -> int:
        """Ray's control store."""
        return self.first + 8

    @property
    def replica_http(self) -> tuple[int, int]:
        """First and last port of the replicas' HTTP servers."""
        return self.first + _SINGLE_PORTS, self.first + _SINGLE_PORTS + _RANGE_PORTS - 1

    @property
    def replica_grpc(self) -> tuple[int, int]:
        """First and last port of the replicas' gRPC servers."""
        start = self.first + _SINGLE_PORTS + _RANGE_PORTS
        return start, start + _RANGE_PORTS - 1


def candidate_blocks() -> Iterator[PortBlock]:
    """All blocks there are, lowest first."""
    for start, end in _STRETCHES:
        for first in range(start, end - BLOCK_PORTS + 2, BLOCK_PORTS):
            yield PortBlock(first)


def claim_block(without: int = 0) -> tuple[PortBlock, socket.socket]:
    """The first block that nobody claims and whose ports are all free.

    Args:
        without: a port the block must not hold (the public one).

    Returns:
        The block and its claim: it holds until that socket is closed or this process ends.

    Raises:
        Unavailable: every block is claimed or has a port in use.
    """
    for block in candidate_blocks():
        ports = range(block.first, block.first + BLOCK_PORTS)
        if without in ports:
            continue
        claim = _claim(block)
        if claim is None:
            continue
        if all(_is_free(port) for port in ports):
            return block, claim
        claim.close()
    raise Unavailable(
        "no_free_ports",
        f"no run of {BLOCK_PORTS} free ports was found between {_STRETCHES[0][0]} and "
        f"{_STRETCHES[-1][1]}; stop another service on this machine",
    )


def require_free_port(host: str, port: int) -> None:
    """Passes when ``host:port`` can be listened on now.

    Raises:
        Conflict: another process listens there.
        Invalid: the host is no address of this machine, or the port needs more rights.
    """
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise Invalid(
            "invalid_setting", f"host {host} cannot be resolved: {exc.strerror}; name an address"
        ) from exc
    for family, kind, protocol, _, address in resolved:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # Only families with a host and a port come back for a stream on a host.
                _listen(probe, cast("tuple[str | int, ...]", address))
        except OSError as exc:
            raise _port_refusal(host, port, exc) from exc


def _port_refusal(host: str, port: int, exc: OSError) -> Conflict | Invalid:
    if exc.errno == errno.EADDRINUSE:
        return Conflict(
            "port_in_use",
            f"port {port} on {host} is taken by another process (`ss -ltnp 'sport = :{port}'` names it); "
            "stop that one, or start with another --port",
        )
    return Invalid(
        "invalid_setting",
        f"cannot listen on {host}:{port}: {exc.strerror}; choose another --host or --port",
    )


def _claim(block: PortBlock) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(_CLAIM_NAME.format(first=block.first))
    except OSError as exc:
        claim.close()
        if exc.errno == errno.EADDRINUSE:
            return None
        raise
    return claim


def _is_free(port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            _listen(probe, (_LOOPBACK, port))
    except OSError:
        return False
    return True


def _listen(probe: socket.socket, address: tuple[str | int, ...]) -> None:
    # Without SO_REUSEADDR connections that have just ended would look like a listener; with it a
    # listener still refuses, one with SO_REUSEPORT included.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(address)
    probe.listen(1)
