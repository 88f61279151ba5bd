"""Settings of the online API: each is the variable RECOMMENDER_API_<NAME> of its environment."""

from __future__ import annotations

from dataclasses import dataclass

from .definition import Section, parameter
from .kinds import Flag, Number, Text, Whole
from .of_run import CHANNEL, MAIN_CHANNEL


@dataclass(frozen=True, kw_only=True)
class ApiConfig(Section, key="api", heading="Online API"):
    """Settings of the online API."""

    channel: str = parameter(MAIN_CHANNEL, CHANNEL, "Channel that is served. Set it to serve a channel of your own.")
    second_channel: str | None = parameter(
        None, CHANNEL, "Channel that a share of the users gets. Set it to try a candidate on live users."
    )
    second_share: float = parameter(
        0.0, Number(0, 1), "Share of the users who get `second_channel`, by a hash of their id. Set it with that."
    )
    experiment: str = parameter(
        "1",
        Text(most=64, least=1, pattern="[A-Za-z0-9._-]+", description="letters, digits, dots, hyphens, underscores"),
        "Name that the hash begins with. Change it to draw the users anew for the next experiment.",
    )
    keys_file: str | None = parameter(
        None,
        Text(most=4_096, least=1),
        "File of the API keys, made by `python -m include.recommender.api.keys`. Required, unless `open` is set.",
    )
    open: bool = parameter(
        False, Flag(), "1 answers everybody, without keys. Set it only where another part of your system checks."
    )
    poll_s: float = parameter(
        2.0, Number(0.1, 3_600), "Seconds between two looks at the channel. Raise it to send S3 fewer requests."
    )
    queue: int = parameter(
        256,
        Whole(1, 100_000),
        "Requests that may wait to be computed; more are refused with 503. Lower it if answers come too late.",
    )
    timeout_s: float = parameter(
        2.0, Number(0.05, 600), "Seconds until a request that waits is given up with 503. Set it to what callers wait."
    )
    cache: int = parameter(
        10_000, Whole(0, 10_000_000), "Short lists of a version that are kept in memory and given again; 0 keeps none."
    )
    body_bytes: int = parameter(
        1_000_000, Whole(1_000, 100_000_000), "Largest body of a request. Raise it for bulks of long histories."
    )
    log_lists: bool = parameter(
        True, Flag(), "0 leaves user ids and lists out of the access log. Set it where a law asks for that."
    )
    workers: int = parameter(
        1, Whole(1, 256), "Processes that answer. Set it to the number of cores; the model's arrays are shared."
    )
