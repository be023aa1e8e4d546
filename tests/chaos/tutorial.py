"""The pipeline's middle as tutorials write it: every message that comes is handed to Kafka's producer, and that is it.

paho acknowledges by itself when the callback returns, the session is clean, the producer has its defaults. Run as a
program of its own: tutorial.py MQTT_PORT KAFKA_ADDRESS
"""

from __future__ import annotations

import sys

import paho.mqtt.client as mqtt
from confluent_kafka import Producer
from paho.mqtt.enums import CallbackAPIVersion

TOPIC_IN = "sensors/#"
TOPIC_OUT = "gps_data"


def main(port: str, kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})

    def on_connect(client: mqtt.Client, *_: object) -> None:
        client.subscribe(TOPIC_IN, qos=1)

    def on_message(client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        producer.produce(TOPIC_OUT, bytes(message.payload))
        producer.poll(0)

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = on_connect
    client.on_message = on_message
    client.connect("127.0.0.1", int(port))
    client.loop_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
