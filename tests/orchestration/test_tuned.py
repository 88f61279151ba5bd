"""All tasks of a run take the same tuned configuration."""

from datetime import UTC, datetime

from msgspec.structs import replace

from include.orchestration.pinning import FIRST_TASK, NONE_YET, find_tuned
from include.recommender.runs.journal import Journal, RunFacts
from include.recommender.tuning.tuned import write_tuned

from ..documents import evidence

AS_OF = datetime(2018, 9, 1, tzinfo=UTC)
FACTS = RunFacts(
    dag_id="recommender_retrain",
    run_id="r1",
    run_type="manual",
    run_date=AS_OF.isoformat(),
    as_of=AS_OF.isoformat(),
    snapshot=None,
    channel="production",
    params={"tuned": "newest"},
)


def kept(workspace, alpha):
    return write_tuned(workspace.root, AS_OF, {"alpha": alpha}, evidence(), better=True)


def test_a_search_that_ends_meanwhile_changes_nothing(workspace):
    journal = Journal(workspace.root, FACTS.folder_id)
    assert find_tuned(workspace.root, journal, FACTS, FIRST_TASK) is None
    journal.write_run(replace(FACTS, tuned=NONE_YET))
    name = kept(workspace, 50.0)
    assert find_tuned(workspace.root, journal, FACTS, "train_als") is None
    # The run is cleared from its first task on: then it looks anew, and later tasks keep to that.
    assert find_tuned(workspace.root, journal, FACTS, FIRST_TASK).id == name
    journal.write_run(replace(FACTS, tuned=name))
    later = {kept(workspace, float(alpha)) for alpha in range(60, 70)}
    assert later
    assert find_tuned(workspace.root, journal, FACTS, "train_als").id == name


def test_runs_of_other_dags_have_folders_of_their_own():
    assert FACTS.folder_id == "r1"
    assert replace(FACTS, dag_id="recommender_tune").folder_id == "recommender_tune__r1"
