"""Redshift's schema in numbered steps, `redshift/migrations/NNNN_<name>.sql`: each is run once, in its order, in a
transaction.

A step that was run is kept with the SHA-256 of its text, and never changes again: what comes later is a further step.
`${database}` stands for the Glue database. `tests` compare what the steps lead to with the contract.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from .engine import Engine
from .errors import MigrationError
from .settings import Settings
from .warehouse import STATEMENTS_MAX, Warehouse

_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)
_PREPARE = (
    "CREATE SCHEMA IF NOT EXISTS ops",
    "CREATE TABLE IF NOT EXISTS ops.migrations (number INTEGER NOT NULL, name VARCHAR(64) NOT NULL, "
    "checksum VARCHAR(64) NOT NULL, applied_at TIMESTAMP NOT NULL)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step. `text` is the file's."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, settings: Settings) -> list[str]:
        """Its statements, which the file ends with `;` at the end of a line."""
        text = _COMMENT.sub("", self.text).replace("${database}", settings.database)
        return [part.strip() for part in text.split(";\n") if part.strip()]


def migrations() -> list[Migration]:
    """All steps, ascending.

    Raises:
        MigrationError: a file is not named as a step, or a number is missing or used twice.
    """
    found = []
    for file in resources.files(__package__).joinpath("redshift", "migrations").iterdir():
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"redshift/migrations/{file.name} is not named like 0001_marts.sql")
        found.append(Migration(number=int(match[1]), name=match[2], text=file.read_text(encoding="utf-8")))
    found.sort(key=lambda one: one.number)
    for expected, each in enumerate(found, 1):
        if each.number != expected:
            raise MigrationError(
                f"the steps of redshift/migrations/ are not numbered 1, 2, 3 …: {each.number:04} is number {expected}"
            )
    return found


def migrate(
    warehouse: Warehouse, settings: Settings, say: Callable[[str], None], steps: Sequence[Migration] | None = None
) -> str:
    """Run the steps that were not run yet. Repeatable; one that fails has changed nothing.

    Raises:
        MigrationError: a step that was run has changed, or is not known here.
        WarehouseError, CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    steps = migrations() if steps is None else steps
    warehouse.transact(_PREPARE)
    done = {number: (name, checksum) for number, name, checksum in warehouse.rows(
        "SELECT number, name, checksum FROM ops.migrations ORDER BY number"
    )}  # fmt: skip
    for number, (name, checksum) in done.items():
        if number > len(steps):
            raise MigrationError(
                f"Redshift has the step {number:04}_{name}, which this version does not know: update it"
            )
        if steps[number - 1].checksum != checksum:
            raise MigrationError(
                f"the step {number:04}_{name} has changed since it was run: put it back, and add a further one"
            )
    for step in steps[len(done) :]:
        statements = step.statements(settings)
        if len(statements) >= STATEMENTS_MAX:
            raise MigrationError(
                f"the step {step.number:04}_{step.name} has {len(statements)} statements, at most 39 go at once"
            )
        row = (
            f"{step.number}, {Engine.REDSHIFT.literal(step.name)}, {Engine.REDSHIFT.literal(step.checksum)}, GETDATE()"
        )
        warehouse.transact([*statements, f"INSERT INTO ops.migrations VALUES ({row})"])
        say(f"{step.number:04}_{step.name}: done")
    return f"{len(steps)} steps, {len(steps) - len(done)} of them new"
