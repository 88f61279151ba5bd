"""Scripts that the trial runs inside of containers, with the library that is there."""

from __future__ import annotations

# Of the newest batch of a version: the lists of its first users, as {user: [[item, score], ...]} in the order of ranks.
FIRST_LISTS = """
import json, os, sys, tempfile
from pathlib import Path

import pyarrow.parquet as parquet

from include.recommender.registry.locate import connect

model, wanted = sys.argv[1], int(sys.argv[2])
objects = connect(os.environ["RECOMMENDER_ROOT"]).objects
manifests = [row for row in objects.walk(f"recommendations/{model}/") if row.key.endswith("/manifest.json")]
folder = max(manifests, key=lambda row: row.modified_at).key.rpartition("/")[0]
with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "part.parquet"
    objects.download(objects.head(f"{folder}/users/part-00000.parquet"), path)
    rows = parquet.read_table(path).to_pylist()
lists = {}
for row in sorted(rows, key=lambda row: (row["user"], row["rank"])):
    if row["user"] in lists or len(lists) < wanted:
        lists.setdefault(row["user"], []).append([row["item"], row["score"]])
print(json.dumps(lists))
"""
# `docker kill` counts as a stop by hand. So the process ends inside, and the restart policy starts it again.
KILL_SCHEDULER = """
import os, signal
from pathlib import Path

killed = 0
for entry in Path("/proc").glob("[0-9]*"):
    words = (entry / "cmdline").read_bytes().split(b"\\0")
    if b"scheduler" in words and entry.name != "1":
        os.kill(int(entry.name), signal.SIGKILL)
        killed += 1
print(killed)
"""
