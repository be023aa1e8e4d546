"""What Athena says to the saved questions."""

from __future__ import annotations

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

WIDTH_KEPT_CHARACTERS = 18
"""A column is not squeezed below this, or below its longest cell."""


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
        cells = [tuple("" if value is None else str(value) for value in row) for row in self.rows]
        for i, column in enumerate(self.columns):
            is_number = any(isinstance(row[i], int | float) for row in self.rows)
            side: Literal["left", "right"] = "right" if is_number else "left"
            # On a narrow terminal the long texts are cut, so that the others stay readable.
            width = min(max(len(text) for text in (column, *(row[i] for row in cells))), WIDTH_KEPT_CHARACTERS)
            table.add_column(escape(column), justify=side, no_wrap=True, overflow="ellipsis", min_width=width)
        for row in cells:
            table.add_row(*map(escape, row))
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
