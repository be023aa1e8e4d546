"""docker-compose.yml as a document: it agrees with the native stack, with its documentation and with its own rules.

Whether it runs is another question, which `make compose-test` answers where a container engine does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smartcity.edge.gateway import Gateway, render
from smartcity.local import containers
from smartcity.local.environment import BUCKET, stack_environment
from smartcity.local.jars import expected
from smartcity.local.services import CLUSTER_SERVICES, kafka, maintenance, spark_cluster
from smartcity.local.services import lake as native_lake

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "compose.md").read_text()
FILES = ("docker-compose.yml", "docker-compose.aws.yml")
ONE_SHOT = {"configure", "topics", "deploy", "tools"}
PORT = re.compile(r"127\.0\.0\.1:\$\{(SMARTCITY_[A-Z0-9_]+_PORT):-(\d+)\}:(\d+)")


class _Loader(yaml.SafeLoader):
    """Knows compose's `!reset`."""


_Loader.add_constructor("!reset", lambda loader, node: None)


def load(name: str) -> Any:
    return yaml.load((ROOT / name).read_text(), _Loader)  # A SafeLoader with one more tag.


COMPOSE = load("docker-compose.yml")
SERVICES: dict[str, Any] = {name: each for name, each in COMPOSE["services"].items() if name != "settings"}
NATIVE = {service.name: service for service in CLUSTER_SERVICES}


def variables() -> set[str]:
    found = {name for file in FILES for name in re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / file).read_text())}
    assert "SMARTCITY_MQTT_PORT" in found
    return found


def ports() -> Iterator[tuple[str, str, int, int]]:
    """Service, variable, port on the host, port in the container."""
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            match = PORT.fullmatch(port)
            assert match, f"{name}: {port} is not a loopback port with a setting"
            yield name, match[1], int(match[2]), int(match[3])


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_variable_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE), f"docs/compose.md has no line of {name}"


def test_every_port_is_documented_with_its_number() -> None:
    for service, variable, host, _ in ports():
        assert re.search(rf"^\| `{variable}` \| {host} \|", PAGE, re.MULTILINE), f"{service}: {variable}, {host}"


def test_every_setting_that_is_a_number_is_read_as_one_under_its_name() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    numbers = dict(re.findall(r"\$\{(SMARTCITY_[A-Z0-9_]+):-(\d+)\}", text))
    del numbers["SMARTCITY_SPEED"]  # `configure` looks at it: it need not be whole.
    del numbers["SMARTCITY_KRAFT_BROKERS"]  # Compose reads it as a number elsewhere, and names that field.
    assert len(numbers) >= 13
    assert COMPOSE["services"]["settings"]["ulimits"] == {name: f"${{{name}:-{numbers[name]}}}" for name in numbers}
    assert COMPOSE["services"]["settings"]["scale"] == 0


def test_env_example_names_only_settings_that_there_are() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    names = {re.sub(r"^#\s*", "", line).partition("=")[0] for line in lines if re.match(r"#?\s?[A-Z_]+=", line)}
    assert names >= {"AWS_REGION", "SMARTCITY_BUCKET", "COMPOSE_FILE"}
    assert names - variables() <= {"COMPOSE_FILE", "AWS_SESSION_TOKEN"}


def test_a_service_has_the_ports_of_its_native_twin() -> None:
    found = {(service, host) for service, _, host, _ in ports()}
    for name, twin in NATIVE.items():
        for label, port in twin.ports.items():
            # The controller's and the workers' own pages stay inside.
            if label == "kafka_controller" or label.startswith("spark_worker"):
                continue
            assert ((name, 8083) if label == "spark_http" else (name, port)) in found or label == "spark", (name, label)


def test_upstream_images_are_pinned_by_a_full_tag() -> None:
    theirs = {name: each["image"] for name, each in SERVICES.items() if not each["image"].startswith("smartcity/")}
    assert len(theirs) == 7
    for name, image in theirs.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", image), f"{name}: {image}"
    ours = {each["image"] for name, each in SERVICES.items() if name not in theirs}
    built = [each["image"] for each in SERVICES.values() if "build" in each]
    assert sorted(built) == sorted(ours), "each of our images is built by one service"


def test_the_kafka_image_is_the_version_of_the_native_stack() -> None:
    [version] = [jar.version for jar in expected("kafka") if jar.artifact == "kafka_2.13"]
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"


def test_everything_that_runs_has_a_health_check_a_limit_and_no_privilege() -> None:
    for name, each in SERVICES.items():
        assert each.get("mem_limit"), name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert ("healthcheck" in each) == (name not in ONE_SHOT), name
        if each["image"].startswith("smartcity/"):
            assert each["read_only"] is True, name


def test_nothing_starts_before_what_it_needs_is_well() -> None:
    for name, each in SERVICES.items():
        for need, how in each.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if need in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, f"{name} needs {need}"
    for name, needs in {
        "bridge": {"mosquitto", "topics"},
        "lake": {"topics", "deploy", "spark-worker-1", "spark-worker-2"},
        "topics": {"kafka", "kafka-zookeeper"},
        "deploy": {"aws"},
        "aws": {"s3"},
    }.items():
        assert set(SERVICES[name]["depends_on"]) == needs


def test_java_may_load_what_it_unpacks() -> None:
    services = ("kafka", "kafka-zookeeper", "spark-master", "spark-worker-1", "spark-worker-2", "lake", "maintenance")
    assert {name for name, each in SERVICES.items() if each["tmpfs"] == ["/tmp:exec"]} == set(services)
    assert all(each["tmpfs"] in (["/tmp"], ["/tmp:exec"]) for each in SERVICES.values())


def test_named_volumes_are_declared_and_used() -> None:
    used = set()
    for each in SERVICES.values():
        for volume in each.get("volumes", ()):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            used |= set() if source.startswith(".") else {source}
    assert used == set(COMPOSE["volumes"])


def test_the_environment_is_that_of_the_native_stack() -> None:
    native = {
        name: value
        for name, value in stack_environment(var=Path("/")).items()
        if name.startswith(("AWS_", "SMARTCITY_B"))
    }
    # versitygw takes the key for the account, which the artefacts' bucket is asked to belong to.
    native["AWS_ACCESS_KEY_ID"] = "000000000000"
    assert SERVICES["s3"]["environment"]["ROOT_ACCESS_KEY"] == native["AWS_ACCESS_KEY_ID"]
    for service in ("aws", "deploy", "lake", "spark-worker-1", "spark-worker-2", "maintenance", "dashboard", "tools"):
        ours = SERVICES[service]["environment"]
        assert native.items() <= ours.items(), service
        assert ours["AWS_ENDPOINT_URL"] == f"http://aws:{NATIVE['aws'].ports['aws']}"
        assert ours["AWS_ENDPOINT_URL_S3"] == f"http://s3:{NATIVE['s3'].ports['s3']}"


def test_spark_is_as_large_as_the_native_cluster() -> None:
    worker = SERVICES["spark-worker-1"]
    assert worker["command"] == SERVICES["spark-worker-2"]["command"]
    flags = dict(zip(worker["command"][2:-1:2], worker["command"][3:-1:2], strict=True))
    assert flags["--cores"] == str(spark_cluster.WORKER_CORES)
    assert flags["--memory"] == spark_cluster.WORKER_MEMORY
    options = [f"-D{name}={value}" for name, value in spark_cluster._WORKER_OPTIONS.items()]
    assert worker["environment"]["SPARK_WORKER_OPTS"].split() == options
    assert spark_cluster._DAEMON.items() <= worker["environment"].items()
    master = SERVICES["spark-master"]["environment"]
    assert spark_cluster._DAEMON.items() <= master.items()
    recovery = {**spark_cluster._MASTER_OPTIONS, "spark.deploy.recoveryDirectory": "/scratch/recovery"}
    assert master["SPARK_MASTER_OPTS"].split() == [f"-D{name}={value}" for name, value in recovery.items()]
    lake = SERVICES["lake"]["command"]
    assert f"--cores-max={spark_cluster.WORKERS * spark_cluster.WORKER_CORES}" in lake
    assert f"--executor-cores={spark_cluster.WORKER_CORES}" in lake
    run = SERVICES["maintenance"]["command"]
    assert f"--every={maintenance.EVERY}" in run
    assert f"--marts-every={maintenance.MARTS_EVERY}" in run
    for service in ("lake", "maintenance"):
        assert SERVICES[service]["environment"]["JAVA_TOOL_OPTIONS"] == native_lake.JVM


def test_kafka_runs_on_the_native_heap() -> None:
    for service in ("kafka", "kafka-zookeeper"):
        environment = SERVICES[service]["environment"]
        options = f"{environment['KAFKA_HEAP_OPTS']} {environment['KAFKA_JVM_PERFORMANCE_OPTS']}"
        assert tuple(options.split()) == kafka.HEAP


def test_the_gateway_has_the_configuration_of_the_edge() -> None:
    native = render(Gateway(host="127.0.0.1", port=1883, data=Path("/mosquitto/data")))
    assert containers.mosquitto_conf() == native.replace("listener 1883 127.0.0.1", "listener 1883 0.0.0.0")


@pytest.mark.parametrize("zookeeper", [False, True])
def test_a_broker_differs_from_the_native_one_only_where_it_is(zookeeper: bool) -> None:
    native = kafka.properties(containers.container_place())
    ours = containers.broker_properties(host_port=19092, zookeeper=zookeeper)
    place = {"listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs"}
    coordination = {"broker.id", "zookeeper.connect", "zookeeper.session.timeout.ms", *containers.OF_KRAFT}
    differing = {name for name in native.keys() | ours.keys() if native.get(name) != ours.get(name)}
    assert differing == (place | coordination if zookeeper else place)
    assert ours["advertised.listeners"] == "PLAINTEXT://broker:9092,HOST://localhost:19092"
    assert len(native) > 20


def test_wrong_settings_are_named() -> None:
    defaults = {name: default for name, (default, _, _) in containers.SETTINGS.items()}
    assert containers.wrong_settings(defaults) == []
    given = SERVICES["configure"]["environment"]
    assert given == {name: f"${{{name}:-{default}}}" for name, default in defaults.items()}
    for name, value in {
        "SMARTCITY_KAFKA_PORT": "70000",
        "SMARTCITY_KRAFT_BROKERS": "2",
        "SMARTCITY_VEHICLES": "two",
        "SMARTCITY_SPEED": "nan",
    }.items():
        [line] = containers.wrong_settings({**defaults, name: value})
        assert line.startswith(f"{name} is {value!r}, not ")


def test_no_secret_is_in_the_files() -> None:
    for file in FILES:
        for line in (ROOT / file).read_text().splitlines():
            match = re.search(r"(?:SECRET|PASSWORD|TOKEN)\w*:\s*(\S+)", line)
            assert match is None or match[1] == "test" or match[1].startswith("${"), f"{file}: {line}"


def test_a_real_account_needs_its_settings_and_no_local_endpoint() -> None:
    over = load("docker-compose.aws.yml")["services"]
    for service in ("s3", "aws", "deploy"):
        assert over[service] is None
    for service in ("lake", "maintenance", "dashboard", "tools", "spark-worker-1", "spark-worker-2"):
        environment = over[service]["environment"]
        assert environment["AWS_ENDPOINT_URL"] is None
        assert environment["AWS_ENDPOINT_URL_S3"] is None
        for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SMARTCITY_BUCKET"):
            assert environment[name].startswith(f"${{{name}:?set {name} "), (service, name)


def test_bucket_is_the_native_one() -> None:
    assert SERVICES["deploy"]["environment"]["SMARTCITY_BUCKET"] == BUCKET


def test_our_images_run_without_privilege_from_stages_that_install_nothing() -> None:
    text = (ROOT / "compose" / "Dockerfile").read_text()
    assert not text.startswith("# syntax=")
    stages = {stage.split()[3]: stage for stage in re.split(r"(?=^FROM )", text, flags=re.MULTILINE)[1:]}
    targets = {each["build"]["target"] for each in SERVICES.values() if "build" in each}
    assert targets == {"sim", "bridge", "dashboard", "tools", "spark"}
    for target in targets:
        assert "\nUSER 10001:10001\n" in stages[target], target
        assert "pip install" not in stages[target], target
        assert stages[target].startswith("FROM runtime AS"), target


def test_dockerfiles_are_clean() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}") or shutil.which("hadolint")
    assert hadolint, "hadolint is missing; run: make setup"
    files = [ROOT / "compose" / "Dockerfile", *(ROOT / ".ci" / "images").glob("*/Dockerfile")]
    assert len(files) >= 6
    # Versions of Debian's packages are not pinned: the stand-ins take what the release has.
    command = [hadolint, "--ignore", "DL3008", "--failure-threshold", "warning", *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def only(**given: str) -> dict[str, str]:
    """The caller's environment without settings of ours, and with those given."""
    ours = ("AWS_", "SMARTCITY_", "COMPOSE_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **given}


def _compose_config(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed here")
    command = [docker, "compose", "--env-file", "/dev/null", *arguments, "config", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_docker_compose_reads_the_file() -> None:
    every = [f"--profile={name}" for name in ("sim", "zookeeper", "observability", "tools")]
    run = _compose_config(every, only())
    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout)["services"]) == set(SERVICES)


@pytest.mark.parametrize("name", COMPOSE["services"]["settings"]["ulimits"])
def test_docker_compose_names_a_setting_that_is_no_number(name: str) -> None:
    run = _compose_config([], only(**{name: "abc"}))
    assert run.returncode != 0
    assert name in run.stderr, run.stderr


def test_docker_compose_names_a_missing_setting() -> None:
    files = [f"--file={name}" for name in FILES]
    given = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "SMARTCITY_BUCKET": "c",
    }
    assert _compose_config(files, only(**given)).returncode == 0
    for name in given:
        rest = {other: value for other, value in given.items() if other != name}
        run = _compose_config(files, only(**rest))
        assert run.returncode != 0
        assert f"set {name} " in run.stderr, run.stderr


def test_whatever_is_built_is_built_on_the_hosts_network_in_ci() -> None:
    overlay = yaml.safe_load((ROOT / ".ci/compose.yml").read_text())["services"]
    assert set(overlay) == {name for name, service in COMPOSE["services"].items() if "build" in service}
    assert all(service == {"build": {"network": "host"}} for service in overlay.values())
