"""Stands in for the bridge in tests: takes every reading, and tells its device so with a receipt.

    python receipt_giver.py PORT REPORT.json

Writes the ids it has seen, and what was wrong, to the report at SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from smartcity.contracts.envelope import EnvelopeError, read_envelope
from smartcity.contracts.receipts import coalesce, encode_receipts
from smartcity.contracts.topics import receipt_topic, stream_of_topic


class ReceiptGiver:
    """Confirms all readings every `interval_s`, except that `deaf_to(device, sequence)` are taken without a word."""

    def __init__(self, port: int, *, interval_s: float = 0.2) -> None:
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.received = 0
        self.delays: dict[tuple[str, str], float] = {}
        """From event time to the first reception, in seconds, by device and id."""
        self.arrivals: list[tuple[str, str, int]] = []
        """Device, boot and sequence of every reception, in its order."""
        self.wrong: list[str] = []
        self.statuses: dict[str, list[dict[str, object]]] = defaultdict(list)
        self.silent = False
        self.subscribed = threading.Event()
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._due: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._ended = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="receipt-giver", protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("devices/#", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._give)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def ids(self) -> dict[str, set[str]]:
        with self._lock:
            return {device: set(ids) for device, ids in self.seen.items()}

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        device_id = message.topic.split("/")[1]
        if message.topic.endswith("/status"):
            with self._lock:
                self.statuses[device_id].append(json.loads(message.payload))
            return
        found = stream_of_topic(message.topic)
        try:
            envelope = read_envelope(getattr(message.properties, "UserProperty", []))
        except EnvelopeError as error:
            self.wrong.append(f"{message.topic}: {error}")
            return
        content_type = getattr(message.properties, "ContentType", None)
        with self._lock:
            self.received += 1
            if found is None or envelope is None:
                self.wrong.append(f"{message.topic}: no stream or no envelope")
            elif (
                envelope.device_id != device_id
                or envelope.event_type != found[1].event_type
                or content_type != found[1].content_type
                or envelope.sent_time is None
            ):
                self.wrong.append(f"{message.topic}: {envelope}, {content_type}")
            else:
                self.seen[device_id].add(envelope.id)
                self.delays.setdefault((device_id, envelope.id), time.time() - envelope.time.timestamp())
                self.arrivals.append((device_id, envelope.boot, envelope.sequence))
                self._due[device_id].append((envelope.boot, envelope.sequence))

    def _give(self) -> None:
        while not self._ended.wait(self._interval_s):
            if self.silent:
                continue
            with self._lock:
                due, self._due = self._due, defaultdict(list)
            for device_id, keys in due.items():
                boots = {boot for boot, _ in keys}
                ranges = {boot: coalesce(sequence for b, sequence in keys if b == boot) for boot in boots}
                for payload in encode_receipts(ranges):
                    self._client.publish(receipt_topic(device_id), payload, qos=1)


def main() -> None:
    giver = ReceiptGiver(int(sys.argv[1]))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    giver.close()
    report = {"received": giver.received, "unique": sum(map(len, giver.seen.values())), "wrong": giver.wrong[:10]}
    Path(sys.argv[2]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
