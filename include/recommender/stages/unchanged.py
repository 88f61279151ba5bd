"""Detect a run that would only make the model again that its channel points to."""

from __future__ import annotations

from datetime import datetime

from ..config import RetrainConfig
from ..registry.provenance import code_version, library_versions
from ..storage.artifacts import Artifact
from .workspace import Workspace


def unchanged(
    workspace: Workspace, downloaded: Artifact, as_of: datetime, channel: str, config: RetrainConfig
) -> str | None:
    """The id of the channel's model, if it was made from the same known reviews, configuration, code and libraries."""
    state = workspace.registry.channels.read(channel)
    if state is None:
        return None
    manifest = workspace.registry.manifest(state.model_id)
    made_from = (manifest.reviews, manifest.config, manifest.code_version, manifest.libraries)
    if made_from != (downloaded.digest, config.as_dict(), code_version(), library_versions()):
        return None
    # With the same reviews, an as_of after the newest of them changes nothing.
    end_s = manifest.last_s + 1
    ours, theirs = (min(when.timestamp(), end_s) for when in (as_of, manifest.as_of))
    return state.model_id if ours == theirs else None
