"""``tradetrail import fix FILE``: a FIX log becomes events; a second run stores nothing twice.

Exit code 3 where something was refused, by the service or, with ``--strict``, here; everything else
of the log is stored then all the same.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from tradetrail.cli.connection import open_log
from tradetrail.cli.output import print_facts, say, tell_console
from tradetrail.client.batches import BatchBounds
from tradetrail.client.sender import BatchSender, Outgoing, SendCounts
from tradetrail.event import Refusal
from tradetrail.fix.mapping import Left, Mapper, MappingOptions, Refused
from tradetrail.fix.reader import Junk, read_messages

__all__ = ["register"]

#: Exit code of an import that left refused events behind.
_SOME_REFUSED = 3
#: More refusals than this are only counted; a log of the wrong kind would flood the terminal.
_REFUSALS_SAID_MAX = 20


def register(app: typer.Typer) -> None:
    """Adds the command."""
    group = typer.Typer(help="Bring in logs of other systems.", no_args_is_help=True)

    @group.callback()
    def _formats() -> None:
        """Bring in logs of other systems."""

    group.command("fix")(_fix)
    app.add_typer(group, name="import")


def _fix(
    file: Annotated[Path, typer.Argument(help="FIX log; - reads standard input.")],
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse messages with a wrong checksum, length or field."),
    ] = False,
    client: Annotated[
        str | None,
        typer.Option(
            metavar="COMPID", help="The client's CompID; by default who sends the first Logon."
        ),
    ] = None,
    user_tags: Annotated[
        str,
        typer.Option(metavar="TAGS", help="Tags of the client's messages that name the user."),
    ] = "50,116,49",
    firm_user_tags: Annotated[
        str, typer.Option(metavar="TAGS", help="The same for the firm's answers.")
    ] = "57,129,56",
    batch: Annotated[
        int, typer.Option(min=1, max=10_000, help="Greatest number of events in one request.")
    ] = 1_000,
) -> None:
    """Import a FIX log. Exit code 3 where something was refused; running it again is safe."""
    options = MappingOptions(
        client=client,
        user_tags_client=_tags(user_tags),
        user_tags_firm=_tags(firm_user_tags),
        strict=strict,
    )
    with open_log(os.environ) as log:
        # Fails here, before the log is read, where there is no service at all.
        log.service.get("/livez")
        job = _Import(options)
        sender = BatchSender(
            log.service,
            BatchBounds(events=batch),
            on_refused=lambda event, refusal: job.refuse(event.label, refusal),
            on_wait=lambda reason, wait_s: say(f"{reason}; sending again in {wait_s:.1f} s"),
        )
        with _opened(file) as stream:
            job.run(stream, sender)
    print_facts(job.facts(sender.counts))
    if not job.counts["read"]:
        say(f"{file} holds no FIX message")
        raise typer.Exit(1)
    if sender.counts.refused + job.counts["refused"]:
        raise typer.Exit(_SOME_REFUSED)


class _Import:
    """One run: reads, maps, hands over, and counts what became of each message."""

    def __init__(self, options: MappingOptions) -> None:
        self._mapper = Mapper(options)
        self.counts: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._refusals_said = 0

    def run(self, stream: BinaryIO, sender: BatchSender) -> None:
        """Sends every message of the log that is an action."""
        for found in read_messages(stream):
            if isinstance(found, Junk):
                self.counts["junk"] += 1
                continue
            self.counts["read"] += 1
            mapped = self._mapper.to_event(found)
            label = f"line {found.line}"
            if isinstance(mapped, Left):
                self._skipped[mapped.reason] += 1
            elif isinstance(mapped, Refused):
                self.counts["refused"] += 1
                self.refuse(label, Refusal(mapped.reason, mapped.detail))
            else:
                self.counts["problems"] += bool(mapped.problems)
                sender.add(Outgoing(mapped.text, label, mapped.resend))
        sender.flush()

    def refuse(self, label: str, refusal: Refusal) -> None:
        """Says why a message was refused; the first few only."""
        self._refusals_said += 1
        if self._refusals_said <= _REFUSALS_SAID_MAX:
            say(f"{label} refused: {refusal.code}: {refusal.detail}")
        elif self._refusals_said == _REFUSALS_SAID_MAX + 1:
            say("more refusals follow and are only counted")

    def facts(self, counts: SendCounts) -> dict[str, str]:
        """The counts as the command prints them."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self._skipped.most_common())
        lines = {
            "read": f"{self.counts['read']:,} messages",
            "sent": f"{counts.sent:,}",
            "stored": f"{counts.stored:,}",
            "duplicate": f"{counts.duplicates:,}",
            "refused": f"{counts.refused + self.counts['refused']:,}",
            "skipped": f"{self._skipped.total():,}" + (f" ({reasons})" if reasons else ""),
        }
        if self.counts["junk"]:
            lines["junk"] = f"{self.counts['junk']:,} places that are no message"
        if self.counts["problems"]:
            lines["problems"] = f"{self.counts['problems']:,} messages marked fixproblem"
        return lines


class _Counted:
    """A stream that tells how many bytes were read."""

    def __init__(self, stream: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def read(self, size: int = -1) -> bytes:
        """The stream's own bytes."""
        data = self._stream.read(size)
        self._on_bytes(len(data))
        return data


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The log, with a progress bar over its bytes where someone watches."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=tell_console(),
        disable=not tell_console().is_terminal,
        transient=True,
    )
    from_pipe = str(path) == "-"
    with progress:
        task = progress.add_task("importing", total=None if from_pipe else path.stat().st_size)

        def counted(stream: BinaryIO) -> BinaryIO:
            # Only ``read`` is used of it.
            return cast("BinaryIO", _Counted(stream, lambda size: progress.advance(task, size)))

        if from_pipe:
            yield counted(sys.stdin.buffer)
            return
        with path.open("rb") as stream:
            yield counted(stream)


def _tags(text: str) -> tuple[int, ...]:
    """Tag numbers, first choice first."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
        raise typer.BadParameter("write tags as numbers with commas, for instance 50,116,49")
    return tuple(int(part) for part in parts)
