"""The wrapper that Serve runs in place of HAProxy: it mends the generated configuration, then becomes HAProxy.

Lives here: ``mend``, a pure function over the text of a configuration, and the few lines around it. The
wrapper edits the file in place, because Serve finds its HAProxy processes by that path, and execs the real
binary with the arguments it was given, reload options included.

What is mended, and why:
1. Statistics and metrics listen on loopback: both are open to anyone who can reach them.
2. The admin socket is its owner's alone: it can drain servers.
3. A request's header must arrive within a bound, and an idle connection is closed.
4. Headers by which any client could switch off Serve's time limits or disconnect handling are deleted.
5. Socket buffers are bounded: a viewer that reads nothing would otherwise hold megabytes.
6. Nothing is logged but status and time: request lines hold user ids and would go out as datagrams.
7. While the service starts it says so (503, to be sent again) instead of 404, on which a sender gives up.

A marker that is not found means that the installed Ray writes another configuration than this module knows:
then nothing starts, rather than something half mended.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tradetrail.errors import Internal

__all__ = ["STRIPPED_HEADERS", "HaproxySettings", "main", "mend", "write_wrapper"]

#: Serve obeys these from any client.
STRIPPED_HEADERS = ("x-request-timeout-seconds", "x-request-disconnect-disabled")

#: First line of a mended file; mending it again changes nothing.
_MENDED = "# Mended for TradeTrail."

#: prctl option: the signal this process gets when its parent ends (Linux, prctl(2)).
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class HaproxySettings:
    """What the mended configuration says. Sizes in bytes, times in seconds."""

    #: The real executable.
    binary: str
    metrics_port: int
    stats_port: int
    #: A whole request header must have arrived by then; longer is a client that dawdles on purpose.
    header_timeout_s: int = 10
    #: An idle connection is closed; clients pool for seconds, not minutes.
    keep_alive_timeout_s: int = 60
    #: Enough for a fast viewer far away; the kernel's own bound is megabytes.
    client_send_bytes: int = 131_072
    server_receive_bytes: int = 131_072


#: Our application answers every path, so that no path is unknown but while the service starts.
_STARTING = (
    '{"type":"https://tradetrail.dev/problems/starting","title":"starting","status":503,"code":"starting",'
    '"detail":"The service is starting; send again in a moment.","retry":true}'
)


def mend(config: str, settings: HaproxySettings) -> str:
    """The configuration with the seven points of the module's list put right.

    Args:
        config: the text that Serve generated; a text that is mended already is returned unchanged.
        settings: ports, times and sizes to put in.

    Raises:
        Internal: ``haproxy_config_unknown``, a line that must be changed was not found exactly once.
    """
    if config.startswith(_MENDED):
        return config
    config = _replace(
        config,
        "the admin socket",
        r"^( *stats socket \S+) mode 666 (level admin\b.*)$",
        r"\1 mode 600 \2",
    )
    config = _replace(
        config,
        "the metrics listener",
        rf"^(frontend prometheus\n *bind) \S*:{settings.metrics_port}$",
        rf"\1 127.0.0.1:{settings.metrics_port}",
    )
    config = _replace(
        config,
        "the statistics listener",
        rf"^(listen stats\n *bind) \S*:{settings.stats_port}$",
        rf"\1 127.0.0.1:{settings.stats_port}",
    )
    config = _replace(config, "the log target", r"^ *log \S+ local0 info\n", "")
    config = _replace(
        config, "the log format", r"^( *)option httplog$", r'\1log-format "%ST %Ta %ts"'
    )
    config = _replace(
        config,
        "the global section",
        r"^global\n",
        "global\n"
        f"    tune.sndbuf.client {settings.client_send_bytes}\n"
        f"    tune.rcvbuf.server {settings.server_receive_bytes}\n",
    )
    config = re.sub(r"^ *timeout http-(?:request|keep-alive) .*\n", "", config, flags=re.MULTILINE)
    config = _replace(
        config,
        "the defaults section",
        r"^defaults\n *mode http\n",
        "defaults\n"
        "    mode http\n"
        f"    timeout http-request {settings.header_timeout_s}s\n"
        f"    timeout http-keep-alive {settings.keep_alive_timeout_s}s\n",
    )
    config = _replace(
        config,
        "the answer where no application is known",
        r"^( *)http-request return status 404 content-type text/plain lf-string .*$",
        r"\1http-request return status 503 content-type application/problem+json "
        rf"hdr Retry-After 1 string '{_STARTING}'",
    )
    stripped = "".join(f"    http-request del-header {name}\n" for name in STRIPPED_HEADERS)
    config = _replace(
        config, "the public listener", r"^(frontend http_frontend\n *bind .*\n)", rf"\1{stripped}"
    )
    return f"{_MENDED}\n{config}"


def write_wrapper(folder: Path, settings: HaproxySettings) -> Path:
    """Writes the settings and an executable into ``folder`` and returns the executable's path."""
    values = folder / "haproxy.json"
    values.write_text(json.dumps(asdict(settings)), encoding="utf-8")
    wrapper = folder / "haproxy"
    command = " ".join(_quote(part) for part in (sys.executable, "-I", "-m", __name__, str(values)))
    wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o700)
    return wrapper


def main(arguments: list[str]) -> None:
    """Mends the file that follows ``-f`` and becomes HAProxy; returns only by an exception.

    Args:
        arguments: the path of the settings, then HAProxy's own arguments as Serve gave them.
    """
    settings = HaproxySettings(**json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    options = arguments[1:]
    if "-f" in options:
        _mend_file(Path(options[options.index("-f") + 1]), settings)
    _end_with_parent()
    os.execv(settings.binary, [settings.binary, *options])  # noqa: S606  # the point of the wrapper


def _mend_file(path: Path, settings: HaproxySettings) -> None:
    mended = mend(path.read_text(encoding="utf-8"), settings)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(mended, encoding="utf-8")
    fresh.replace(path)


def _end_with_parent() -> None:
    """HAProxy must not outlive the actor that watches over it: it would hold the public port."""
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit("the process that started HAProxy is gone")


def _replace(config: str, what: str, pattern: str, replacement: str) -> str:
    changed, count = re.subn(pattern, replacement, config, flags=re.MULTILINE)
    if count != 1:
        raise Internal(
            "haproxy_config_unknown",
            f"{what} was found {count} times in the generated HAProxy configuration, once is expected; "
            "this Ray version is not supported, install the locked one or start with --proxy python",
        )
    return changed


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    main(sys.argv[1:])
