"""The resource types that the local CloudFormation serves."""

from __future__ import annotations

from .athena import NamedQuery, WorkGroup
from .emr import Application
from .glue import Crawler, Database, Table
from .iam import Policy, Role
from .kinds import Clients, Kind
from .quicksight import Analysis, Dashboard, DataSet, DataSource, Theme
from .redshift import Namespace, Workgroup
from .s3 import Bucket, BucketPolicy

KINDS: tuple[type[Kind], ...] = (
    Analysis, Application, Bucket, BucketPolicy, Crawler, Dashboard, DataSet, DataSource, Database, NamedQuery,
    Namespace, Policy, Role, Table, Theme, WorkGroup, Workgroup,
)  # fmt: skip


def kinds(clients: Clients) -> dict[str, Kind]:
    """Each type by its name."""
    return {each.name: each(clients) for each in KINDS}
