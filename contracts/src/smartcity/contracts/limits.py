"""Every limit that more than one component has to agree on. Sizes nest: packet < stream record < dead letter."""

from __future__ import annotations

from datetime import UTC, datetime

MQTT_PACKET_BYTES_MAX = 1 * 1024 * 1024
"""Mosquitto's `max_packet_size`: the whole MQTT packet, header and properties included."""

STREAM_RECORD_BYTES_MAX = 2 * 1024 * 1024
"""`max.message.bytes` of the five stream topics."""

DEAD_LETTER_RECORD_BYTES_MAX = 3 * 1024 * 1024
"""`max.message.bytes` of the dead-letter topic and `message.max.bytes` of the producer."""

EVENT_TIME_AHEAD_MAX_S = 300
"""An event time further than this beyond the Kafka record's timestamp is a dead letter (`event_time_ahead`)."""

EVENT_TIME_MIN = datetime(2000, 1, 1, tzinfo=UTC)
"""An event time before this is a dead letter: it would open a partition for a clock that was never set."""

DEVICE_NAME_PATTERN = r"[a-z0-9-]{1,32}"
"""What a device may be called. No `/`, `+` or `#`: a name is one level of an MQTT topic and of an ACL pattern."""

DETAIL_CHARACTERS_MAX = 500
"""The longest `detail` that a dead letter carries."""

RECEIPT_RANGES_MAX = 500
"""The most ranges in one receipt; a longer list is split over several messages."""
