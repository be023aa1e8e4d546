"""Kafka's settings, without Kafka."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

from smartcity.local.layout import Layout
from smartcity.local.services import Place
from smartcity.local.services.bridge import BRIDGE
from smartcity.local.services.kafka import cluster_id, formatted_cluster_id


def test_a_cluster_id_is_sixteen_bytes_and_no_option_of_a_command_line() -> None:
    for first in range(256):
        identity = cluster_id(uuid.UUID(bytes=bytes([first]) + bytes(range(240, 255))))
        assert len(base64.urlsafe_b64decode(identity + "==")) == 16
        assert identity.startswith("A")


def test_the_bridge_is_told_the_id_that_the_stacks_kafka_was_formatted_with(tmp_path: Path) -> None:
    place = Place(layout=Layout(var=tmp_path), ports={"mqtt": 1, "kafka": 2, "bridge_http": 3})
    assert formatted_cluster_id(place) is None
    assert "--kafka-cluster-id" not in BRIDGE.command(place)
    place.layout.data("kafka").mkdir(parents=True)
    (place.layout.data("kafka") / "meta.properties").write_text("#\n#Sat Nov 28\nnode.id=1\ncluster.id=Ai7M-x_w\n")
    command = BRIDGE.command(place)
    assert command[command.index("--kafka-cluster-id") + 1] == "Ai7M-x_w"
