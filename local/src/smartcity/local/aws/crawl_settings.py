"""A crawler's definition: what is kept of CreateCrawler and UpdateCrawler, what is refused by name, and its policy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .crawl_listing import glob, split_target
from .errors import AwsError, CrawlError
from .glue import ACCOUNT

KEPT = ("Name", "Role", "DatabaseName", "Description", "Targets", "TablePrefix", "Configuration", "Classifiers")
_DEFAULTS: Mapping[str, Any] = {
    "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"},
    "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
    "LineageConfiguration": {"CrawlerLineageSettings": "DISABLE"},
    "LakeFormationConfiguration": {"UseLakeFormationCredentials": False, "AccountId": ""},
}
_CONFIGURATION: Mapping[str, Sequence[Any]] = {
    "Version": (1, 1.0),
    "CrawlerOutput.Partitions.AddOrUpdateBehavior": ("InheritFromTable",),
    "CrawlerOutput.Tables.AddOrUpdateBehavior": ("MergeNewColumns",),
    "CreatePartitionIndex": (False,),
}
_S3_TARGET = ("Path", "Exclusions", "SampleSize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a crawl does. `gone` is a DeleteBehavior, `places` are the targets' locations."""

    database: str
    table_prefix: str
    places: Sequence[str]
    everything: bool
    update: bool
    gone: str
    only_new_columns: bool
    inherit_columns: bool


def definition(request: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """A crawler's definition by a request over what was kept before.

    Raises:
        AwsError: InvalidInputException naming what is wrong, or not served here.
    """
    _refuse(request)
    new = {**kept, **{key: request[key] for key in KEPT if key in request}}
    for key, default in _DEFAULTS.items():
        new[key] = {**default, **kept.get(key, {}), **request.get(key, {})}
    new["Role"] = re.sub(r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/", "", new["Role"])
    if not new.get("DatabaseName"):
        raise _invalid("DatabaseName is missing: a crawler of S3 targets writes its tables into a database")
    new["DatabaseName"] = new["DatabaseName"].lower()
    _check_targets(new["Targets"])
    _check_configuration(new.get("Configuration"))
    changes = new["SchemaChangePolicy"]
    if new["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY" and set(changes.values()) != {"LOG"}:
        raise _invalid(
            "The SchemaChangePolicy for CRAWL_NEW_FOLDERS_ONLY can have only LOG as UpdateBehavior and DeleteBehavior"
        )
    return new


def policy(crawler: Mapping[str, Any]) -> Policy:
    """The policy of a definition."""
    given = _flat(json.loads(crawler.get("Configuration") or "{}"))
    changes = crawler["SchemaChangePolicy"]
    return Policy(
        database=crawler["DatabaseName"],
        table_prefix=crawler.get("TablePrefix", "").lower(),
        places=["s3://{}/{}".format(*split_target(each["Path"])) for each in crawler["Targets"]["S3Targets"]],
        everything=crawler["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_EVERYTHING",
        update=changes["UpdateBehavior"] == "UPDATE_IN_DATABASE",
        gone=changes["DeleteBehavior"],
        only_new_columns="CrawlerOutput.Tables.AddOrUpdateBehavior" in given,
        inherit_columns="CrawlerOutput.Partitions.AddOrUpdateBehavior" in given,
    )


def _refuse(request: Mapping[str, Any]) -> None:
    refused = {
        "Schedule": request.get("Schedule"),
        "Classifiers": request.get("Classifiers"),
        "CrawlerSecurityConfiguration": request.get("CrawlerSecurityConfiguration"),
        "CRAWL_EVENT_MODE": request.get("RecrawlPolicy", {}).get("RecrawlBehavior") == "CRAWL_EVENT_MODE",
        "LineageConfiguration": request.get("LineageConfiguration", {}).get("CrawlerLineageSettings") == "ENABLE",
        "LakeFormationConfiguration": request.get("LakeFormationConfiguration", {}).get("UseLakeFormationCredentials"),
        "CatalogId": request.get("CatalogId", ACCOUNT) != ACCOUNT,
        **{kind: held for kind, held in request.get("Targets", {}).items() if kind != "S3Targets"},
    }
    for target in request.get("Targets", {}).get("S3Targets", []):
        refused.update({f"S3Targets.{key}": held for key, held in target.items() if key not in _S3_TARGET})
    for name, is_given in refused.items():
        if is_given:
            raise _invalid(f"{name} is not served by the local AWS endpoint.")


def _check_targets(targets: Mapping[str, Any]) -> None:
    if not targets.get("S3Targets"):
        raise _invalid("Targets has no S3Targets")
    try:
        for target in targets["S3Targets"]:
            split_target(target.get("Path", ""))
            for pattern in target.get("Exclusions", []):
                glob(pattern)
            if not 1 <= target.get("SampleSize", 1) <= 249:
                raise _invalid(f"SampleSize {target['SampleSize']} is not between 1 and 249")
    except CrawlError as error:
        raise _invalid(str(error)) from None


def _check_configuration(text: str | None) -> None:
    if not text:
        return
    try:
        given = _flat(json.loads(text))
    except (ValueError, AttributeError):
        raise _invalid(f"Configuration is no JSON object: {text!r}") from None
    for key, value in given.items():
        if value not in _CONFIGURATION.get(key, ()):
            raise _invalid(f"Configuration {key} = {value!r} is not served by the local AWS endpoint.")


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)
