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
READ_TIMEOUTS_S = {"cloudformation": 10, "sts": 10}
"""Of services that answer at once, so that an account that cannot be reached is not waited for."""
ATTEMPTS_MAX = 3

_REFUSED = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "InvalidToken",
    "RequestExpired",
    "AuthFailure",
    "MissingAuthenticationTokenException",
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException")
_DENIED = ("AccessDenied", "AccessDeniedException")


def client(service: str, settings: Settings) -> Any:
    """A boto3 client. Endpoints: `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_S3` where set, AWS itself otherwise."""
    config = botocore.config.Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUTS_S.get(service, READ_TIMEOUT_S),
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
        botocore.exceptions.TokenRetrievalError,
        botocore.exceptions.ConfigParseError,
        botocore.exceptions.InvalidConfigError,
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
        raise _unreachable(error) from None
    except botocore.exceptions.ClientError as error:
        raise _refusal(error) from None
    except botocore.exceptions.BotoCoreError as error:
        raise ServiceError(f"{type(error).__name__}: {error}") from None
    except ValueError as error:
        # botocore checks an endpoint's URL with a plain ValueError.
        if "endpoint" not in str(error).lower():
            raise
        raise EndpointError(f"{error}: check AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3") from None


def _unreachable(error: Any) -> EndpointError:
    kind = type(error).__name__
    if "proxy_url" in error.kwargs:
        proxy = error.kwargs["proxy_url"]
        return EndpointError(
            f"the proxy {proxy} cannot be reached ({kind}): check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        )
    endpoint = str(error.kwargs.get("endpoint_url", "of AWS"))
    remedy = "Check the network (name resolution, firewall, HTTPS_PROXY) and the region's name"
    if ".amazonaws." not in endpoint:
        remedy = (
            "Is the local stack up (`smartcity status`)? For AWS itself unset AWS_ENDPOINT_URL and "
            "AWS_ENDPOINT_URL_S3, and check the network"
        )
    return EndpointError(f"the endpoint {endpoint} cannot be reached ({kind}). {remedy}")


def _refusal(error: Any) -> AwsError:
    code, message = error_code(error), error_message(error)
    if code in _EXPIRED:
        return CredentialsError(
            f"the credentials have expired ({code}: {message}). Get new ones, or log in again (`aws sso login`)"
        )
    if code in _REFUSED:
        return CredentialsError(
            f"AWS does not accept the credentials ({code}: {message}). Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or log in again. Is the clock right, and the region enabled "
            "in the account?"
        )
    if code in _DENIED:
        return ServiceError(f"{error.operation_name} is not allowed ({code}: {message}): the role lacks the permission")
    return ServiceError(f"{error.operation_name} failed: {code}: {message}")


def error_code(error: Any) -> str:
    """The code of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: Any) -> str:
    """What a botocore ClientError says."""
    return str(error.response.get("Error", {}).get("Message", ""))
