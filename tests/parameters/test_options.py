"""Parameters as options of a command line."""

import argparse
import re

import pytest

from include.recommender.console.cli import parser as registry_parser
from include.recommender.parameters import REGISTRY, RETRAIN
from include.recommender.parameters.kinds import Several
from include.recommender.parameters.options import add_option, option

TYPED = {name: each for name, each in RETRAIN.items() if not isinstance(each.kind, Several)}


@pytest.fixture
def parser():
    made = argparse.ArgumentParser()
    for each in TYPED.values():
        add_option(made, each)
    return made


def test_without_options_everything_is_at_its_default(parser):
    assert vars(parser.parse_args([])) == {name: each.default for name, each in TYPED.items()}


def test_values_have_the_types_of_their_parameters(parser):
    words = ["--factors", "8", "--alpha", "7", "--no-fit-prior", "--channel", "staging", "--snapshot", "2018-10-01"]
    given = parser.parse_args(words)
    assert (given.factors, given.alpha, given.fit_prior) == (8, 7.0, False)
    assert (type(given.factors), type(given.alpha)) == (int, float)
    assert (given.channel, given.snapshot) == ("staging", "2018-10-01")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--factors", "0"], "argument --factors: 0: expected a whole number from 1 to 1,024"),
        (["--factors", "8.5"], "argument --factors: '8.5': expected a whole number"),
        (["--factors", "9" * 5000], "... (5,000 characters): expected a whole number"),
        (["--alpha", "nan"], "argument --alpha: nan: expected a number from 0 to 10,000"),
        (["--alpha", "much"], "argument --alpha: 'much': expected a number"),
        (["--channel", "../x"], "argument --channel: '../x': expected a name of a-z"),
        (["--snapshot", "2018-02-30"], "argument --snapshot: '2018-02-30': expected a date as YYYY-MM-DD"),
        (["--promotion", "later"], "argument --promotion: 'later': expected `automatic`, `by_hand`"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(parser, capsys, words, expected):
    with pytest.raises(SystemExit) as raised:
        parser.parse_args(words)
    assert raised.value.code == 2
    assert expected in capsys.readouterr().err


def test_the_help_has_the_text_the_bounds_and_the_default(parser):
    output = " ".join(parser.format_help().split())
    for each in TYPED.values():
        assert each.text.split(". ")[0] in re.sub(r"- (?=[A-Z])", "-", output)
    assert "Allowed: a whole number from 1 to 1,024. Default: 64." in output


def test_the_registry_takes_every_option_that_is_defined_for_it():
    (commands,) = (each for each in registry_parser()._actions if isinstance(each, argparse._SubParsersAction))
    typed = {
        action: each for command in commands.choices.values() for action, each in command._option_string_actions.items()
    }
    for about in REGISTRY.values():
        assert typed[option(about)].dest == about.name
        assert about.name == "who" or typed[option(about)].default == about.default
