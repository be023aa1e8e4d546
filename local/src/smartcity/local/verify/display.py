"""A report for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from smartcity.contracts.streams import STREAMS

from .gaps import GapReport
from .report import Examples, Report

_PROBLEMS = ("lost", "duplicated", "altered", "unknown")
_NOTES = ("pending", "refused", "dropped", "unproven")


def show_report(report: Report, console: Console) -> None:
    """A table per stream, the verdict, and examples of what is wrong or worth a look."""
    table = Table(title=f"verify: {report.boots} boots", title_justify="left")
    table.add_column("stream")
    for name in ("generated", "in the lake", "dead letters"):
        table.add_column(name, justify="right")
    for stream in STREAMS:
        row = (report.generated, report.lake, report.dead_letters)
        table.add_row(stream.name, *(f"{counts[stream.name]:,}" for counts in row))
    table.add_section()
    totals = (report.generated, report.lake, report.dead_letters)
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in totals))
    console.print(table)
    for name in (*_PROBLEMS, *_NOTES):
        count = getattr(report, name)
        colour = "green" if not count else "red" if name in _PROBLEMS else "yellow"
        console.print(f"  {name:<11} [{colour}]{count:,}[/]")
    for title, reasons in (("dead letters", report.dead_letters_by_reason), ("refused", report.refused_by_reason)):
        for reason, count in reasons.items():
            console.print(f"  {title}, {escape(str(reason))}: {count:,}")
    console.print(f"  {report.frames:,} frames fetched and hashed")
    _show_examples(report.examples, console)
    verdict = "[green]proven: every reading is accounted for" if report.clean else "[red]NOT proven"
    console.print(f"{verdict}{', some are still on the way' if report.clean and report.pending else ''}[/]")


def show_gaps(report: GapReport, console: Console) -> None:
    """Counts, gaps and what they mean."""
    console.print(f"verify without the devices' logs: {report.boots} boots, gaps in the sequence only")
    for table, count in report.seen.items():
        console.print(f"  {table:<13} {count:,}")
    console.print(
        f"  missing       {report.missing:,}, of these not accounted for by the devices: {report.unaccounted:,}"
    )
    if report.without_status:
        console.print(f"  {report.without_status:,} boots without a retained status: their end is unproven")
    for gap in report.gaps[:10]:
        console.print(f"  gap: {gap.device_id} {gap.boot} {gap.first}–{gap.last}")


def _show_examples(examples: Examples, console: Console) -> None:
    for problem, found in examples.items():
        for example in found if problem in _PROBLEMS else found[:3]:
            text = ", ".join(f"{name} {value}" for name, value in example.items())
            console.print(f"  {problem}: {escape(text)}", soft_wrap=True)
