"""The cluster's services: their commands, when a worker is well, and when a stack has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from smartcity.local import process
from smartcity.local.errors import StackError
from smartcity.local.layout import Layout
from smartcity.local.services import CLUSTER_SERVICES, SERVICES, Place, spark_cluster
from smartcity.local.services.spark_cluster import LAKE_ON_CLUSTER, SPARK_MASTER, SPARK_WORKERS
from smartcity.local.stack import Stack

PORTS = {name: port for service in CLUSTER_SERVICES for name, port in service.ports.items()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(layout=Layout(var=tmp_path), ports=PORTS)


def after(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_master_workers_and_driver_name_one_address_on_loopback(place: Place) -> None:
    master = SPARK_MASTER.command(place)
    assert (after(master, "--host"), after(master, "--port")) == ("127.0.0.1", str(PORTS["spark"]))
    address = f"spark://127.0.0.1:{PORTS['spark']}"
    pages = {after(master, "--webui-port"), *(after(worker.command(place), "--webui-port") for worker in SPARK_WORKERS)}
    assert len(pages) == 3
    for worker in SPARK_WORKERS:
        assert worker.command(place)[-1] == address
        assert worker.uses_aws, "an executor stores frames with its worker's keys"
        assert worker.environment(place)["SPARK_LOCAL_IP"] == "127.0.0.1"
    lake = LAKE_ON_CLUSTER.command(place)
    assert (after(lake, "--master"), after(lake, "--cores-max")) == (address, "2")


@pytest.mark.parametrize(("state", "well"), [("ALIVE", True), ("DEAD", False)])
def test_a_worker_is_well_when_its_master_counts_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, state: str, well: bool
) -> None:
    port = PORTS["spark_worker_2"]
    answer = {"workers": [{"state": state, "webuiaddress": f"http://127.0.0.1:{port}"}]}
    monkeypatch.setattr(spark_cluster, "ask_master", lambda url: answer)
    assert (SPARK_WORKERS[1].probe(place) is None) == well
    assert SPARK_WORKERS[0].probe(place) == f"the master at 127.0.0.1:{PORTS['spark']} has no such worker"


def test_a_master_that_does_not_answer_is_the_workers_fault_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> Any:
        raise OSError("refused")

    monkeypatch.setattr(spark_cluster, "ask_master", refuse)
    assert "refused" in (SPARK_WORKERS[0].probe(place) or "")


def names(stack: Stack) -> list[str]:
    return [status.name for status in stack.statuses()][:-1]


def test_a_stack_has_the_cluster_while_its_folder_says_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    assert names(stack) == [service.name for service in SERVICES]
    stack.layout.run.mkdir()
    stack.layout.cluster_mark.touch()
    assert names(Stack(tmp_path)) == [service.name for service in CLUSTER_SERVICES]
    stack.down()
    assert names(stack) == [service.name for service in SERVICES]


def test_a_running_stack_without_a_cluster_gets_none(tmp_path: Path) -> None:
    stack, me = Stack(tmp_path), psutil.Process()
    record = process.Record(service="kafka", pid=os.getpid(), started_at=me.create_time(), signature="")
    process.write_record(stack.layout.run, record)
    with pytest.raises(StackError, match="kafka runs already, in a stack without a Spark cluster"):
        stack.up(only=["lake"], spark_cluster=True, supervise=False)
    assert not stack.layout.cluster_mark.exists()


def test_a_wrong_name_leaves_no_mark(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with pytest.raises(StackError, match=r"no service is called lakes; there are: .*spark-master"):
        stack.up(only=["lakes"], spark_cluster=True)
    assert not stack.layout.cluster_mark.exists()
