"""Ports of one service: blocks of their own, free when claimed, never those of another Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from serve_app.launch import ports
from serve_app.launch.ports import (
    BLOCK_PORTS,
    PortBlock,
    candidate_blocks,
    claim_block,
    require_free_port,
)
from tradetrail.errors import Conflict, Invalid, Unavailable


@pytest.fixture(autouse=True)
def names_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims of this test and of services on this machine do not meet."""
    monkeypatch.setattr(ports, "_CLAIM_NAME", f"\0tradetrail-test-{os.getpid()}-{{first}}")


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> list[PortBlock]:
    """Two blocks only, whose ports this test alone may say are taken."""
    first = ports._STRETCHES[-1][0]
    monkeypatch.setattr(ports, "_STRETCHES", ((first, first + 2 * BLOCK_PORTS - 1),))
    monkeypatch.setattr(ports, "_is_free", lambda _port: True)
    return list(candidate_blocks())


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        yield held.getsockname()[1]


def test_blocks_never_overlap_and_avoid_the_ports_others_take() -> None:
    blocks = list(candidate_blocks())
    assert len(blocks) > 50
    for block, following in pairwise(blocks):
        assert block.first + BLOCK_PORTS <= following.first
    taken_by_others = ((10_002, 19_999), (23_000, 23_999), (30_000, 31_000), (32_768, 65_535))
    for block in blocks:
        last = block.first + BLOCK_PORTS - 1
        assert all(last < low or block.first > high for low, high in taken_by_others)


def test_each_use_within_a_block_has_ports_of_its_own() -> None:
    block = PortBlock(20_000)
    singles = [
        block.fallback_http,
        block.fallback_grpc,
        block.haproxy_metrics,
        block.haproxy_stats,
        block.autoscaler_metrics,
        block.dashboard_metrics,
        block.dashboard,
        block.ray_metrics,
        block.gcs,
    ]
    ranges = [range(low, high + 1) for low, high in (block.replica_http, block.replica_grpc)]
    used = [*singles, *ranges[0], *ranges[1]]
    assert len(used) == len(set(used))
    assert set(used) <= set(range(20_000, 20_000 + BLOCK_PORTS))
    assert min(len(each) for each in ranges) >= 32


def test_a_claimed_block_is_not_given_again_until_it_is_let_go(few_blocks: list[PortBlock]) -> None:
    with ExitStack() as stack:
        first, claim = claim_block()
        stack.enter_context(claim)
        second, other = claim_block()
        stack.enter_context(other)
        assert [first, second] == few_blocks
        with pytest.raises(Unavailable) as caught:
            claim_block()
        assert caught.value.code == "no_free_ports"
        claim.close()
        again, last = claim_block()
        stack.enter_context(last)
        assert again == first


@pytest.mark.usefixtures("few_blocks")
def test_a_claim_of_another_process_holds_and_ends_with_it() -> None:
    block = next(candidate_blocks())
    name = ports._CLAIM_NAME.format(first=block.first)
    holder = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        "s.bind(sys.argv[1].replace('@', chr(0))); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, name.replace("\0", "@")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        found, claim = claim_block()
        claim.close()
        assert found != block
        process.kill()
        process.wait()
    found, claim = claim_block()
    claim.close()
    assert found == block


def test_a_block_with_a_port_in_use_or_the_public_one_is_passed_over(
    few_blocks: list[PortBlock], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = few_blocks
    found, claim = claim_block(without=first.first + 5)
    claim.close()
    assert found == second
    busy = first.first + BLOCK_PORTS - 1
    monkeypatch.setattr(ports, "_is_free", lambda port: port != busy)
    found, claim = claim_block()
    claim.close()
    assert found == second


def test_a_block_passed_over_is_not_kept(
    few_blocks: list[PortBlock], monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = {few_blocks[0].first}
    monkeypatch.setattr(ports, "_is_free", lambda port: port not in busy)
    _, claim = claim_block()
    busy.clear()
    found, other = claim_block()
    claim.close()
    other.close()
    assert found == few_blocks[0]


def test_a_port_with_a_listener_is_not_free(listener: int) -> None:
    assert not ports._is_free(listener)
    with pytest.raises(Conflict) as caught:
        require_free_port("127.0.0.1", listener)
    assert caught.value.code == "port_in_use"
    assert str(listener) in caught.value.detail
    assert "--port" in caught.value.detail


def test_a_listener_that_shares_its_port_still_counts() -> None:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        held.listen(1)
        port = held.getsockname()[1]
        assert not ports._is_free(port)
        with pytest.raises(Conflict):
            require_free_port("0.0.0.0", port)


def test_a_free_port_passes_and_stays_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    require_free_port("127.0.0.1", port)
    require_free_port("localhost", port)
    assert ports._is_free(port)


def test_a_host_that_is_not_of_this_machine_is_refused() -> None:
    # 192.0.2.0/24 is kept for documentation (RFC 5737).
    with pytest.raises(Invalid) as caught:
        require_free_port("192.0.2.1", 8_000)
    assert "--host" in caught.value.detail


def test_a_host_that_cannot_be_resolved_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Invalid) as caught:
        require_free_port("nowhere.invalid", 8_000)
    assert "nowhere.invalid" in caught.value.detail
