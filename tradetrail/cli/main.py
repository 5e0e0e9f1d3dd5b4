"""Entry point of the command line: the commands, and what becomes of their failures.

Exit codes: 0 done, 1 failed (one line on standard error says why), 2 wrong usage, 3 ``import`` left
refused events behind, 130 interrupted. A closed pipe ends a command without words.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import typer

from tradetrail import __version__
from tradetrail.cli import demo, history, import_fix, lookup, report, server, status, tail, tokens
from tradetrail.cli.output import say
from tradetrail.errors import TradeTrailError, Unauthenticated

__all__ = ["app", "main"]

app = typer.Typer(
    name="tradetrail",
    help=(
        "An audit trail for trading platforms."
        " Client commands read TRADETRAIL_URL and TRADETRAIL_TOKEN."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tradetrail {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of the whole program."""


server.register(app)
for _command in (status, history, tail, report, lookup, import_fix, demo, tokens):
    _command.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: of the command line; ``None`` takes the process's own.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIO) and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments, prog_name="tradetrail")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except TradeTrailError as exc:
        say(f"tradetrail: {exc.detail}{_hint(exc)}")
        code = 1
    except BrokenPipeError:
        code = 1
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        say(f"tradetrail: {where}{exc.strerror or exc}")
        code = 1
    _flush()
    return code


def _hint(exc: TradeTrailError) -> str:
    """What to do, where the message itself cannot know it."""
    if exc.code == "unreachable":
        return " (TRADETRAIL_URL names the service; scripts/up starts one here)"
    if isinstance(exc, Unauthenticated):
        return (
            " (TRADETRAIL_TOKEN names the token; an admin makes one with tradetrail token create)"
        )
    where = f" (at {exc.pointer})" if exc.pointer else ""
    return where


def _flush() -> None:
    """Writes out what is left; a closed pipe must not be complained about when Python ends."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
