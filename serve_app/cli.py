"""The server's commands, ``up`` and ``down``; ``tradetrail.cli`` adds them where this package can be imported.

Only flags and messages live here. Settings are ``serve_app.settings``, the work is ``serve_app.launch``.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from serve_app.launch.down import stop_service
from serve_app.launch.up import run_service
from serve_app.settings import load_settings
from tradetrail.errors import TradeTrailError

__all__ = ["Proxy", "register"]

#: Longer than all steps of stopping together.
_DOWN_TIMEOUT_S = 40.0


class Proxy(StrEnum):
    """The edges Serve can have."""

    HAPROXY = "haproxy"
    PYTHON = "python"


def register(app: typer.Typer) -> None:
    """Adds ``up`` and ``down`` to ``app``."""
    app.command("up")(_up)
    app.command("down")(_down)


def _up(
    *,
    port: Annotated[int | None, typer.Option(help="Public port. [default: 8000]")] = None,
    host: Annotated[str | None, typer.Option(help="Listen here. [default: 127.0.0.1]")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder. [default: data]")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key folder. [default: beside the data, named DATA.keys]")
    ] = None,
    shards: Annotated[int | None, typer.Option(help="Shards of new data. [default: 2]")] = None,
    proxy: Annotated[Proxy | None, typer.Option(help="The edge. [default: haproxy]")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
) -> None:
    """Start the service here and keep it running until Ctrl-C or SIGTERM."""
    flags = {
        "port": port,
        "host": host,
        "data": data,
        "keys": keys,
        "shards": shards,
        "proxy": proxy.value if proxy else None,
    }
    try:
        status = run_service(load_settings(flags, os.environ, config), _say)
    except TradeTrailError as exc:
        typer.echo(f"tradetrail up: {exc.detail}", err=True)
        status = 1
    _leave(status)


def _down(
    data: Annotated[Path | None, typer.Option(help="Data folder. [default: data]")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
) -> None:
    """Stop the service that runs on a data folder and wait until it is gone."""
    try:
        settings = load_settings({"data": data}, os.environ, config)
        pid = stop_service(settings.data, _DOWN_TIMEOUT_S)
    except TradeTrailError as exc:
        typer.echo(f"tradetrail down: {exc.detail}", err=True)
        raise typer.Exit(1) from exc
    typer.echo(f"stopped (process {pid})")


def _leave(status: int) -> NoReturn:
    """Exits. With Ray loaded at once: its last acts at exit wait for, or crash on, what is gone by then."""
    if "ray" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    raise typer.Exit(status)


def _say(line: str) -> None:
    """Prints at once: whoever waits for ``ready`` may read from a pipe."""
    print(line, flush=True)  # typer.echo leaves a pipe unflushed


if __name__ == "__main__":
    _app = typer.Typer(no_args_is_help=True)
    register(_app)
    _app()
