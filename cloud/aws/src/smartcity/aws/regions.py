"""Whether a region has the services that the stack needs, by the list that botocore carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
import botocore.exceptions

from .errors import ServiceError

_ALWAYS = {"cloudformation": None, "s3": None, "glue": None, "athena": None}
_OPTIONAL = {
    "redshift-serverless": "CreateRedshift=false",
    "emr-serverless": "CreateSparkApplication=false",
    "quicksight": "DashboardPrincipalArn=",
}
"""Services, and the parameter that leaves them out."""


def check_region(cloudformation: Any, values: Mapping[str, str]) -> None:
    """Only AWS itself is asked about: another endpoint says for itself what it lacks.

    Raises:
        ServiceError: the region lacks a service, or is none of AWS.
    """
    region = cloudformation.meta.region_name
    if ".amazonaws." not in cloudformation.meta.endpoint_url:
        return
    session = boto3.Session()
    try:
        partition = session.get_partition_for_region(region)
    except botocore.exceptions.UnknownRegionError:
        raise ServiceError(f"AWS has no region {region}: check --region and AWS_REGION") from None
    wanted = {**_ALWAYS, **{name: each for name, each in _OPTIONAL.items() if _asked_for(each, values)}}
    for service, parameter in wanted.items():
        known = session.get_available_regions(service, partition_name=partition)
        if region not in known:
            without = f", or leave it out with --parameter {parameter}" if parameter else ""
            raise ServiceError(
                f"there is no {service} in the region {region}, as far as the installed botocore knows: choose another "
                f"with --region ({', '.join(sorted(known)[:4])} …){without}"
            )


def _asked_for(without: str, values: Mapping[str, str]) -> bool:
    parameter, _, none = without.partition("=")
    return values.get(parameter, none) != none
