"""The ids of the DAGs. Light to import: every DAG file and task imports it."""

from __future__ import annotations

RETRAIN_DAG, TUNE_DAG, BATCH_DAG = "recommender_retrain", "recommender_tune", "recommender_batch"
