"""Every parameter of the DAGs and of the command lines, defined once: type, default, bounds, text, section.

The trigger form, the checks, the options of command lines and docs/parameters.md come from these definitions.
"""

from .catalogue import BATCH, REGISTRY, RETRAIN, RUN, TUNE, Parameters, problems, unknown
from .definition import Parameter, Section, parameters_of
from .of_run import MAIN_CHANNEL, RunConfig
from .shown import SHOWN_CHARS, shown_value

__all__ = [
    "BATCH",
    "MAIN_CHANNEL",
    "REGISTRY",
    "RETRAIN",
    "RUN",
    "SHOWN_CHARS",
    "TUNE",
    "Parameter",
    "Parameters",
    "RunConfig",
    "Section",
    "parameters_of",
    "problems",
    "shown_value",
    "unknown",
]
