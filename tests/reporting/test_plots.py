"""What the plots must show whatever the numbers are."""

import re

import pytest

from include.recommender.reporting import plots
from include.recommender.reporting.plots import Group, Whisker, reach


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.05), (-0.05, -0.02), (-0.01, 0.02), (0.0, 0.0)])
def test_the_line_at_zero_has_room_on_both_sides(low, high):
    rows = [Whisker(label="a", mean=(low + high) / 2, low=low, high=high)]
    left, right = reach(rows, zero=True)
    assert left < min(low, 0) <= max(high, 0) < right
    assert reach([Whisker(label="a", mean=5, low=4, high=6)], zero=False)[0] > 0


def test_the_line_at_zero_is_drawn_inside_the_axes():
    drawn = str(plots.whiskers("x", "alt", [Whisker(label="a", mean=0.03, low=0.02, high=0.05)], "unit", zero=True))
    edge = re.search(r'id="x-patch_\d+">\s*<path d="M ([\d.]+) [\d.]+ \n?L ([\d.]+)[^"]*" style="[^"]*--line', drawn)
    lines = re.findall(r'<path d="M ([\d.]+) ([\d.]+) \n?L ([\d.]+) ([\d.]+) \n?" [^>]*--ink', drawn)
    upright = [float(x) for x, _, to, _ in lines if x == to]
    assert edge, drawn[:3000]
    assert upright, drawn
    assert min(upright) > float(edge[1]) + 1


def test_times_are_rounded_as_in_the_table():
    drawn = str(plots.bars("x", "alt", ["a", "b"], [("seconds", [0.123, 12.3456], 1), ("peak MB", [1234.5, 7.6], 0)]))
    assert all(f">{output}</text>" in drawn for output in ("0.1", "12.3", "1,234", "8"))


@pytest.mark.parametrize("n_groups", [1, 2])
def test_bars_stand_around_the_tick_that_names_them(n_groups):
    groups = [("first", [3.0, 2.0]), ("second", [1.0, 2.0])][:n_groups]
    drawn = str(plots.grouped("x", "alt", ["a", "b"], groups))
    tick = re.search(r'id="x-xtick_1">.*?<text [^>]*\bx="([\d.]+)"', drawn, re.DOTALL)
    assert tick, drawn[:3000]
    sides = re.findall(r'<g id="x-patch_\d+">\s*<path d="M ([\d.]+) [\d.]+ \n?L ([\d.]+) [^"]*z\n?" clip-path', drawn)
    middles = [(float(left) + float(right)) / 2 for left, right in sides]
    assert len(middles) == 2 * n_groups
    of_a = [middles[2 * number] for number in range(n_groups)]
    assert sum(of_a) / n_groups == pytest.approx(float(tick[1]), abs=0.1)


def places(drawn, colour):
    """The marks of a colour in a cloud, without that in the legend."""
    found = re.findall(rf'<use [^>]*?x="([\d.]+)" y="([\d.]+)" style="[^"]*fill: var\({colour}\)', drawn)
    return [(float(x), float(y)) for x, y in found]


def test_a_cloud_has_its_points_its_line_of_steps_and_the_chosen_one():
    group = Group(label="first", colour=plots.KNN, marker="o", near=[(30.0, 0.1), (10.0, 0.3)], far=[(20.0, 0.05)])
    drawn = str(
        plots.cloud("x", "alt", [group], line=[(30.0, 0.1), (10.0, 0.3)], marked=[(10.0, 0.3)], units=("across", "up"))
    )
    far, right, top, _ = places(drawn, "--knn")
    assert top[0] < far[0] < right[0]
    assert top[1] < right[1] < far[1]
    assert places(drawn, "--accent")[0] == top
    line = re.search(r'<path d="(M [^"]*)" [^>]*var\(--muted\)', drawn)[1]
    corners = [tuple(map(float, pair)) for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", line)]
    assert corners == [pytest.approx(corner, abs=0.01) for corner in (right, (top[0], right[1]), top)]
    for text in ("first", "across", "up", "chosen"):
        assert f">{text}</text>" in drawn


def test_equal_points_leave_a_cloud_an_axis():
    group = Group(label="first", colour=plots.ALS, marker="s", near=[(100.0, 0.0)], far=[])
    drawn = str(plots.cloud("x", "alt", [group], line=[(100.0, 0.0)], marked=[], units=("across", "up")))
    assert "nan" not in drawn
