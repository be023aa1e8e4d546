"""A crawler's definition: what is kept of CreateCrawler and UpdateCrawler, what is refused by name, and its policy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import AwsError, CrawlError
from ..glue.service import ACCOUNT
from .listing import glob, split_target

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
_OF_CATALOG_TARGETS: Mapping[str, Sequence[Any]] = {"Grouping.TableGroupingPolicy": ("CombineCompatibleSchemas",)}
"""It says how to make tables, which a crawl of catalog targets does not."""

_TARGETS: Mapping[str, Sequence[str]] = {
    "S3Targets": ("Path", "Exclusions", "SampleSize"),
    "CatalogTargets": ("DatabaseName", "Tables"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a crawl does. `gone` is a DeleteBehavior, `places` are the S3 targets' locations; `tables` are those of the
    catalog targets, which are crawled where they lie, and none other is made. One of the two is empty.
    """

    database: str
    table_prefix: str
    places: Sequence[str]
    tables: Sequence[str]
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
    _check_targets(new["Targets"])
    of_catalog, changes = bool(new["Targets"].get("CatalogTargets")), new["SchemaChangePolicy"]
    if not of_catalog and not new.get("DatabaseName"):
        raise _invalid("DatabaseName is missing: a crawler of S3 targets writes its tables into a database")
    if of_catalog and changes["DeleteBehavior"] != "LOG":
        raise _invalid("The SchemaChangePolicy for catalog targets can have only LOG as DeleteBehavior")
    new["DatabaseName"] = new.get("DatabaseName", "").lower()
    _check_configuration(new.get("Configuration"), {**_CONFIGURATION, **(_OF_CATALOG_TARGETS if of_catalog else {})})
    if new["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY" and set(changes.values()) != {"LOG"}:
        raise _invalid(
            "The SchemaChangePolicy for CRAWL_NEW_FOLDERS_ONLY can have only LOG as UpdateBehavior and DeleteBehavior"
        )
    return new


def policy(crawler: Mapping[str, Any]) -> Policy:
    """The policy of a definition."""
    given = _flat(json.loads(crawler.get("Configuration") or "{}"))
    changes, targets = crawler["SchemaChangePolicy"], crawler["Targets"]
    of_catalog = targets.get("CatalogTargets", [])
    return Policy(
        database=of_catalog[0]["DatabaseName"].lower() if of_catalog else crawler["DatabaseName"],
        table_prefix=crawler.get("TablePrefix", "").lower(),
        places=["s3://{}/{}".format(*split_target(each["Path"])) for each in targets.get("S3Targets", [])],
        tables=[name.lower() for each in of_catalog for name in each["Tables"]],
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
        **{kind: held for kind, held in request.get("Targets", {}).items() if kind not in _TARGETS},
    }
    for kind, known in _TARGETS.items():
        for target in request.get("Targets", {}).get(kind, []):
            refused.update({f"{kind}.{key}": held for key, held in target.items() if key not in known})
    for name, is_given in refused.items():
        if is_given:
            raise _invalid(f"{name} is not served by the local AWS endpoint.")


def _check_targets(targets: Mapping[str, Any]) -> None:
    of_s3, of_catalog = targets.get("S3Targets"), targets.get("CatalogTargets")
    if bool(of_s3) == bool(of_catalog):
        raise _invalid("Targets must have either S3Targets or CatalogTargets")
    if of_catalog and len({each["DatabaseName"].lower() for each in of_catalog}) > 1:
        raise _invalid("CatalogTargets of several databases are not served by the local AWS endpoint.")
    try:
        for target in of_s3 or []:
            split_target(target.get("Path", ""))
            for pattern in target.get("Exclusions", []):
                glob(pattern)
            if not 1 <= target.get("SampleSize", 1) <= 249:
                raise _invalid(f"SampleSize {target['SampleSize']} is not between 1 and 249")
    except CrawlError as error:
        raise _invalid(str(error)) from None


def _check_configuration(text: str | None, served: Mapping[str, Sequence[Any]]) -> None:
    if not text:
        return
    try:
        given = _flat(json.loads(text))
    except (ValueError, AttributeError):
        raise _invalid(f"Configuration is no JSON object: {text!r}") from None
    for key, value in given.items():
        if value not in served.get(key, ()):
            raise _invalid(f"Configuration {key} = {value!r} is not served by the local AWS endpoint.")


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in document.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)
