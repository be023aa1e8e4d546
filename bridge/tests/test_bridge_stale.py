"""The stale acknowledgement, against a real Mosquitto: a packet id of an older connection frees no newer message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from signal import SIGKILL
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from confluent_kafka import KafkaError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from smartcity.bridge.inbound import Inbound
from smartcity.bridge.ledger import Ledger
from smartcity.bridge.loop import Loop
from smartcity.bridge.metrics import Metrics
from smartcity.bridge.outbound import Outbound
from smartcity.bridge.settings import Settings

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]
CLIENT_ID = "stale"


class Kafka:
    """Confirms when the test says so."""

    def __init__(self, _on_error: Callable[[KafkaError], None]) -> None:
        self.reports: list[Callable[[Any, Any], None]] = []

    def produce(self, _topic: str, _value: bytes, _key: Any, _partition: int, callback: Any, *_more: Any) -> None:
        self.reports.append(callback)

    def produce_batch(self, topic: str, messages: list[Any], *, on_delivery: Any) -> int:
        raise AssertionError("there is no raw route here")

    def poll(self, timeout: float) -> int:
        return 0

    def purge(self) -> None: ...

    def list_topics(self, *, timeout: float) -> Any: ...


class Bridge:
    """Everything of the bridge but Kafka."""

    def __init__(self, port: int) -> None:
        settings = Settings(
            mqtt_host="127.0.0.1", mqtt_port=port, kafka="", http_host="", http_port=0, client_id=CLIENT_ID,
            receive_maximum=100, receipt_interval_s=0.1,
        )  # fmt: skip
        self.kafkas: list[Kafka] = []
        ledger = Ledger()
        self.inbound = Inbound(settings, on_epoch=ledger.begin)
        self.packet_ids: list[int] = []
        receive = ledger.receive

        def noting(packet_ids: Any, epoch: int) -> Any:
            self.packet_ids += packet_ids
            return receive(packet_ids, epoch)

        ledger.receive = noting  # type: ignore[method-assign]
        self.loop = Loop(
            source=self.inbound, outbound=Outbound(self._make), ledger=ledger, metrics=Metrics(), receipt_interval_s=0.1
        )

    def _make(self, on_error: Callable[[KafkaError], None]) -> Kafka:
        self.kafkas.append(Kafka(on_error))
        return self.kafkas[-1]

    @property
    def reports(self) -> list[Callable[[Any, Any], None]]:
        return self.kafkas[-1].reports


def publish(samples: Any, port: int, sequence: int) -> None:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = list(samples.properties("weather", sequence=sequence))
    client.publish("devices/dev-1/weather", samples.payloads["weather"], qos=1, properties=properties).wait_for_publish(
        10
    )
    client.disconnect()
    client.loop_stop()


def redelivered(port: int, awaited: int) -> list[str]:
    """Ids that the gateway still holds for the session, once there are so many."""
    ids: list[str] = []
    enough = threading.Event()

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        ids.append(dict(message.properties.UserProperty)["id"])
        if len(ids) >= awaited:
            enough.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, protocol=mqtt.MQTTv5, manual_ack=True)
    client.on_message = on_message
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    client.loop_start()
    enough.wait(5)
    client.disconnect()
    client.loop_stop()
    return ids


def test_a_late_confirmation_frees_no_message_of_the_next_connection(samples: Any, real: Any) -> None:
    """The gateway dies and forgets; the next message comes as packet id 1 again; only now Kafka confirms the old one.

    An acknowledgement of that would be one of the new message, which Kafka does not have: the gateway would drop it.
    """
    real.mosquitto.start()
    port = real.mosquitto.port
    bridge = Bridge(port)

    def turn_until(what: str, condition: Callable[[], bool]) -> None:
        def turned() -> bool:
            bridge.loop.turn()
            return condition()

        real.wait(what, turned, 20)

    turn_until("the subscription", lambda: bridge.inbound.fault is None)
    publish(samples, port, 1)
    turn_until("the old message", lambda: len(bridge.reports) == 1)
    real.mosquitto.stop(SIGKILL)
    turn_until("the loss", lambda: bridge.inbound.fault is not None)
    real.mosquitto.start()
    turn_until("the next subscription", lambda: bridge.inbound.fault is None)
    publish(samples, port, 2)
    turn_until("the new message", lambda: len(bridge.reports) == 2)
    assert bridge.packet_ids == [1, 1], "the gateway did not use the packet id again"
    bridge.reports[0](None, None)
    turn_until("the booking", lambda: bridge.loop.counts.delivered["weather"] == 1)
    assert (bridge.loop.counts.acknowledged, bridge.loop.counts.acknowledgements_void) == (0, 1)
    bridge.inbound.disconnect()
    assert redelivered(port, 1) == [f"{samples.boot}.2"]
