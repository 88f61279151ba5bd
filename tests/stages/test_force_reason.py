"""The stage itself holds to the bound of a forced promotion's reason: it is not only the form that is asked."""

import pytest

from include.recommender.config import GateConfig
from include.recommender.errors import ConfigError
from include.recommender.stages.judge import recall_gate


@pytest.mark.parametrize("reason", ["", "short", " " * 20, "short" + " " * 20, "x" * 501])
def test_a_reason_that_says_nothing_is_refused_before_anything_is_read(workspace, reason):
    with pytest.raises(ConfigError, match=r"force_reason=.*expected text of 10 to 500 characters"):
        recall_gate(workspace, None, 10, reason, GateConfig())
