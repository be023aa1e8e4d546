"""What Athena says to the saved questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

from smartcity.aws.errors import AwsError
from smartcity.aws.query import run_query
from smartcity.aws.saved import saved_query
from smartcity.aws.settings import from_environment

from .errors import LocalError

QUESTIONS = {
    "mean_speed_per_10_km": "mean speed per 10 km of each route",
    "frames_per_camera": "frames per camera",
    "incidents_by_type_and_status": "incidents by type and status",
}
"""Saved queries of `smartcity.aws`, and what they ask."""


class AnswerError(LocalError):
    """Athena did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question and its answer."""

    question: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    query_id: str
    engine_ms: int

    def document(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "query_id": self.query_id,
            "engine_ms": self.engine_ms,
        }

    def table(self) -> Table:
        table = Table(title=f"Athena: {self.question}", title_justify="left")
        for column, is_number in zip(self.columns, _numbers(self.rows, len(self.columns)), strict=True):
            side: Literal["left", "right"] = "right" if is_number else "left"
            table.add_column(escape(column), justify=side, no_wrap=True, overflow="ellipsis")
        for row in self.rows:
            table.add_row(*("" if value is None else escape(str(value)) for value in row))
        return table


def ask() -> tuple[Answer, ...]:
    """Asks all of QUESTIONS, over everything that the lake holds.

    Raises:
        AnswerError: with Athena's reason.
    """
    settings = from_environment()
    answers = []
    for name, question in QUESTIONS.items():
        try:
            result = run_query(saved_query(name), settings)
        except AwsError as error:
            raise AnswerError(f"Athena, asked for the {question}: {error}") from error
        answers.append(
            Answer(
                question=question,
                columns=tuple(column.name for column in result.columns),
                rows=result.rows,
                query_id=result.query_id,
                engine_ms=result.engine_ms,
            )
        )
    return tuple(answers)


def _numbers(rows: Sequence[tuple[Any, ...]], count: int) -> list[bool]:
    return [any(isinstance(row[i], int | float) for row in rows) for i in range(count)]
