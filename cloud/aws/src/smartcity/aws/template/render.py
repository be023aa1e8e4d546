"""Fills in the parts of `smartcity.yaml` that follow the contract, the saved queries and the dashboard, and writes
`dashboard.yaml`; or checks that they are so.

A part stands between `# rendered: <name>` and `# end of rendered`; the rest of `smartcity.yaml` is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from smartcity.contracts.marts import MARTS, PARTITION_COLUMN, Mart
from smartcity.contracts.render.glue import glue_columns
from smartcity.contracts.topics import KAFKA_TOPICS

from ..dashboard.city import DASHBOARD
from ..dashboard.definition import Dashboard
from ..dashboard.quicksight import resources, streams_read, tables_read
from ..marts import PARQUET
from .console import console_names, console_query, description
from .emit import yaml_lines
from .text import DASHBOARD_FILE, TEMPLATE_FILE

_PART = re.compile(r"^( *)# rendered: (.+)\n(?:.*\n)*?\1# end of rendered$", re.MULTILINE)
_DASHBOARD_HEADER = """\
  # ---- QuickSight's data sets and dashboard, rendered from smartcity.aws.dashboard by
  # `python -m smartcity.aws.template.render --write`; edits are overwritten.
"""
_STREAM = "warehouse/${Database}.db/"
"""Where the lake's job puts the tables of the streams: under the Glue database's location."""
_ARN = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}"


def rendered(text: str, marts: Sequence[Mart] = MARTS, dashboard: Dashboard = DASHBOARD) -> str:
    """The template with its parts as the contract, the saved queries and the dashboard have them now."""
    parts: dict[str, Callable[[], list[str]]] = {
        "mart tables": lambda: [line for mart in marts for line in _table(mart)],
        "crawler targets": lambda: [
            f"- {{DatabaseName: !Ref Database, Tables: [!Ref {table_id(mart)}]}}" for mart in marts
        ],
        "mart table arns": lambda: [f"- !Sub {_ARN}:table/${{Database}}/{mart.name}" for mart in marts],
        "saved queries": lambda: [line for name in console_names() for line in _query(name)],
        "dashboard table arns": lambda: [
            f"- !Sub {_ARN}:table/${{Database}}/{name}" for name in tables_read(dashboard)
        ],
        "dashboard objects": lambda: [
            f"- !Sub ${{LakeBucket.Arn}}/{_STREAM}{name}/*" for name in streams_read(dashboard)
        ],
        "dashboard prefixes": lambda: [f"- !Sub {_STREAM}{name}/*" for name in streams_read(dashboard)],
        "kafka topics": lambda: [_topic_arn(topic.name) for topic in KAFKA_TOPICS],
    }

    def part(found: re.Match[str]) -> str:
        indent, name = found[1], found[2]
        lines = [f"# rendered: {name}", *parts[name](), "# end of rendered"]
        return "\n".join(indent + line if line else "" for line in lines)

    return _PART.sub(part, text)


def rendered_dashboard(dashboard: Dashboard = DASHBOARD) -> str:
    """`dashboard.yaml`: resources, indented as the template's are."""
    blocks = ["\n".join(yaml_lines({name: each}, 2)) for name, each in resources(dashboard).items()]
    return _DASHBOARD_HEADER + "\n\n".join(blocks) + "\n"


def table_id(mart: Mart) -> str:
    """Logical id of a mart's table."""
    return f"{_camel(mart.name)}Table"


def query_id(name: str) -> str:
    """Logical id of a saved query."""
    return f"{_camel(name)}Query"


def _table(mart: Mart) -> list[str]:
    columns = [
        f"- {{Name: {each['Name']}, Type: {each['Type']}, Comment: {json.dumps(each['Comment'], ensure_ascii=False)}}}"
        for each in glue_columns(mart.columns)
    ]
    return [
        f"{table_id(mart)}:",
        "  Type: AWS::Glue::Table",
        "  Properties:",
        "    CatalogId: !Ref AWS::AccountId",
        "    DatabaseName: !Ref Database",
        "    TableInput:",
        f"      Name: {mart.name}",
        "      TableType: EXTERNAL_TABLE",
        '      Parameters: {classification: parquet, EXTERNAL: "TRUE"}',
        f"      PartitionKeys: [{{Name: {PARTITION_COLUMN}, Type: string}}]",
        "      StorageDescriptor:",
        f"        Location: !Sub s3://${{LakeBucket}}/{mart.prefix}",
        f"        InputFormat: {PARQUET['InputFormat']}",
        f"        OutputFormat: {PARQUET['OutputFormat']}",
        f"        SerdeInfo: {{SerializationLibrary: {PARQUET['SerdeInfo']['SerializationLibrary']}}}",
        "        Columns:",
        *(f"          {column}" for column in columns),
        "",
    ]


def _query(name: str) -> list[str]:
    return [
        f"{query_id(name)}:",
        "  Type: AWS::Athena::NamedQuery",
        "  Properties:",
        f"    Name: {name}",
        f"    Description: {json.dumps(description(name), ensure_ascii=False)}",
        "    Database: !Ref Database",
        "    WorkGroup: !Ref Workgroup",
        "    QueryString: |",
        *(f"      {line}" if line else "" for line in console_query(name).splitlines()),
        "",
    ]


def _topic_arn(name: str) -> str:
    return f'- !Join ["", [!Join [":topic/", !Split [":cluster/", !Ref MskClusterArn]], /{name}]]'


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when the template is as rendered, 1 where `--check` found a difference."""
    options = _parser().parse_args(arguments)
    path: Path = options.file
    current = {
        path: rendered(path.read_text(encoding="utf-8")),
        path.with_name(DASHBOARD_FILE): rendered_dashboard(),
    }
    if options.write:
        for file, text in current.items():
            file.write_text(text, encoding="utf-8")
        return 0
    stale = [file.name for file, text in current.items() if not file.exists() or file.read_text("utf-8") != text]
    for name in stale:
        print(
            f"{name}: differs from the contract, the saved queries or the dashboard; run "
            "`python -m smartcity.aws.template.render --write` and commit what changed",
            file=sys.stderr,
        )
    return 1 if stale else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smartcity.aws.template.render",
        description="Render marts, saved queries, Kafka topics and the dashboard into the CloudFormation template.",
        epilog="example: python -m smartcity.aws.template.render --check",
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="change nothing; exit 1 where the file differs")
    mode.add_argument("--write", action="store_true", help="write the file")
    parser.add_argument("--file", type=Path, default=Path(__file__).with_name(TEMPLATE_FILE), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
