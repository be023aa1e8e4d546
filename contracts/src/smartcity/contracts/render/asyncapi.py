"""Topics, messages and headers as one AsyncAPI 3.0 document, told from the bridge's side.

Sources: AsyncAPI 3.0.0; its bindings for MQTT (0.2.0) and Kafka (0.5.0); CloudEvents 1.0.2 bindings for both.
"""

from __future__ import annotations

from typing import Any

from ..envelope import (
    HEADER_BRIDGE_TIME,
    HEADER_CONTENT_TYPE,
    HEADER_DETAIL,
    HEADER_MQTT_TOPIC,
    HEADER_PAYLOAD_SHA256,
    HEADER_PREFIX,
    HEADER_PROPERTIES,
    HEADER_READING,
    HEADER_REASON,
    METADATA_PROPERTY,
    SPEC_VERSION,
)
from ..fields import columns
from ..limits import DETAIL_CHARACTERS_MAX, DEVICE_NAME_PATTERN, RECEIPT_RANGES_MAX
from ..reasons import Reason
from ..streams import CAMERA, ID_PATTERN, SHA256_PATTERN, STREAMS, Reading, Stream
from ..topics import DEAD_LETTERS_TOPIC, KAFKA_TOPICS, KafkaTopic, reading_topic, receipt_topic, status_topic
from .jsonschema import carried_schema, object_schema

_Object = dict[str, Any]
_TIME: _Object = {"type": "string", "format": "date-time"}
_ID: _Object = {"type": "string", "pattern": f"^(?:{ID_PATTERN})$"}
_SHA256: _Object = {"type": "string", "pattern": f"^{SHA256_PATTERN}$"}
_SOURCE: _Object = {"type": "string", "pattern": f"^/devices/{DEVICE_NAME_PATTERN}$"}
_BYTES: _Object = {"description": "Bytes, in the form that the content type names."}


def asyncapi_document() -> _Object:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Smart city: readings from devices to Kafka",
            "version": "1.0.0",
            "description": "What the bridge receives over MQTT 5, produces to Kafka, and answers with receipts.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {"host": "localhost:1883", "protocol": "mqtt", "protocolVersion": "5.0"},
            "kafka": {"host": "localhost:9092", "protocol": "kafka"},
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channels() -> _Object:
    channels = {
        f"mqtt_{stream.name}": _mqtt_channel(reading_topic("{device}", stream), f"mqtt_{stream.name}")
        for stream in STREAMS
    }
    channels["mqtt_status"] = _mqtt_channel(status_topic("{device}"), "mqtt_status")
    channels["mqtt_receipt"] = _mqtt_channel(receipt_topic("{device}"), "mqtt_receipt")
    for topic in KAFKA_TOPICS:
        channels[f"kafka_{topic.name}"] = _kafka_channel(topic)
    return channels


def _mqtt_channel(address: str, message: str) -> _Object:
    return {
        "address": address,
        "servers": [_ref("servers", "gateway")],
        "parameters": {"device": {"description": f"Name of the device, `{DEVICE_NAME_PATTERN}`."}},
        "messages": {message: _ref("components", "messages", message)},
    }


def _kafka_channel(topic: KafkaTopic) -> _Object:
    message = f"kafka_{topic.name}"
    configuration: _Object = {
        "cleanup.policy": ["delete"],
        "retention.ms": topic.retention_ms,
        "max.message.bytes": topic.record_bytes_max,
    }
    return {
        "address": topic.name,
        "servers": [_ref("servers", "kafka")],
        "messages": {message: _ref("components", "messages", message)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations() -> _Object:
    operations: _Object = {}
    for name in _channels():
        receives = name.startswith("mqtt_") and name != "mqtt_receipt"
        operation: _Object = {"action": "receive" if receives else "send", "channel": _ref("channels", name)}
        if name.startswith("mqtt_"):
            operation["bindings"] = {
                "mqtt": {"qos": 1, "retain": name == "mqtt_status", "bindingVersion": "0.2.0"},
            }
        operations[f"{operation['action']}_{name}"] = operation
    return operations


def _messages() -> _Object:
    messages: _Object = {}
    for stream in STREAMS:
        messages[f"mqtt_{stream.name}"] = _mqtt_reading(stream)
        messages[f"kafka_{stream.kafka_topic}"] = _kafka_reading(stream)
    messages["mqtt_status"] = {
        "title": "Status of a device, retained",
        "payload": _ref("components", "schemas", "status"),
    }
    messages["mqtt_receipt"] = {"title": "What Kafka has", "payload": _ref("components", "schemas", "receipt")}
    messages[f"kafka_{DEAD_LETTERS_TOPIC}"] = _dead_letter()
    return messages


def _mqtt_reading(stream: Stream) -> _Object:
    attributes: _Object = {
        "specversion": {"const": SPEC_VERSION},
        "id": _ID,
        "source": _SOURCE,
        "type": {"const": stream.event_type},
        "time": _TIME,
    }
    others: _Object = {"senttime": _TIME}
    if carried_schema(stream, "metadata")["properties"]:
        others[METADATA_PROPERTY] = {
            "type": "string",
            "contentMediaType": "application/json",
            "description": f"A JSON object, see the schema {stream.name}_metadata.",
        }
    is_json = stream.content_type == "application/json"
    return {
        "title": _title(stream),
        "contentType": stream.content_type,
        "headers": _headers(attributes, others),
        "payload": _ref("components", "schemas", f"{stream.name}_payload") if is_json else _BYTES,
        "bindings": {"mqtt": {"contentType": stream.content_type, "bindingVersion": "0.2.0"}},
    }


def _kafka_reading(stream: Stream) -> _Object:
    is_frame = stream is CAMERA
    content_type = "image/jpeg" if is_frame else "application/json"
    required: _Object = {
        f"{HEADER_PREFIX}specversion": {"const": SPEC_VERSION},
        f"{HEADER_PREFIX}id": _ID,
        f"{HEADER_PREFIX}source": _SOURCE,
        f"{HEADER_PREFIX}type": {"const": stream.event_type},
        f"{HEADER_PREFIX}time": _TIME,
        HEADER_CONTENT_TYPE: {"const": content_type},
        HEADER_PAYLOAD_SHA256: _SHA256,
        HEADER_BRIDGE_TIME: _TIME,
    }
    if is_frame:
        required[HEADER_READING] = {
            "type": "string",
            "contentMediaType": "application/json",
            "description": f"The decoded reading, see the schema {stream.name}.",
        }
    return {
        "title": _title(stream),
        "contentType": content_type,
        "headers": _headers(required, {f"{HEADER_PREFIX}senttime": _TIME}),
        "payload": _BYTES if is_frame else _ref("components", "schemas", stream.name),
        "bindings": _keyed_by_device(),
    }


def _dead_letter() -> _Object:
    required: _Object = {
        HEADER_REASON: {"type": "string", "enum": [reason.value for reason in Reason]},
        HEADER_DETAIL: {"type": "string", "maxLength": DETAIL_CHARACTERS_MAX},
        HEADER_MQTT_TOPIC: {"type": "string"},
        HEADER_PROPERTIES: {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "MQTT 5 user properties, a JSON list of pairs.",
        },
        HEADER_PAYLOAD_SHA256: _SHA256,
        HEADER_BRIDGE_TIME: _TIME,
    }
    attributes = ("specversion", "id", "source", "type", "time", "senttime")
    unchecked: _Object = {f"{HEADER_PREFIX}{name}": {"type": "string"} for name in attributes}
    return {
        "title": "What was refused, byte for byte",
        "contentType": "application/octet-stream",
        "headers": _headers(required, unchecked),
        "payload": _BYTES,
        "bindings": _keyed_by_device(),
    }


def _schemas() -> _Object:
    schemas: _Object = {}
    for stream in STREAMS:
        schemas[stream.name] = object_schema(columns(stream.contract))
        if stream.content_type == "application/json":
            schemas[f"{stream.name}_payload"] = carried_schema(stream, "payload")
        metadata = carried_schema(stream, "metadata")
        if metadata["properties"]:
            schemas[f"{stream.name}_metadata"] = metadata
    schemas["receipt"] = _receipt_schema()
    schemas["status"] = _status_schema()
    return schemas


def _receipt_schema() -> _Object:
    sequence: _Object = {"type": "integer", "minimum": 1}
    span: _Object = {"type": "array", "items": sequence, "minItems": 2, "maxItems": 2}
    return {
        "type": "object",
        "description": f"By boot, inclusive ranges in which every sequence is in Kafka; at most {RECEIPT_RANGES_MAX}.",
        "propertyNames": {"pattern": "^[0-9a-f]{16}$"},
        "additionalProperties": {"type": "array", "items": span},
    }


def _status_schema() -> _Object:
    count: _Object = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": {
            "state": {"enum": ["online", "offline"]},
            "boot": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "sequence": count,
            "pending": count,
            "refused": count,
            "dropped": count,
            "time": {"type": "string", "description": "RFC 3339; empty in a last will."},
        },
        "required": ["state", "boot", "sequence"],
    }


def _headers(required: _Object, optional: _Object) -> _Object:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _keyed_by_device() -> _Object:
    key: _Object = {"type": "string", "pattern": f"^{DEVICE_NAME_PATTERN}$"}
    return {"kafka": {"key": key, "bindingVersion": "0.5.0"}}


def _title(stream: Stream) -> str:
    contract: type[Reading] = stream.contract
    return (contract.__doc__ or "").splitlines()[0]


def _ref(*path: str) -> _Object:
    return {"$ref": "#/" + "/".join(path)}
