"""A local AWS Batch: it speaks the three calls that are used, and runs each job's command for real.

ministack and moto answer the same calls, but their jobs succeed at once without running anything.
"""

import fnmatch
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .conftest import ROOT

SPOT = "Host EC2 (instance i-0123456789abcdef0) terminated."
ACCOUNT = "arn:aws:batch:us-east-1:123456789012"


class LocalBatch:
    """One queue. `faults` are the fates of the next attempts: None runs it, the others are below."""

    SPOT, OUT_OF_MEMORY, NO_MACHINE = "spot", "out of memory", "no machine"

    def __init__(self, s3_endpoint, home):
        self.s3_endpoint, self.home = s3_endpoint, home
        self.jobs, self.faults, self.calls = {}, [], []
        self.processes = {}
        self.changed = threading.Condition()
        batch = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
                status, answer = batch.answer(self.path, body)
                raw = json.dumps(answer).encode()
                self.send_response(status)
                if status != 200:
                    self.send_header("x-amzn-errortype", answer["code"])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        for process in self.processes.values():
            process.kill()

    def answer(self, path, body):
        self.calls.append((path, body))
        return {"/v1/submitjob": self.submit, "/v1/describejobs": self.describe, "/v1/terminatejob": self.terminate}[
            path
        ](body)

    def submit(self, body):
        if body["jobQueue"] != "shop":
            return 400, {"code": "ClientException", "message": f"JobQueue {body['jobQueue']} not found"}
        job_id = str(uuid.uuid4())
        self.jobs[job_id] = {
            "jobId": job_id,
            "jobName": body["jobName"],
            "jobQueue": f"{ACCOUNT}:job-queue/shop",
            "jobDefinition": f"{ACCOUNT}:job-definition/{body['jobDefinition']}:1",
            "status": "SUBMITTED",
            "startedAt": 0,
            "container": {"logStreamName": f"{body['jobDefinition']}/default/{job_id}"},
        }
        threading.Thread(target=self._attempts, args=(job_id, body), daemon=True).start()
        return 200, {"jobId": job_id, "jobName": body["jobName"]}

    def describe(self, body):
        return 200, {"jobs": [self.jobs[job_id] for job_id in body["jobs"] if job_id in self.jobs]}

    def terminate(self, body):
        job = self.jobs[body["jobId"]]
        job["isTerminated"] = True
        process = self.processes.get(body["jobId"])
        if process is not None:
            process.terminate()
        else:
            self._set(job, "FAILED", body["reason"])
        return 200, {}

    def wait_for(self, condition, seconds=60):
        with self.changed:
            assert self.changed.wait_for(condition, seconds), self.jobs

    def _set(self, job, status, reason="", container=None):
        with self.changed:
            job.update(status=status, statusReason=reason)
            job["container"].update(container or {})
            self.changed.notify_all()

    def _attempts(self, job_id, body):
        job, strategy = self.jobs[job_id], body["retryStrategy"]
        for _ in range(strategy["attempts"]):
            status, reason, container = self._attempt(job, body)
            self.processes.pop(job_id, None)
            if status is None:
                return
            if status == "SUCCEEDED" or self._ends(strategy, reason):
                break
        self._set(job, status, reason, container)

    @staticmethod
    def _ends(strategy, reason):
        """As Batch decides: the first rule that fits. An exit of the container has no status reason of a host."""
        for rule in strategy["evaluateOnExit"]:
            if "onStatusReason" not in rule or fnmatch.fnmatch(reason, rule["onStatusReason"]):
                return rule["action"] == "EXIT"
        return False

    def _attempt(self, job, body):
        fault = self.faults.pop(0) if self.faults else None
        if fault == self.NO_MACHINE:
            self._set(job, "RUNNABLE", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
            return None, "", {}
        process = self._start(job["jobId"], body)
        self.processes[job["jobId"]] = process
        self._set(job, "RUNNING")
        if fault == self.SPOT:
            process.stdout.readline()  # its first line: the task has begun
            process.kill()
            process.wait()
            return "FAILED", SPOT, {}
        if fault == self.OUT_OF_MEMORY:
            process.stdout.readline()
            process.kill()
            process.wait()
            reason = "OutOfMemoryError: Container killed due to memory usage"
            return "FAILED", "Essential container in task exited", {"exitCode": 137, "reason": reason}
        output = process.communicate()[0]
        job["output"] = output
        if process.returncode == 0:
            return "SUCCEEDED", "Essential container in task exited", {"exitCode": 0}
        code = 128 - process.returncode if process.returncode < 0 else process.returncode
        return "FAILED", "Essential container in task exited", {"exitCode": code}

    def _start(self, job_id, body):
        """In the environment of a container of the image: nothing of Airflow's."""
        given = {each["name"]: each["value"] for each in body["containerOverrides"]["environment"]}
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "OPENBLAS_NUM_THREADS": "1",
            "RECOMMENDER_CACHE": str(self.home / "cache"),
            "AWS_BATCH_JOB_ID": job_id,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            **given,
        }
        python, *rest = body["containerOverrides"]["command"]
        assert python == "python"
        return subprocess.Popen(
            [sys.executable, *rest],
            env=environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        )
