"""The policies of deploy/aws/policies, filled in, and the part of IAM's rules that they use."""

import fnmatch
import json
from dataclasses import dataclass

from deploy.policies import FOLDER as ALL
from deploy.policies import fill

FOLDER = ALL / "policies"
# What stands between ${ and } in a file, for a root s3://reviews/shop.
FILLED = {
    "account": "123456789012",
    "bucket": "reviews",
    "kms_key": "arn:aws:kms:us-east-1:123456789012:key/0123",
    "name": "recommender",
    "prefix": "shop/",
    "region": "us-east-1",
}


def text(name, **values):
    """A policy's file with its placeholders replaced."""
    return fill((FOLDER / f"{name}.json").read_text(), {**FILLED, **values})


def statements(name, **values):
    """The statements of a policy."""
    return json.loads(text(name, **values))["Statement"]


@dataclass(frozen=True)
class Right:
    """An action on a resource; prefix : of a listing"""

    action: str
    resource: str
    prefix: str | None = None
    namespace: str | None = None


def listed(value):
    return value if isinstance(value, list) else [value]


def allows(statement, right):
    """Whether a statement grants a right. A condition that is not known here is an error."""
    return (
        statement["Effect"] == "Allow"
        and any(fnmatch.fnmatchcase(right.action, action) for action in listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(right.resource, pattern) for pattern in listed(statement["Resource"]))
        and all(_meets(kind, wanted, right) for kind, wanted in statement.get("Condition", {}).items())
    )


def _meets(kind, wanted, right):
    ((key, values),) = wanted.items()
    found = {"s3:prefix": right.prefix, "cloudwatch:namespace": right.namespace}[key]
    match = {"StringLike": fnmatch.fnmatchcase, "StringEquals": str.__eq__}[kind.removesuffix("IfExists")]
    if found is None:
        return kind.endswith("IfExists")
    return any(match(found, value) for value in listed(values))


def granted(policy, right):
    """Whether a policy grants a right."""
    return any(allows(statement, right) for statement in policy)


def grants(policy):
    """Every (action, resource) pattern that a policy grants, apart: (sid, action, resource, prefix pattern)."""
    for statement in policy:
        conditions = statement.get("Condition", {}).values()
        prefixes = next((each["s3:prefix"] for each in conditions if "s3:prefix" in each), [None])
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                for prefix in listed(prefixes):
                    yield statement["Sid"], action, resource, prefix


def used(grant, rights):
    """Whether one of the rights that were needed is of this pattern.

    Where objects are read, the right to list is used too: without it S3 answers 403 for an object that does not exist.
    """
    _, action, resource, prefix = grant
    return any(_is_of(right, action, resource, prefix) for right in rights) or (
        action == "s3:ListBucket"
        and any(_is_of(right, "s3:GetObject", f"{resource}/{prefix}", None) for right in rights)
    )


def _is_of(right, action, resource, prefix):
    return (
        right.action == action
        and fnmatch.fnmatchcase(right.resource, resource)
        and (prefix is None or (right.prefix is not None and fnmatch.fnmatchcase(right.prefix, prefix)))
    )
