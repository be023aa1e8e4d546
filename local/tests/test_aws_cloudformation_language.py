"""CloudFormation's language, without a server: functions, conditions, order, and the types' properties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from smartcity.local.aws.cloudformation.intrinsics import NO_VALUE, Scope, Unknown, resolve
from smartcity.local.aws.cloudformation.kinds import PropertyError, difference, fitted
from smartcity.local.aws.cloudformation.s3 import Bucket
from smartcity.local.aws.cloudformation.template import Place, Program
from smartcity.local.aws.cloudformation.types import KINDS
from smartcity.local.aws.errors import AwsError

PLACE = Place(account="000000000000", region="us-east-1", stack_id="arn:s", stack_name="s")
SCOPE = Scope(
    parameters={"Name": "n", "Count": "3", "Names": ["a", "b"], "AWS::NoValue": NO_VALUE, "AWS::Region": "us-east-1"},
    mappings={"M": {"us-east-1": {"k": "mapped"}}},
    conditions={"Yes": True, "No": False},
    reference=lambda name: f"ref-{name}",
    attribute=lambda name, of: f"{name}/{of}",
)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Ref": "Thing"}, "ref-Thing"),
        ({"Fn::GetAtt": ["Thing", "A.B"]}, "Thing/A.B"),
        ({"Fn::GetAtt": "Thing.A.B"}, "Thing/A.B"),
        (
            {"Fn::Sub": "x-${Name}-${Thing}-${Thing.Arn}-${!Name}-${AWS::Region}"},
            "x-n-ref-Thing-Thing/Arn-${Name}-us-east-1",
        ),
        ({"Fn::Sub": ["${own}${Name}", {"own": {"Ref": "Count"}}]}, "3n"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 1, True]]}, "a-n-1-true"),
        ({"Fn::Join": ["", {"Ref": "Names"}]}, "ab"),
        ({"Fn::Split": [":", "a:b:c"]}, ["a", "b", "c"]),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b"]}]}, "b"),
        ({"Fn::Join": ["|", [{"Fn::Join": ["x", {"Fn::Split": [":", "a:b"]}]}]]}, "axb"),
        ({"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "k"]}, "mapped"),
        ({"Fn::If": ["Yes", 1, {"Ref": "Nothing"}]}, 1),
        ({"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
        ([{"Ref": "AWS::NoValue"}, 1], [1]),
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Equals": [{"Ref": "Count"}, 3]}]}, True),
        ({"Fn::Or": [{"Condition": "No"}, {"Fn::Not": [{"Condition": "No"}]}]}, True),
        ({"Fn::Base64": "a"}, "YQ=="),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ),
    ],
)
def test_functions(value: Any, resolved: Any) -> None:
    assert resolve(value, SCOPE) == resolved


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, "Fn::Cidr is not served"),
        ({"Fn::Transform": {"Name": "AWS::Include"}}, "Fn::Transform is not served"),
        ({"Fn::Select": [2, ["a", "b"]]}, "nonexistent value at index 2"),
        ({"Fn::FindInMap": ["M", "us-east-1", "no"]}, "Unable to get mapping for M::us-east-1::no"),
        ({"Fn::If": ["Maybe", 1, 2]}, "condition dependency Maybe"),
        ({"Fn::Join": ["", "ab"]}, "Fn::Join"),
        ({"Fn::Sub": 1}, "Fn::Sub"),
        ({"Fn::Sub": "a", "b": 1}, "Fn::Sub must be the only key"),
        ({"Ref": ["a"]}, "Ref"),
    ],
)
def test_what_is_no_function_is_refused_by_name(value: Any, said: str) -> None:
    with pytest.raises(AwsError, match=said) as refused:
        resolve(value, SCOPE)
    assert refused.value.code == "ValidationError"


def test_what_is_unknown_stays_so_through_functions() -> None:
    unknown = Scope(parameters={}, mappings={}, conditions={}, reference=Unknown, attribute=lambda name, of: name)
    for value in (
        {"Fn::Sub": "x${T}"},
        {"Fn::Join": ["", ["x", {"Ref": "T"}]]},
        {"Fn::Select": [3, {"Fn::Split": [":", {"Ref": "T"}]}]},
    ):
        assert isinstance(resolve(value, unknown), Unknown)


TEMPLATE = """
Parameters: {P: {Type: String, Default: "true"}, L: {Type: CommaDelimitedList, Default: "a, b"}}
Conditions:
  Both: !And [!Condition Wanted, !Not [!Equals [!Ref P, "x"]]]
  Wanted: !Equals [!Ref P, "true"]
  Unwanted: !Not [!Condition Wanted]
Resources:
  Last: {Type: T, DependsOn: Middle, Properties: {List: !Ref L}}
  Middle: {Type: T, Condition: Both, Properties: {Of: !Sub "${First.Arn}/x"}}
  First: {Type: T}
  Never: {Type: T, Condition: Unwanted, Properties: {Of: !Ref Last}}
  Maybe: {Type: T, Properties: {Of: !If [Unwanted, !Ref Never, "constant"]}}
Outputs:
  There: {Value: !Join [",", !Ref L]}
  Absent: {Condition: Unwanted, Value: !Ref Never}
"""


def test_resources_follow_what_they_need_and_conditions_leave_out() -> None:
    program = Program(TEMPLATE, {"P": "true", "L": "a, b"}, PLACE)
    names = [each.logical_id for each in program.resources]
    assert sorted(names) == ["First", "Last", "Maybe", "Middle"]
    assert names.index("First") < names.index("Middle") < names.index("Last")
    assert {each.logical_id: each.needs for each in program.resources}["Middle"] == ("First",)
    last = next(each for each in program.resources if each.logical_id == "Last")
    assert program.properties(last, str, lambda name, of: name) == {"List": ["a", "b"]}
    assert program.output_values(str, lambda name, of: name) == [{"OutputKey": "There", "OutputValue": "a,b"}]


def test_a_reference_to_what_a_condition_leaves_out_is_refused() -> None:
    """A DependsOn on it is not: it means nothing then."""
    unwanted = {"P": "false", "L": ""}
    assert "Middle" not in {each.logical_id for each in Program(TEMPLATE, unwanted, PLACE).resources}
    with pytest.raises(AwsError, match=r"Unresolved resource dependencies \[Middle\]"):
        Program(TEMPLATE.replace("Properties: {List: !Ref L}", "Properties: {List: !Ref Middle}"), unwanted, PLACE)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Resources: [", "YAML not well-formed"),
        ("just text", "unsupported structure"),
        ("Transform: AWS::Serverless-2016-10-31\nResources: {A: {Type: T}}", r"properties \[Transform\]"),
        ("Resources: {A: {Properties: {}}}", "/Resources/A"),
        ("Resources: {A: {Type: T, DeletionPolicy: Snapshot}}", "DeletionPolicy Snapshot of A is not served"),
        (
            "Parameters: {P: {Type: 'AWS::SSM::Parameter::Name'}}\nResources: {A: {Type: T}}",
            "Parameter P: type AWS::SSM",
        ),
        (
            "Parameters: {P: {Type: String, NoEcho: true}}\nResources: {A: {Type: T}}",
            "Parameter P: NoEcho is not served",
        ),
        ("Conditions: {C: !Ref A}\nResources: {A: {Type: T}}", r"Unresolved dependencies \[A\]"),
        ("Conditions: {C: !Condition D, D: !Condition C}\nResources: {A: {Type: T}}", "in a circle"),
        ("Resources: {A: {Type: T}}\nOutputs: {O: {Description: x}}", "Every Outputs member"),
    ],
)
def test_templates_that_are_wrong_are_refused_by_name(body: str, said: str) -> None:
    with pytest.raises(AwsError, match=said):
        Program(body, {}, PLACE)


def _schemas() -> dict[str, Any]:
    folder = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
    wanted = {each.name for each in KINDS}
    found = {}
    for path in folder.glob("*.json"):
        schema = json.loads(path.read_text())
        if schema.get("typeName") in wanted:
            found[schema["typeName"]] = schema
    return found


def test_types_agree_with_awss_schemas() -> None:
    """Properties that need a replacement are those of the schemas that cfn-lint carries, as far as they are served."""
    schemas = _schemas()
    assert len(schemas) == len(KINDS)
    for kind in KINDS:
        schema = schemas[kind.name]
        assert kind.properties <= set(schema["properties"]), kind.name
        assert set(schema.get("required", [])) <= kind.required <= kind.properties, kind.name
        recreating = {path.split("/")[2] for path in schema.get("createOnlyProperties", []) if path.count("/") == 2}
        assert kind.create_only == recreating & kind.properties, kind.name


def test_a_change_of_a_name_replaces_and_of_a_setting_does_not() -> None:
    kind = Bucket(lambda name: None)
    assert difference(kind, {"BucketName": "a"}, {"BucketName": "b"}).replacement == "True"
    assert difference(kind, {"BucketName": "a"}, {"BucketName": Unknown("x")}).replacement == "Conditional"
    changed = difference(kind, {"BucketName": "a", "Tags": []}, {"BucketName": "a"})
    assert (changed.names, changed.replacement) == (("Tags",), "False")


def test_properties_are_fitted_to_a_calls_names_and_types(aws_endpoints: Any) -> None:
    redshift = aws_endpoints.client("redshift-serverless")
    given = {"WorkgroupName": "w", "NamespaceName": "n", "BaseCapacity": "8", "PubliclyAccessible": "false"}
    given_list = {"ConfigParameters": [{"ParameterKey": "require_ssl", "ParameterValue": True}]}
    assert fitted(redshift, "CreateWorkgroup", given | given_list) == {
        "workgroupName": "w",
        "namespaceName": "n",
        "baseCapacity": 8,
        "publiclyAccessible": False,
        "configParameters": [{"parameterKey": "require_ssl", "parameterValue": "true"}],
    }
    for wrong, said in (
        ({"BaseCapacity": "many"}, "#/BaseCapacity: expected type: Number"),
        ({"SubnetIds": "one"}, "#/SubnetIds: expected type: list"),
        ({"ConfigParameters": [{"Key": "x"}]}, r"#/ConfigParameters/0: extraneous key \[Key\]"),
    ):
        with pytest.raises(PropertyError, match=said):
            fitted(redshift, "CreateWorkgroup", wrong)
