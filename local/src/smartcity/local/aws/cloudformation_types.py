"""The resource types that the local CloudFormation serves."""

from __future__ import annotations

from .cloudformation_athena import NamedQuery, WorkGroup
from .cloudformation_emr import Application
from .cloudformation_glue import Crawler, Database, Table
from .cloudformation_iam import Policy, Role
from .cloudformation_kinds import Clients, Kind
from .cloudformation_quicksight import Analysis, Dashboard, DataSet, DataSource, Theme
from .cloudformation_redshift import Namespace, Workgroup
from .cloudformation_s3 import Bucket, BucketPolicy

KINDS: tuple[type[Kind], ...] = (
    Analysis, Application, Bucket, BucketPolicy, Crawler, Dashboard, DataSet, DataSource, Database, NamedQuery,
    Namespace, Policy, Role, Table, Theme, WorkGroup, Workgroup,
)  # fmt: skip


def kinds(clients: Clients) -> dict[str, Kind]:
    """Each type by its name."""
    return {each.name: each(clients) for each in KINDS}
