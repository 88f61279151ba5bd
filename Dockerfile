# The Airflow image: the project and the locked dependencies that its tests ran with, for amd64 and arm64.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie

FROM ${PYTHON_IMAGE} AS dependencies
WORKDIR /build
COPY constraints.txt requirements.txt requirements-build.txt ./
COPY deploy/requirements.txt deploy/
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check -r requirements-build.txt -c constraints.txt
# Wheels only: nothing is compiled here, so no compiler can be missing on one of the platforms.
RUN VIRTUAL_ENV=/opt/venv /opt/venv/bin/uv pip install --no-cache --compile-bytecode --only-binary :all: \
      -r deploy/requirements.txt -c constraints.txt

FROM ${PYTHON_IMAGE}
# implicit links against libgomp, and its wheel does not bring it.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home --shell /usr/sbin/nologin airflow
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /opt/recommender
COPY include include
COPY dags dags
COPY plugins plugins
COPY samples samples
COPY deploy/__init__.py deploy/health.py deploy/prepare.py deploy/stack.py deploy/
# The code stays root's, so no task can change it; what is written lies in volumes that begin as these directories.
RUN python -m compileall -q . \
 && install --directory --owner 50000 --group 0 --mode 0750 \
      /opt/airflow /opt/airflow/logs /opt/airflow/login /var/cache/recommender

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/recommender \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/recommender/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/recommender/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    OPENBLAS_NUM_THREADS=1
USER 50000:0
CMD ["airflow", "version"]
