"""The AsyncAPI document holds together: required keys, references that resolve, every topic and message once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from smartcity.contracts.receipts import encode_receipts
from smartcity.contracts.render.asyncapi import asyncapi_document
from smartcity.contracts.status import Status
from smartcity.contracts.streams import STREAMS
from smartcity.contracts.topics import KAFKA_TOPICS, reading_topic


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(asyncapi_document()))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def test_has_what_the_specification_requires(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert all({"host", "protocol"} <= server.keys() for server in document["servers"].values())
    for operation in document["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert set(operation["channel"]) == {"$ref"}


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        assert isinstance(resolve(document, reference), dict)


def test_every_topic_has_one_channel_and_one_operation(document: dict[str, Any]) -> None:
    addresses = [channel["address"] for channel in document["channels"].values()]
    expected = [reading_topic("{device}", stream) for stream in STREAMS]
    expected += ["devices/{device}/status", "receipts/{device}", *(topic.name for topic in KAFKA_TOPICS)]
    assert sorted(addresses) == sorted(expected)
    used = [operation["channel"]["$ref"] for operation in document["operations"].values()]
    assert sorted(used) == sorted(f"#/channels/{name}" for name in document["channels"])


def test_parameters_are_those_of_the_address(document: dict[str, Any]) -> None:
    for channel in document["channels"].values():
        assert set(channel.get("parameters", {})) == ({"device"} if "{device}" in channel["address"] else set())


def test_every_schema_is_valid(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for message in document["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message.get("headers", {}))


def test_receipts_and_status_obey_their_schemas(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    boot = "0123456789abcdef"
    for payload in encode_receipts({boot: [(1, 7), (9, 9)]}):
        jsonschema.validate(json.loads(payload), schemas["receipt"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({boot: [[0, 7]]}, schemas["receipt"])
    jsonschema.validate(json.loads(Status(state="offline", boot=boot, sequence=0).encode()), schemas["status"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"state": "asleep", "boot": boot, "sequence": 0}, schemas["status"])


def test_kafka_headers_carry_the_cloud_event(document: dict[str, Any]) -> None:
    headers = document["components"]["messages"]["kafka_gps_data"]["headers"]
    assert {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"} <= set(headers["required"])
    assert "ce_senttime" in headers["properties"]
    assert "ce_senttime" not in headers["required"]
    assert "reading" in document["components"]["messages"]["kafka_traffic_data"]["headers"]["required"]
