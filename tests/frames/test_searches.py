"""The trials of a search."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from include.recommender.errors import DataError, NotFound
from include.recommender.frames import trials
from include.recommender.frames.dtypes import NUMBER, TEXT
from include.recommender.frames.search_trials import TRIALS
from include.recommender.runs.journal import folder_id, run_name
from include.recommender.storage.documents import to_json
from include.recommender.tuning.tuned import write_tuned

from ..documents import evidence
from ..tuning.test_report import WHOLE
from .shapes import promised, shape

COLUMNS = {**TRIALS, "split_1": NUMBER, "split_2": NUMBER, "alpha": NUMBER, "prior_half_life_days": NUMBER}
RUN = "manual 1"  # not plain, so that its folder has another name


@pytest.fixture
def registry(workspace):
    return workspace.registry


def search(registry, results=WHOLE.results, **changes):
    """A tuned configuration and the report of its search; return the id."""
    found = replace(evidence(run=RUN), plan=WHOLE.plan)
    name = write_tuned(registry.objects, datetime(2018, 9, 1, tzinfo=UTC), {"alpha": 15.0}, found, better=True)
    key = f"reports/{run_name(folder_id('recommender_tune', RUN))}/tuning.json"
    registry.objects.write(key, to_json(replace(WHOLE, results=results, **{"tuned": name, **changes})))
    return name


@pytest.mark.parametrize("n", [0, 1, 6])
def test_columns_are_the_same_for_any_number_of_trials(registry, n):
    found = trials(registry, search(registry, WHOLE.results[:n]))
    assert shape(found) == promised(COLUMNS)
    assert found["number"].tolist() == list(range(n))


def test_a_trial_has_its_values_its_cuts_and_whether_it_was_chosen(registry):
    stopped = replace(WHOLE.results[1], recalls=[0.3], pruned=True)
    found = trials(registry, search(registry, [WHOLE.results[0], stopped, WHOLE.results[5]])).set_index("number")
    assert found["alpha"].tolist() == [10.0, 11.0, 15.0]
    assert found["chosen"].tolist() == [False, False, True]
    assert found["pruned"].tolist() == [False, True, False]
    assert found.loc[1, "split_1"] == 0.3
    assert found["split_2"].isna().tolist() == [False, True, False]


def test_a_parameter_without_order_is_text(registry):
    name = write_tuned(registry.objects, datetime(2018, 9, 1, tzinfo=UTC), {}, families(evidence(run=RUN)), better=True)
    rows = [
        replace(row, values={"family": family}) for row, family in zip(WHOLE.results, ["blend", "knn"], strict=False)
    ]
    key = f"reports/{run_name(folder_id('recommender_tune', RUN))}/tuning.json"
    registry.objects.write(key, to_json(replace(WHOLE, results=rows, tuned=name)))
    found = trials(registry, name)["family"]
    assert (found.dtype, found.tolist()) == (TEXT, ["blend", "knn"])


def families(found):
    return replace(found, plan=replace(found.plan, names=["family"], defaults={"family": "blend"}))


def test_what_is_missing_or_foreign_is_named(registry):
    with pytest.raises(NotFound, match="tuned=20180901-0123456789ab"):
        trials(registry, "20180901-0123456789ab")
    name = search(registry, tuned="20180901-0123456789ab")
    with pytest.raises(DataError, match="is the report of a search that found 20180901-0123456789ab"):
        trials(registry, name)
    registry.objects.delete([row.key for row in registry.objects.walk("reports/")])
    with pytest.raises(NotFound, match=r"tuning\.json"):
        trials(registry, name)
