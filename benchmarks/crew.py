"""The processes that make load: started, asked, ended.

Each worker is a process of its own, so that one interpreter's lock is never what is measured. A question goes
to all of them before the first answer is awaited. Workers ignore Ctrl-C, since the terminal sends it to all
processes at once and the parent ends them; they also end by themselves when the parent is gone.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
import traceback
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Protocol, Self

from tradetrail.errors import Internal, TradeTrailError

__all__ = ["Crew", "Work", "raise_descriptor_limit"]

_JOIN_S = 5.0


class Work(Protocol):
    """What one worker does."""

    async def answer(self, command: Any) -> object:
        """The answer to one command of the parent; may be awaited for long."""

    def close(self) -> None:
        """Let go of what it holds."""


class Crew:
    """Workers of one kind. To be used as a context manager, which ends them.

    Args:
        make: builds the work inside its process; a function of a module, called with its specification.
        specifications: one for each worker; they must pickle.
    """

    def __init__(
        self, make: Callable[[Any], Awaitable[Work]], specifications: Sequence[object]
    ) -> None:
        # A forked child would inherit the parent's threads' locks and its listening loop.
        context = multiprocessing.get_context("spawn")
        self._members: list[tuple[Any, Connection]] = []
        for specification in specifications:
            ours, theirs = context.Pipe()
            process = context.Process(target=_live, args=(theirs, make, specification), daemon=True)
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, commands: Sequence[object] | object) -> list[Any]:
        """Every worker's answer, in order.

        Args:
            commands: one for each worker as a list, or one for all.

        Raises:
            TradeTrailError: a worker's own error, or ``Internal`` where it failed or died.
        """
        given = commands if isinstance(commands, list) else [commands] * len(self._members)
        for (_, ours), command in zip(self._members, given, strict=True):
            try:
                ours.send(command)
            except OSError as error:
                raise _dead() from error
        return [self._receive(ours) for _, ours in self._members]

    def close(self) -> None:
        """End all workers; safe to call twice."""
        for _, ours in self._members:
            ours.close()
        for process, _ in self._members:
            process.join(_JOIN_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._members = []

    @staticmethod
    def _receive(ours: Connection) -> Any:
        try:
            succeeded, value = ours.recv()
        except (EOFError, OSError) as error:
            raise _dead() from error
        if succeeded:
            return value
        if isinstance(value, TradeTrailError):
            raise value
        raise Internal("worker_failed", f"A process of the load failed:\n{value}")


def raise_descriptor_limit() -> int:
    """Take as many descriptors as are allowed; each viewer and connection needs one. Returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65_536 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def _dead() -> Internal:
    return Internal("worker_died", "A process of the load died; it may have run out of memory.")


def _live(
    theirs: Connection, make: Callable[[Any], Awaitable[Work]], specification: object
) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_descriptor_limit()
    asyncio.run(_serve(theirs, make, specification))


async def _serve(
    theirs: Connection, make: Callable[[Any], Awaitable[Work]], specification: object
) -> None:
    try:
        work = await make(specification)
    except Exception as error:
        theirs.send((False, _portable(error)))
        return
    try:
        while True:
            try:
                command = await asyncio.to_thread(theirs.recv)
            except (EOFError, OSError):
                return
            try:
                reply = (True, await work.answer(command))
            except Exception as error:
                reply = (False, _portable(error))
            try:
                theirs.send(reply)
            except OSError:
                # The parent was interrupted and wants no answer any more.
                return
    finally:
        work.close()


def _portable(error: Exception) -> object:
    return error if isinstance(error, TradeTrailError) else traceback.format_exc()
