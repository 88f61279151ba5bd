"""Settings of a deployment, each a variable of the environment of all parts of Airflow, and what they may hold."""

from __future__ import annotations

from .kinds import Kind, Number, Text

HOURS = Number(0, 24 * 31)
SWITCH = Text(most=1, pattern="[01]", description="1 (on) or 0 (off)")
TOPIC = Text(
    most=512,
    pattern=r"arn:aws[a-z0-9_-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+",
    description="the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:recommender",
)
_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
AWS_BATCH = Text(
    most=280,
    pattern=rf"{_NAME}(/{_NAME}(:[1-9][0-9]{{0,5}})?)?",
    description="the name of a job queue of AWS Batch that is also that of the job definition, or queue/definition, or "
    "queue/definition:revision",
)
# Those that a kind describes; the others have readers of their own.
KINDS: dict[str, Kind] = {
    "RECOMMENDER_WAIT_HOURS": HOURS,
    "RECOMMENDER_APPROVAL": SWITCH,
    "RECOMMENDER_APPROVAL_HOURS": HOURS,
    "RECOMMENDER_SNS_TOPIC_ARN": TOPIC,
    "RECOMMENDER_AWS_BATCH": AWS_BATCH,
}
NAMES = (
    *("RECOMMENDER_ROOT", "RECOMMENDER_SNAPSHOTS", "RECOMMENDER_CACHE", "RECOMMENDER_AWS_CONN_ID"),
    *("RECOMMENDER_SCHEDULE", "RECOMMENDER_SCHEDULE_TIMEZONE", "RECOMMENDER_TRAINING_POOL", "RECOMMENDER_NOTIFIERS"),
    *KINDS,
)
