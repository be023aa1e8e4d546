"""AWS::S3::Bucket and its policy, at the S3 endpoint.

The endpoint may be one that does not know every setting, as versitygw. What it says it does not serve is recorded with
the stack and named in the resource's event; a bucket is made all the same, since here no setting of it does anything.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import botocore.exceptions

from smartcity.aws.buckets import create_bucket, unserved

from .kinds import Kind, Made, PropertyError, Wanted

_SETTINGS = {
    "PublicAccessBlockConfiguration": ("PublicAccessBlock", "PublicAccessBlockConfiguration", "PublicAccessBlock"),
    "OwnershipControls": ("BucketOwnershipControls", "OwnershipControls", "BucketOwnershipControls"),
    "BucketEncryption": ("BucketEncryption", "ServerSideEncryptionConfiguration", "BucketEncryption"),
    "LifecycleConfiguration": ("BucketLifecycleConfiguration", "LifecycleConfiguration", "BucketLifecycle"),
    "Tags": ("BucketTagging", "Tagging", "BucketTagging"),
}
"""Of each property: the call that puts it, its argument, and what the call is named that deletes it."""
_RULE = ("Id", "Status", "Prefix", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_UNKNOWN_KEY = "invalid condition key"
"""In versitygw's refusal of a policy."""
_RARE_KEYS = frozenset({"s3:TlsVersion"})
"""Of the condition keys in the template, those that versitygw refuses a policy for."""
_EXPIRATION = {"ExpirationInDays": "Days", "ExpirationDate": "Date", "ExpiredObjectDeleteMarker": None}


class _OfS3(Kind):
    service = "s3"
    absent = ("404", "NoSuchBucket", "NotFound", "NoSuchBucketPolicy")


class Bucket(_OfS3):
    """Its settings are put one after another; versions are suspended where they are no longer wanted."""

    name = "AWS::S3::Bucket"
    properties = frozenset({"BucketName", "VersioningConfiguration", *_SETTINGS})
    create_only = frozenset({"BucketName"})
    importable = True
    recorded = "Recorded by the local S3: it expires nothing, and everybody on this machine may read it"

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties.get("BucketName") or wanted.name.lower())

    def exists(self, physical_id: str) -> bool:
        return self.is_there("HeadBucket", {"Bucket": physical_id})

    def create(self, wanted: Wanted) -> Made:
        name = self.identity(wanted)
        create_bucket(self.client, name)
        return self.update(name, wanted, {})

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        calls: dict[str, dict[str, Any]] = {}
        for name, (call, argument, deletes) in _SETTINGS.items():
            if name in wanted.properties:
                calls[f"Put{call}"] = {argument: _translated(name, wanted.properties[name])}
            elif name in before:
                calls[f"Delete{deletes}"] = {}
        if "VersioningConfiguration" in wanted.properties or "VersioningConfiguration" in before:
            configuration = wanted.properties.get("VersioningConfiguration", {"Status": "Suspended"})
            calls["PutBucketVersioning"] = {"VersioningConfiguration": configuration}
        missing = [call for call, given in calls.items() if unserved(partial(self._set, call, physical_id, given))]
        return dataclasses.replace(self.found(physical_id), unserved=_unserved(missing))

    def _set(self, operation: str, name: str, given: Mapping[str, Any]) -> None:
        make = self.remove if operation.startswith("Delete") else self.call
        make(operation, {"Bucket": name, **given})

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteBucket", {"Bucket": physical_id})

    def found(self, physical_id: str) -> Made:
        region = self.client.meta.region_name
        return Made(
            physical_id=physical_id,
            attributes={
                "Arn": f"arn:aws:s3:::{physical_id}",
                "DomainName": f"{physical_id}.s3.amazonaws.com",
                "DualStackDomainName": f"{physical_id}.s3.dualstack.{region}.amazonaws.com",
                "RegionalDomainName": f"{physical_id}.s3.{region}.amazonaws.com",
            },
        )


class BucketPolicy(_OfS3):
    """It belongs to its bucket: there is one of its name where the bucket has any."""

    name = "AWS::S3::BucketPolicy"
    required = frozenset({"Bucket", "PolicyDocument"})
    properties = frozenset({"Bucket", "PolicyDocument"})
    create_only = frozenset({"Bucket"})
    recorded = "Recorded by the local S3: it refuses nothing"

    def identity(self, wanted: Wanted) -> str:
        return str(wanted.properties["Bucket"])

    def exists(self, physical_id: str) -> bool:
        return self.is_there("GetBucketPolicy", {"Bucket": physical_id})

    def create(self, wanted: Wanted) -> Made:
        return self.update(self.identity(wanted), wanted, {})

    def update(self, physical_id: str, wanted: Wanted, before: Mapping[str, Any]) -> Made:
        document = wanted.properties["PolicyDocument"]
        try:
            self._put(physical_id, document)
        except botocore.exceptions.ClientError as error:
            kept, left_out = _without_unknown_keys(document)
            if _UNKNOWN_KEY not in str(error) or not kept["Statement"]:
                raise
            self._put(physical_id, kept)
            return Made(physical_id=physical_id, unserved=_unserved(left_out))
        return Made(physical_id=physical_id)

    def _put(self, bucket: str, document: Mapping[str, Any]) -> None:
        self.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def delete(self, physical_id: str, properties: Mapping[str, Any]) -> None:
        self.remove("DeleteBucketPolicy", {"Bucket": physical_id})


def _unserved(names: list[str]) -> str:
    return f"this S3 endpoint does not serve {', '.join(names)}" if names else ""


def _without_unknown_keys(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The policy without the statements whose conditions ask for more than versitygw knows, and those keys."""
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    asked = [{key for each in one.get("Condition", {}).values() for key in each} for one in statements]
    kept = [one for one, keys in zip(statements, asked, strict=True) if not keys & _RARE_KEYS]
    return {**document, "Statement": kept}, sorted(set().union(*asked) & _RARE_KEYS)


def _translated(name: str, value: Any) -> Any:
    """A property as S3's call takes it."""
    if name == "Tags":
        return {"TagSet": value}
    if name == "OwnershipControls":
        return {"Rules": value.get("Rules", [])}
    if name == "BucketEncryption":
        rules = value.get("ServerSideEncryptionConfiguration", [])
        by_default = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
        return {"Rules": [{by_default.get(key, key): each for key, each in rule.items()} for rule in rules]}
    if name == "LifecycleConfiguration":
        return {"Rules": [_rule(each) for each in value.get("Rules", [])]}
    return value


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    """A lifecycle rule: CloudFormation has flat what S3 has under Expiration and Filter."""
    for key in given:
        if key not in _RULE and key not in _EXPIRATION:
            raise PropertyError(f"LifecycleConfiguration: {key} is not served by the local AWS endpoint")
    kept = {"ID" if key == "Id" else key: given[key] for key in _RULE if key in given and key != "Prefix"}
    expiration = {new or old: given[old] for old, new in _EXPIRATION.items() if old in given}
    return {
        **kept,
        "Filter": {"Prefix": given.get("Prefix", "")},
        **({"Expiration": expiration} if expiration else {}),
    }
