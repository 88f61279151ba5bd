"""How a run ended, in words."""

from pathlib import Path

from include.recommender.registry.moves import promote_command
from local.ending import Copies, ending

WHY = f"m1 was rolled back by ann (wrong). To bring it back: {promote_command('m1')}"
REPORT = {
    "tasks": [],
    "table": "",
    "error": None,
    "verdict": {
        "decision": "PROMOTE",
        "reasons": ["2.7% below the champion, within tolerance", "better than popularity_30d by 40.0%"],
        "forced": None,
    },
    "model": {"model_id": "m1", "uri": "s3://shop/models/m1", "promoted": False, "why": WHY},
    "run": {"channel": "production", "tuned": "20180301-abc", "tuned_values": {"alpha": 7.0}},
}
COPIES = Copies("s3://shop/reports/r/report.html", Path("report.html"), None)


def test_the_command_it_names_is_one_that_finds_the_local_s3():
    told = ending(REPORT, COPIES, "m0")
    assert "production still points to m0; not moved: m1 was rolled back by ann (wrong)." in told
    assert told.splitlines()[-5].endswith("To bring it back: make registry ARGS='promote m1 --why ...'")
    assert "python -m" not in told
    assert "Result:  PROMOTE: 2.7 % below the champion, within tolerance; better than popularity, 30 days by" in told


def test_a_tuned_configuration_is_named_where_something_of_it_was_used():
    assert "Tuned:   20180301-abc" in ending(REPORT, COPIES, "m0").splitlines()
    unused = REPORT | {"run": REPORT["run"] | {"tuned_values": {}}}
    assert "Tuned:" not in ending(unused, COPIES, "m0")
