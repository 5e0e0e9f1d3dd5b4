"""The server's commands where the server can be imported, and a plain word where it cannot.

The published package holds no server, so it is looked for by name when the program runs.
"""

from __future__ import annotations

import importlib

import typer

from tradetrail.cli.output import say

__all__ = ["SERVER_COMMANDS", "register"]

#: What stands in when the server is absent, with the help of the real ones.
SERVER_COMMANDS = {
    "up": "Start the service here and keep it running until Ctrl-C or SIGTERM.",
    "down": "Stop the service that runs on a data folder.",
}


def register(app: typer.Typer, module_name: str = "serve_app.cli") -> None:
    """Adds the server's commands to ``app``.

    Args:
        app: the program.
        module_name: of the module that knows them.
    """
    try:
        commands = importlib.import_module(module_name)
    except ImportError as exc:
        # A missing library and a missing checkout need different words.
        missing = exc.name or module_name
        for name, help_text in SERVER_COMMANDS.items():
            _register_absent(app, name, help_text, missing)
        return
    commands.register(app)


def _register_absent(app: typer.Typer, name: str, help_text: str, missing: str) -> None:
    if missing.partition(".")[0] == "serve_app":
        words = "the server is not part of the published package; run this in a checkout"
    else:
        words = f"the server's library {missing} is not installed; run scripts/up in a checkout"

    @app.command(
        name,
        help=f"{help_text} (not installed here)",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def _absent(context: typer.Context) -> None:
        say(f"tradetrail {name}: {words}, or install its packages with pip install '.[server]'")
        raise typer.Exit(1)
