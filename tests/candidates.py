"""Runs of the stages up to a published version, on a real store."""

from datetime import UTC, datetime

from include.recommender.config import RetrainConfig
from include.recommender.stages import candidate as stages
from include.recommender.stages import fit, judge, prepare, promote, publish
from include.recommender.stages.fit import Fitted
from include.recommender.stages.publish import RunArtifacts

from . import worlds

JULY, AUGUST, SEPTEMBER = (datetime(2018, month, 2, tzinfo=UTC) for month in (7, 8, 9))
REVIEWS = worlds.reviews(n_users=300)
CHANNEL = "production"
# To choose takes a third of a run; tests/stages/test_choice_travels.py chooses.
FIXED = dict.fromkeys(("fit_family", "fit_factors", "fit_ageing", "fit_similarity", "fit_prior"), False)
# Parameters of a bad model that does not lose to its rivals: these have few factors and one neighbour, too.
FEEBLE = {**FIXED, "family": "knn", "prior_power": 0.0, "factors": 2, "knn_neighbours": 1}
PARTS = ("encoded", "chosen", "trained", "neighbours")


def fitted_on(workspace, parsed, encoded, config):
    """The model of a run on its fold, as the DAG fits it: with similarities whatever its family."""
    chosen = fit.choose_model(workspace, encoded, config).artifact
    trained = fit.train_als(workspace, parsed, encoded, fit.fixed_config(chosen, config)).artifact
    return Fitted(encoded, chosen, trained, fit.fit_neighbours(workspace, encoded, chosen, config).artifact)


class Candidate:
    """A run up to its published version, judged against the champion of that moment. By default nothing is chosen."""

    def __init__(self, workspace, as_of, snapshot="2018-06-25", reviews=REVIEWS, channel=CHANNEL, **params):
        self.workspace, self.as_of, self.channel = workspace, as_of, channel
        self.config = RetrainConfig.from_params({"iterations": 5, "resamples": 10_000, **FIXED, **params})
        workspace.snapshots.write(f"{snapshot}/reviews.jsonl.gz", worlds.packed(reviews))
        resolved = prepare.resolve_snapshot(workspace, snapshot, as_of).artifact
        self.downloaded = prepare.download_reviews(workspace, resolved).artifact
        self.parsed = prepare.parse_reviews(workspace, self.downloaded, self.config.parse).artifact
        encoded = prepare.encode_interactions(workspace, self.parsed, as_of, self.config.encode).artifact
        self.fitted = fitted_on(workspace, self.parsed, encoded, self.config)
        self.baselines = fit.fit_popularity(workspace, encoded, self.config.popularity).artifact
        self.rivals = fit.fit_rivals(workspace, encoded, self.config).artifact
        self.evaluated, gated = self.judge()
        again = fit.refit(workspace, self.parsed, self.fitted, as_of=as_of, config=self.config)
        refitted = Fitted(*(again[name].artifact if name in again else None for name in PARTS))
        made = RunArtifacts(
            resolved=resolved,
            downloaded=self.downloaded,
            parsed=self.parsed,
            judged=self.fitted,
            baselines=self.baselines,
            rivals=self.rivals,
            evaluated=self.evaluated,
            gated=gated,
            published=refitted,
        )
        publication = publish.Publication(artifacts=made, as_of=as_of, run=f"run {as_of}", config=self.config)
        self.published = publish.upload_model(workspace, publication)
        self.again = []

    @property
    def model_id(self):
        return self.published.model_id

    @property
    def fields(self):
        """The candidate as the stages take it."""
        return stages.Candidate(
            workspace=self.workspace,
            parsed=self.parsed,
            fitted=self.fitted,
            baselines=self.baselines,
            rivals=self.rivals,
            as_of=self.as_of,
            channel=self.channel,
            config=self.config,
        )

    def judge(self):
        evaluated = judge.evaluate(self.fields).artifact
        gated = judge.recall_gate(
            self.workspace, evaluated, top_k=10, force_reason=None, config=self.config.gate
        ).artifact
        return evaluated, gated

    def made(self, outcome):
        if outcome.artifact.stage == "evaluate":
            self.again.append(outcome.artifact.counts["champion_id"])

    def promote(self, who="dag", why="verdict PROMOTE", **more):
        asked = promote.PromotionRequest(
            published=self.published, channel=self.channel, who=who, run=f"run {self.as_of}", why=why, **more
        )
        return promote.promote_model(
            self.workspace, asked, self.evaluated, promote.CandidateJudge(self.fields, self.made)
        )
