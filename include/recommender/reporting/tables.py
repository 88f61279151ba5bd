"""The gate's table, as it stands in logs, terminal and model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_verdict(judged: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """Contestants by metrics, best first, then the verdict with its interval."""
    k = verdict["top_k"]
    columns = [f"recall@{k}", f"ndcg@{k}", f"map@{k}", f"mrr@{k}", f"hit_rate@{k}", f"coverage@{k}"]
    level = verdict["thresholds"]["confidence_level"]
    head = f"{'contestant':<20}" + "".join(f"{name:>13}" for name in columns) + f"   candidate minus it, {level:.0%}"
    lift = "unknown" if verdict["relative_lift"] is None else f"{verdict['relative_lift']:+.1%}"
    rows = sorted(judged, key=lambda name: -judged[name]["means"][columns[0]])
    lines = [head, "-" * len(head)]
    for name in rows:
        means = judged[name]["means"]
        interval = verdict["intervals"].get(name)
        span = f"   ({interval['low']:+.4f}, {interval['high']:+.4f})" if interval else ""
        lines.append(f"{name:<20}" + "".join(f"{means[column]:>13.4f}" for column in columns) + span)
    lines += [
        "-" * len(head),
        f"{verdict['n_users']:,} users. Recall@K = hits in the top K / all held-out items of the user.",
        f"Verdict: {verdict['decision']} ({'; '.join(verdict['reasons'])})",
        f"Candidate {verdict['candidate_recall']:.4f}, strongest popularity {verdict['opponent']} "
        f"{verdict['opponent_recall']:.4f}, lift {lift}",
    ]
    if verdict["forced"]:
        lines.append(f"Promotion forced: {verdict['forced']}")
    return "\n".join(lines)


def render_card(
    about: Mapping[str, Any], judged: Mapping[str, Any], fold: Mapping[str, Any], published: Mapping[str, Any]
) -> str:
    """MODEL_CARD.md: what the model is, what it has seen, how it was judged."""
    config = about["config"]
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    return f"""# Model {about["model_id"]}

An implicit-feedback recommender: ALS with {config["train"]["factors"]} factors, fitted on reviews of the snapshot
{about["snapshot"]} before {about["as_of"]}. It scores items for a user by the inner product of their factors.

## Judged
On the newest {fold["holdout"]:,} interactions before as_of, after training on the {fold["train"]:,} before them.
{fold["cold_users"]:,} users and {fold["cold_items"]:,} items of the holdout were cold: such users were not judged, such
items count as misses.

```
{render_verdict(judged, about["verdict"])}
```

## Published
The same configuration, fitted again on all {published["train"]:,} interactions of
{published["train_users"]:,} users and {published["train_items"]:,} items. These factors were not judged; the `judged_` files hold those that were.

## Limits
It knows no item and no user without interactions. It learns from who reviewed what, not from what reviews say. What it
recommends becomes more visible, and so more reviewed: popularity bias and coverage above tell how much it concentrates.

## Made by
Run {about["run"]}, code {about["code_version"]}, {libraries}.
Configuration and lineage stand in manifest.json.
"""
