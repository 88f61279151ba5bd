"""The online API, as its callers and its load balancer see it."""

from __future__ import annotations

import secrets

import msgspec

from ...errors import NotFound, RecommenderError, TransientError
from .asking import LoginRefused, ServerAddress
from .contents import live
from .examined import Examined
from .findings import DoctorCheck, DoctorFinding, failed, fine, unchecked, warning

GIVE = "give its address: doctor --api http://localhost:8090"
KEY, OPEN = "API_KEY", "RECOMMENDER_API_OPEN"
HINT = (
    "Make one: python -m include.recommender.api.keys (docs/api.md, Keys). In the containers API_KEY of .env is one.\n"
    "Give it to doctor as the variable API_KEY, not as an option: options can be read by every user of the machine."
)


class Alive(msgspec.Struct):
    """Of /healthz."""

    status: str


class Served(msgspec.Struct):
    """One channel of /readyz."""

    channel: str
    model_id: str | None
    following: bool


class Ready(msgspec.Struct):
    """Of /readyz."""

    channels: list[Served]


class Models(msgspec.Struct):
    """Of /v1/model."""

    channels: list[msgspec.Raw]


def alive(about: Examined) -> DoctorFinding:
    """Whether the process answers."""
    if not about.api:
        return unchecked("no address of the online API", GIVE)
    try:
        found = ServerAddress(about.api).get("/healthz", Alive)
    except RecommenderError as error:
        fix = f"Start it: docker compose up --detach api (laptop: make serve). Or {GIVE}"
        return failed(str(error), "the online API, that answers within 5 s", fix)
    return fine(f"{about.api}: {found.status}")


def version(about: Examined) -> DoctorFinding:
    """Whether the API answers from the version that the channel points to."""
    restart = "Look into its log for `problem`; then restart it: docker compose restart api"
    try:
        channels = {row.channel: row for row in ServerAddress(about.api).get("/readyz", Ready).channels}
    except TransientError as error:
        return failed(str(error), "200: a version is loaded", f"Promote a version, if there is none. {restart}")
    state, served = live(about), channels.get(about.channel)
    if served is None:
        return failed(
            f"{about.api} serves {', '.join(channels)}",
            f"the channel {about.channel}",
            f"Set RECOMMENDER_API_CHANNEL={about.channel} there, or pass --channel {next(iter(channels), 'NAME')}",
        )
    expected = f"{state.model_id if state else 'no version'}, to which {about.objects.uri('channels/')} points"
    if state is None or served.model_id != state.model_id:
        return failed(
            f"{about.api} answers from {served.model_id} for {about.channel}",
            expected,
            f"It follows a move within seconds; RECOMMENDER_ROOT there has to be this one. {restart}",
        )
    if not served.following:
        return failed(f"{about.api} no longer follows {about.channel}", "following: true", restart)
    return fine(f"{about.channel} -> {served.model_id}")


def key(about: Examined) -> DoctorFinding:
    """Whether a key is asked for, a made-up one is refused, and the given one is known."""
    given = about.environment.get(KEY, "")
    try:
        for bearer, named in (("", "without a key"), (secrets.token_urlsafe(), "with a made-up key")):
            if _answers(about, bearer):
                return _open(about, named)
        if given and not _answers(about, given):
            return failed(f"{about.api} does not know the key in {KEY}", "a known key", HINT)
    except NotFound:
        return failed(f"{about.api}/v1/model: 404", "the online API of this release", "Correct --api.")
    if given:
        return fine(f"the key in {KEY} is known; no key and a made-up one are refused")
    return fine(f"asked for; none is given to doctor in {KEY}, so that no list was asked for")


def _answers(about: Examined, bearer: str) -> bool:
    """Whether a request with this key, "" for none, is answered."""
    try:
        ServerAddress(about.api, {"Authorization": f"Bearer {bearer}"} if bearer else {}).get("/v1/model", Models)
    except LoginRefused:
        return False
    return True


def _open(about: Examined, named: str) -> DoctorFinding:
    """A server that answers everybody: a failure, unless this environment says that it should."""
    seen = f"{about.api} answers everybody, also {named}"
    if about.environment.get(OPEN, "") == "1":
        return warning(seen, f"a part before it that checks, as {OPEN}=1 is set here", HINT)
    fix = f"Unset {OPEN} there, and give it keys. If it should be open, set {OPEN}=1 for doctor too.\n{HINT}"
    return failed(seen, "an answer to known keys only", fix)


CHECKS = (
    DoctorCheck("online API", "API alive", alive),
    DoctorCheck("online API", "API version", version, ("API alive", "channels/")),
    DoctorCheck("online API", "API key", key, ("API alive",)),
)
