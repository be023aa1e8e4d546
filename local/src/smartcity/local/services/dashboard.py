"""The live city and its lake in a browser."""

from __future__ import annotations

from smartcity.edge.identities import DASHBOARD as DASHBOARD_IDENTITY

from .service import Place, Service, console_script, http_probe


def _command(place: Place) -> list[str]:
    command = [console_script("smartcity-dashboard"), "run", "--mqtt", place.address("mqtt")]
    command += place.identity_flags(DASHBOARD_IDENTITY)
    command += ["--bridge", place.url("bridge_http"), "--lake", place.url("lake_http")]
    command += ["--kafka", place.address("kafka")]
    return [*command, "--listen", place.address("dashboard"), "--register-marts"]


def _probe(place: Place) -> str | None:
    return http_probe(f"{place.url('dashboard')}/")


DASHBOARD = Service(
    name="dashboard",
    needs=("mosquitto",),
    ports={"dashboard": 8080},
    command=_command,
    probe=_probe,
    uses_aws=True,
    start_timeout_s=120,
)
