"""Redshift Serverless's usage limits: recorded. Nothing counts RPU-hours here, so no query is refused for them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from ..errors import AwsError
from ..protocol import Action, actions_of, page
from ..store import Store
from .serverless import RedshiftServerless

_ACTIONS = ("CreateUsageLimit", "GetUsageLimit", "ListUsageLimits", "UpdateUsageLimit", "DeleteUsageLimit")
_PAGE_MAX = 100


class RedshiftUsageLimits:
    """Limits over the store, of workgroups that are there; they go with their workgroup."""

    def __init__(self, store: Store, serverless: RedshiftServerless) -> None:
        self._store = store
        self._serverless = serverless

    def actions(self) -> dict[str, Action]:
        """The service's name of each action that is served."""
        return actions_of(self, _ACTIONS)

    def create_usage_limit(self, request: dict[str, Any]) -> dict[str, Any]:
        arn, identity = request["resourceArn"], str(uuid.uuid4())
        document = {
            "usageLimitId": identity,
            "usageLimitArn": f"{arn.rsplit(':', 1)[0]}:usagelimit/{identity}",
            "resourceArn": arn,
            "usageType": request["usageType"],
            "amount": _amount(request),
            "period": request.get("period", "monthly"),
            "breachAction": request.get("breachAction", "log"),
        }
        with self._store.transaction() as connection:
            if arn not in self._serverless.workgroup_arns():
                raise AwsError("ResourceNotFoundException", f"There is no workgroup {arn}.")
            same = ("usageType", "period", "resourceArn", "breachAction")
            if any(all(each[key] == document[key] for key in same) for each in self._all()):
                raise AwsError("ConflictException", f"{arn} has a usage limit of this type, period and action already.")
            connection.execute("INSERT INTO redshift_usage_limits VALUES (?, ?)", (identity, json.dumps(document)))
        return {"usageLimit": document}

    def get_usage_limit(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"usageLimit": self._limit(request)}

    def list_usage_limits(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {key: request[key] for key in ("resourceArn", "usageType") if key in request}
        limits = [each for each in self._all() if wanted.items() <= each.items()]
        asked = {"NextToken": request.get("nextToken"), "MaxResults": request.get("maxResults")}
        found, token = page(limits, asked, at_most=_PAGE_MAX)
        return {"usageLimits": found, **({"nextToken": token} if token else {})}

    def update_usage_limit(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self._limit(request)
            if "amount" in request:
                document["amount"] = _amount(request)
            document["breachAction"] = request.get("breachAction", document["breachAction"])
            row = (json.dumps(document), document["usageLimitId"])
            connection.execute("UPDATE redshift_usage_limits SET document = ? WHERE name = ?", row)
        return {"usageLimit": document}

    def delete_usage_limit(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction() as connection:
            document = self._limit(request)
            connection.execute("DELETE FROM redshift_usage_limits WHERE name = ?", (document["usageLimitId"],))
        return {"usageLimit": document}

    def _all(self) -> list[dict[str, Any]]:
        return self._store.documents("SELECT document FROM redshift_usage_limits ORDER BY name")

    def _limit(self, request: Mapping[str, Any]) -> dict[str, Any]:
        identity = request["usageLimitId"]
        found = self._store.documents("SELECT document FROM redshift_usage_limits WHERE name = ?", identity)
        if not found:
            raise AwsError("ResourceNotFoundException", f"The usage limit {identity} does not exist.")
        return found[0]


def _amount(request: Mapping[str, Any]) -> int:
    amount = int(request["amount"])
    if amount <= 0:
        raise AwsError("ValidationException", f"The amount {amount} is not positive.")
    return amount
