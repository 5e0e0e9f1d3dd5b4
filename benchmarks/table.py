"""Results as text for a terminal and for a Markdown page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.machine import Machine
from benchmarks.measurements import Latency, Result, Round

__all__ = ["machine_text", "results_text", "settings_text", "table"]

_MIB = 1024 * 1024
_US_PER_S = 1_000_000
_TIMED = {
    "answer": "request sent to answer",
    "delivery": "request sent to a viewer's receipt",
    "lateness": "due to sent",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that also reads well as text; all columns but the first are right-aligned."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    assert all(len(row) == len(header) for row in cells), "rows of different length"
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (cells[0], rule, *cells[1:])
    ]
    return "\n".join(f"| {line} |" for line in lines)


def machine_text(facts: Machine, flush: Latency) -> str:
    """The machine as a table of two columns."""
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return table(
        ("machine", "value"),
        [
            ("CPU", f"{facts.cpu_model}, {facts.cores} cores"),
            ("memory", f"{facts.memory_bytes / 1024**3:.1f} GiB"),
            ("kernel", facts.kernel),
            ("Python", facts.python),
            ("packages", versions),
            ("load average before", f"{facts.load_average:.2f}"),
            (
                "fdatasync of 4 KiB",
                f"p50 {flush.p50_ms:.2f} ms, p99 {flush.p99_ms:.2f} ms, max {flush.max_ms:.2f} ms",
            ),
        ],
    )


def settings_text(settings: Mapping[str, object]) -> str:
    """Settings as a table of two columns."""
    return table(("setting", "value"), [(name, str(value)) for name, value in settings.items()])


def results_text(results: Sequence[Result]) -> str:
    """Rates, latencies, and what the processes used, one table each; medians over the rounds."""
    return "\n\n".join((_rates(results), _latencies(results), _uses(results)))


def _label(result: Result) -> str:
    settings = result.settings
    if result.kind == "viewers":
        return f"{settings['viewers']} viewers, {settings['rate']:g} events/s"
    extras = "".join(f", {name}" for name in ("zstd", "minimal") if settings.get(name))
    return f"{result.kind} of {settings['events_per_request']} x {settings['connections']}{extras}"


def _rates(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        one = result.median
        rows.append(
            (
                _label(result),
                f"{one.rate('stored'):,.0f}",
                f"{min(part.rate('stored') for part in result.rounds):,.0f}",
                f"{max(part.rate('stored') for part in result.rounds):,.0f}",
                f"{one.rate('requests'):,.0f}",
                _amount(one, "deliveries"),
                _amount(one, "missing"),
                ", ".join(f"{status}: {count:,}" for status, count in one.statuses.items()),
            )
        )
    header = (
        "load",
        "events/s",
        "worst",
        "best",
        "requests/s",
        "deliveries",
        "missing",
        "answers",
    )
    return table(header, rows)


def _amount(one: Round, name: str) -> str:
    return f"{one.counts[name]:,}" if name in one.counts else ""


def _latencies(results: Sequence[Result]) -> str:
    rows = [
        (
            _label(result),
            _TIMED.get(name, name),
            *(f"{ms:,.1f}" for ms in (spread.p50_ms, spread.p95_ms, spread.p99_ms, spread.max_ms)),
        )
        for result in results
        for name, spread in result.median.latencies.items()
    ]
    return table(("load", "timed", "p50 ms", "p95 ms", "p99 ms", "max ms"), rows)


def _uses(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        one = result.median
        events = max(one.counts.get("stored", 0), 1)
        for kind in sorted(one.cpu_s.keys() | one.rss_bytes.keys()):
            cpu_s = one.cpu_s.get(kind, 0.0)
            rss_bytes = one.rss_bytes.get(kind)
            rows.append(
                (
                    _label(result),
                    kind,
                    f"{cpu_s:.2f}",
                    f"{cpu_s / one.duration_s:.2f}" if one.duration_s else "",
                    f"{cpu_s / events * _US_PER_S:,.1f}",
                    "" if rss_bytes is None else f"{rss_bytes / _MIB:,.0f}",
                )
            )
    header = ("load", "processes", "CPU s", "cores", "CPU µs/event", "resident MiB")
    return table(header, rows)
