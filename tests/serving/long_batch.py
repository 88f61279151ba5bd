"""A batch of many users that is killed half way and started again; DuckDB then counts what is there.

python -m tests.serving.long_batch [--interactions N] [--users N] [--items N] [--part-rows N]
"""

import argparse
import json
import logging
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import duckdb
import numpy as np
import pyarrow as pa
from moto.server import ThreadedMotoServer

from benchmarks.generated import interactions
from include.recommender.config import RetrainConfig
from include.recommender.models.als.training import fit_als
from include.recommender.models.choice import Choice
from include.recommender.models.knn.fitting import fit_similarities
from include.recommender.parameters.of_batch import BatchConfig
from include.recommender.registry.bundle import ModelPart, describe
from include.recommender.registry.listing import FOLD, FoldFile
from include.recommender.registry.registry import Registry
from include.recommender.registry.seen import Seen
from include.recommender.serving import Recommender, Request, parts
from include.recommender.serving import batch as batch_module
from include.recommender.serving import plan as plan_module
from include.recommender.serving.batch import Batch
from include.recommender.serving.parts import written_parts
from include.recommender.serving.plan import Plan, finish, read_batch
from include.recommender.serving.version import ServedVersion
from include.recommender.stages.workspace import peak_bytes
from include.recommender.storage.documents import to_json
from include.recommender.storage.objects import ObjectStore

from ..conftest import ROOT
from ..documents import fold_counts
from ..registry import makers
from .versions import vocabulary

BUCKET = "long"
CONFIG = RetrainConfig.from_params({"factors": 32, "iterations": 3})
COMPARED = 200
DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Long:
    """What a run found. lost_s : of the part that was under way, and to load the version again"""

    users: int
    killed_after: int
    parts: int
    first_s: float
    second_s: float
    lost_s: float
    peak_bytes: int
    rows: int


def store_at(endpoint):
    about = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return ObjectStore(boto3.client("s3", endpoint_url=endpoint, **about), BUCKET, "shop")


def publish(registry, size):
    """A version of generated interactions; its item factors are fitted."""
    name = makers.version("long")
    end_s = int(name.known_until.timestamp())
    matrix = interactions(size.interactions, size.users, size.items)
    matrix.sort_indices()
    rng, n = np.random.default_rng(0), matrix.nnz
    factors, _ = fit_als(matrix, CONFIG.train)
    seen = Seen(
        users=vocabulary("U", size.users, 8),
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        times=rng.integers(end_s - 500 * DAY_S, end_s, n),
        ratings=rng.integers(1, 6, n).astype(np.float32),
        verified=rng.integers(-1, 2, n).astype(np.int8),
        n_items=size.items,
    )
    popularity = np.bincount(matrix.indices, minlength=size.items).astype(np.float64)
    similar = fit_similarities(matrix, CONFIG.knn)
    part = ModelPart(factors, vocabulary("I", size.items, 8), popularity, similar)
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        for each in ("judged", "published"):
            part.save(directory, each)
        seen.save(directory)
        counts = fold_counts(train=n, train_users=size.users, train_items=size.items, holdout=1)
        (directory / FOLD).write_bytes(to_json(FoldFile(counts, counts)))
        (directory / "MODEL_CARD.md").write_text("# Long\n")
        about = makers.about(name, config=CONFIG.as_dict(), choice=Choice.of(CONFIG))
        registry.publish(directory, describe(directory, about))
    return str(name), seen


def child(endpoint, model_id, cache, part_rows):
    """The batch as the tasks of the DAG run it; prints what it took."""
    began = time.monotonic()
    small_parts(part_rows)
    registry = Registry(store_at(endpoint))
    plan = Plan.of(registry.manifest(model_id), BatchConfig())
    made = Batch.open(registry, plan, Path(cache))
    opened_s = time.monotonic() - began
    users, similar = made.write_users(Path(cache)), made.write_similar(Path(cache))
    finish(registry.objects, plan, user_parts=len(users), similar_parts=len(similar))
    print(json.dumps({"opened_s": opened_s, "peak_bytes": peak_bytes(), "folder": plan.folder}))


def small_parts(part_rows):
    for module in (parts, batch_module, plan_module):
        module.PART_ROWS = part_rows


def run(size):
    """Publish, run the batch until half of the users' parts are there, kill it, run it again, and count."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        store = store_at(endpoint)
        store.client.create_bucket(Bucket=BUCKET)
        registry = Registry(store)
        model_id, seen = publish(registry, size)
        with tempfile.TemporaryDirectory() as cache:
            return killed_and_restarted(size, registry, endpoint, model_id, seen, cache)
    finally:
        server.stop()


def killed_and_restarted(size, registry, endpoint, model_id, seen, cache):
    small_parts(size.part_rows)
    plan, store = Plan.of(registry.manifest(model_id), BatchConfig()), registry.objects
    active = int((np.diff(seen.indptr) > 0).sum())
    n_parts = -(-active // size.part_rows)
    command = [sys.executable, "-m", __name__.replace("__main__", "tests.serving.long_batch"), "--child"]
    command += [endpoint, model_id, cache, str(size.part_rows)]
    began = time.monotonic()
    first = subprocess.Popen(command, cwd=ROOT)
    while len(written_parts(store, plan.folder, "users")) < n_parts // 2:
        assert first.poll() is None, "it ended before it was killed"
        time.sleep(0.2)
    kept = written_parts(store, plan.folder, "users")
    time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    first_s = time.monotonic() - began
    newest = max(row.modified_at for row in store.walk(f"{plan.folder}/users/"))
    under_way_s = max(0.0, (datetime.now(UTC) - newest).total_seconds())
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    second_s, about = time.monotonic() - began, json.loads(done.stdout.splitlines()[-1])
    manifest = read_batch(store, plan.folder)
    assert kept.items() <= {part.name: part for part in manifest.users}.items(), "a part was written again"
    rows = counted(registry, manifest, seen, Path(cache))
    return Long(
        users=active,
        killed_after=len(kept),
        parts=len(manifest.users) + len(manifest.similar),
        first_s=first_s,
        second_s=second_s,
        lost_s=under_way_s + about["opened_s"],
        peak_bytes=about["peak_bytes"],
        rows=rows,
    )


def counted(registry, manifest, seen, cache):
    """Check with DuckDB that each active user is there once, with a whole list; return the rows."""
    files = cache / "read"
    for part in [*manifest.users, *manifest.similar]:
        registry.objects.download(registry.objects.head(f"{manifest.folder}/{part.name}"), files / part.name)
    active = pa.table({"user": seen.users.ids.take(pa.array(np.flatnonzero(np.diff(seen.indptr))))})
    connection = duckdb.connect()
    connection.register("active", active)
    lists = f"(SELECT * FROM '{files}/users/*.parquet')"
    rows, users, items = connection.execute(
        f'SELECT count(*), count(DISTINCT "user"), count(DISTINCT ("user", item)) FROM {lists}'
    ).fetchone()
    assert rows == items == sum(part.rows for part in manifest.users), "an item is twice in a list"
    assert users == len(active)
    (others,) = connection.execute(
        f'SELECT count(*) FROM (SELECT "user", count(*) AS n, max(rank) AS last, count(DISTINCT rank) AS ranks '
        f'FROM {lists} GROUP BY "user") FULL JOIN active USING ("user") WHERE n IS DISTINCT FROM {manifest.list_size} '
        f"OR last <> n OR ranks <> n"
    ).fetchone()
    assert others == 0, "a user has no whole list"
    recommender = Recommender(ServedVersion.fetch(registry, manifest.model_id, cache))
    names = np.random.default_rng(1).choice(active["user"].to_pylist(), COMPARED, replace=False).tolist()
    for answer, name in zip(recommender.recommend([Request(user=name) for name in names]), names, strict=True):
        found = connection.execute(f'SELECT item, score FROM {lists} WHERE "user" = ? ORDER BY rank', [name]).fetchall()
        assert found == [(row.item, row.score) for row in answer.items]
    return rows


def main(argv=None):
    """Print what was found."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--child"]:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        child(*argv[1:4], int(argv[4]))
        return None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=5_000_000)
    parser.add_argument("--users", type=int, default=250_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--part-rows", type=int, default=parts.PART_ROWS)
    found = run(parser.parse_args(argv))
    print(found)
    return found


if __name__ == "__main__":
    main()
