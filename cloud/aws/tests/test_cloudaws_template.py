"""The template is what the contract renders to and passes cfn-lint and our check; each seeded mistake is caught."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from smartcity.aws.saved import saved_names, saved_query, saved_sql
from smartcity.aws.template.check import findings
from smartcity.aws.template.columns import tables, unknown_columns
from smartcity.aws.template.console import console_names, console_query
from smartcity.aws.template.load import load_template
from smartcity.aws.template.render import main, query_id, rendered
from smartcity.aws.template.text import (
    DASHBOARD_FILE,
    TEMPLATE_BYTES_MAX,
    TEMPLATE_FILE,
    template_source,
    template_text,
)
from smartcity.contracts.fields import required
from smartcity.contracts.marts import CITY_HOURS, MARTS, SPEED_BY_KM

TEXT, SOURCE = template_text(), template_source()
TEMPLATE = load_template(TEXT)
REQUIRED = {"vehicle_track": {"device_id": "car-1", "since": "2026-11-21", "until": "2026-11-22"}}
QUERIES = {name: saved_query(name, REQUIRED.get(name)) for name in saved_names()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedColumn:
    """The mart of kilometres, its mean speed under another name."""

    slot_at: str = required("Start", carrier="lake")
    route: str = required("Route", carrier="lake")
    km: int = required("Kilometre", carrier="lake")
    readings: int = required("Readings", carrier="lake")
    average_speed_km_h: float = required("Mean", carrier="lake")


RENAMED = tuple(replace(mart, contract=RenamedColumn) if mart is SPEED_BY_KM else mart for mart in MARTS)


def test_it_is_rendered_from_the_contract_and_the_saved_queries() -> None:
    assert rendered(SOURCE) == SOURCE
    assert len(TEXT.encode()) <= TEMPLATE_BYTES_MAX


def test_a_stale_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = tmp_path / TEMPLATE_FILE
    stale.write_text(SOURCE.replace("Name: max_speed_km_h", "Name: top_speed"), encoding="utf-8")
    assert main(["--check", "--file", str(stale)]) == 1
    assert "template.render --write" in capsys.readouterr().err
    assert main(["--write", "--file", str(stale)]) == 0
    assert stale.read_text(encoding="utf-8") == SOURCE
    assert main(["--check", "--file", str(stale)]) == 0
    dashboard = stale.with_name(DASHBOARD_FILE)
    dashboard.write_text(dashboard.read_text(encoding="utf-8").replace("KPIVisual", "Visual"), encoding="utf-8")
    assert main(["--check", "--file", str(stale)]) == 1
    assert "dashboard.yaml: differs" in capsys.readouterr().err


def _cfn_lint(path: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run([tool, "--", path], capture_output=True, text=True, check=False)


def test_cfn_lint_passes_and_catches_a_wrong_property(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(TEXT, encoding="utf-8")
    run = _cfn_lint(good)
    assert run.returncode == 0, run.stdout + run.stderr
    seeded = {"BytesScannedCutoffPerQuery": "BytesScannedLimit", "BaseMapStyle: LIGHT_GRAY": "BaseMapStyle: PAPER"}
    text = TEXT
    for right, wrong in seeded.items():
        text = text.replace(right, wrong, 1)
    bad.write_text(text, encoding="utf-8")
    said = _cfn_lint(bad).stdout
    assert "BytesScannedLimit" in said
    assert "PAPER" in said


def test_our_check_finds_nothing() -> None:
    assert findings(TEMPLATE) == []


def _statement(template: dict[str, Any], role: str, number: int = 0) -> dict[str, Any]:
    policy = template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
    statement: dict[str, Any] = policy["Statement"][number]
    return statement


def _asks_redshift(template: dict[str, Any]) -> dict[str, Any]:
    policy = _properties(template, "AnalystRole")["Policies"][1]["Fn::If"][1]
    document: dict[str, Any] = policy["PolicyDocument"]
    return document


def _properties(template: dict[str, Any], name: str) -> dict[str, Any]:
    properties: dict[str, Any] = template["Resources"][name]["Properties"]
    return properties


def _tables_columns(template: dict[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = _properties(template, "JourneysTable")["TableInput"]["StorageDescriptor"]["Columns"]
    return columns


SEEDED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a role with s3:*": (
        lambda t: _statement(t, "SparkRole").update(Action=["s3:GetObject", "s3:*"]),
        "SparkRole: allows the action s3:*",
    ),
    "a role that may do anything": (
        lambda t: _statement(t, "BridgeRole").update(Action="*"),
        "BridgeRole: allows the action *",
    ),
    "a role on every resource": (
        lambda t: _statement(t, "AnalystRole").update(Resource="*"),
        "AnalystRole: allows athena:GetWorkGroup",
    ),
    "a role on the whole bucket": (
        lambda t: _statement(t, "RedshiftRole").update(Resource={"Fn::Sub": "${LakeBucket.Arn}/*"}),
        "RedshiftRole: s3:GetObject on all of ${LakeBucket.Arn}/*",
    ),
    "statements of everybody": (
        lambda t: _asks_redshift(t)["Statement"][1].pop("Condition"),
        "AnalystRole: allows redshift-data:DescribeStatement",
    ),
    "a conditioned policy with a star": (
        lambda t: _asks_redshift(t)["Statement"][0].update(Action="redshift-data:*"),
        "AnalystRole: allows the action redshift-data:*",
    ),
    "a policy beside its role": (
        lambda t: t["Resources"].update(More={"Type": "AWS::IAM::RolePolicy", "Properties": {}}),
        "More: give a policy to its role",
    ),
    "a managed policy": (
        lambda t: _properties(t, "CrawlerRole").update(
            ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]
        ),
        "CrawlerRole: has managed policies",
    ),
    "a role for everybody": (
        lambda t: _properties(t, "AnalystRole")["AssumeRolePolicyDocument"]["Statement"][0].update(Principal="*"),
        "AnalystRole: everybody may take this role",
    ),
    "a public bucket": (
        lambda t: _properties(t, "LakeBucket")["PublicAccessBlockConfiguration"].update(BlockPublicPolicy=False),
        "LakeBucket: public access is not blocked",
    ),
    "a bucket without the block": (
        lambda t: _properties(t, "LakeBucket").pop("PublicAccessBlockConfiguration"),
        "LakeBucket: public access is not blocked",
    ),
    "a policy for everybody": (
        lambda t: _properties(t, "LakeBucketPolicy")["PolicyDocument"]["Statement"][1].update(Effect="Allow"),
        "LakeBucketPolicy: allows everybody something",
    ),
    "an unencrypted bucket": (
        lambda t: _properties(t, "LakeBucket").pop("BucketEncryption"),
        "LakeBucket: is not encrypted",
    ),
    "a bucket without versions": (
        lambda t: _properties(t, "LakeBucket").pop("VersioningConfiguration"),
        "LakeBucket: has no versions",
    ),
    "a bucket without TLS": (
        lambda t: _properties(t, "LakeBucketPolicy")["PolicyDocument"]["Statement"].pop(0),
        "LakeBucket: no policy refuses requests without TLS",
    ),
    "a missing id": (
        lambda t: t["Resources"].pop("Workgroup"),
        "AnalystRole: there is no parameter or resource Workgroup",
    ),
    "a missing resource of an attribute": (
        lambda t: t["Resources"].pop("CrawlerRole"),
        "MartsCrawler: there is no resource CrawlerRole",
    ),
    "a missing condition": (
        lambda t: t["Conditions"].pop("WithRedshift"),
        "RedshiftNamespace: there is no condition WithRedshift",
    ),
    "an output of nothing": (
        lambda t: t["Outputs"]["Bucket"].update(Value={"Ref": "Bucket"}),
        "Bucket: there is no parameter or resource Bucket",
    ),
    "a renamed column": (
        lambda t: _tables_columns(t)[0].update(Name="car_id"),
        "JourneysTable: lacks the column device_id of the contract",
    ),
    "a column of another type": (
        lambda t: _tables_columns(t)[0].update(Type="bigint"),
        "JourneysTable: device_id is bigint, in the contract string",
    ),
    "a mart without a table": (
        lambda t: t["Resources"].pop("CityHoursTable"),
        "the mart city_hours has no table",
    ),
    "a mart that is not crawled": (
        lambda t: _properties(t, "MartsCrawler")["Targets"]["CatalogTargets"].pop(),
        "CityHoursTable: no crawler visits it",
    ),
}


@pytest.mark.parametrize("mistake", SEEDED)
def test_a_seeded_mistake_is_caught(mistake: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    seed, sentence = SEEDED[mistake]
    seed(template)
    assert any(found.startswith(sentence) for found in findings(template)), findings(template)


def test_every_query_asks_for_columns_that_are_there() -> None:
    assert unknown_columns(QUERIES, tables()) == []
    held = {name: _properties(TEMPLATE, query_id(name))["QueryString"] for name in console_names()}
    assert unknown_columns(held, tables()) == []


def test_a_column_renamed_in_a_mart_is_caught_in_the_queries_and_in_the_table() -> None:
    found = unknown_columns(QUERIES, tables(RENAMED))
    assert {sentence.split(":")[0] for sentence in found} == {"speed_by_10_km", "speed_by_route_and_hour"}
    assert all("mean_speed_km_h" in sentence for sentence in found)
    assert "SpeedByKmTable: lacks the column average_speed_km_h of the contract" in findings(TEMPLATE, RENAMED)
    assert rendered(SOURCE, RENAMED) != SOURCE


def test_a_mart_that_is_gone_is_caught_in_the_queries() -> None:
    without = tuple(mart for mart in MARTS if mart not in (CITY_HOURS, SPEED_BY_KM))
    assert "speed_by_10_km: there is no table speed_by_km" in unknown_columns(QUERIES, tables(without))


@pytest.mark.parametrize("name", console_names())
def test_the_console_computes_defaults_and_asks_for_the_rest(name: str) -> None:
    sql = console_query(name)
    assert not re.search(r":[a-z]", sql)
    assert sql.count("?") == saved_sql(name).count(" required ")
    assert sqlglot.parse_one(sql, dialect="athena")
    assert "current_date - INTERVAL '6' DAY" in sql or "today-6" not in saved_sql(name)
