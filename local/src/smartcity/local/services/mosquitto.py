"""Mosquitto, with the configuration that `smartcity.edge` renders."""

from __future__ import annotations

import socket

from smartcity.edge.folder import GatewayFolder
from smartcity.edge.gateway import Gateway, claim_data, render

from ..ports import LOOPBACK
from ..programs import find_mosquitto
from ..secure import prepare_gateway, probe_gateway
from .service import PROBE_TIMEOUT_S, Place, Service

# MQTT 3.1.1 CONNECT: clean session, keep-alive 10 s, empty client id; and the CONNACK that accepts it.
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
_CONNACK = b"\x20\x02\x00\x00"


def _prepare(place: Place) -> None:
    data = place.layout.data("mosquitto")
    data.mkdir(parents=True, exist_ok=True)
    user = claim_data(data)
    if place.secure:
        prepare_gateway(place.layout, port=place.ports["mqtt"])
        return
    gateway = Gateway(host=LOOPBACK, port=place.ports["mqtt"], data=data, user=user)
    folder = place.layout.config("mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mosquitto.conf").write_text(render(gateway))


def _command(place: Place) -> list[str]:
    plain = place.layout.config("mosquitto") / "mosquitto.conf"
    configuration = GatewayFolder(place.layout.gateway).configuration_path if place.secure else plain
    return [str(find_mosquitto()), "-c", str(configuration)]


def _probe(place: Place) -> str | None:
    if place.secure:
        return probe_gateway(place.layout, port=place.ports["mqtt"])
    try:
        with socket.create_connection((LOOPBACK, place.ports["mqtt"]), timeout=PROBE_TIMEOUT_S) as connection:
            connection.sendall(_CONNECT)
            answer = connection.recv(4)
            connection.sendall(b"\xe0\x00")  # DISCONNECT
    except OSError as error:
        return f"{place.address('mqtt')}: {error}"
    return None if answer == _CONNACK else f"{place.address('mqtt')} answers {answer.hex() or 'nothing'} to CONNECT"


MOSQUITTO = Service(
    name="mosquitto",
    ports={"mqtt": 1883},
    secure_ports={"mqtt": 8883},
    prepare=_prepare,
    command=_command,
    probe=_probe,
    start_timeout_s=10,
    keeps_data=True,
)
