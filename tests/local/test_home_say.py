"""The terminal: one line a message, and nothing that it would obey."""

import io

from local.home import fail, say
from local.progress import Progress


def test_a_line_of_progress_stays_one_line():
    out = io.StringIO()
    say("a\x1b[2Jb\rc\nd\u202e", "reviews", out)
    assert out.getvalue().endswith("  a\\x1b[2Jb\\rc\\nd\\u202e\n")
    assert out.getvalue().count("\n") == 1


def test_a_message_of_a_task_keeps_its_lines_and_no_other_controls():
    out = io.StringIO()
    Progress(out).say("| a | b |\nnext \x1b[31m\u2028line\x85")
    first, second = out.getvalue().splitlines()
    assert first.endswith("| a | b |")
    assert second.endswith("next \\x1b[31m\\u2028line\\x85")


def test_an_error_keeps_its_lines_and_no_other_controls(capsys):
    assert fail(ValueError("two\nlines \x1b[0m")) == 1
    assert capsys.readouterr().err == "\nError: two\nlines \\x1b[0m\n"
