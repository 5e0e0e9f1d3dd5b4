"""Ray tasks: ``ray.remote`` and the options of everything that runs beside the actors stand here.

No task is repeated by Ray: a stream that was begun anew would leave out what was delivered, and a report is
begun again by its desk, which counts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from actors.client import unwrapped
from actors.exports import Bucket, stream_history, summarise
from actors.report.task import make_report
from actors.reports import MadeReport, ReportJob
from storage.shard_reads import ReadPlan
from tradetrail.errors import Unavailable

__all__ = ["Exports", "make_in_task"]

#: Pieces that may wait for a slow reader; the task stands still meanwhile.
_PIECES_AHEAD = 4


async def make_in_task(job: ReportJob) -> MadeReport:
    """Have a report made by a worker of its own; raises what it raised, or Ray's error if it was lost."""
    task: Any = ray.remote(make_report).options(num_cpus=1, max_retries=0)
    try:
        made: MadeReport = await task.remote(job)
    except RayTaskError as error:
        raise unwrapped(error) from error
    return made


class Exports:
    """Histories as whole documents, read beside the shard that owns them."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def stream(
        self, plan: ReadPlan | None, form: str, profile: str, start: int, descending: bool
    ) -> AsyncGenerator[bytes, None]:
        """The pieces of a document from userseq ``start`` on; close the generator to stop the task.

        Raises:
            TradeTrailError: the document cannot be finished; what came before is not whole.
        """
        options = {
            "num_returns": "streaming",
            "num_cpus": 1,
            "max_retries": 0,
            "_generator_backpressure_num_objects": _PIECES_AHEAD,
        }
        task: Any = ray.remote(stream_history).options(**options)
        pieces = task.remote(plan, self._data, form, profile, start, descending)
        try:
            async for reference in pieces:
                yield await reference
        except RayTaskError as error:
            raise unwrapped(error) from error
        except RayError as error:
            raise _lost() from error
        finally:
            # A task that nobody reads from any more would wait for ever.
            ray.cancel(pieces)

    async def summary(self, plan: ReadPlan | None, bucket: str) -> list[Bucket]:
        """See ``actors.exports.summarise``."""
        task: Any = ray.remote(summarise).options(num_cpus=1, max_retries=0)
        try:
            rows: list[Bucket] = await task.remote(plan, self._data, bucket)
        except RayTaskError as error:
            raise unwrapped(error) from error
        except RayError as error:
            raise _lost() from error
        return rows


def _lost() -> Unavailable:
    return Unavailable("worker_lost", "The worker that read this was lost; ask again.", 503, "", 1)
