"""Kafka's settings, without Kafka."""

from __future__ import annotations

import base64
import uuid

from smartcity.local.services.kafka import cluster_id


def test_a_cluster_id_is_sixteen_bytes_and_no_option_of_a_command_line() -> None:
    for first in range(256):
        identity = cluster_id(uuid.UUID(bytes=bytes([first]) + bytes(range(240, 255))))
        assert len(base64.urlsafe_b64decode(identity + "==")) == 16
        assert identity.startswith("A")
