"""EMR Serverless's applications: recorded. No job runs here (`StartJobRun` is refused by name): the lake's job is
started by the local stack itself.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from .errors import AwsError
from .glue.service import ACCOUNT
from .protocol import Action, actions_of, page
from .store import Store

_ACTIONS = (
    "CreateApplication",
    "GetApplication",
    "ListApplications",
    "UpdateApplication",
    "DeleteApplication",
    "StartApplication",
    "StopApplication",
)
APPLICATIONS_MAX = 1000
_DELETABLE = ("CREATED", "STOPPED")
_PAGE_MAX = 50


class EmrServerless:
    """Applications over the store; state changes are done at once."""

    def __init__(self, store: Store, *, region: str) -> None:
        self._store = store
        self._arn = f"arn:aws:emr-serverless:{region}:{ACCOUNT}:/applications"

    def actions(self) -> dict[str, Action]:
        """The service's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_application(self, request: dict[str, Any]) -> dict[str, Any]:
        given = {key: value for key, value in request.items() if key != "clientToken"}
        with self._store.transaction() as connection:
            same = [each for each in self._all() if each["_token"] == request["clientToken"]]
            if same and same[0]["_given"] != given:
                raise AwsError("ConflictException", "The clientToken was used with other parameters.", status=409)
            if not same and len(self._all()) >= APPLICATIONS_MAX:
                raise AwsError(
                    "ServiceQuotaExceededException", f"There are {APPLICATIONS_MAX} applications.", status=402
                )
            if not same:
                identity, now = f"00{uuid.uuid4().hex[:14]}", time.time()
                document = {
                    "architecture": "X86_64",
                    "autoStartConfiguration": {"enabled": True},
                    "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 15},
                    **given,
                    "applicationId": identity,
                    "arn": f"{self._arn}/{identity}",
                    "state": "CREATED",
                    "createdAt": now,
                    "updatedAt": now,
                    "_token": request["clientToken"],
                    "_given": given,
                }
                connection.execute("INSERT INTO emr_applications VALUES (?, ?)", (identity, json.dumps(document)))
                same = [document]
        return {key: same[0][key] for key in ("applicationId", "arn", "name") if key in same[0]}

    def get_application(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"application": _shown(self._application(request))}

    def list_applications(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("states")
        listed = ("arn", "name", "releaseLabel", "type", "state", "createdAt", "updatedAt", "architecture")
        applications = [
            {"id": each["applicationId"], **{key: each[key] for key in listed if key in each}}
            for each in self._all()
            if not wanted or each["state"] in wanted
        ]
        asked = {"NextToken": request.get("nextToken"), "MaxResults": request.get("maxResults")}
        found, token = page(applications, asked, at_most=_PAGE_MAX)
        return {"applications": found, **({"nextToken": token} if token else {})}

    def update_application(self, request: dict[str, Any]) -> dict[str, Any]:
        changed = {key: value for key, value in request.items() if key not in ("applicationId", "clientToken")}
        return {"application": _shown(self._change(request, changed, needs=_DELETABLE))}

    def delete_application(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            identity = self._change(request, {}, needs=_DELETABLE)["applicationId"]
            connection.execute("DELETE FROM emr_applications WHERE name = ?", (identity,))
        return {}

    def start_application(self, request: dict[str, Any]) -> dict[str, Any]:
        self._change(request, {"state": "STARTED"}, needs=(*_DELETABLE, "STARTED"))
        return {}

    def stop_application(self, request: dict[str, Any]) -> dict[str, Any]:
        self._change(request, {"state": "STOPPED"}, needs=(*_DELETABLE, "STARTED"))
        return {}

    def _change(self, request: dict[str, Any], changed: dict[str, Any], *, needs: tuple[str, ...]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self._application(request)
            if document["state"] not in needs:
                raise AwsError("ValidationException", f"The application is in state {document['state']}.")
            document.update(changed, updatedAt=time.time())
            row = (json.dumps(document), document["applicationId"])
            connection.execute("UPDATE emr_applications SET document = ? WHERE name = ?", row)
        return document

    def _all(self) -> list[dict[str, Any]]:
        return self._store.documents("SELECT document FROM emr_applications ORDER BY name")

    def _application(self, request: dict[str, Any]) -> dict[str, Any]:
        identity = request["applicationId"]
        found = self._store.documents("SELECT document FROM emr_applications WHERE name = ?", identity)
        if not found:
            raise AwsError("ResourceNotFoundException", f"Application {identity} does not exist", status=404)
        return found[0]


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if not key.startswith("_")}
