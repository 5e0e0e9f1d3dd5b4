"""Makes one report: rows from copies of the shards, a form, and a sealed file. Runs in a worker of its own.

The file stands under its name only when it is whole; a task that is lost leaves a part that the desk removes.
"""

from __future__ import annotations

from actors.forms import encode
from actors.report.pdf import Heading, render_pdf
from actors.report.rows import Progress, by_time, in_order
from actors.reports import MadeReport, ReportJob
from storage.layout import objects_dir
from storage.sealed_file import SealedWriter

__all__ = ["make_report"]


def make_report(job: ReportJob) -> MadeReport:
    """Make the report of a job and put it where the desk looks for it.

    Raises:
        TradeTrailError: it cannot be made, or is no longer wanted.
    """
    progress = Progress(job.id)
    path = objects_dir(job.data) / "reports" / job.id
    with SealedWriter(path, job.key) as writer:
        if job.request.format == "pdf":
            _write_pdf(job, progress, writer)
        else:
            parts = in_order(job.request, job.data, job.shards, progress)
            for piece in encode(job.request.format, job.request.profile, parts):
                writer.write(piece)
        digest = writer.finish()
    return MadeReport(progress.done, writer.size_bytes, digest.hex())


def _write_pdf(job: ReportJob, progress: Progress, writer: SealedWriter) -> None:
    request = job.request
    timed = by_time(request, job.data, job.shards, progress)
    heading = Heading(
        job.service_name,
        request.user,
        job.requester,
        request.title,
        request.from_ or "",
        request.to or "",
        request.type,
        request.timezone,
        job.created_ns,
        timed.row_count,
        timed.first_userseq,
        timed.last_userseq,
    )
    render_pdf(writer, heading, timed.rows)
