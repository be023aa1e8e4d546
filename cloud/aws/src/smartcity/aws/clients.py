"""boto3 clients with explicit limits, and botocore's errors in words that name the remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from .errors import AwsError, CredentialsError, EndpointError, ServiceError
from .settings import Settings

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
ATTEMPTS_MAX = 3

_REFUSED = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
    "AuthFailure",
    "MissingAuthenticationTokenException",
)


def client(service: str, settings: Settings) -> Any:
    """A boto3 client. Endpoints: `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_S3` where set, AWS itself otherwise."""
    config = botocore.config.Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
    )
    with explained():
        return boto3.Session(region_name=settings.region).client(service, config=config)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn botocore's errors into ours.

    Raises:
        CredentialsError, EndpointError, ServiceError: see `errors.py`.
    """
    try:
        yield
    except AwsError:
        raise
    except (
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.PartialCredentialsError,
        botocore.exceptions.ProfileNotFound,
        botocore.exceptions.CredentialRetrievalError,
        botocore.exceptions.UnauthorizedSSOTokenError,
        botocore.exceptions.SSOTokenLoadError,
    ) as error:
        raise CredentialsError(
            f"no usable AWS credentials: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE "
            "(`aws configure`, `aws sso login`); for the local stack `smartcity up` shows the values"
        ) from None
    except botocore.exceptions.NoRegionError:
        raise CredentialsError("no AWS region is set: set AWS_REGION, for example AWS_REGION=ca-central-1") from None
    except (
        botocore.exceptions.EndpointConnectionError,
        botocore.exceptions.ConnectTimeoutError,
        botocore.exceptions.ReadTimeoutError,
        botocore.exceptions.ConnectionClosedError,
        botocore.exceptions.ProxyConnectionError,
        botocore.exceptions.SSLError,
    ) as error:
        endpoint = error.kwargs.get("endpoint_url", "of AWS")
        raise EndpointError(
            f"the endpoint {endpoint} cannot be reached ({type(error).__name__}). Is the local stack up "
            "(`smartcity status`)? For AWS itself unset AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3, and check the network"
        ) from None
    except botocore.exceptions.ClientError as error:
        raise _refusal(error) from None
    except botocore.exceptions.BotoCoreError as error:
        raise ServiceError(f"{type(error).__name__}: {error}") from None
    except ValueError as error:
        # botocore checks an endpoint's URL with a plain ValueError.
        if "endpoint" not in str(error).lower():
            raise
        raise EndpointError(f"{error}: check AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3") from None


def _refusal(error: Any) -> AwsError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    if code in _REFUSED:
        return CredentialsError(
            f"AWS does not accept the credentials ({code}: {message}). Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or log in again; is the clock right?"
        )
    if code in ("AccessDenied", "AccessDeniedException"):
        return ServiceError(f"{error.operation_name} is not allowed ({code}: {message}): the role lacks the permission")
    return ServiceError(f"{error.operation_name} failed: {code}: {message}")


def error_code(error: Any) -> str:
    """The code of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))
