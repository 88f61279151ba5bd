"""A stage's identity follows its code: what can change an output changes it, and nothing else does."""

import importlib
import shutil
import sys
from textwrap import dedent

import pytest

from include.recommender.registry import code

ORIGINAL = code.LIBRARY
BASE = '''
"""What it is."""
import logging
from ..models.als.training import fit_als
log = logging.getLogger(__name__)

def double(value: int) -> int:
    """Twice."""
    # why
    if value < 0:
        raise ValueError(f"{value}: expected 0 or more")
    log.info("doubling %s", value)
    return value * 2
'''


@pytest.fixture
def digest_of(monkeypatch, tmp_path):
    """The digest of the library with a module of the given source in it."""

    def digest(source, other="als", other_source=None):
        root = tmp_path / "recommender"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(ORIGINAL, root, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "stages" / "made.py").write_text(dedent(source))
        if other_source is not None:
            (root / other).write_text(other_source)
        monkeypatch.setattr(code, "LIBRARY", root)
        forget()
        return code.code_of(f"{code.PACKAGE}.stages.made")

    yield digest
    monkeypatch.undo()
    forget()


def forget():
    """What was cached of the code."""
    for cached in (code.reachable, code._digest, code._digest_of_one, code._tree, code._imports):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Twice."""', '"""Two times."""'),
        ('"""What it is."""', ""),
        ("# why", "# why not"),
        ("expected 0 or more", "expected none below 0"),
        ("doubling %s", "twice %s"),
        ("value: int", "value: float"),
        ("    return value * 2", "\n\n    return (value * 2)"),
    ],
)
def test_what_changes_no_output_keeps_it(digest_of, old, new):
    assert digest_of(BASE) == digest_of(BASE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value * 2", "value * 3"),
        ("value * 2", "value + 2"),
        ("value < 0", "value <= 0"),
        ("raise ValueError", "raise TypeError"),
        ("value: int)", "value: int = 1)"),
        ("models.als.training import fit_als", "models.popularity import fit_popularity"),
        ("double", "twice"),
        ("return value * 2", "return None"),
        ("return value * 2", 'return "value * 2"'),
    ],
)
def test_what_may_change_an_output_changes_it(digest_of, old, new):
    assert digest_of(BASE) != digest_of(BASE.replace(old, new))


def test_what_it_imports_counts_also_through_others(digest_of):
    memory = (ORIGINAL / "models" / "memory.py").read_text()
    before = digest_of(BASE)
    assert digest_of(BASE, "models/memory.py", memory + "\nLIMIT = 3\n") != before
    assert digest_of(BASE, "models/memory.py", memory + "\n# LIMIT\n") == before
    assert digest_of(BASE, "data/reviews.py", "LIMIT = 3\n") == before


@pytest.mark.parametrize(
    "holder",
    [
        "def f():\n    {}",
        "class A:\n    def f(self):\n        {}",
        "try:\n    {}\nexcept ValueError:\n    pass",
        "try:\n    pass\nexcept ValueError:\n    {}",
        "if LIMIT:\n    pass\nelse:\n    {}",
        "with open('a') as file:\n    {}",
        "for each in ():\n    pass\nelse:\n    {}",
        "match LIMIT:\n    case 1:\n        {}",
    ],
)
def test_an_import_counts_wherever_it_stands(digest_of, holder):
    source = "LIMIT = 1\n" + holder.format("from ..models.memory import check_memory")
    memory = (ORIGINAL / "models" / "memory.py").read_text()
    before = digest_of(source)
    assert digest_of(source, "models/memory.py", memory + "\nLIMIT = 3\n") != before


@pytest.mark.parametrize("room", ["plain_text.py", "reporting/card.py", "storage/faults.py", "registry/text.py"])
def test_texts_and_storage_do_not_count(digest_of, room):
    before = digest_of(BASE)
    assert digest_of(BASE, room, "TEXT = 'another'\n") == before


def test_each_stage_finds_the_rooms_it_computes_with():
    found = {name.removeprefix(f"{code.PACKAGE}.") for name in code.reachable("include.recommender.stages.fit")}
    assert {
        "models.als.training",
        "models.als.kernels",
        "models.prior",
        "data.encoding",
        "models.knn.fitting",
        "evaluation.choose",
    } <= found
    assert not {name for name in found if name.split(".")[0] in {"storage", "registry", "reporting", "errors"}}


def test_the_same_in_every_version_of_python():
    """Trees of newer versions have more empty fields; what stays is written here as the oldest version has it."""
    tree = code._plain(code.ast.parse("def f(x): return f'{x}!'").body)
    assert "type_params" not in repr(tree)
    assert repr(tree).startswith("(('FunctionDef', ('name', \"'f'\"), ('args', ('arguments', ('args', (('arg',")


def test_all_that_the_walk_meets_can_be_imported():
    for name in code.reachable("include.recommender.stages.judge"):
        importlib.import_module(name)
        assert name in sys.modules
