"""The named references, each in a process of its own.

    python -m benchmarks.bench.references isal|script|implicit|irspack|gemm FOLDER

script is what people write instead of this project: pandas to read and to code, `implicit` to train and to rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from ..irspack_fit import fit_irspack
from .found import Meter, run_piece
from .work import Work

if TYPE_CHECKING:
    import pandas as pd

READ_BYTES, CHUNK_LINES, BLOCK_USERS = 1 << 20, 100_000, 128


def isal(work: Work, meter: Meter) -> None:
    """Unpack the reviews, and do nothing with them."""
    from isal import isal_zlib

    with meter.part("isal"):
        gunzip, n_bytes = isal_zlib.decompressobj(wbits=31), 0
        with work.reviews.open("rb") as file:
            while packed := file.read(READ_BYTES):
                n_bytes += len(gunzip.decompress(packed))
    meter.notes["json_bytes"] = n_bytes


def script(work: Work, meter: Meter) -> None:
    """Read lines, drop repeated pairs, split by time, train, recommend to the same users, and count hits."""
    import pandas as pd
    from implicit.cpu.als import AlternatingLeastSquares

    columns = ["reviewerID", "asin", "unixReviewTime", "verified"]
    with meter.part("read"):
        chunks = pd.read_json(work.reviews, lines=True, chunksize=CHUNK_LINES)
        rows = pd.concat([chunk[columns] for chunk in chunks], ignore_index=True)
    with meter.part("encode"):
        rows = rows.sort_values("unixReviewTime", kind="stable").drop_duplicates(["reviewerID", "asin"])
        split = rows["unixReviewTime"].iloc[round(len(rows) * (1 - work.holdout))]
        train, held = rows[rows["unixReviewTime"] < split], rows[rows["unixReviewTime"] >= split]
        user, users = pd.factorize(train["reviewerID"])
        item, items = pd.factorize(train["asin"])
        confidence = (1 + work.alpha * np.where(train["verified"], 1.0, work.unverified)).astype(np.float32)
        matrix = sparse.csr_matrix((confidence, (user, item)), shape=(len(users), len(items)))
    with meter.part("train"):
        model = AlternatingLeastSquares(
            factors=work.n_factors,
            regularization=work.regularization,
            iterations=work.iterations,
            random_state=work.seed,
        )
        model.fit(matrix, show_progress=False)
    with meter.part("evaluate"):
        judged = users.get_indexer(work.users.read_text().split())
        best, _ = model.recommend(judged, matrix[judged], N=work.top_k)
        recall = _recall(best, held, users[judged], items)
    meter.notes |= {"recall": recall, "users": len(judged)}


def _recall(best: np.ndarray, held: pd.DataFrame, judged: pd.Index, items: pd.Index) -> float:
    import pandas as pd

    held = held[held["reviewerID"].isin(judged)]
    shown = pd.DataFrame({"row": np.repeat(np.arange(len(best)), best.shape[1]), "item": best.ravel()})
    rows, columns = judged.get_indexer(pd.Index(held["reviewerID"])), items.get_indexer(pd.Index(held["asin"]))
    wanted = pd.DataFrame({"row": rows, "item": columns})
    hits = wanted.merge(shown, on=["row", "item"]).groupby("row").size()
    return float((hits / wanted.groupby("row").size()).fillna(0).mean())


def implicit(work: Work, meter: Meter) -> None:
    """`implicit`'s ALS on the matrix of the library."""
    from implicit.cpu.als import AlternatingLeastSquares

    matrix = _matrix(work)
    with meter.part("fit"):
        model = AlternatingLeastSquares(
            factors=work.n_factors,
            regularization=work.regularization,
            iterations=work.fit_iterations,
            random_state=work.seed,
        )
        model.fit(matrix, show_progress=False)


def irspack(work: Work, meter: Meter) -> None:
    """irspack's iALS on the same."""
    matrix = _matrix(work)
    with meter.part("fit"):
        fit_irspack(matrix, factors=work.n_factors, regularization=work.regularization, iterations=work.fit_iterations)


def gemm(work: Work, meter: Meter) -> None:
    """The float32 products of as many users with all items, in blocks, on one thread."""
    items = np.load(work.factors)
    n_users = len(work.users.read_text().split())
    users = np.random.default_rng(work.seed).standard_normal((n_users, items.shape[1]), dtype=np.float32)
    out = np.empty((BLOCK_USERS, len(items)), dtype=np.float32)
    with meter.part("gemm"):
        for start in range(0, n_users, BLOCK_USERS):
            part = users[start : start + BLOCK_USERS]
            np.matmul(part, items.T, out=out[: len(part)])


def _matrix(work: Work) -> sparse.csr_matrix:
    """The confidences of the library's fold, read without the library's code."""
    indptr, indices, confidence = (np.load(work.fold / f"{name}.npy") for name in ("indptr", "indices", "confidence"))
    n_items = len(np.load(work.fold / "item_codes.npy", mmap_mode="r"))
    return sparse.csr_matrix((confidence, indices, indptr), shape=(len(indptr) - 1, n_items))


PIECES = {"isal": isal, "script": script, "implicit": implicit, "irspack": irspack, "gemm": gemm}


if __name__ == "__main__":
    run_piece(PIECES)
