"""REVIEWS, CONF and SNAPSHOT mean the same to `make run` and `make up`, and are refused before anything starts."""

import re

import pytest

from include.recommender.errors import ConfigError
from include.recommender.runs.dag_names import RETRAIN_DAG, TUNE_DAG
from local import run, stack, uploads, wanted
from local.given import Given
from local.home import Home
from local.wanted import Wanted
from samples import generated as samples

from .. import worlds


@pytest.fixture
def reviews(tmp_path):
    path = tmp_path / "reviews.json"
    path.write_bytes(worlds.lines(worlds.reviews(n_users=2)))
    return path


@pytest.fixture
def bucket(s3, monkeypatch):
    monkeypatch.setattr(uploads, "BUCKET", "reviews")
    return s3


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        ("2018-13-01", "expected a date as YYYY-MM-DD"),
        ("newest", "expected a date as YYYY-MM-DD; without SNAPSHOT it is the newest"),
        ("20181001", "expected a date as YYYY-MM-DD"),
        ("2018-W40-1", "expected a date as YYYY-MM-DD"),
        (" 2018-10-01", "expected a date as YYYY-MM-DD"),
        ("2031-01-01", r"no snapshot of that date\. There are: 4 earlier ones, .*2018-10-01"),
    ],
)
@pytest.mark.parametrize("command", [run.main, stack.main])
def test_a_snapshot_that_is_not_there_stops_both_commands_before_anything_starts(
    command, snapshot, expected, tmp_path, capsys
):
    local = tmp_path / "none"
    words = ["--snapshot", snapshot, "--local", str(local)]
    assert command([*(["up"] if command is stack.main else []), *words]) == 1
    assert re.search(f"SNAPSHOT='?{snapshot}'?: .*{expected}", capsys.readouterr().err)
    assert not local.exists()


def test_a_snapshot_in_conf_is_checked_likewise():
    with pytest.raises(ConfigError, match="no snapshot of that date"):
        Wanted.read("", '{"snapshot": "2031-01-01"}', "")
    with pytest.raises(ConfigError, match="expected one of the two"):
        Wanted.read("", '{"snapshot": "2018-09-01"}', "2018-10-01")
    assert Wanted.read("", '{"snapshot": null, "factors": 8}', "2018-10-01").snapshot == "2018-10-01"
    assert Wanted.read("", '{"snapshot": "2018-09-01"}', "2018-09-01").snapshot == "2018-09-01"


def test_a_run_is_as_of_its_snapshot_unless_it_says_otherwise():
    source = uploads.Source("s3://b/samples", "2018-10-01")
    assert Wanted((), {"factors": 8}, None).parameters(source) == {
        "factors": 8,
        "snapshot": "2018-10-01",
        "as_of": "2018-10-01",
    }
    assert Wanted((), {"as_of": "2018-09-15"}, "2018-10-01").parameters(source)["as_of"] == "2018-09-15"


def test_of_own_reviews_a_missing_snapshot_is_refused_before_the_upload_with_what_there_is(bucket, reviews):
    files = (Given(reviews, reviews.name),)
    with pytest.raises(ConfigError, match=r"these REVIEWS have no snapshot of that date\. There are: none; today's"):
        Wanted(files, {}, "2018-10-01").put(bucket)
    assert bucket.list_objects_v2(Bucket="reviews")["KeyCount"] == 0
    source = Wanted(files, {}, None).put(bucket)
    assert Wanted(files, {}, source.newest).put(bucket) == source
    with pytest.raises(ConfigError, match=rf"There are: {source.newest}"):
        Wanted(files, {}, "2018-10-01").put(bucket)


def test_the_same_reviews_have_the_same_root_for_both_commands(bucket, reviews):
    by_run = Wanted.read(str(reviews), "", "").put(bucket)
    by_up = Wanted.read(str(reviews), '{"factors": 8}', "").put(bucket)
    assert by_run == by_up
    assert Wanted.read("", "", "").files == ()
    assert {day.isoformat() for day in samples.snapshot_dates()} >= {"2018-10-01"}


@pytest.mark.parametrize("text", ["1", " 1 "])
def test_an_approval_is_refused_where_nobody_could_give_it(text, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RECOMMENDER_APPROVAL", text)
    assert run.main(["--local", str(tmp_path / "none")]) == 1
    assert "Use `make up` with the same REVIEWS, CONF and SNAPSHOT" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    run._check_run_settings(TUNE_DAG, {"RECOMMENDER_APPROVAL": "1"})


def test_settings_that_change_nothing_in_a_single_run_are_named(capsys):
    run._check_run_settings(RETRAIN_DAG, {"RECOMMENDER_SCHEDULE": "@monthly", "RECOMMENDER_APPROVAL": "0"})
    assert "RECOMMENDER_SCHEDULE changes nothing in a single run" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["$HOME", "${USER}x"])
def test_a_path_that_airflow_would_expand_is_refused(name, tmp_path, capsys):
    assert stack.main(["up", "--local", str(tmp_path / name / ".local")]) == 1
    assert "Airflow would put the variable" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("conf", ['{"factors": 8, "factors": 9}', '{"search": [{"a": 1, "a": 2}]}'])
def test_a_name_given_twice_is_refused(conf):
    with pytest.raises(ConfigError, match=r"given twice: (factors|a)\b"):
        wanted.read_conf(conf)


def test_a_conf_that_is_a_file_is_said_to_want_the_json_itself(tmp_path):
    path = tmp_path / "my conf.json"
    path.write_text('{"factors": 8}')
    with pytest.raises(ConfigError, match=r"CONF takes the JSON itself.*\$\(cat '.*my conf\.json'\)"):
        wanted.read_conf(str(path))


@pytest.mark.parametrize("command", [run.main, stack.main])
def test_a_local_folder_in_use_is_reported_before_review_files_are_read(
    command, reviews, tmp_path, monkeypatch, capsys
):
    home = Home(tmp_path / ".local")
    monkeypatch.setattr(wanted, "check_reviews", lambda *_: pytest.fail("the files were read"))
    words = ["--reviews", str(reviews), "--local", str(home.path)]
    with home.own("make up"):
        assert command([*(["up"] if command is stack.main else []), *words]) == 1
    assert "is in use by make up, process" in capsys.readouterr().err


@pytest.mark.parametrize("run_it", [True, False])
def test_the_welcome_says_to_trigger_only_where_nothing_was_asked_for(tmp_path, run_it):
    output = stack._welcome(Home(tmp_path), 8080, "http://127.0.0.1:9010", tmp_path / "env.sh", run_it=run_it)
    assert ("Unpause recommender_retrain in the UI, or trigger it" in output) is not run_it
    assert ("A run of recommender_retrain starts now" in output) is run_it
    assert "ends everything" in output


@pytest.mark.parametrize(("what", "status"), [("up", 0), ("down", run.INTERRUPTED)])
def test_make_up_that_is_asked_to_end_has_succeeded(what, status, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(stack, "stop_like_ctrl_c", lambda: None)
    monkeypatch.setattr(stack, what, interrupt)
    assert stack.main([what, "--local", str(tmp_path / ".local")]) == status
    assert "all data is kept" in capsys.readouterr().out
