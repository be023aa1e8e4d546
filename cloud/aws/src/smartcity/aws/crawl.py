"""Starts a Glue crawler and follows it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import botocore.exceptions

from .clients import client, error_code, explained
from .errors import CrawlError
from .settings import Settings

POLL_S = 2.0
TIMEOUT_S = 3600.0


def marts_crawler(settings: Settings) -> str:
    """The name that the template gives to the crawler over the marts."""
    return f"{settings.stack}-marts"


def crawl(
    settings: Settings,
    name: str,
    say: Callable[[str], None],
    *,
    glue: Any = None,
    timeout_s: float = TIMEOUT_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """What the crawl changed, when it has ended. One that runs already is followed instead of a new one.

    Raises:
        CrawlError: there is no such crawler, its crawl did not succeed, or it has not ended within `timeout_s`.
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    with explained():
        glue = glue or client("glue", settings)
        began, before = clock(), _last(_crawler(glue, name))
        try:
            glue.start_crawler(Name=name)
        except botocore.exceptions.ClientError as error:
            if error_code(error) != "CrawlerRunningException":
                raise
            say(f"{name} is running already")
        shown = ""
        while True:
            crawler = _crawler(glue, name)
            if crawler["State"] != shown:
                shown = crawler["State"]
                say(f"{clock() - began:6.1f} s  {name}: {shown}")
            if shown == "READY" and _last(crawler) != before:
                break
            if clock() - began > timeout_s:
                raise CrawlError(f"{name} is still {shown} after {timeout_s:g} s; it goes on at AWS")
            sleep(POLL_S)
        last = crawler["LastCrawl"]
        if last["Status"] != "SUCCEEDED":
            raise CrawlError(
                f"the crawl of {name} ended {last['Status']}: {last.get('ErrorMessage', 'no reason given')}"
            )
        [metrics] = glue.get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"]
    changed = ", ".join(f"{metrics[f'Tables{what}']} {what.lower()}" for what in ("Created", "Updated", "Deleted"))
    return f"{name}: succeeded; tables: {changed}"


def _crawler(glue: Any, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = glue.get_crawler(Name=name)["Crawler"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) != "EntityNotFoundException":
            raise
        raise CrawlError(
            f"there is no crawler {name}: `smartcity-aws deploy` makes that of a stack (--stack)"
        ) from None
    return found


def _last(crawler: dict[str, Any]) -> Any:
    """When the last crawl that has ended began; None if there was none."""
    return crawler.get("LastCrawl", {}).get("StartTime")
