# The Airflow image: the project and its locked dependencies, each file by its SHA-256, for amd64 and arm64.
ARG PYTHON_IMAGE=python:3.12.13-slim-trixie

FROM ${PYTHON_IMAGE} AS dependencies
WORKDIR /build
COPY deploy/installer.lock deploy/requirements.lock ./
# The installer has an environment of its own, which stays behind.
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
      -r installer.lock \
 && python -m venv --without-pip /opt/venv
# Wheels only: nothing is compiled here, so no compiler can be missing on one of the platforms.
# No process reads the tests of packages and the headers of pyarrow. Bytecode by content, not by time of the build.
RUN VIRTUAL_ENV=/opt/venv /opt/build/bin/uv pip install --no-cache --require-hashes --only-binary :all: -r requirements.lock \
 && find /opt/venv -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -rf '{}' + \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv

FROM ${PYTHON_IMAGE}
# implicit links against libgomp, and its wheel does not bring it. Debian keeps only the newest build of a package.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --no-log-init --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home --shell /usr/sbin/nologin airflow
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /opt/recommender
COPY include include
COPY dags dags
COPY plugins plugins
COPY samples samples
COPY deploy/__init__.py deploy/health.py deploy/login.py deploy/prepare.py deploy/stack.py deploy/
# Whoever checked the code out with another umask gets the same image. The code stays root's, so no task can change it; what is written lies in volumes that begin as these directories.
RUN chmod -R a+rX . \
 && python -m compileall -q --invalidation-mode unchecked-hash . \
 && install --directory --owner 50000 --group 0 --mode 0750 /opt/airflow /opt/airflow/logs /var/cache/recommender

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
# Last, since they change with each commit.
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="recommender-airflow" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
