"""What comes from files and keys cannot steer a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.recommender.plain_text import shown, shown_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toys 5-core, Müller 日本 🎁.json", "Toys 5-core, Müller 日本 🎁.json"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("good\rbad", "good\\rbad"),
        ("two\nlines\tand a tab", "two\\nlines\\tand a tab"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("a\u2028b\u0085c\x7f\x00", "a\\u2028b\\x85c\\x7f\\x00"),
        ("caf\udce9", "caf\\xe9"),
        ("half \ud800, tag \U000e0041", "half \\ud800, tag \\U000e0041"),
        ("C:\\temp", "C:\\temp"),
    ],
)
def test_unprintable_characters_become_escapes(text: str, expected: str):
    assert shown(text) == expected


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_printable_line(text: str):
    once = shown(text)
    assert once.isprintable()
    assert shown(once) == once
    once.encode("utf-8")


@given(st.text(st.sampled_from("ab\n\r\x1b\u2028\u202e")))
def test_lines_stay_lines(text: str):
    once = shown_lines(text)
    assert once.count("\n") == text.count("\n")
    assert all(line.isprintable() for line in once.split("\n"))
