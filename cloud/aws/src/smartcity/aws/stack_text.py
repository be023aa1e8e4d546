"""Change sets, costs and stacks as text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .costs import PRICES_OF, Assumptions, Cost
from .destroy import Holdings
from .stack import ChangeSet, Stack

_NOT_IN_IT = "MSK, gateways and bridges (docs/scale.md), old versions of objects, data transfer, logs, taxes"


def changes_text(change_set: ChangeSet) -> str:
    """A table: action, logical id, type, replacement."""
    changes = change_set.changes
    if not changes:
        return "no resource changes, but what the stack says of itself" if change_set.name else "nothing to change"
    rows = [("action", "logical id", "type", "replacement")]
    rows += [(each.action, each.logical_id, each.kind, each.replacement) for each in changes]
    replaced = [each.logical_id for each in changes if each.replacement == "True"]
    lines = [*_aligned(rows), f"({len(changes)} changes)"]
    if replaced:
        lines.append(f"REPLACED, the old one removed or left behind: {', '.join(replaced)}")
    return "\n".join(lines)


def costs_text(costs: Sequence[Cost], use: Assumptions, region: str) -> str:
    """A table: what, dollars a month, basis; the sum, and what is not in it."""
    rows = [(each.what, f"{each.dollars:,.2f}", each.basis) for each in costs]
    rows.append(("sum", f"{sum(each.dollars for each in costs):,.2f}", ""))
    widest = max(len(row[1]) for row in rows)
    table = _aligned(
        [("US dollars a month", "", ""), *((what, amount.rjust(widest), basis) for what, amount, basis in rows)]
    )
    elsewhere = "" if region == "us-east-1" else f" The stack is in {region}, where they differ."
    return "\n".join(
        [
            *table,
            f"An estimate for {use.vehicles:,} vehicles: {PRICES_OF}.{elsewhere}",
            f"Not in it: {_NOT_IN_IT}.",
        ]
    )


def stack_text(stack: Stack) -> str:
    """State and outputs."""
    reason = f" ({stack.reason})" if stack.reason else ""
    return "\n".join([f"stack {stack.name}: {stack.status}{reason}", *_aligned(sorted(stack.outputs.items()))])


def stack_json(stack: Stack) -> str:
    """The same for programs."""
    document = {
        "stack": stack.name,
        "id": stack.stack_id,
        "status": stack.status,
        "reason": stack.reason,
        "parameters": dict(stack.parameters),
        "outputs": dict(stack.outputs),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def holdings_text(held: Holdings, *, with_data: bool) -> str:
    """What holds data, and what becomes of it."""
    fate = "will be DELETED with all versions" if with_data else "stays"
    bucket = f"bucket {held.bucket}: is not there"
    if held.objects is not None:
        bucket = f"bucket {held.bucket}: {held.objects:,} objects with their versions, {held.bytes:,} bytes; {fate}"
    database = f"Glue database {held.database}: is not there"
    if held.tables is not None:
        names = ", ".join(held.tables[:8]) + (" …" if len(held.tables) > 8 else "")
        fate = "will be DELETED" if with_data else "stays, without the tables of the marts"
        database = f"Glue database {held.database}: {len(held.tables)} tables ({names}); {fate}"
    return f"{bucket}\n{database}\nRedshift's tables, if there are any, go with the stack: they are copies of the marts"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
