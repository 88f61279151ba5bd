"""moto as a local AWS for Terraform: `python -m tests.deploy.local_aws` prints its address and serves.

moto differs from AWS in two things that Terraform sees: it wants a role where a compute environment of Batch names
none (AWS takes its service-linked role), and it puts the tags of a launch template itself among those of instances.
"""

import json

from moto.batch.models import BatchBackend
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

NAME, PATH = "AWSServiceRoleForBatch", "/aws-service-role/batch.amazonaws.com/"
_create = BatchBackend.create_compute_environment
_template = LaunchTemplateBackend.create_launch_template


class Quiet(WSGIRequestHandler):
    def log_request(self, *_, **__):
        """Say nothing."""


def create_compute_environment(self, *args, **kwargs):
    """As moto does, with the service-linked role."""
    if not kwargs.get("service_role"):
        kwargs["service_role"] = linked_role(self.iam_backend)
    return _create(self, *args, **kwargs)


def linked_role(iam):
    """The ARN of the service-linked role, which is made once."""
    found = [role.arn for role in iam.get_roles() if role.name == NAME]
    if not found:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "batch.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = iam.create_role(
            role_name=NAME,
            assume_role_policy_document=document,
            path=PATH,
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
            linked_service="batch.amazonaws.com",
        )
        found = [role.arn]
    return found[0]


def create_launch_template(self, name, description, template_data, tag_spec):
    """As moto does, with the tags of instances and volumes alone in the data."""
    rows = template_data.get("TagSpecifications", [])
    kept = [row for row in rows if row["ResourceType"] != "launch-template"]
    return _template(self, name, description, {**template_data, "TagSpecifications": kept}, tag_spec)


def main():
    """Serve on a free port of loopback."""
    BatchBackend.create_compute_environment = create_compute_environment
    LaunchTemplateBackend.create_launch_template = create_launch_template
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
