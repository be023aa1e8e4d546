"""Glue's crawlers: defined, started, followed by their state, and stopped. What a crawl does: `crawl_*.py`.

A start that was answered is on disk. What a crawl changes in the catalog and the end of the crawl are one transaction:
a crawl that failed, was stopped or killed has changed nothing. After a restart, one that was running is FAILED.
"""

from __future__ import annotations

import json
import logging
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import AwsError, CrawlError
from ..glue.partitions import GluePartitions
from ..glue.service import GlueCatalog, missing
from ..protocol import Action, actions_of, page
from ..store import Store
from .listing import Folder
from .observe import observe
from .register import Changes, Registrar, registered
from .settings import Policy, definition, policy

log = logging.getLogger(__name__)

WORKERS = 2
CRAWLERS_MAX = 1000
RUNTIMES_KEPT_MAX = 50
CRAWLS_KEPT_MAX = 50
ERROR_LENGTH_MAX = 2048
LOG_GROUP = "/aws-glue/crawlers"
_PAGE_MAX = 100
_INTERRUPTED = "Interrupted: the local Glue ended while this crawl was running. It changed nothing; start it again."
_ACTIONS = (
    "CreateCrawler",
    "UpdateCrawler",
    "GetCrawler",
    "GetCrawlers",
    "ListCrawlers",
    "DeleteCrawler",
    "StartCrawler",
    "StopCrawler",
    "GetCrawlerMetrics",
    "ListCrawls",
)


class _StoppedError(Exception):
    """StopCrawler reached a running crawl."""


class Crawlers:
    """Crawlers over the store. Every action takes a request and gives the response of its Glue action."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: GlueCatalog,
        partitions: GluePartitions,
        s3: Any,
        new_system: Callable[[], Any],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._partitions = partitions
        self._s3 = s3
        self._new_system = new_system
        self._stops: dict[str, threading.Event] = {}
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="crawler")
        self._end_interrupted()

    def actions(self) -> dict[str, Action]:
        """Glue's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def close(self) -> None:
        """Stop what runs, and the pool."""
        for stop in list(self._stops.values()):
            stop.set()
        self._pool.shutdown(wait=True)

    def create_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        now = time.time()
        document = {
            **definition(request, {}),
            "State": "READY",
            "CreationTime": now,
            "LastUpdated": now,
            "Version": 1,
            "_tags": request.get("Tags", {}),
        }
        with self._store.transaction() as connection:
            known = {each["Name"] for each in self._all()}
            if request["Name"] in known:
                raise AwsError("AlreadyExistsException", f"Crawler with name {request['Name']} already exists")
            if len(known) >= CRAWLERS_MAX:
                raise AwsError("ResourceNumberLimitExceededException", f"There are {len(known)} crawlers.")
            connection.execute("INSERT INTO crawlers VALUES (?, ?)", (request["Name"], json.dumps(document)))
        return {}

    def update_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction():
            kept = self._ready(request["Name"])
            changed = {"LastUpdated": time.time(), "Version": kept["Version"] + 1}
            self._save({**definition(request, kept), **changed})
        return {}

    def get_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Crawler": _shown(self._crawler(request["Name"]))}

    def get_crawlers(self, request: dict[str, Any]) -> dict[str, Any]:
        found, token = page([_shown(each) for each in self._all()], request, at_most=_PAGE_MAX)
        return {"Crawlers": found, **({"NextToken": token} if token else {})}

    def list_crawlers(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = request.get("Tags", {}).items()
        names = [each["Name"] for each in self._all() if tags <= each["_tags"].items()]
        found, token = page(names, request, at_most=_PAGE_MAX)
        return {"CrawlerNames": found, **({"NextToken": token} if token else {})}

    def delete_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            self._ready(request["Name"])
            connection.execute("DELETE FROM crawlers WHERE name = ?", (request["Name"],))
        return {}

    def start_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["Name"]
        with self._store.transaction():
            crawler = self._ready(name)
            crawl = {"StartTime": time.time(), "MessagePrefix": str(uuid.uuid4())}
            self._save({**crawler, "State": "RUNNING", "_crawl": crawl})
            self._stops[name] = threading.Event()
        self._pool.submit(self._run, name)
        return {}

    def stop_crawler(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction():
            crawler = self._crawler(request["Name"])
            if crawler["State"] == "READY":
                raise AwsError("CrawlerNotRunningException", f"Crawler with name {crawler['Name']} is not running")
            if crawler["State"] == "STOPPING":
                raise AwsError("CrawlerStoppingException", f"Crawler with name {crawler['Name']} is stopping")
            self._save({**crawler, "State": "STOPPING"})
            self._stops[crawler["Name"]].set()
        return {}

    def get_crawler_metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("CrawlerNameList")
        crawlers = [each for each in self._all() if not wanted or each["Name"] in wanted]
        found, token = page([_metrics(each) for each in crawlers], request, at_most=_PAGE_MAX)
        return {"CrawlerMetricsList": found, **({"NextToken": token} if token else {})}

    def list_crawls(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("Filters"):
            raise AwsError("InvalidInputException", "Filters is not served by the local AWS endpoint.")
        history = self._crawler(request["CrawlerName"]).get("_history", [])
        found, token = page(list(reversed(history)), request, at_most=_PAGE_MAX)
        return {"Crawls": found, **({"NextToken": token} if token else {})}

    def _all(self) -> list[dict[str, Any]]:
        return self._store.documents("SELECT document FROM crawlers ORDER BY name")

    def _crawler(self, name: str) -> dict[str, Any]:
        found = self._store.documents("SELECT document FROM crawlers WHERE name = ?", name)
        if not found:
            raise missing("Crawler", name)
        return found[0]

    def _ready(self, name: str) -> dict[str, Any]:
        crawler = self._crawler(name)
        if crawler["State"] != "READY":
            raise AwsError("CrawlerRunningException", f"Crawler with name {name} has already started")
        return crawler

    def _save(self, crawler: Mapping[str, Any]) -> None:
        with self._store.transaction() as connection:
            row = (json.dumps(crawler), crawler["Name"])
            connection.execute("UPDATE crawlers SET document = ? WHERE name = ?", row)

    def _run(self, name: str) -> None:
        """One crawl from RUNNING to READY. Runs in the pool; nothing escapes."""
        crawler = self._crawler(name)
        try:
            self._crawl(crawler)
        except _StoppedError:
            self._end(name, "CANCELLED")
        except CrawlError as error:
            self._end(name, "FAILED", str(error))
        except AwsError as error:
            self._end(name, "FAILED", f"{error.code}: {error.message}")
        except Exception as error:
            log.exception("crawler %s", name)
            self._end(name, "FAILED", f"Internal error: {type(error).__name__}: {error}")
        with self._store.transaction():
            self._stops.pop(name, None)
            self._save({**self._crawler(name), "State": "READY"})

    def _crawl(self, crawler: Mapping[str, Any]) -> None:
        name, rules = crawler["Name"], policy(crawler)
        stop = self._stops[name]

        def check() -> None:
            if stop.is_set():
                raise _StoppedError(name)

        self._catalog.database(rules.database)
        check()
        seen = observe(
            crawler["Targets"].get("S3Targets") or [self._place(rules.database, name) for name in rules.tables],
            s3=self._s3,
            system=self._new_system(),
            skip=lambda folder: self._known(rules, folder),
            check=check,
        )
        registrar = Registrar(crawler=name, policy=rules, catalog=self._catalog, partitions=self._partitions)
        with self._store.transaction():
            check()
            self._end(name, "SUCCEEDED", changes=registrar.apply(seen))

    def _place(self, database: str, table: str) -> dict[str, Any]:
        """The S3 target that a table of the catalog is."""
        try:
            return {"Path": self._catalog.table(database, table)["StorageDescriptor"]["Location"]}
        except KeyError:
            raise CrawlError(f"{database}.{table} has no location in S3") from None

    def _known(self, rules: Policy, folder: Folder) -> set[tuple[str, ...]]:
        """What a crawl of new folders only leaves out: the partitions that are registered, or the whole table."""
        table = None if rules.everything else registered(self._catalog, rules.database, folder.location)
        if table is None:
            return set()
        if not folder.keys:
            return {()}
        return {tuple(each["Values"]) for each in self._partitions.selected(table)}

    def _end(self, name: str, status: str, error: str | None = None, *, changes: Changes | None = None) -> None:
        """Keep how a crawl ended, and that it is about to be READY."""
        with self._store.transaction():
            crawler = self._crawler(name)
            crawl = crawler.pop("_crawl")
            runtime_s = round(time.time() - crawl["StartTime"], 3)
            changes = changes or Changes()
            log.log(logging.WARNING if error else logging.INFO, "crawler %s: %s %s", name, status, error or "")
            last = {**crawl, "Status": status, "LogGroup": LOG_GROUP, "LogStream": name}
            crawler["LastCrawl"] = {**last, "ErrorMessage": error[:ERROR_LENGTH_MAX]} if error else last
            crawler["_runtimes_s"] = [*crawler.get("_runtimes_s", []), runtime_s][-RUNTIMES_KEPT_MAX:]
            crawler["_changes"] = {
                "TablesCreated": len(changes.created),
                "TablesUpdated": len(changes.updated),
                "TablesDeleted": len(changes.deleted),
            }
            crawler["_history"] = [*crawler.get("_history", []), _history(crawler["LastCrawl"])][-CRAWLS_KEPT_MAX:]
            self._save({**crawler, "State": "STOPPING"})

    def _end_interrupted(self) -> None:
        with self._store.transaction():
            for crawler in self._all():
                if "_crawl" in crawler:
                    self._end(crawler["Name"], "FAILED", _INTERRUPTED)
                if crawler["State"] != "READY":
                    self._save({**self._crawler(crawler["Name"]), "State": "READY"})


def _shown(crawler: Mapping[str, Any]) -> dict[str, Any]:
    crawl = crawler.get("_crawl")
    elapsed_ms = round((time.time() - crawl["StartTime"]) * 1000) if crawl else 0
    shown = {key: value for key, value in crawler.items() if not key.startswith("_")}
    return {"Classifiers": [], **shown, "CrawlElapsedTime": elapsed_ms}


def _history(last: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ListCrawls: a crawl that has ended."""
    states = {"SUCCEEDED": "COMPLETED", "CANCELLED": "STOPPED", "FAILED": "FAILED"}
    kept = {
        key: last[key] for key in ("StartTime", "MessagePrefix", "LogGroup", "LogStream", "ErrorMessage") if key in last
    }
    return {"CrawlId": last["MessagePrefix"], "State": states[last["Status"]], "EndTime": time.time(), **kept}


def _metrics(crawler: Mapping[str, Any]) -> dict[str, Any]:
    """What GetCrawlerMetrics says: run times in seconds, and what the last crawl changed."""
    runtimes = crawler.get("_runtimes_s", [])
    return {
        "CrawlerName": crawler["Name"],
        "TimeLeftSeconds": 0.0,
        "StillEstimating": crawler["State"] == "RUNNING",
        "LastRuntimeSeconds": runtimes[-1] if runtimes else 0.0,
        "MedianRuntimeSeconds": statistics.median(runtimes) if runtimes else 0.0,
        **{"TablesCreated": 0, "TablesUpdated": 0, "TablesDeleted": 0, **crawler.get("_changes", {})},
    }
