"""What can go wrong at AWS. Every message names the thing, the value, and the remedy.

AwsError
├── CredentialsError       none found, refused, or expired
├── EndpointError          an endpoint cannot be reached                                (transient)
├── ServiceError           AWS refused a call for another reason: its code and message
├── ConflictError          something of that name is there and is not ours, or differs
├── CrawlError             the crawler is missing, or its crawl failed or takes too long
├── WarehouseError         Redshift's workgroup is missing, or a transaction failed, with its reason
│   └── MigrationError     a numbered step has changed since it was run, or is not known
├── DashboardError         the stack has no dashboard, or QuickSight does not show it
├── StackError
│   ├── ParameterError     a parameter that the template does not have, or without NAME=VALUE
│   ├── StackStateError    the stack is in a state from which this cannot be done, or is not there
│   ├── NotConfirmedError  nobody said yes
│   └── DeploymentError    CloudFormation could not do it; its reason, and what was rolled back
└── QueryError
    ├── WorkgroupError     the Athena workgroup is missing
    ├── QueryFailedError   the query ended FAILED or CANCELLED, with Athena's reason
    ├── QueryTimeoutError  it did not end in time, and was stopped
    └── DifferentAnswersError  one question has two answers
"""

from __future__ import annotations


class AwsError(Exception):
    """Root of this component's errors."""


class CredentialsError(AwsError):
    """No credentials, or AWS does not accept them."""


class EndpointError(AwsError):
    """An endpoint cannot be reached."""


class ServiceError(AwsError):
    """AWS refused a call."""


class ConflictError(AwsError):
    """What should be created exists otherwise."""


class CrawlError(AwsError):
    """A crawl that did not succeed."""


class WarehouseError(AwsError):
    """Redshift did not do it; a transaction that failed has changed nothing."""


class MigrationError(WarehouseError):
    """The steps here and those that were run do not agree."""


class DashboardError(AwsError):
    """There is no dashboard to show."""


class StackError(AwsError):
    """Nothing was done with the stack, or it failed."""


class ParameterError(StackError):
    """A parameter that the template does not take."""


class StackStateError(StackError):
    """The stack's state does not allow it."""


class NotConfirmedError(StackError):
    """Nobody said yes; nothing was changed."""


class DeploymentError(StackError):
    """CloudFormation failed; the message is its reason."""


class QueryError(AwsError):
    """A query gave no answer."""


class WorkgroupError(QueryError):
    """The Athena workgroup is missing."""


class QueryFailedError(QueryError):
    """Athena ended the query; the message is its reason."""


class QueryTimeoutError(QueryError):
    """The query was stopped because it took too long."""


class DifferentAnswersError(QueryError):
    """Answers that should be equal are not; the message is the first difference."""
