"""What code asks of AWS, as the rights that IAM would want: every call of boto3 in this process is noted, and made."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.client import BaseClient

from .policies import Right

OF_KEY = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}


def rights_of(operation, params) -> set[Right]:
    """The rights that a call needs. An operation that is not known here is an error."""
    bucket = f"arn:aws:s3:::{params.get('Bucket')}"
    if operation == "ListObjectsV2":
        return {Right("s3:ListBucket", bucket, params.get("Prefix", ""))}
    if operation == "DeleteObjects":
        return {Right("s3:DeleteObject", f"{bucket}/{row['Key']}") for row in params["Delete"]["Objects"]}
    if operation in OF_KEY:
        return {Right(OF_KEY[operation], f"{bucket}/{params['Key']}")}
    if operation in {"GetParameter", "PutParameter"}:
        return {Right(f"ssm:{operation}", f"arn:aws:ssm:us-east-1:123456789012:parameter{params['Name']}")}
    if operation == "PutMetricData":
        return {Right("cloudwatch:PutMetricData", "*", namespace=params["Namespace"])}
    raise AssertionError(f"{operation}: say in tests/deploy/calls.py which right it needs")


class Recorder:
    """right : an operation that needed it; calls : the operations; model_writes : what made objects below models/."""

    def __init__(self) -> None:
        self.rights: dict[Right, str] = {}
        self.calls: set[str] = set()
        self.model_writes: list[tuple[str, dict]] = []

    def note(self, operation, params) -> None:
        """A call with the parameters that are sent."""
        self.calls.add(operation)
        for right in rights_of(operation, params):
            self.rights.setdefault(right, operation)
        if operation in {"PutObject", "CompleteMultipartUpload"} and "/models/" in params["Key"]:
            self.model_writes.append((operation, params))


@contextmanager
def recorded(monkeypatch) -> Iterator[Recorder]:
    """Note what is called meanwhile, as it is after the handlers of a client have changed it."""
    recorder, emit = Recorder(), BaseClient._emit_api_params

    def noted(self, api_params, operation_model, *args, **kwargs):
        sent = emit(self, api_params, operation_model, *args, **kwargs)
        recorder.note(operation_model.name, sent)
        return sent

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_emit_api_params", noted)
        yield recorder
