"""What the commands print, for people and as JSON."""

import re
from datetime import timedelta

from include.recommender.config import RetrainConfig

from ..registry.makers import CREATED, M1, M2, M3, line, move, publish, version


def test_list_shows_the_newest_first_and_who_points_to_what(registry, run, ask):
    line(registry, M1, M2, M3)
    move(registry, M1, channel="staging")
    status, out, _ = run("list")
    rows = out.splitlines()
    assert status == 0
    assert [row.split()[0] for row in rows] == ["MODEL", M3, M2, M1]
    assert rows[1].endswith("<- production")
    assert rows[3].endswith("<- staging")
    assert all(row[rows[0].index("SNAPSHOT") :].startswith("2018-09-0") for row in rows[1:])
    _, body = ask("list")
    assert [(row["model_id"], row["recall"], row["channels"]) for row in body] == [
        (M3, 0.25, ["production"]),
        (M2, 0.25, []),
        (M1, 0.25, ["staging"]),
    ]


def test_list_and_show_say_which_versions_have_recommendations(registry, run, ask):
    line(registry, M1, M2)
    registry.objects.write(f"recommendations/{M1}/abc/manifest.json", b"{}")
    rows = run("list")[1].splitlines()
    at = rows[0].index("LISTS")
    assert [row[at : at + 5].strip() for row in rows[1:]] == ["-", "yes"]
    folder = f"recommendations/{M1}/abc"
    assert [row["recommendations"] for row in ask("list")[1]] == [[], [folder]]
    assert ask("show", M1)[1]["recommendations"] == [folder]
    assert re.search(rf"^recommendations +{folder}$", run("show", M1)[1], re.M)
    assert "recommendations" not in run("show", M2)[1]


def test_list_reports_a_damaged_manifest_and_goes_on(registry, run):
    line(registry, M1)
    registry.objects.write("models/bad/manifest.json", b"{}")
    registry.objects.write("models/unfinished/fold.json", b"{}")
    status, out, _ = run("list")
    assert status == 0
    assert "s3://reviews/shop/models/bad/manifest.json: not a manifest" in out
    assert M1 in out
    assert "unfinished" not in out


def test_an_empty_registry_is_no_error(run, ask):
    assert run("list")[:2] == (0, "No versions yet below s3://reviews/shop/models/\n")
    assert run("history")[:2] == (0, "production never moved\n")
    assert ask("retire") == (0, ask("retire")[1])
    assert ask("list") == (0, [])


def test_a_rollback_takes_one_command(registry, run, ask):
    line(registry, M1, M2)
    status, out, _ = run("rollback", "--why", "sells nothing", "--who", "ann")
    assert (status, out.splitlines()) == (
        0,
        [
            f"production: {M2} -> {M1} (move 3, rollback)",
            "A move by hand starts no batch. To write the lists: airflow dags trigger recommender_batch",
        ],
    )
    assert registry.channels.read("production").model_id == M1
    _, body = ask("history")
    assert (body[0]["kind"], body[0]["who"], body[0]["why"]) == ("rollback", "ann", "sells nothing")
    assert [row["number"] for row in ask("history", "--limit", "2")[1]] == [3, 2]
    status, out, _ = run("promote", M2, "--why", "was the data after all", "--who", "ann")
    assert "It was rolled back by ann: sells nothing" in out
    assert run("promote", M2, "--why", "again")[:2] == (0, f"production points to {M2} already\n")


def test_a_move_of_another_channel_names_the_batch_of_that_channel(registry, run):
    line(registry, M1)
    _, out, _ = run("promote", M1, "--channel", "staging", "--create", "--why", "a try")
    assert """airflow dags trigger recommender_batch -c '{"channel": "staging"}'""" in out


def test_show_and_card_take_a_channel_for_a_version(registry, run, ask):
    assert "no channel production that points to one" in run("show", "production")[2]
    line(registry, M1, M2)
    status, out, _ = run("show", "production")
    assert status == 0
    assert re.search(rf"^model +{M2}$", out, re.M)
    assert "popularity_all_time *" in out
    _, body = ask("show", M1)
    assert (body["counts"]["items"], body["channels"], len(body["moves"])) == (4, [], 2)
    assert run("card", "production")[1] == "# Model m2\n"
    assert ask("card", M1)[1] == {"model_id": M1, "card": "# Model m1\n"}


def test_retire_deletes_only_when_asked_to_and_show_still_knows_what_it_was(registry, run, ask):
    line(registry, M1, M2, M3)
    rule = ["--keep-newest", "0", "--keep-moves", "0"]
    status, out, _ = run("retire", *rule)
    assert (status, "Would retire 2 of 3 versions" in out) == (0, True)
    assert registry.versions() == [M1, M2, M3]
    _, body = ask("retire", *rule, "--yes", "--who", "ann")
    assert [row["model_id"] for row in body["retired"]] == [M2, M1]
    assert registry.versions() == [M3]
    _, body = ask("show", M1)
    assert (body["retired_by"], body["verdict"]["decision"]) == ("ann", "PROMOTE")
    assert "retired_at" in run("show", M1)[1]


def test_verify_checks_every_file_and_goes_on_after_a_wrong_one(registry, run, ask):
    line(registry, M1)
    status, body = ask("verify", "production")
    assert (status, body["ok"]) == (0, True)
    assert {"judged_prior.npy", "published_items.parquet"} <= {row["name"] for row in body["files"]}
    registry.objects.write(f"models/{M1}/fold.json", b"x" * 10)
    registry.objects.delete([f"models/{M1}/seen_indptr.npy"])
    registry.objects.write(f"models/{M1}/stranger.bin", b"x")
    status, out, _ = run("verify", M1)
    wrong = [line for line in out.splitlines()[1:-2] if not line.endswith(" ok")]
    assert status == 1
    assert [row.split()[0] for row in wrong] == ["fold.json", "seen_indptr.npy", "stranger.bin"]
    assert out.endswith(f"{M1}: 3 wrong\n")


def test_compare_warns_where_the_holdouts_differ(registry, run, ask):
    a, b, c, d = (version(label, 1) for label in "abcd")
    publish(registry, a)
    publish(registry, b, items=("01", "02", "03", "04", "05"), libraries={"numpy": "3"})
    publish(registry, c, split_s=1_530_000_001)
    config = RetrainConfig.from_params({"factors": 4, "holdout_fraction": 0.2, "prior_power": 0.0}).as_dict()
    publish(registry, d, reviews="other", config=config)
    _, body = ask("compare", a, b)
    assert body["warnings"] == []
    assert body["items"] == {"a": 4, "b": 5, "both": 3}
    assert body["facts"]["items"] == [4, 5]
    assert (body["config"], body["libraries"]) == ({}, {"numpy": ["2", "3"]})
    assert body["metrics"]["recall@10"] == [0.25, 0.25]
    _, out, _ = run("compare", a, c)
    assert "WARNING: The metrics are not comparable" in out
    assert "split time 2018-06-26T08:00:00+00:00 and 2018-06-26T08:00:01+00:00" in out
    _, body = ask("compare", a, d)
    assert body["config"] == {"train.factors": [2, 4], "encode.holdout_fraction": [0.1, 0.2]}
    assert "the content of snapshot 2018-09-01" in body["warnings"][0]


def test_show_names_settings_as_they_are_set_and_models_by_recall(registry, run):
    config = {"prior": {"half_life_days": 9.0}, "encode": {"half_life_days": 80.0}}
    metrics = {
        "popularity_all_time": {"coverage@10": 0.1, "recall@10": 0.2},
        "candidate": {"coverage@10": 0.3, "recall@10": 0.5},
        "without_prior": {"coverage@10": 0.9, "recall@10": 0.4},
    }
    publish(registry, M1, config=config, metrics=metrics, tuned="20180301-abc")
    out = run("show", M1)[1]
    assert "prior: prior_half_life_days=9.0\n" in out + "\n"
    assert "encode: half_life_days=80.0\n" in out
    assert re.search(r"^tuned +20180301-abc$", out, re.M)
    names = [line.split()[0] for line in out.splitlines() if line.split()[:1] and line.split()[0] in metrics]
    assert names == ["candidate", "without_prior", "popularity_all_time"]


def test_what_was_chosen_is_shown_and_compared(registry, run, ask):
    values = {"family": "blend", "knn_weight": 0.25, "knn_similarity": "bm25", "factors": 16, "half_life_days": 80.0}
    values |= {"prior_power": 0.35, "prior_half_life_days": 15.0}
    publish(registry, M1)
    publish(registry, M2, choice=values)
    text = "ALS with 16 factors + 0.25 x item-kNN, ageing 80 days, prior power 0.35, prior half-life 15 days"
    _, body = ask("compare", M1, M2)
    assert body["facts"]["tuned"] == ["none", "none"]
    assert body["facts"]["model"] == [registry.manifest(M1).choice.text, text]
    out = run("show", M2)[1]
    assert re.search(rf"^chosen model +{re.escape(text)}$", out, re.M)
    assert re.search(rf"^model +{M2}$", out, re.M)


def test_list_is_by_creation_whatever_a_version_knows(registry, run, ask):
    for hours, name in enumerate((M2, M3, M1)):
        publish(registry, name, created_at=CREATED + timedelta(hours=hours))
    assert [row["model_id"] for row in ask("list")[1]] == [M1, M3, M2]
    head, first = run("list")[1].splitlines()[:2]
    assert "CREATED (UTC)     KNOWS UNTIL (UTC)" in head
    assert first.startswith(f"{M1}  2026-11-01 02:00  2018-09-01 00:00")


def test_list_and_show_go_on_past_a_damaged_channel(registry, run, ask, caplog):
    line(registry, M1, M2)
    move(registry, M1, channel="staging")
    registry.objects.write("channels/staging.json", b"{}")
    status, body = ask("list")
    assert (status, [row["channels"] for row in body]) == (0, [["production"], []])
    assert "channels/staging.json: not a move" in caplog.text
    status, body = ask("show", M1)
    assert (status, len(body["moves"])) == (0, 2)
    assert run("history")[0] == 0
    assert run("retire")[0] == 1


def test_control_characters_of_stored_text_never_reach_the_terminal(registry, run, ask):
    line(registry, M1, M2)
    nasty = "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\nm9 is fine\r\x9b31m"
    assert run("rollback", "--why", nasty, "--who", nasty[:50])[0] == 0
    _, out, _ = run("history")
    _, again, _ = run("promote", M2, "--why", "x")
    _, missing, err = run("show", "\x1b[2J")
    shown = out + again + missing + err + run("show", M1)[1]
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(shown)
    assert "\\x1b[2J" in out
    assert len(out.splitlines()) == 4
    assert ask("history")[1][1]["why"] == nasty
