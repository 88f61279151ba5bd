"""Runs of the real DAG on generated reviews of several sizes: seconds, memory and disk of each task, and growth."""
