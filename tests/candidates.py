"""Runs of the stages up to a published version, on a real store."""

from datetime import UTC, datetime

from include.recommender.config import RetrainConfig
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import Made

from . import worlds

JULY, AUGUST, SEPTEMBER = (datetime(2018, month, 2, tzinfo=UTC) for month in (7, 8, 9))
REVIEWS = worlds.reviews(n_users=300)
CHANNEL = "production"


class Candidate:
    """A run up to its published version, judged against the champion of that moment."""

    def __init__(self, workspace, as_of, snapshot="2018-06-25", reviews=REVIEWS, channel=CHANNEL, **params):
        self.workspace, self.as_of, self.channel = workspace, as_of, channel
        self.config = RetrainConfig.from_params({"iterations": 5, "resamples": 10_000, **params})
        workspace.snapshots.write(f"{snapshot}/reviews.jsonl.gz", worlds.packed(reviews))
        resolved = prepare.resolve_snapshot(workspace, snapshot, as_of).artifact
        self.downloaded = prepare.download_reviews(workspace, resolved).artifact
        self.parsed = prepare.parse_reviews(workspace, self.downloaded, self.config.parse).artifact
        encoded = prepare.encode_interactions(workspace, self.parsed, as_of, self.config.encode).artifact
        trained = fit.train_als(workspace, self.parsed, encoded, self.config.train).artifact
        self.fitted = Fitted(encoded, trained, fit.learn_prior(workspace, encoded, self.config).artifact)
        self.baselines = fit.fit_popularity(workspace, encoded, self.config.popularity).artifact
        self.evaluated, gated = self.judge()
        again = fit.refit(workspace, self.parsed, self.fitted, as_of, self.config)
        refitted = Fitted(*(again[name].artifact for name in ("encoded", "trained", "prior")))
        made = Made(
            resolved=resolved,
            downloaded=self.downloaded,
            parsed=self.parsed,
            judged=self.fitted,
            baselines=self.baselines,
            evaluated=self.evaluated,
            gated=gated,
            published=refitted,
        )
        self.published = publish.upload_model(workspace, made, as_of, f"run {as_of}", self.config)
        self.again = []

    @property
    def model_id(self):
        return self.published.model_id

    def judge(self):
        evaluated = judge.evaluate(
            self.workspace, self.parsed, self.fitted, self.baselines, self.as_of, self.channel, self.config
        ).artifact
        gated = judge.recall_gate(self.workspace, evaluated, 10, None, self.config.gate).artifact
        return evaluated, gated

    def judge_again(self):
        evaluated, gated = self.judge()
        self.again.append(evaluated.counts["champion_id"])
        judge.require_promotion(self.workspace, gated)
        return evaluated

    def promote(self, who="dag", why="verdict PROMOTE", **more):
        told = (who, f"run {self.as_of}", why)
        return promote.promote_model(
            self.workspace, self.published, self.channel, self.evaluated, *told, self.judge_again, **more
        )
