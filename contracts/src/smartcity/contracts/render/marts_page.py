"""The marts for people: `docs/marts.md`."""

from __future__ import annotations

import inspect

from ..marts import MARTS, MARTS_PREFIX, PARTITION_COLUMN, Mart
from .markdown import table

_HEADER = f"""\
# Marts

Rendered from `contracts/` by `python -m smartcity.contracts.render --write`; edits here are overwritten.

Small Parquet tables that answer the common questions without reading the lake's tables. A batch job computes them:

    smartcity-lake marts                                  # every day that was touched since the last run
    smartcity-lake marts --only journeys --from 2026-11-20 --to 2026-11-21
    smartcity-lake marts --all                            # every day again
    smartcity-lake marts --every 5m                       # the touched days, again and again, until SIGTERM

Each line of its output names the mart, the day, its rows and bytes, and which of how many days it is. `--json` prints
what was built as one document. Exit codes are those of `smartcity-lake run`: 0 in order, 1 a failure that a repeated
run may mend, 2 usage, 3 one that it cannot.

In the stack the service `maintenance` builds them, first four minutes after the start, then every five minutes, never
at the same time as the [maintenance of the tables](maintenance.md). Against AWS, call it once per interval.

| what | where |
| --- | --- |
| a day (UTC, by event time) | `s3://<bucket>/{MARTS_PREFIX}/<mart>/{PARTITION_COLUMN}=YYYY-MM-DD/<mart>.parquet` |
| columns | `contracts/marts.py`; `{PARTITION_COLUMN}` is in the key, not in the file |
| how each is computed | `cloud/spark/src/smartcity/lake/marts/<mart>.py`, one Spark SQL statement |
| what each day was computed from | `s3://<bucket>/checkpoints/marts/<mart>.json` |

## When a day is built

A day is built when the days of the tables that it is computed from do not have as many records as when it was built
last. Iceberg keeps these counts by partition, so looking costs no reading of data and no Spark: a run that finds no
day to build ends before it starts one. A reading that comes late, by a minute or a month, changes its day's count, so
that day is built again, and with it the days that look into that one (below). Compaction and the expiry of snapshots
leave the counts as they are and touch no day. Another version of a mart (its SQL, sources or columns) builds all its
days again. So does a lost `checkpoints/marts/<mart>.json`, to the same rows.

The counts are taken before anything is read, and written after the day's file: a run that is killed, or that readings
overtake, leaves at worst a day that the next run builds again. The file is replaced by one PUT of a whole object: a
reader sees the old day or the new one. A day that has no rows any more loses its file.

| mart | a day looks into | limit |
| --- | --- | --- |
| journeys | `gps` and `vehicle`, the day before and the day after | a drive is followed to the end of the next day |
| speed_by_km | `gps` | |
| weather_speed | `gps`; `weather`, the day before too | no row without a report within 30 km and 30 minutes |
| incident_response | `emergency`, three days before and after | a later step begins a row of its own |
| camera_activity | `camera` | |
| city_hours | all streams; `emergency` five days before | what nobody calls resolved is active for 48 hours |

## Limits

- One run at a time. Two at once notice each other, one ends with code 1, and the day that both built is built again
  by the next run.
- Readings of today build yesterday's journeys again too, since a drive may have gone on over midnight, and so read two
  days for one. With a large fleet, build the journeys once a day (`--only journeys`) and the others more often.
- While readings come, every scheduled run builds today again as a whole, which grows with the day. Choose the interval
  so that a run is short beside it.
- A day's rows pass through the driver's memory (`--driver-memory`; Spark's `spark.driver.maxResultSize`, 1 GiB, ends
  a larger one with a failure). Rows are bounded by roads, cameras and hours, not by readings, but for the journeys:
  one per drive.
- Rows of a table that are replaced by as many others, which nothing here does, go unseen: build the days with
  `--from` and `--to`.
- A drive whose engine is restarted counts as two journeys; one that is silent for more than five minutes too, even if
  the engine ran on. Distance bridges a loss of the fix by a straight line. `fuel_used` is what the gauge (PID 2F)
  shows, in steps of 0.4 %; electric vehicles show their battery there.
- The tables must be partitioned by `days(timestamp)`, among others if need be; otherwise the job ends with code 3.

## The marts
"""


def marts_page() -> str:
    """The whole page."""
    return "\n".join([_HEADER, *(_section(mart) for mart in MARTS)])


def _section(mart: Mart) -> str:
    text = inspect.cleandoc(mart.contract.__doc__ or "")
    return f"### {mart.name}\n\n{text}\n\nDay: that of `{mart.time_column}`.\n\n{table(mart.columns)}"
