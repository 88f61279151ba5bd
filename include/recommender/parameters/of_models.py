"""What is fitted: the family, ALS, item-kNN, the item prior, and the popularity baselines."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .definition import MOST_COUNT, MOST_DAYS, OneOf, Range, Section, parameter
from .kinds import Flag, Number, OneText, Several, Whole

SHORTEST_HALF_LIFE_DAYS = 0.1
_HALF_LIFE = Number(SHORTEST_HALF_LIFE_DAYS, MOST_DAYS)
_SWEEPS = Whole(1, 500)
MOST_FACTORS = 1_024

# Families: what scores an item from a history.
BLEND, ALS, KNN = "blend", "als", "knn"
# Similarities of item-kNN.
BM25, TFIDF, COSINE, EASE = "bm25", "tfidf", "cosine", "ease"


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section, key="model", heading="Model"):
    """The family of the model, and what is chosen for each data set."""

    family: str = parameter(
        BLEND,
        OneText({BLEND: "ALS and item-kNN", ALS: "ALS", KNN: "item-kNN"}),
        "What scores an item from a history: ALS, item-kNN, or the sum of both. With fit_family the family is chosen "
        "near this one.",
        search=OneOf((BLEND, ALS, KNN)),
    )
    knn_weight: float = parameter(
        0.5,
        Number(0.01, 100.0),
        "Weight of item-kNN in the sum, where ALS has weight 1; both are scaled to a root mean square of 1 for each "
        "user. Only the family `blend` reads it. With fit_family the weight is chosen near this value.",
        search=Range(0.1, 5, log=True),
    )
    fit_family: bool = parameter(
        True,
        Flag(),
        "Choose family and knn_weight on a time split inside train. Turn it off to use the configured values.",
    )
    fit_factors: bool = parameter(
        True,
        Flag(),
        "Try twice and four times the configured factors on a time split inside train. Turn it off to use the "
        "configured number, for example to save time or memory.",
    )
    fit_ageing: bool = parameter(
        True,
        Flag(),
        "Try no ageing of confidences beside half_life_days, on a time split inside train. Turn it off to use the "
        "configured half-life.",
    )
    fit_similarity: bool = parameter(
        True,
        Flag(),
        "Try EASE beside knn_similarity, on a time split inside train, if the catalogue has at most 50,000 items. "
        "Beside EASE itself nothing is tried. Turn it off to use the configured similarity.",
    )
    recall_given_up: float = parameter(
        0.0,
        Number(0.0, 0.5),
        "Share of Recall@K that may be given up for coverage when the model is chosen. Of the models that lose at most "
        "this share, the one that recommends most different items is taken. Raise it if too few items are shown. Where "
        "nothing is chosen (all fit_* are off) it has no effect.",
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section, key="train", heading="ALS training"):
    """Alternating least squares."""

    factors: int = parameter(
        64,
        Whole(1, MOST_FACTORS),
        "Length of a factor vector. More factors describe tastes in more detail, and cost time and memory. With "
        "fit_factors more are tried. Raise it for a large catalogue with long histories.",
        search=Range(16, 512, log=True),
    )
    regularization: float = parameter(
        20.0,
        Number(1e-9, 1000.0),
        "L2 regularization of the factors. Raise it if recall falls with more factors or sweeps.",
        search=Range(0.001, 100, log=True),
    )
    iterations: int = parameter(
        15,
        _SWEEPS,
        "Number of ALS sweeps over users and items. Raise it if the loss in the report still falls at the end.",
        search=Range(5, 30),
    )
    solver: str = parameter(
        "whitened",
        OneText(
            {
                "whitened": "whitened (this project's)",
                "implicit": "implicit (the reference)",
            }
        ),
        "Solver of ALS. `whitened` is this project's, several times faster at equal quality. `implicit` is the library "
        "that it is tested against: take it to compare.",
    )
    seed: int = parameter(
        20_181,
        Whole(0, MOST_COUNT),
        "Seed of the initial factors. Change it to see how much recall varies by chance.",
    )
    warm_start: bool = parameter(
        False,
        Flag(),
        "Start the training from the champion's factors if they have not seen the holdout, and the refit from the "
        "candidate's. Turn it on to save time in frequent runs; the model then also depends on the champion.",
    )
    warm_iterations: int = parameter(
        5,
        _SWEEPS,
        "Number of ALS sweeps after a warm start. Raise it if the champion is much older than the run.",
    )


@dataclass(frozen=True, kw_only=True)
class KnnConfig(Section, key="knn", heading="Item-kNN"):
    """Nearest neighbours of items."""

    similarity: str = parameter(
        BM25,
        OneText({BM25: "BM25", TFIDF: "TF-IDF", COSINE: "cosine", EASE: "EASE"}),
        "Similarity of two items by the users that they share. BM25 and TF-IDF count users with few interactions more; "
        "BM25 also counts rare items more. EASE learns the weights of the neighbours by BM25 with a regression. With "
        "fit_similarity EASE is tried beside this one.",
        name="knn_similarity",
        search=OneOf((BM25, TFIDF, COSINE, EASE)),
    )
    regularization: float = parameter(
        300.0,
        Number(1e-3, 1e6),
        "L2 regularization of EASE, in users. Raise it if EASE is good on train and bad on the holdout. Other "
        "similarities do not read it.",
        name="ease_regularization",
        search=Range(30, 3_000, log=True),
    )
    neighbours: int = parameter(
        100,
        Whole(1, 1_000),
        "Number of neighbours that are kept of each item. EASE regresses an item on at most 50 of them, and keeps so "
        "many of the weights that the item has for others. Lower it to save memory.",
        name="knn_neighbours",
        search=Range(20, 400, log=True),
    )

    @property
    def plain(self) -> KnnConfig:
        """The same without EASE: by BM25, where EASE takes its neighbours from."""
        return replace(self, similarity=BM25) if self.similarity == EASE else self


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Section, key="prior", heading="Item prior"):
    """How recent popularity enters the score: taste times (prior of the item)^power."""

    power: float = parameter(
        0.35,
        Number(0.0, 4.0),
        "Power of the item prior in the score; 0 scores by taste alone. With fit_prior the power is learned near this "
        "value. Raise it if currently popular items should rank higher.",
        name="prior_power",
        search=Range(0, 1.5),
    )
    fit: bool = parameter(
        True,
        Flag(),
        "Learn power and half-life of the prior, near the configured values, on a time split inside train. Turn it "
        "off to use the configured values.",
        name="fit_prior",
    )
    short_history: float = parameter(
        1.0,
        Number(0.0, 20.0),
        "Extra weight of the prior for short histories: the power is multiplied by 1 + this / number of interactions. "
        "Raise it if users with few interactions get poor recommendations.",
        name="prior_short_history",
        search=Range(0, 4),
    )
    half_life_days: float = parameter(
        30.0,
        _HALF_LIFE,
        "Half-life in days of the decayed popularity that is the item prior. Lower it if popularity changes fast. "
        "With fit_prior the half-life is learned near this value.",
        name="prior_half_life_days",
        search=Range(5, 200, log=True),
    )


@dataclass(frozen=True, kw_only=True)
class PopularityConfig(Section, key="popularity", heading="Popularity baselines"):
    """The baselines: all-time popularity, recent windows and decayed counts."""

    windows_days: tuple[int, ...] = parameter(
        (30, 90, 365),
        Several(Whole(1, MOST_DAYS), most=20, least=1),
        "Windows of recent popularity, in days before the split time; each gives one baseline. Change them to the "
        "periods over which you rank best sellers.",
    )
    half_life_days: float = parameter(
        90.0,
        _HALF_LIFE,
        "Half-life in days of the decayed popularity baseline. Change it if another value makes this baseline "
        "stronger: the gate compares with the strongest.",
        name="popularity_half_life_days",
    )
