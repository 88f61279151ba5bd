"""Tables of registries with no, one and several versions, some of them damaged."""

import json

import pandas as pd
import pytest

from include.recommender.errors import ConfigError, DataError, NotFound
from include.recommender.frames import compare, data_funnel, evaluation, history, trend, verdict, versions
from include.recommender.frames.data_steps import FUNNEL
from include.recommender.frames.judged import EVALUATION, VERDICT
from include.recommender.frames.overview import COMPARISON, VERSIONS
from include.recommender.frames.timeline import HISTORY, TREND
from include.recommender.registry.registry import Actor
from include.recommender.registry.retention import Retention, retire

from ..documents import ABOVE
from ..documents import verdict as made_verdict
from ..registry.makers import M1, M2, M3, line, move, publish
from .shapes import promised, row, shape

OF_REGISTRY = [(versions, VERSIONS), (history, HISTORY), (trend, TREND)]
OF_VERSION = [(evaluation, EVALUATION), (verdict, VERDICT), (data_funnel, FUNNEL)]


@pytest.fixture
def registry(workspace):
    return workspace.registry


@pytest.mark.parametrize("names", [(), (M1,), (M1, M2, M3)], ids=len)
@pytest.mark.parametrize(("table", "columns"), OF_REGISTRY)
def test_columns_are_the_same_for_any_number_of_versions(registry, table, columns, names):
    line(registry, *names)
    found = table(registry)
    assert shape(found) == promised(columns)
    assert len(found) == len(names)


@pytest.mark.parametrize(("table", "columns"), OF_VERSION)
def test_a_version_is_named_by_its_id_or_by_a_channel(registry, table, columns):
    line(registry, M1, M2)
    found = table(registry, "production")
    assert shape(found) == promised(columns)
    assert len(found)
    pd.testing.assert_frame_equal(found, table(registry, str(M2)))
    with pytest.raises(NotFound, match="no such version, and no channel staging"):
        table(registry, "staging")


def test_versions_are_the_newest_first_with_what_points_to_them(registry):
    line(registry, M1, M2, M3)
    move(registry, M1, channel="staging")
    move(registry, M1, kind="force", channel="blue")
    found = versions(registry)
    assert found["model_id"].tolist() == [M3, M2, M1]
    assert found["channels"].tolist() == ["production", "", "blue, staging"]
    assert found["known_until"].tolist() == [M3.known_until, M2.known_until, M1.known_until]
    assert found["recall"].tolist() == [0.25] * 3
    assert found["decision"].tolist() == ["PROMOTE"] * 3
    assert found["problem"].isna().all()
    assert found["size_bytes"].min() > 0


@pytest.mark.parametrize("damage", [b"{}", b"not JSON", b"\xff\x00", b"[]"])
def test_a_damaged_manifest_is_a_row_with_a_problem(registry, damage):
    line(registry, M1, M2)
    registry.objects.write(f"models/{M2}/manifest.json", damage)
    found = versions(registry)
    assert shape(found) == promised(VERSIONS)
    broken = row(found, model_id=str(M2))
    assert f"models/{M2}/manifest.json" in broken["problem"]
    assert broken["channels"] == "production"
    assert broken[["created_at", "decision", "recall", "size_bytes"]].isna().all()
    assert pd.isna(row(found, model_id=str(M1))["problem"])
    assert len(history(registry)) == 2
    for table, _ in OF_VERSION:
        with pytest.raises(DataError, match=f"models/{M2}/manifest.json"):
            table(registry, str(M2))


def test_only_damaged_manifests(registry):
    registry.objects.write("models/bad/manifest.json", b"{}")
    found = versions(registry)
    assert shape(found) == promised(VERSIONS)
    assert found["model_id"].tolist() == ["bad"]


def test_a_damaged_channel_stops_no_table_of_versions(registry, caplog):
    line(registry, M1)
    registry.objects.write("channels/broken.json", b"{}")
    assert versions(registry)["channels"].tolist() == ["production"]
    assert "channels/broken.json" in caplog.text
    with pytest.raises(DataError, match=r"channels/broken\.json"):
        history(registry, "broken")


def test_history_is_the_oldest_move_first(registry):
    line(registry, M1, M2)
    registry.rollback("production", by=Actor("ann", "one item for everybody"))
    found = history(registry)
    assert found["number"].tolist() == [1, 2, 3]
    assert found["kind"].tolist() == ["promote", "promote", "rollback"]
    assert found["to_model"].tolist() == [M1, M2, M1]
    assert found["from_model"].isna().tolist() == [True, False, False]
    assert (found["who"].iloc[-1], found["why"].iloc[-1]) == ("ann", "one item for everybody")
    assert found["moved_at"].is_monotonic_increasing
    assert found["known_until"].tolist() == [M1.known_until, M2.known_until, M1.known_until]
    with pytest.raises(NotFound, match="Did you mean production"):
        history(registry, "prodution")


def test_evaluation_has_the_best_model_first_and_the_interval_of_the_gate(registry):
    line(registry, M1)
    found = evaluation(registry, "production")
    assert found["model"].tolist() == ["candidate", "popularity_all_time"]
    assert found["recall"].tolist() == [0.25, 0.2]
    assert found["is_baseline"].tolist() == [False, True]
    assert found["model_id"].iloc[0] == M1
    against = found.iloc[1]
    assert against[["difference", "low", "high"]].tolist() == [ABOVE.mean, ABOVE.low, ABOVE.high]
    assert against["relative"] == pytest.approx(0.25)
    assert found.loc[0, ["difference", "low", "high"]].isna().all()


def test_evaluation_at_another_k_has_no_interval(registry):
    line(registry, M1)
    found = evaluation(registry, str(M1), k=5)
    assert shape(found) == promised(EVALUATION)
    assert found["recall"].tolist() == [0.1, 0.1]
    assert found["difference"].isna().all()
    with pytest.raises(ConfigError, match=r"k=7: .* was judged at k = 5, 10"):
        evaluation(registry, str(M1), k=7)


def test_verdict_has_a_row_a_threshold(registry):
    publish(registry, M1, verdict=made_verdict(decision="HOLD", reasons=["too few users"], n_users=3))
    found = verdict(registry, str(M1))
    users = row(found, check="judged users")
    assert (users["found"], users["required"], users["passed"]) == ("3", "at least 100", False)
    assert found["passed"].isna().any()
    assert set(found["decision"]) == {"HOLD"}


def test_a_retired_version_keeps_its_evaluation(registry):
    line(registry, M1, M2)
    registry.objects.delete(["channels/production.json"])
    registry.objects.delete([item.key for item in registry.objects.walk("channels/production/")])
    retire(registry, Retention(1, 0), "ann", dry_run=False)
    assert versions(registry)["model_id"].tolist() == [M2]
    assert evaluation(registry, str(M1))["recall"].tolist() == [0.25, 0.2]
    found = data_funnel(registry, str(M1))
    assert shape(found) == promised(FUNNEL)
    assert found["n"].isna().all()
    assert found["problem"].notna().all()


def test_compare_shows_facts_settings_and_what_forbids_the_comparison(registry):
    publish(registry, M1, items=("00", "01"))
    publish(registry, M2, items=("00", "01", "02"), libraries={"numpy": "3"}, split_s=1_530_000_001)
    found = compare(registry, str(M1), str(M2))
    assert shape(found) == promised(COMPARISON)
    recall = row(found, section="metrics", name="recall@10")
    assert (recall["a"], recall["b"], recall["difference"]) == (0.25, 0.25, 0.0)
    items = row(found, section="items", name="all")
    assert (items["a"], items["b"], items["difference"]) == (2, 3, 1)
    assert row(found, section="libraries", name="numpy")[["a", "b"]].tolist() == ["2", "3"]
    assert "not comparable" in found[found["section"] == "warning"]["name"].item()
    same = compare(registry, str(M1), str(M1))
    assert shape(same) == promised(COMPARISON)
    assert set(same["difference"].dropna()) == {0.0}
    assert "warning" not in set(same["section"])


def test_the_funnel_of_a_version_without_artifacts_says_what_is_missing(registry):
    line(registry, M1)
    found = data_funnel(registry, "production")
    parsed = found[found["part"] == "parse"]
    assert parsed["step"].tolist() == ["lines", "blank", "bad", "reviews"]
    assert parsed["n"].isna().all()
    assert parsed["problem"].str.contains("names no artifact of parse_reviews").all()
    train = row(found, part="judged fold", step="train")
    assert (train["n"], train["share"]) == (3, 0.75)
    assert found[found["part"] != "parse"]["problem"].isna().all()


def test_a_damaged_fold_is_a_problem_in_the_funnel(registry):
    line(registry, M1)
    registry.objects.write(f"models/{M1}/fold.json", b"{}")
    found = data_funnel(registry, "production")
    assert found[["n", "share"]].isna().all(axis=None)
    assert found[found["part"] != "parse"]["problem"].str.contains(r"fold\.json: SHA-256").all()


def test_trend_has_a_row_for_what_cannot_be_read(registry):
    line(registry, M1, M2)
    registry.objects.write(f"models/{M2}/manifest.json", b"{}")
    registry.objects.write("reports/manual__1/report.json", json.dumps({"run": 1}).encode())
    found = trend(registry)
    assert shape(found) == promised(TREND)
    kept, report, damaged = (found.iloc[at] for at in range(3))
    assert (kept["model_id"], kept["live"], kept["candidate"]) == (M1, "was live", 0.25)
    assert kept["known_until"].date() == M1.known_until.date() - pd.Timedelta(days=1)
    assert report["report"] == "manual__1/report.json"
    assert "not a report" in report["problem"]
    assert damaged["model_id"] == M2
    assert f"models/{M2}/manifest.json" in damaged["problem"]
