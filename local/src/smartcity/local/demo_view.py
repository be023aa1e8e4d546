"""What the demo shows: live counts in place on a terminal, lines elsewhere, and the summary."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from smartcity.contracts.streams import STREAMS

from .counts import Stages
from .demo import Outcome
from .questions import questions_table
from .stack import Stack
from .verify.display import show_report

LINE_INTERVAL_S = 5.0


class LiveCounts:
    """A table that is redrawn on a terminal; elsewhere one line every LINE_INTERVAL_S seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._began = time.monotonic()
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {escape(line)}", soft_wrap=True)

    def look(self, stages: Stages) -> None:
        if self._live:
            self._live.update(stages_table(stages))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_INTERVAL_S
            self.say(stages_line(stages))


def stages_table(stages: Stages) -> Table:
    """One row per stream, one column per stage."""
    table = Table(title="readings so far", title_justify="left")
    table.add_column("stream")
    for name in ("generated", "Kafka", "lake", "dead letters"):
        table.add_column(name, justify="right")
    for stream in STREAMS:
        counts = (stages.generated, stages.kafka, stages.lake)
        table.add_row(stream.name, *(f"{part.get(stream.name, 0):,}" for part in counts), "")
    table.add_section()
    totals = (sum(part.get(s.name, 0) for s in STREAMS) for part in (stages.generated, stages.kafka, stages.lake))
    table.add_row("all", *(f"{total:,}" for total in totals), f"{stages.lake.get('dead_letters', 0):,}")
    table.caption = f"{stages.pending:,} in the devices' outbox"
    return table


def stages_line(stages: Stages) -> str:
    """The same in one line: generated/Kafka/lake per stream."""
    parts = [
        f"{stream.name} {stages.generated.get(stream.name, 0)}/{stages.kafka.get(stream.name, 0)}"
        f"/{stages.lake.get(stream.name, 0)}"
        for stream in STREAMS
    ]
    letters = stages.lake.get("dead_letters", 0)
    return f"generated/Kafka/lake: {' · '.join(parts)} · dead letters {letters} · pending {stages.pending}"


def show_outcome(outcome: Outcome, stack: Stack, console: Console) -> None:
    """Arrivals, the table of the stages, the proof, the answers, timings, and where to look next."""
    console.print()
    for arrival in outcome.arrivals:
        console.print(f"arrived: {arrival['device']} on {arrival['route']} at {arrival['time']}")
    console.print()
    console.print(summary_table(outcome))
    show_report(outcome.report, console)
    for answer in outcome.answers:
        console.print()
        console.print(answer.table())
    console.print()
    console.print(questions_table(outcome.questions))
    console.print()
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in outcome.seconds.items())
    console.print(f"seconds: {seconds}", soft_wrap=True)
    for failure in outcome.failures:
        console.print(f"[red]failed: {escape(failure)}[/]")
    if not outcome.failures:
        console.print("[green]The demo shows what it promises.[/]")
    addresses = stack.addresses()
    console.print()
    console.print("where to look next")
    for what, where in (
        ("live map", f"{addresses.dashboard_url}/"),
        ("ask the lake", 'smartcity query "SELECT device_id, max(speed) FROM vehicle GROUP BY 1"'),
        ("what runs", "smartcity status"),
        ("prove it again", f"smartcity verify --state {outcome.state}"),
        ("logs", str(stack.layout.var / "log")),
        ("stop, keep the data", "smartcity down"),
    ):
        console.print(f"  {what:<20} {escape(where)}", soft_wrap=True)


def summary_table(outcome: Outcome) -> Table:
    """Generated, Kafka, lake and dead letters per stream, of this drive."""
    report = outcome.report
    table = Table(title="from devices to the lake", title_justify="left")
    table.add_column("stream")
    columns = {
        "generated": report.generated,
        "Kafka": outcome.kafka,
        "lake": report.lake,
        "dead letters": report.dead_letters,
    }
    for name in columns:
        table.add_column(name, justify="right")
    for stream in STREAMS:
        table.add_row(stream.name, *(f"{counts.get(stream.name, 0):,}" for counts in columns.values()))
    table.add_section()
    totals = (sum(counts.get(stream.name, 0) for stream in STREAMS) for counts in columns.values())
    table.add_row("all", *(f"{total:,}" for total in totals))
    return table
