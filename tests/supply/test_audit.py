"""The audit against a real server that speaks OSV: a finding, an answer, an answer whose day is past, nobody there."""

import json
import socket
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.supply import audit

from ..conftest import ROOT

TODAY = datetime.now(UTC).date()
VULNERABLE = {
    "id": "PYSEC-2026-7",
    "aliases": ["CVE-2026-1234"],
    "summary": "Reads past its end",
    "affected": [
        {
            "package": {"name": "idna", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "4.0"}]}],
        }
    ],
}
PIP_AUDIT = ROOT / ".tools" / "bin" / "pip-audit"
needs_scanners = pytest.mark.skipif(not PIP_AUDIT.exists(), reason="NOT TESTED: no scanners here (make lint)")


@pytest.fixture
def osv():
    """A database in which idna is vulnerable; `status` is what it answers with."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((asked["package"]["name"], asked["version"]))
            body = {"vulns": [VULNERABLE]} if asked["package"]["name"] == "idna" else {}
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.asked, server.url = 200, [], f"http://127.0.0.1:{server.server_port}/v1/query"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def locked(tmp_path):
    """Two packages, and one of another platform."""
    path = tmp_path / "constraints.txt"
    path.write_text("idna==3.20\nsix==1.17.0\ncolorama==0.4.6 ; sys_platform == 'win32'\n")
    return path


def answers(tmp_path, **changed):
    """A file with one answer."""
    row = {"id": "CVE-2026-1234", "package": "idna", "reason": "never called", "until": TODAY} | changed
    lines = [f"{name} = {value if isinstance(value, date) else json.dumps(value)}" for name, value in row.items()]
    path = tmp_path / "answers.toml"
    path.write_text("[[answered]]\n" + "\n".join(lines) + "\n")
    return path


def run(osv, locked, *arguments):
    return audit.main(
        ["--osv-url", osv.url, "--pip-audit", str(PIP_AUDIT), "--locked", str(locked), *map(str, arguments)]
    )


@needs_scanners
def test_a_finding_fails_and_names_package_ids_and_the_version_to_move_to(osv, locked, capsys):
    assert run(osv, locked) == 1
    error = capsys.readouterr().err
    assert "idna 3.20: CVE-2026-1234, PYSEC-2026-7; fixed in 4.0" in error
    assert "audit.toml" in error
    assert {("idna", "3.20"), ("six", "1.17.0")} <= set(osv.asked)


@needs_scanners
def test_an_answer_counts_until_its_last_day(osv, locked, tmp_path, capsys):
    assert run(osv, locked, "--answers", answers(tmp_path)) == 0
    assert capsys.readouterr().err == ""
    assert run(osv, locked, "--answers", answers(tmp_path, until=TODAY - timedelta(days=1))) == 1
    assert f"Its answer ended on {TODAY - timedelta(days=1)}" in capsys.readouterr().err


@needs_scanners
def test_an_answer_to_nothing_is_removed(osv, locked, tmp_path, capsys):
    assert run(osv, locked, "--answers", answers(tmp_path, package="six")) == 1
    error = capsys.readouterr().err
    assert "idna 3.20" in error
    assert "CVE-2026-1234 of six is no finding any more" in error


@needs_scanners
def test_nothing_found_is_quiet(osv, tmp_path, capsys):
    (tmp_path / "one.txt").write_text("six==1.17.0\n")
    assert run(osv, tmp_path / "one.txt", "--required") == 0
    assert capsys.readouterr() == ("", "")


@needs_scanners
def test_a_file_that_pip_audit_cannot_read_is_not_a_clean_one(osv, tmp_path, capsys):
    (tmp_path / "open.txt").write_text("six>=1\n")
    assert run(osv, tmp_path / "open.txt") == 1
    assert "audit: pip-audit" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--required"], 1)])
def test_nobody_there_is_said_loudly(locked, capsys, arguments, status):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/query"
        assert audit.main(["--osv-url", url, "--locked", str(locked), *arguments]) == status
    error = capsys.readouterr().err
    assert "NOT AUDITED: 127.0.0.1" in error
    assert "make audit" in error


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--required"], 1)])
def test_a_server_that_is_no_database_is_nobody(osv, locked, capsys, arguments, status):
    osv.status = 404
    assert run(osv, locked, *arguments) == status
    assert "NOT AUDITED" in capsys.readouterr().err


@pytest.mark.parametrize("changed", [{"reason": " "}, {"until": "soon"}, {"because": "x"}])
def test_an_answer_without_reason_or_day_is_refused(tmp_path, changed):
    with pytest.raises(ValueError, match=r"answers\.toml"):
        audit.read_answers(answers(tmp_path, **changed))


def test_the_answers_of_the_project_are_complete():
    assert all(isinstance(each.until, date) for each in audit.read_answers(audit.ANSWERS))
