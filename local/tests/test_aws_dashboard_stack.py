"""The dashboard in the stack: deployed by `smartcity-aws` at the local CloudFormation, recorded at the local QuickSight
and gone again; and the bucket that the template went through."""

from __future__ import annotations

import argparse
import uuid
from typing import Any

import pytest

from smartcity.aws import stack, stack_commands
from smartcity.aws.artefacts import artefact_bucket, remove_artefacts
from smartcity.aws.dashboard.city import DASHBOARD
from smartcity.aws.dashboard.quicksight import VIEW
from smartcity.aws.dashboard_commands import dashboard
from smartcity.aws.errors import DashboardError
from smartcity.aws.settings import Settings

ACCOUNT, REGION = "000000000000", "us-east-1"
VIEWER = f"arn:aws:quicksight:us-east-1:{ACCOUNT}:group/default/city"


class City:
    """A stack's commands at the local endpoints."""

    def __init__(self, endpoints: Any) -> None:
        self.name = f"q{uuid.uuid4().hex[:8]}"
        self.settings = Settings(bucket=self.name, database=self.name, workgroup=self.name, stack=self.name)
        self.client = endpoints.client

    def run(self, command: str, *parameters: str) -> str:
        given: dict[str, Any] = {"parameter": list(parameters), "yes": True, "data": True, "json": False}
        given |= {"vehicles": 20, "scanned_gb": 1.0, "redshift_hours": 1.0, "crawls": 1.0}
        if command == "destroy":
            given["yes"] = self.name
        run = getattr(stack_commands, command)
        return str(run(argparse.Namespace(**given), self.settings, connect=lambda name, _: self.client(name)))

    def artefacts(self) -> bool:
        buckets = [each["Name"] for each in self.client("s3").list_buckets()["Buckets"]]
        return artefact_bucket(ACCOUNT, REGION) in buckets

    def dashboards(self) -> list[str]:
        listed = self.client("quicksight").list_dashboards(AwsAccountId=ACCOUNT)["DashboardSummaryList"]
        return [each["DashboardId"] for each in listed]

    def data_sets(self) -> dict[str, str]:
        """Ids of its data sets, by ARN."""
        listed = self.client("quicksight").list_data_sets(AwsAccountId=ACCOUNT)["DataSetSummaries"]
        return {each["Arn"]: each["DataSetId"] for each in listed if each["DataSetId"].startswith(self.name)}


@pytest.fixture
def city(aws_endpoints: Any, monkeypatch: pytest.MonkeyPatch) -> City:
    monkeypatch.setattr(stack, "POLL_MAX_S", 0.05)
    remove_artefacts(s3=aws_endpoints.client("s3"), sts=aws_endpoints.client("sts"))
    return City(aws_endpoints)


def test_the_dashboard_comes_with_its_parameter_and_goes_without(city: City) -> None:
    quicksight = city.client("quicksight")
    assert "Add" in city.run("plan", f"DashboardPrincipalArn={VIEWER}")
    assert not city.artefacts()
    said = city.run("deploy", f"DashboardPrincipalArn={VIEWER}")
    assert f"https://{REGION}.quicksight.aws.amazon.com/sn/dashboards/{city.name}" in said
    assert not city.artefacts()

    place = {"AwsAccountId": ACCOUNT, "DashboardId": city.name}
    held = quicksight.describe_dashboard_definition(**place)["Definition"]
    declared = {each["DataSetArn"]: each["Identifier"] for each in held["DataSetIdentifierDeclarations"]}
    assert declared.keys() == city.data_sets().keys()
    assert set(declared.values()) == {each.name for each in DASHBOARD.data_sets}
    visuals = [next(iter(each.values()))["VisualId"] for sheet in held["Sheets"] for each in sheet["Visuals"]]
    assert visuals == [visual.id for _, visual in DASHBOARD.placed()]
    link = next(each["Expression"] for each in held["CalculatedFields"] if each["Name"] == "frame link")
    assert link == (
        f"concat('https://{REGION}.console.aws.amazon.com/s3/object/{city.name}?region={REGION}&prefix=', {{frame}})"
    )
    assert quicksight.describe_dashboard_permissions(**place)["Permissions"] == [
        {"Principal": VIEWER, "Actions": VIEW},
    ]
    source = quicksight.describe_data_source(AwsAccountId=ACCOUNT, DataSourceId=f"{city.name}-lake")["DataSource"]
    athena = source["DataSourceParameters"]["AthenaParameters"]
    assert athena["WorkGroup"] == city.name
    assert "DashboardRole" in athena["RoleArn"]
    tables = quicksight.describe_data_set(AwsAccountId=ACCOUNT, DataSetId=f"{city.name}-speed")["DataSet"]
    assert f'FROM "{city.name}".speed_by_km' in tables["PhysicalTableMap"]["speed"]["CustomSql"]["SqlQuery"]

    options = argparse.Namespace(embed=None, open=False)
    with pytest.raises(DashboardError, match="records dashboards, and shows none"):
        dashboard(options, city.settings, connect=lambda name, _: city.client(name))

    city.run("deploy", "DashboardPrincipalArn=")
    assert city.name not in city.dashboards()
    assert city.data_sets() == {}
    assert city.artefacts()

    destroyed = city.run("destroy")
    assert f"bucket {artefact_bucket(ACCOUNT, REGION)}: removed" in destroyed
    assert not city.artefacts()
