"""QuickSight's data sources, data sets, themes, analyses and dashboards: recorded, and described as they were defined.

Nothing is drawn and no data is read. moto's QuickSight has data sources and dashboards only, in memory, and gives no
data set back that was created; so these are our own. Whatever else is asked is refused by name.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import AwsError
from .glue.service import ACCOUNT
from .protocol import Action, page
from .store import Store

ASSETS_MAX = 10_000
_PAGE_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A kind of thing, as the API spells it. `versioned`: its settings are a version's; `defined`: it has a definition
    of its own.
    """

    name: str
    path: str
    listed: str
    versioned: bool
    defined: bool


ASSETS = (
    Asset(name="DataSource", path="datasource", listed="DataSources", versioned=False, defined=False),
    Asset(name="DataSet", path="dataset", listed="DataSetSummaries", versioned=False, defined=False),
    Asset(name="Theme", path="theme", listed="ThemeSummaryList", versioned=True, defined=False),
    Asset(name="Analysis", path="analysis", listed="AnalysisSummaryList", versioned=False, defined=True),
    Asset(name="Dashboard", path="dashboard", listed="DashboardSummaryList", versioned=True, defined=True),
)
_PLURAL = {"Analysis": "Analyses"}
_NOT_DESCRIBED = ("Permissions", "Tags", "AwsAccountId", "Credentials")


class QuickSight:
    """Assets over the store, by kind and id."""

    def __init__(self, store: Store, *, region: str) -> None:
        self._store = store
        self._arn = f"arn:aws:quicksight:{region}:{ACCOUNT}"

    def actions(self) -> dict[str, Action]:
        """QuickSight's name of each action that is served."""
        found: dict[str, Action] = {}
        for asset in ASSETS:
            found |= {
                f"Create{asset.name}": self._bound(self._create, asset),
                f"Describe{asset.name}": self._bound(self._describe, asset),
                f"Update{asset.name}": self._bound(self._update, asset),
                f"Delete{asset.name}": self._bound(self._delete, asset),
                f"List{_PLURAL.get(asset.name, asset.name + 's')}": self._bound(self._list, asset),
                f"Describe{asset.name}Permissions": self._bound(self._permissions, asset),
                f"Update{asset.name}Permissions": self._bound(self._permit, asset),
            }
            if asset.defined:
                found[f"Describe{asset.name}Definition"] = self._bound(self._definition, asset)
        found["UpdateDashboardPublishedVersion"] = self._publish
        return found

    @staticmethod
    def _bound(action: Any, asset: Asset) -> Action:
        def run(request: dict[str, Any]) -> dict[str, Any]:
            _check_account(request)
            answer: dict[str, Any] = action(asset, request)
            return {"RequestId": "local", **answer}

        return run

    def _create(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        identity, now = request[f"{asset.name}Id"], time.time()
        arn = f"{self._arn}:{asset.path}/{identity}"
        document = {**_kept(request), "Arn": arn, "CreatedTime": now, "LastUpdatedTime": now, "_version": 1}
        document["_permissions"] = request.get("Permissions", [])
        with self._store.transaction() as connection:
            (count,) = connection.execute("SELECT count(*) FROM quicksight").fetchone()
            if count >= ASSETS_MAX:
                raise AwsError("LimitExceededException", f"There are {count} assets.", status=409)
            try:
                row = (asset.name, identity, json.dumps(document))
                connection.execute("INSERT INTO quicksight VALUES (?, ?, ?)", row)
            except sqlite3.IntegrityError:
                message = f"{asset.name} {identity} already exists"
                raise AwsError("ResourceExistsException", message, status=409) from None
        return {**_named(asset, document), "CreationStatus": "CREATION_SUCCESSFUL"}

    def _describe(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        document = self._asset(asset, request)
        shown = {key: value for key, value in document.items() if not key.startswith("_")}
        definition = shown.pop("Definition", None)
        if asset.versioned:
            version = {"VersionNumber": document["_version"], "Status": "CREATION_SUCCESSFUL"}
            version["CreatedTime"] = document["LastUpdatedTime"]
            for key in ("ThemeArn", "Configuration", "BaseThemeId"):
                if key in shown:
                    version[key] = shown.pop(key)
            shown["Version"] = version
        elif asset.name != "DataSet":
            shown["Status"] = "CREATION_SUCCESSFUL"
        if definition:
            declared = definition.get("DataSetIdentifierDeclarations", [])
            arns = [each["DataSetArn"] for each in declared]
            (shown["Version"] if asset.versioned else shown)["DataSetArns"] = arns
        return {asset.name: shown}

    def _definition(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        document = self._asset(asset, request)
        kept = ("Name", "Definition", "ThemeArn", "DashboardPublishOptions")
        shown = {key: document[key] for key in kept if key in document}
        return {f"{asset.name}Id": document[f"{asset.name}Id"], "ResourceStatus": "CREATION_SUCCESSFUL", **shown}

    def _update(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            old = self._asset(asset, request)
            kept_on = ("Arn", "CreatedTime", "Type", "_permissions")
            kept: dict[str, Any] = {key: old[key] for key in kept_on if key in old}
            changed = {"LastUpdatedTime": time.time(), "_version": old["_version"] + 1}
            document = {**kept, **_kept(request), **changed}
            self._save(connection, asset, request, document)
        return {**_named(asset, document), "UpdateStatus": "UPDATE_SUCCESSFUL"}

    def _delete(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self._asset(asset, request)
            where = (asset.name, request[f"{asset.name}Id"])
            connection.execute("DELETE FROM quicksight WHERE kind = ? AND id = ?", where)
        return _named(asset, document)

    def _list(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        sql = "SELECT document FROM quicksight WHERE kind = ? ORDER BY id"
        shown = ("Arn", "Name", "CreatedTime", "LastUpdatedTime", "Type", "ImportMode", f"{asset.name}Id")
        found = [{key: each[key] for key in shown if key in each} for each in self._store.documents(sql, asset.name)]
        some, token = page(found, request, at_most=_PAGE_MAX)
        return {asset.listed: some, **({"NextToken": token} if token else {})}

    def _permissions(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        document = self._asset(asset, request)
        named = {f"{asset.name}Id": request[f"{asset.name}Id"], f"{asset.name}Arn": document["Arn"]}
        return {**named, "Permissions": document["_permissions"]}

    def _permit(self, asset: Asset, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self._asset(asset, request)
            held = {each["Principal"]: set(each["Actions"]) for each in document["_permissions"]}
            for each in request.get("GrantPermissions", []):
                held.setdefault(each["Principal"], set()).update(each["Actions"])
            for each in request.get("RevokePermissions", []):
                held.get(each["Principal"], set()).difference_update(each["Actions"])
            document["_permissions"] = [
                {"Principal": principal, "Actions": sorted(actions)} for principal, actions in held.items() if actions
            ]
            self._save(connection, asset, request, document)
        return self._permissions(asset, request)

    def _publish(self, request: dict[str, Any]) -> dict[str, Any]:
        """The newest version is the published one: older ones are not kept here."""
        _check_account(request)
        asset = ASSETS[-1]
        document = self._asset(asset, request)
        if request["VersionNumber"] != document["_version"]:
            raise AwsError(
                "InvalidParameterValueException", "Only the newest version is kept by the local AWS endpoint"
            )
        return {"DashboardId": request["DashboardId"], "DashboardArn": document["Arn"], "RequestId": "local"}

    def _asset(self, asset: Asset, request: Mapping[str, Any]) -> dict[str, Any]:
        identity = request[f"{asset.name}Id"]
        sql = "SELECT document FROM quicksight WHERE kind = ? AND id = ?"
        found = self._store.documents(sql, asset.name, identity)
        if not found:
            raise AwsError("ResourceNotFoundException", f"{asset.name} {identity} is not found", status=404)
        return found[0]

    @staticmethod
    def _save(connection: sqlite3.Connection, asset: Asset, request: Mapping[str, Any], document: Any) -> None:
        row = (json.dumps(document), asset.name, request[f"{asset.name}Id"])
        connection.execute("UPDATE quicksight SET document = ? WHERE kind = ? AND id = ?", row)


def _kept(request: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request; a password is not."""
    return {key: value for key, value in request.items() if key not in _NOT_DESCRIBED}


def _named(asset: Asset, document: Mapping[str, Any]) -> dict[str, Any]:
    version = {"VersionArn": f"{document['Arn']}/version/{document['_version']}"} if asset.versioned else {}
    return {"Arn": document["Arn"], f"{asset.name}Id": document[f"{asset.name}Id"], **version}


def _check_account(request: Mapping[str, Any]) -> None:
    if request["AwsAccountId"] != ACCOUNT:
        raise AwsError("InvalidParameterValueException", f"There is no account {request['AwsAccountId']} here")
