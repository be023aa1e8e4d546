"""`smartcity up`: start the stack."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ..stack import Stack

_INVITATION = """identities: smartcity-edge list --gateway {gateway}
a device of your own, by a name of its world (smartcity-sim devices):
  smartcity-edge add-device wt-veh-001 --gateway {gateway} --out . && smartcity-sim run --identity wt-veh-001.pem
more: docs/gateway.md"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "up", help="start the stack, or what is missing of it", epilog="example: smartcity up --only mosquitto,kafka"
    )
    parser.add_argument(
        "--secure",
        action="store_true",
        help="TLS with client certificates at the gateway; a stack stays so until `down`",
    )
    parser.add_argument(
        "--spark-cluster",
        action="store_true",
        help="the lake's tasks on a Spark master with two workers (about 3 GB); a stack stays so until `down`",
    )
    parser.add_argument("--only", metavar="NAMES", help="these services, comma-separated, and what they need")


def run(flags: argparse.Namespace) -> int:
    began = time.monotonic()
    only = [name.strip() for name in flags.only.split(",") if name.strip()] if flags.only else None
    stack = Stack(flags.var)
    addresses = stack.up(
        only=only,
        secure=flags.secure,
        spark_cluster=flags.spark_cluster,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"up after {time.monotonic() - began:.1f} s; logs and data: {flags.var}")
    if addresses is not None:
        print(f"MQTT {addresses.mqtt} · Kafka {addresses.kafka} · AWS {addresses.aws_url} · S3 {addresses.s3_url}")
        print(f"live map {addresses.dashboard_url}/ · bridge {addresses.bridge_http}/metrics")
    if "spark_http" in (ports := stack.place().ports):
        pages = f"Spark master {stack.place().url('spark_http')}/"
        print(pages + (f" · the lake's jobs {stack.place().url('spark_ui')}/" if "spark_ui" in ports else ""))
    if stack.place().secure:
        print(_INVITATION.format(gateway=stack.layout.gateway))
    return 0
