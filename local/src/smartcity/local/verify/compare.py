"""The judgement: joins what was generated, what was expected of it and what the lake holds. Pure but for its engine.

All joins are by (device_id, id), set against set, in an in-memory DuckDB.
"""

from __future__ import annotations

from typing import Any

import duckdb

from smartcity.contracts.streams import STREAMS, Stream

from .arrow import expected_schema
from .expected import Expected
from .found import Found
from .generated import Generated
from .report import EXAMPLES_MAX, Examples, Report

ROUTE_KM_TOLERANCE = 0.001
"""One metre."""
CLOCK_SLACK_S = 60
"""How far the wall clocks of device, bridge, Kafka and lake may disagree before their order counts as wrong."""

_KEYS = ("device_id", "id")
_CLOCKS = ("sent_at", "bridged_at", "kafka_at", "lake_at")

_KNOWN = """
CREATE TABLE known AS
SELECT device_id, id, any_value(boot) AS boot, max(sequence) AS sequence, any_value(stream) AS stream,
       max(payload_sha256) AS payload_sha256,
       bool_or(kind = 'pending') AS pending,
       bool_or(kind = 'refused') AS refused, max(reason) FILTER (kind = 'refused') AS refused_reason,
       bool_or(kind = 'dropped') AS dropped, max(reason) FILTER (kind = 'dropped') AS dropped_reason
FROM entries GROUP BY device_id, id
"""

_OUTCOMES = """
CREATE TABLE outcomes AS
SELECT k.*, coalesce(copies.copies, 0) AS copies, letters.reason AS letter_reason,
       CASE WHEN copies.copies > 0 THEN 'lake' WHEN letters.id IS NOT NULL THEN 'dead_letter'
            WHEN k.pending THEN 'pending' WHEN k.refused THEN 'refused' WHEN k.dropped THEN 'dropped' ELSE 'lost'
       END AS outcome
FROM known k
LEFT JOIN copies USING (device_id, id)
LEFT JOIN letters USING (device_id, id)
"""

_UNPROVEN = """
CREATE TABLE unproven AS
SELECT device_id, boot, first_sequence, last_sequence FROM evicted
UNION ALL
SELECT device_id, boot, previous + 1, sequence - 1 FROM (
    SELECT device_id, boot, sequence,
           coalesce(max(reached) OVER (PARTITION BY device_id, boot ORDER BY sequence
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS previous
    FROM (SELECT device_id, boot, sequence, sequence AS reached FROM known
          UNION ALL SELECT device_id, boot, first_sequence, last_sequence FROM evicted))
WHERE sequence > previous + 1
"""

_UNKNOWN = """
CREATE TABLE unknown AS
SELECT copies.device_id, copies.id, copies.streams FROM copies
LEFT JOIN known USING (device_id, id)
LEFT JOIN heads AS early ON early.device_id = copies.device_id AND early.boot = copies.boot
LEFT JOIN heads_after AS late ON late.device_id = copies.device_id AND late.boot = copies.boot
WHERE known.id IS NULL
  AND NOT coalesce(copies.sequence > early.last_sequence AND copies.sequence <= late.last_sequence, false)
  AND NOT EXISTS (SELECT 1 FROM unproven u WHERE u.device_id = copies.device_id AND u.boot = copies.boot
                  AND copies.sequence BETWEEN u.first_sequence AND u.last_sequence)
"""

_ALTERED_ELSEWHERE = """
INSERT INTO altered
SELECT k.device_id, k.id, f.stream, 'stream', k.stream, f.stream
FROM found_ids f JOIN known k USING (device_id, id) WHERE f.stream <> k.stream
UNION ALL
SELECT r.device_id, r.id, r.stream, 'row', 'no row: ' || r.detail, 'a row'
FROM rejected r JOIN copies USING (device_id, id)
UNION ALL
SELECT k.device_id, k.id, k.stream, 'payload (dead letter)', k.payload_sha256,
       CASE WHEN d.found_sha256 IS DISTINCT FROM k.payload_sha256 THEN d.found_sha256 ELSE d.payload_sha256 END
FROM dead_letters d JOIN known k USING (device_id, id) JOIN outcomes o USING (device_id, id)
WHERE o.outcome = 'dead_letter' AND d.refused_by = 'bridge' AND k.payload_sha256 IS NOT NULL
  AND (d.found_sha256 IS DISTINCT FROM k.payload_sha256 OR d.payload_sha256 IS DISTINCT FROM k.payload_sha256)
UNION ALL
SELECT d.device_id, d.id, k.stream, 'payload (dead letter)', d.payload_sha256, d.found_sha256
FROM dead_letters d JOIN known k USING (device_id, id)
WHERE d.refused_by = 'lake' AND d.found_sha256 IS DISTINCT FROM d.payload_sha256
UNION ALL
SELECT c.device_id, c.id, 'camera', 'frame in the bucket', e.frame_sha256 || ' (' || e.frame_bytes || ' B)',
       coalesce(frames.sha256 || ' (' || frames.bytes || ' B)', 'no object ' || c.snapshot)
FROM found_camera c JOIN expected_camera e USING (device_id, id) LEFT JOIN frames ON frames.snapshot = c.snapshot
WHERE frames.sha256 IS DISTINCT FROM e.frame_sha256 OR frames.bytes IS DISTINCT FROM e.frame_bytes
"""


def compare(generated: Generated, expected: Expected, found: Found, *, examples_max: int = EXAMPLES_MAX) -> Report:
    """The report on the boots of `generated`, with up to `examples_max` examples of each problem."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        _register(db, generated, expected, found)
        for statement in (_KNOWN, _copies_sql(), _letters_sql(), _OUTCOMES, _UNPROVEN, _UNKNOWN):
            db.execute(statement)
        db.execute(
            'CREATE TABLE altered (device_id VARCHAR, id VARCHAR, stream VARCHAR, "column" VARCHAR, '
            "expected VARCHAR, found VARCHAR)"
        )
        for stream in STREAMS:
            db.execute(_altered_sql(stream))
        db.execute(_ALTERED_ELSEWHERE)
        return _report(db, generated, found, examples_max)


def _register(db: Any, generated: Generated, expected: Expected, found: Found) -> None:
    db.register("entries", generated.entries)
    db.register("evicted", generated.evicted)
    db.register("heads", generated.heads)
    db.register("heads_after", found.heads)
    db.register("rejected", expected.rejected)
    db.register("dead_letters", found.dead_letters)
    db.register("frames", found.frames)
    for stream in STREAMS:
        db.register(f"expected_{stream.name}", expected.rows[stream.name])
        db.register(f"found_{stream.name}", found.rows[stream.name])


def _copies_sql() -> str:
    tables = " UNION ALL ".join(f"SELECT device_id, id, '{s.name}' AS stream FROM found_{s.name}" for s in STREAMS)
    return f"""
        CREATE TABLE found_ids AS {tables};
        CREATE TABLE copies AS
        SELECT device_id, id, split_part(id, '.', 1) AS boot, try_cast(split_part(id, '.', 2) AS BIGINT) AS sequence,
               count(*) AS copies, string_agg(DISTINCT stream) AS streams
        FROM found_ids GROUP BY device_id, id
    """


def _letters_sql() -> str:
    return """
        CREATE TABLE letters AS
        SELECT device_id, id, min(reason) AS reason, min(detail) AS detail FROM dead_letters
        WHERE id IS NOT NULL GROUP BY device_id, id
    """


def _conditions(stream: Stream) -> list[tuple[str, str]]:
    """Column and the SQL condition under which it is wrong."""
    conditions = [
        (name, f'e."{name}" IS DISTINCT FROM f."{name}"')
        for name in expected_schema(stream).names
        if name not in (*_KEYS, "route_km")
    ]
    conditions.append(
        (
            "route_km",
            "(e.route_km IS NULL) <> (f.route_km IS NULL) "
            f"OR NOT coalesce(abs(e.route_km - f.route_km) <= {ROUTE_KM_TOLERANCE}, true)",
        )
    )
    for i, clock in enumerate(_CLOCKS):
        wrong = f"f.{clock} IS NULL"
        if i:
            wrong += f" OR f.{clock} < f.{_CLOCKS[i - 1]} - INTERVAL {CLOCK_SLACK_S} SECOND"
        conditions.append((clock, wrong))
    return conditions


def _altered_sql(stream: Stream) -> str:
    """One join; rows in which a column is wrong are then spread into one row per wrong column."""
    conditions = _conditions(stream)
    predicted = expected_schema(stream).names
    entries = []
    for column, condition in conditions:
        wanted = f'e."{column}"::VARCHAR' if column in predicted else "'a plausible time'"
        entries.append(
            f"CASE WHEN {condition} THEN "
            f"{{'column': '{column}', 'expected': {wanted}, 'found': f.\"{column}\"::VARCHAR}} END"
        )
    wrong = " OR ".join(f"({condition})" for _, condition in conditions)
    return f"""
        INSERT INTO altered
        SELECT device_id, id, '{stream.name}', d."column", d.expected, d.found
        FROM (SELECT e.device_id, e.id, unnest([{", ".join(entries)}]) AS d
              FROM expected_{stream.name} e JOIN found_{stream.name} f USING (device_id, id) WHERE {wrong})
        WHERE d IS NOT NULL
    """


def _report(db: Any, generated: Generated, found: Found, examples_max: int) -> Report:
    def number(sql: str) -> int:
        return int(db.execute(sql).fetchone()[0])

    def by_stream(condition: str) -> dict[str, int]:
        counts = dict(db.execute(f"SELECT stream, count(*) FROM outcomes WHERE {condition} GROUP BY 1").fetchall())
        return {**{stream.name: 0 for stream in STREAMS}, **counts}

    def by_reason(outcome: str, column: str) -> dict[str, int]:
        sql = f"SELECT {column}, count(*) FROM outcomes WHERE outcome = '{outcome}' GROUP BY 1 ORDER BY 1"
        return dict(db.execute(sql).fetchall())

    def outcomes(outcome: str) -> int:
        return number(f"SELECT count(*) FROM outcomes WHERE outcome = '{outcome}'")

    return Report(
        boots=len(generated.boots),
        generated=by_stream("true"),
        lake=by_stream("outcome = 'lake'"),
        dead_letters=by_stream("outcome = 'dead_letter'"),
        dead_letters_by_reason=by_reason("dead_letter", "letter_reason"),
        pending=outcomes("pending"),
        refused=outcomes("refused"),
        refused_by_reason=by_reason("refused", "refused_reason"),
        dropped=outcomes("dropped"),
        dropped_by_reason=by_reason("dropped", "dropped_reason"),
        lost=outcomes("lost"),
        duplicated=number("SELECT count(*) FROM copies WHERE copies > 1"),
        altered=number("SELECT count(*) FROM (SELECT DISTINCT device_id, id FROM altered)"),
        unknown=number("SELECT count(*) FROM unknown"),
        unproven=number("SELECT coalesce(sum(last_sequence - first_sequence + 1), 0) FROM unproven"),
        frames=found.frames.num_rows,
        examples=_examples(db, examples_max),
    )


def _examples(db: Any, examples_max: int) -> Examples:
    """Up to `examples_max` of each problem, smallest ids first; problems that do not occur are left out."""
    who = "SELECT device_id, id, stream"
    queries = {
        "lost": f"{who} FROM outcomes WHERE outcome = 'lost'",
        "duplicated": "SELECT device_id, id, streams, copies FROM copies WHERE copies > 1",
        "altered": f'{who}, "column", expected, found FROM altered',
        "unknown": "SELECT device_id, id, streams FROM unknown",
        "pending": f"{who} FROM outcomes WHERE outcome = 'pending'",
        "refused": f"{who}, refused_reason AS reason FROM outcomes WHERE outcome = 'refused'",
        "dropped": f"{who}, dropped_reason AS reason FROM outcomes WHERE outcome = 'dropped'",
        "dead_letters": f"{who}, o.letter_reason AS reason, letters.detail FROM outcomes o "
        "JOIN letters USING (device_id, id) WHERE outcome = 'dead_letter'",
        "unproven": "SELECT device_id, boot, first_sequence, last_sequence FROM unproven",
    }
    examples: Examples = {}
    for problem, sql in queries.items():
        rows = db.execute(f"{sql} ORDER BY 1, 2 LIMIT {examples_max}")
        names = [column[0] for column in rows.description]
        found = [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
        if found:
            examples[problem] = found
    return examples
