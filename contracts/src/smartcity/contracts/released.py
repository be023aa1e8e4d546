"""What was released, and whether the contract as it stands may follow it within its major version.

`contracts/released/v1.json` holds every field as devices, Kafka and the lake have it. It is written by this module
alone, and only grows: `python -m smartcity.contracts.released --write` adds new nullable fields, and refuses all else.
Rendered files follow the contract; this one does not, so it notices what they would follow into a break.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .fields import Column, columns
from .streams import STREAMS
from .tables import DEAD_LETTERS_TABLE, Lineage, dead_letter_columns

PATH = Path("contracts/released/v1.json")
"""In the repository."""

Fields = list[dict[str, Any]]
_FREE = ("description",)
"""What may change: it says the same in other words."""


def current() -> dict[str, Fields]:
    """The contracts by event type, and what the lake's tables hold beside them."""
    contracts = {stream.event_type: columns(stream.contract) for stream in STREAMS}
    contracts |= {"lineage": columns(Lineage), DEAD_LETTERS_TABLE: dead_letter_columns()}
    return {name: [_field(column) for column in fields] for name, fields in contracts.items()}


def _field(column: Column) -> dict[str, Any]:
    rules = dataclasses.asdict(column.rules)
    said = {name: value for name, value in rules.items() if name not in _FREE and value not in (None, "", ())}
    return {"name": column.name, "type": column.kind.value, "nullable": column.nullable, **said}


def breaks(released: dict[str, Fields], now: dict[str, Fields]) -> list[str]:
    """Why `now` may not follow `released`, one line each; nothing where it only grew by nullable fields at the end.

    Fields keep their place, since Redshift's COPY from Parquet goes by order. A range may not change in either
    direction: a narrower one refuses readings that were good, a wider one reaches readers that never expected it.
    """
    found = []
    for name, fields in released.items():
        if name not in now:
            found.append(f"{name}: removed")
            continue
        found += [f"{name}.{line}" for line in _breaks(_plain(fields), _plain(now[name]))]
    return found


def _breaks(old: Fields, new: Fields) -> Iterable[str]:
    places = {field["name"]: place for place, field in enumerate(new)}
    for place, field in enumerate(old):
        name = field["name"]
        if name not in places:
            yield f"{name}: removed (or renamed)"
            continue
        here = new[places[name]]
        for key in sorted(field.keys() | here.keys()):
            if field.get(key) != here.get(key):
                yield f"{name}: {key} was {_shown(field, key)}, is {_shown(here, key)}"
        if places[name] != place:
            yield f"{name}: was field {place + 1}, is field {places[name] + 1}"
    known = {field["name"] for field in old}
    for field in new:
        if field["name"] not in known and not field["nullable"]:
            yield f"{field['name']}: new, and required"


def _shown(field: dict[str, Any], key: str) -> str:
    return json.dumps(field[key], ensure_ascii=False) if key in field else "not there"


def _plain(fields: Fields) -> Fields:
    """As JSON has them: lists for tuples."""
    plain: Fields = json.loads(json.dumps(fields))
    return plain


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 where the contract breaks what was released; 2 outside the repository."""
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.contracts.released",
        description="Compare the contract with what was released, or add its new nullable fields to that.",
        epilog="example: python -m smartcity.contracts.released --check",
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 where the contract breaks it")
    mode.add_argument("--write", action="store_true", help="record what is new; refuses a break like --check")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (default: the working directory)")
    options = parser.parse_args(arguments)
    path = options.root / PATH
    if not path.parent.is_dir():
        print(f"{options.root.resolve()} is not the repository: start there, or name it with --root", file=sys.stderr)
        return 2
    now = current()
    broken = breaks(json.loads(path.read_text(encoding="utf-8")), now) if path.exists() else []
    for line in broken:
        print(line, file=sys.stderr)
    if broken:
        print("this is a new major version: a new event type and a new Kafka topic beside the old", file=sys.stderr)
        return 1
    if options.write:
        path.write_text(_document(now), encoding="utf-8")
    return 0


def _document(now: dict[str, Fields]) -> str:
    """One field a line, so that a change shows as one."""
    parts = []
    for name, fields in now.items():
        lines = ",\n".join(f"    {json.dumps(field, ensure_ascii=False)}" for field in fields)
        parts.append(f"  {json.dumps(name)}: [\n{lines}\n  ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
