"""Every link between the pages leads to a file that is there, and every anchor to a heading of it."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [path for folder in ("include", "dags", "plugins", "local") for path in (ROOT / folder).rglob("*.py")]


def without_code(page):
    """The text without fenced and indented blocks and code spans."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^( {4}|\t).*$", "", text, flags=re.MULTILINE))


def anchors(page):
    """GitHub's rule: lower case, letters, digits, hyphens and underscores only, spaces as hyphens, repeats numbered."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found, repeats = [], Counter()
    for heading in re.findall(r"^#{1,6} +(.+?)[ #]*$", text, flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        found.append(f"{slug}-{repeats[slug]}" if repeats[slug] else slug)
        repeats[slug] += 1
    return found


def links(page):
    """Targets of links and images, except those with a scheme."""
    targets = re.findall(r"\]\(<?([^)>\s]+)>?(?: +\"[^\"]*\")?\)", without_code(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def problems(page):
    """Links of a page that lead nowhere."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert list(problems(page)) == []


def test_every_page_is_reached_from_the_readme():
    reached, new = set(), {ROOT / "README.md"}
    while new:
        reached |= new
        targets = {(page.parent / link.partition("#")[0]).resolve() for page in new for link in links(page)}
        new = {path for path in targets if path.suffix == ".md" and path.exists()} - reached
    records = {page for page in PAGES if page.parent.name == "adr"}
    assert set(PAGES) - records - {ROOT / "CHANGELOG.md"} <= reached


def test_pages_that_messages_name_are_there():
    named = {(path, name) for path in CODE for name in re.findall(r"docs/[\w/-]+\.md", path.read_text())}
    assert named
    assert [(str(path), name) for path, name in sorted(named) if not (ROOT / name).is_file()] == []


def test_wrong_links_are_found(tmp_path):
    page = ROOT / "docs" / "data.md"
    text = "# A `b`: c, d_e\n## Twice\n## Twice\n[a](#a-b-c-d_e) [b](#twice-1) [c](#none) [d](none.md)\n`[e](none)`\n"
    copy = tmp_path / page.name
    copy.write_text(text)
    assert anchors(copy) == ["a-b-c-d_e", "twice", "twice-1"]
    assert list(problems(copy)) == ["#none: no such heading", "none.md: no such file"]
