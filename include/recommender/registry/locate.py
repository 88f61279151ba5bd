"""Which registry a root is, and which version a name means."""

from __future__ import annotations

import re

from ..errors import ConfigError, NotFound
from ..storage.client import s3_client
from ..storage.objects import ObjectStore
from ..storage.uris import split_uri
from .bundle import Manifest
from .registry import Registry
from .sealed import PLAIN


def connect(root: str | None, endpoint_url: str | None = None, *, patient: bool = True) -> Registry:
    """The registry below a root URI, with the credentials that boto3 finds.

    Parameters
    ----------
    root : such as s3://bucket/prefix
    endpoint_url, patient : see `s3_client`

    Raises
    ------
    ConfigError
        There is no root, it is no URI, or the environment of boto3 is not usable.
    """
    if not root:
        raise ConfigError("No root: set RECOMMENDER_ROOT, or pass one, --root s3://bucket/prefix on the command line")
    split_uri(root)
    return Registry(ObjectStore.at(s3_client(endpoint_url, patient=patient), root))


def resolve(registry: Registry, name: str) -> str:
    """A version's id: the name itself, or what the channel of that name points to. Raises NotFound."""
    if not re.search(PLAIN, name):
        raise NotFound(f"{name!r}: no version or channel has such a name. `list` names them all.")
    if registry.manifests([name]):
        return name
    state = registry.channels.read(name)
    if state is None and registry.tombstone(name) is None:
        where = registry.objects.uri(f"models/{name}")
        raise NotFound(
            f"{where}: there is no such version, and no channel {name} that points to one. `list` names them all."
        )
    return state.model_id if state else name


def manifest_of(registry: Registry, name: str) -> Manifest:
    """The manifest of a version, by its id or by a channel; also of one that was retired.

    Raises
    ------
    NotFound
        There is no such version or channel.
    DataError
        The manifest is damaged.
    """
    model_id = resolve(registry, name)
    try:
        return registry.manifest(model_id)
    except NotFound:
        retired = registry.tombstone(model_id)
        if retired is None:
            raise
        return retired.manifest
