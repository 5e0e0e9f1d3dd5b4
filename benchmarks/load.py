"""``python -m benchmarks.load``: load on a service, and what it did.

Starts a service of its own with data that is thrown away, or takes one that runs (``--url``, ``--token``).
Prints the machine, the settings and the results as tables; ``--json FILE`` keeps everything, each round
included. Nothing is judged: there is no time that fails.

This file also runs by itself wherever the packages can be imported.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from benchmarks.crew import raise_descriptor_limit
from benchmarks.kinds import KINDS, Options, check
from benchmarks.machine import Machine, flush_cost, machine
from benchmarks.measurements import Latency, Result
from benchmarks.payloads import Material
from benchmarks.service import Subject, own_service, running_service
from benchmarks.table import machine_text, results_text, settings_text
from tradetrail.errors import Invalid, TradeTrailError

__all__ = ["Report", "main", "options_of", "parse_arguments"]

_INTERRUPTED = 130


class Report(msgspec.Struct):
    """The whole of a run, as it is written to the file."""

    machine: Machine
    flush: Latency
    settings: dict[str, object]
    options: Options
    results: list[Result]
    format: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0, 1 for an error, 130 after Ctrl-C."""
    given = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        report = _measure(given, options_of(given, f"{time.time_ns():x}"))
    except TradeTrailError as error:
        _say(f"benchmarks.load: {error}")
        return 1
    except KeyboardInterrupt:
        _say("benchmarks.load: interrupted; what was started has been ended")
        return _INTERRUPTED
    if given.json:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; exits with a message where it is wrong."""
    defaults = Options()
    parser = argparse.ArgumentParser(prog="benchmarks.load", description="Load on a service.")
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="default: all")
    subject = parser.add_argument_group("what is measured")
    subject.add_argument("--url", help="a service that runs; default: one of our own")
    subject.add_argument("--token", default=os.environ.get("TRADETRAIL_TOKEN", ""), help="of it")
    subject.add_argument("--pid", type=int, default=0, help="its process, where it runs here")
    subject.add_argument("--scratch", type=Path, help="folder for our own service's data")
    subject.add_argument("--proxy", choices=("haproxy", "python"), help="of our own service")
    subject.add_argument("--shards", type=int, help="of our own service")
    load = parser.add_argument_group("the load")
    load.add_argument("--rounds", type=int, default=defaults.rounds)
    load.add_argument("--seconds", type=float, default=defaults.seconds, help="of a round")
    load.add_argument("--warm-up", type=float, default=defaults.warm_up_s, help="seconds")
    load.add_argument("--workers", type=int, default=defaults.workers, help="processes that send")
    load.add_argument("--batch", type=int, default=defaults.batch_events, help="events a request")
    load.add_argument("--zstd", action="store_true", help="compress the batches")
    load.add_argument("--minimal", action="store_true", help="ask for counts only")
    load.add_argument("--viewers", type=int, default=defaults.viewers)
    load.add_argument("--rate", type=float, default=defaults.rate, help="events/s to the viewers")
    load.add_argument("--fix", type=Path, help="a FIX log instead of the made-up day")
    load.add_argument("--seed", type=int, default=defaults.material.seed, help="of the day")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    return parser.parse_args(arguments)


def options_of(given: argparse.Namespace, run: str) -> Options:
    """The options of a run that the command line asks for.

    Raises:
        Invalid: a number is out of range.
    """
    options = Options(
        rounds=given.rounds,
        seconds=given.seconds,
        warm_up_s=given.warm_up,
        workers=given.workers,
        batch_events=given.batch,
        zstd=given.zstd,
        minimal=given.minimal,
        viewers=given.viewers,
        rate=given.rate,
        material=Material(seed=given.seed, fix=str(given.fix) if given.fix else ""),
        run=run,
    )
    check(options)
    return options


def _measure(given: argparse.Namespace, options: Options) -> Report:
    raise_descriptor_limit()
    facts = machine()
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        flush = flush_cost(Path(folder))
    settings = _settings(given, options)
    _print(machine_text(facts, flush))
    _print(settings_text(settings))
    results: list[Result] = []
    try:
        with _subject(given) as subject:
            for kind in given.kinds or KINDS:
                _say(f"{kind} …")
                results += KINDS[kind](subject, options)
    finally:
        # An interrupted run shows the kinds that it has finished.
        if results:
            _print(results_text(results))
    # The log's place on this machine is nobody's business.
    shown = msgspec.structs.replace(
        options,
        material=msgspec.structs.replace(options.material, fix=Path(options.material.fix).name),
    )
    return Report(facts, flush, settings, shown, results)


def _settings(given: argparse.Namespace, options: Options) -> dict[str, object]:
    log = f"FIX log {Path(options.material.fix).name}" if options.material.fix else ""
    return {
        "service": "running elsewhere" if given.url else "own, empty at the start",
        "proxy": "not known" if given.url else given.proxy or "default",
        "shards": "not known" if given.url else given.shards or "default",
        "events": log or f"made-up day, seed {options.material.seed}",
        "rounds": options.rounds,
        "seconds a round": options.seconds,
        "warm-up seconds": options.warm_up_s,
        "processes that send": options.workers,
        **{
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith("TRADETRAIL_") and name not in ("TRADETRAIL_TOKEN", "TRADETRAIL_URL")
        },
    }


@contextmanager
def _subject(given: argparse.Namespace) -> Iterator[Subject]:
    if given.url:
        if not given.token:
            raise Invalid("no_token", "Name the running service's token: --token.")
        yield running_service(given.url, given.token, given.pid)
        return
    arguments: list[str] = []
    for name in ("proxy", "shards"):
        if getattr(given, name) is not None:
            arguments += [f"--{name}", str(getattr(given, name))]
    _say("starting a service …")
    with own_service(given.scratch, arguments) as subject:
        yield subject


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A request to end is handled as Ctrl-C is: everything is undone on the way out."""
    raise KeyboardInterrupt


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
