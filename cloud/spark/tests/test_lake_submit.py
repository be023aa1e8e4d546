"""The files of docs/cluster/: AWS's own model of the requests takes them, and our command takes their arguments."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.validate import ParamValidator

from smartcity.lake.jars import SPARK_JARS
from smartcity.lake.main import read_options
from smartcity.lake.session import spark_conf
from smartcity.lake.settings import SUBMITTED, Executors, Settings, Storage

DOCS = Path(__file__).parents[3] / "docs" / "cluster"
DRIVER = Path(__file__).parents[1] / "submit" / "lake_driver.py"
STORAGE = Storage(bucket="b", region="us-east-1")
OF_EMR = {"hadoop-aws", "s3-transfer-manager"}
"""EMR brings its own."""


def document(name: str) -> Any:
    return json.loads((DOCS / name).read_text())


def job() -> dict[str, Any]:
    found: dict[str, Any] = document("emr-start-job-run.json")["jobDriver"]["sparkSubmit"]
    return found


@pytest.mark.parametrize(
    ("operation", "name"),
    [("StartJobRun", "emr-start-job-run.json"), ("CreateApplication", "emr-create-application.json")],
)
def test_requests_obey_the_model_of_emr_serverless(operation: str, name: str) -> None:
    model = boto3.client("emr-serverless", region_name="us-east-1").meta.service_model
    report = ParamValidator().validate(document(name), model.operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()
    wrong = ParamValidator().validate(document(name) | {"modus": 1}, model.operation_model(operation).input_shape)
    assert wrong.has_errors()


def test_a_streaming_job_is_started_again_and_a_request_sent_twice_starts_one() -> None:
    request = document("emr-start-job-run.json")
    assert request["mode"] == "STREAMING"
    assert "maxFailedAttemptsPerHour" in request["retryPolicy"]
    assert request["clientToken"]


def test_the_jobs_arguments_are_ours() -> None:
    for arguments in (job()["entryPointArguments"], pod_arguments()[1]):
        options = read_options(["drive", "--master", SUBMITTED, *arguments])
        assert options.master == SUBMITTED
        assert options.bucket != "smartcity-lake"
        assert options.shuffle_partitions == 8


def test_the_job_has_every_jar_that_emr_lacks() -> None:
    parameters = shlex.split(job()["sparkSubmitParameters"])
    jars = parameters[parameters.index("--jars") + 1].split(",")
    names = {jar.rsplit("/", 1)[1].rsplit("-", 1)[0] for jar in jars}
    assert names == {jar.artifact for jar in SPARK_JARS} - OF_EMR
    release = {jar.rsplit("-", 1)[1] for jar in jars if "/spark-" in jar}
    assert release == {"4.0.2.jar"}, "of the Spark in emr-spark-8.0.0"


def pod_arguments() -> tuple[list[str], list[str]]:
    """Those of spark-submit, and those of the driver."""
    service, stateful_set = yaml.safe_load_all((DOCS / "lake-statefulset.yaml").read_text())
    assert stateful_set["spec"]["serviceName"] == service["metadata"]["name"]
    assert stateful_set["spec"]["replicas"] == 1
    (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
    args = container["args"]
    at = next(place for place, argument in enumerate(args) if argument.endswith(DRIVER.name))
    return args[:at], args[at + 1 :]


def test_the_pod_is_reached_at_the_ports_of_its_service() -> None:
    service = next(yaml.safe_load_all((DOCS / "lake-statefulset.yaml").read_text()))
    ports = {port["port"] for port in service["spec"]["ports"]}
    conf = dict(
        argument.removeprefix("--conf=").split("=", 1) for argument in pod_arguments()[0] if "--conf=" in argument
    )
    assert {int(conf["spark.driver.port"]), int(conf["spark.blockManager.port"])} == ports
    assert conf["spark.driver.host"].endswith("." + service["metadata"]["name"])


def test_what_spark_submit_says_is_left_to_it(tmp_path: Path) -> None:
    conf = spark_conf(Settings(kafka="k", storage=STORAGE, jars=tmp_path, master=SUBMITTED))
    theirs = ("spark.jars", "spark.driver.", "spark.executor.", "spark.cores.max", "spark.ui.enabled")
    assert not [name for name in conf if name.startswith(theirs)]
    assert conf["spark.sql.catalog.lake.warehouse"] == "s3://b/warehouse"


def test_a_standalone_master_gets_jars_executors_and_their_number(tmp_path: Path) -> None:
    for jar in SPARK_JARS:
        (tmp_path / jar.file_name).touch()
    settings = Settings(
        kafka="k", storage=STORAGE, jars=tmp_path, master="spark://m:7077", shuffle_partitions=6,
        executors=Executors(memory="2g", cores=3, cores_max=6), ui_port=4040,
    )  # fmt: skip
    conf = spark_conf(settings)
    assert conf["spark.jars"].count(".jar") == len(SPARK_JARS)
    wanted = {
        "spark.executor.memory": "2g", "spark.executor.cores": "3", "spark.cores.max": "6",
        "spark.default.parallelism": "6", "spark.sql.shuffle.partitions": "6", "spark.ui.port": "4040",
        "spark.ui.enabled": "true",
    }  # fmt: skip
    assert {name: conf[name] for name in wanted} == wanted
    assert "spark.driver.host" not in conf


@pytest.mark.parametrize("flag", ["--cores-max", "--shuffle-partitions", "--executor-cores"])
def test_numbers_of_cores_are_whole_and_positive(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(["run", flag, "0"])
    assert ended.value.code == 2
    assert "not a whole number from 1" in capsys.readouterr().err
