"""The reference: a bridge as one would write it with paho's network thread. It keeps the guarantee, and nothing more.

PUBACK in receive order, each after Kafka's delivery report; payload unchanged, key = MQTT topic.
Arguments: HOST PORT KAFKA CLIENT_ID FILTER TOPIC RECEIVE_MAXIMUM.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from typing import Any

import paho.mqtt.client as mqtt
from confluent_kafka import Producer
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def main() -> None:
    host, port, kafka, client_id, pattern, topic, receive_maximum = sys.argv[1:]
    producer = Producer(
        {
            "bootstrap.servers": kafka, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
            "compression.type": "lz4", "queue.buffering.max.messages": 20_000,
        }
    )  # fmt: skip
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5, manual_ack=True)
    waiting: deque[list[Any]] = deque()
    """Packet id, and whether Kafka has the message."""

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        entry = [message.mid, False]
        waiting.append(entry)

        def report(error: Any, _record: Any) -> None:
            if error is None:
                entry[1] = True
                while waiting and waiting[0][1]:
                    client.ack(waiting.popleft()[0], 1)

        producer.produce(topic, message.payload, message.topic, on_delivery=report)
        producer.poll(0)

    client.on_message = on_message
    client.on_connect = lambda *_: client.subscribe(pattern, qos=1)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 86_400
    properties.ReceiveMaximum = int(receive_maximum)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    client.connect_async(host, int(port), clean_start=False, properties=properties)
    client.loop_start()
    while not stopping:
        producer.poll(0.1)
    producer.flush(10)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
