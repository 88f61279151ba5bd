"""The deployment that is examined: its environment, its store, and the addresses of its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property

from ...registry.locate import connect
from ...registry.registry import Registry
from ...storage.objects import ObjectStore
from ...storage.places import read_places


class Role(StrEnum):
    """Whose credentials are examined; deploy/aws has a policy for each."""

    DAG = "dag"
    API = "api"
    READER = "reader"


@dataclass(frozen=True)
class Heard:
    """An answer of the store: its Date header, and this machine's clock when it was asked and when it had answered."""

    date: str
    asked_at: datetime
    answered_at: datetime


@dataclass(kw_only=True)
class Examined:
    """What the checks look at.

    airflow, api : addresses, "" where they are not known
    heard : set by the check that reaches the store first
    """

    environment: Mapping[str, str]
    endpoint_url: str | None
    role: Role
    channel: str
    airflow: str
    api: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    heard: Heard | None = None
    region: str = ""

    @cached_property
    def registry(self) -> Registry:
        """The registry below the root; its client gives up soon. Raises ConfigError."""
        return connect(self.environment.get("RECOMMENDER_ROOT"), self.endpoint_url, patient=False)

    @property
    def objects(self) -> ObjectStore:
        """The store at the root."""
        return self.registry.objects

    @cached_property
    def snapshots(self) -> ObjectStore:
        """The store at RECOMMENDER_SNAPSHOTS. Raises ConfigError."""
        return ObjectStore.at(self.objects.client, read_places(self.environment)[1])
