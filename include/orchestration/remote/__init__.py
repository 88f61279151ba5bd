"""Heavy tasks on a bigger machine: a task submits a job to AWS Batch, waits deferred, and returns what it made."""
