# Everything a person types. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := .tools
SCANNERS := $(TOOLS)/.ready
REVIEWS ?= #: run, tune, up: your review files, a path or glob; default: generated samples
CONF ?= #: run, tune, up, batch: parameters as JSON, e.g. CONF='{"factors": 32}'; docs/parameters.md
SNAPSHOT ?= #: run, tune, up: date of the snapshot, YYYY-MM-DD; default: the newest
PORT ?= 8080#: up: port of Airflow's UI; default 8080
API_PORT ?= 8090#: serve: port of the online API; default 8090
S3_PORT ?= 9010#: run, tune, up, batch, serve, registry: port of the local S3; default 9010
ARGS :=#: registry: its command, e.g. ARGS="list"; bench: its options, e.g. ARGS="--reviews 200000"
# Through the environment, so that the shell does not read them again.
export REVIEWS CONF SNAPSHOT

# Which variables each command reads. A misspelt one, or one of another command, would change nothing without a word.
RUNS := REVIEWS CONF SNAPSHOT S3_PORT RECOMMENDER_%
READS_run := $(RUNS)
READS_tune := $(RUNS)
READS_up := $(RUNS) PORT
# As `make up` had them; they change nothing.
READS_down := PORT S3_PORT
READS_batch := CONF S3_PORT RECOMMENDER_%
READS_serve := API_PORT S3_PORT RECOMMENDER_%
READS_registry := ARGS S3_PORT RECOMMENDER_%
READS_bench := ARGS
READS_test := PYTEST_%
READS_test-slow := PYTEST_%
READS_compose-up := RECOMMENDER_% COMPOSE_%
READS_compose-down := COMPOSE_%
GOALS := $(or $(MAKECMDGOALS),help)
# `show` is for the tests of this file.
READ := PYTHON $(foreach goal,$(GOALS),$(READS_$(goal))) $(if $(filter show,$(GOALS)),$(READS_up) $(READS_registry))
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
UNREAD := $(filter-out $(READ),$(GIVEN))
ifneq ($(UNREAD),)
$(error $(foreach name,$(UNREAD),$(name)=...: `make $(GOALS)` does not read that.) `make help` lists the variables)
endif
NEAR := REVIEW REVIEWS_PATH CONFIG CONFS SNAPSHOTS SNAPSHOT_DATE S3PORT
$(foreach name,$(NEAR),$(if $(findstring environment,$(origin $(name))),$(if $(filter run tune up,$(GOALS)),$(warning $(name) in the environment: nothing here reads that. `make help` lists the variables))))

# The interpreter's own settings are not ours to inherit; PYTHONDONTWRITEBYTECODE, for one, makes Airflow slow.
unexport $(filter-out PYTHONUNBUFFERED,$(filter PYTHON%,$(.VARIABLES)))
export PYTHONPATH := $(CURDIR)
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup run tune up down batch serve registry bench compose-up compose-try compose-down lint audit sbom test test-slow clean constraints locks

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@awk -F ' *[:?]=.*#: ' '/^[A-Z0-9_]+ [:?]=.*#: /{printf "  %-17s %s\n", $$1 "=...", $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv with the locked dependencies

$(READY): requirements.txt requirements-local.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, %s is %d.%d. Name another: make PYTHON=python3.12 ..." % (sys.executable, *v))'
	@echo "Installing the locked dependencies into $(VENV): 200 packages, about 1.9 GB, a minute or two ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@(s=0; while sleep 5 && kill -0 $$$$; do s=$$((s + 5)); echo "  $$s s: $$(du -sm $(VENV) | cut -f1) MB in $(VENV)"; done) 2>/dev/null & \
	  beat=$$!; trap 'kill $$beat 2>/dev/null' EXIT; trap 'exit 130' INT TERM; \
	  VIRTUAL_ENV="$$PWD/$(VENV)" $(BIN)/uv pip install --quiet --compile-bytecode -r requirements-local.txt -c constraints.txt
	@$(BIN)/python -m local.compiling
	@touch $@

$(SCANNERS): requirements-tools.txt constraints-tools.txt | $(READY)
	@echo "Installing the scanners of \`make lint\` into $(TOOLS): 100 packages, about 320 MB ..."
	@$(PYTHON) -m venv --without-pip $(TOOLS)
	@VIRTUAL_ENV="$$PWD/$(TOOLS)" $(BIN)/uv pip install --quiet --only-binary :all: -r requirements-tools.txt -c constraints-tools.txt
	@touch $@

constraints: ## Resolve the dependencies anew into constraints.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
	  --upgrade -o constraints.txt requirements-local.txt requirements-build.txt deploy/requirements.txt
	$(MAKE) locks
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
	  --upgrade -o constraints-tools.txt requirements-tools.txt

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
  --generate-hashes --only-binary :all: -c constraints.txt

locks: ## Write the locks of the images, with hashes, from constraints.txt
	$(LOCK) -o deploy/installer.lock requirements-build.txt
	$(LOCK) -o deploy/requirements.lock deploy/requirements.txt
	$(LOCK) -o deploy/api/requirements.lock deploy/api/requirements.txt

run: $(READY) ## Retrain on the sample snapshots, or on your own files: make run REVIEWS=path/or/glob
	@$(BIN)/python -m local.run --s3-port='$(S3_PORT)'

tune: $(READY) ## Search for a better configuration, on the same reviews as `make run`
	@$(BIN)/python -m local.run --dag recommender_tune --s3-port='$(S3_PORT)'

up: $(READY) ## Airflow's UI, on the reviews of `make run`; with REVIEWS, CONF or SNAPSHOT it starts one run. Ctrl-C ends it
	@$(BIN)/python -m local.stack up --port='$(PORT)' --s3-port='$(S3_PORT)'

down: $(READY) ## End `make up` from another terminal, and whatever a killed one left
	@$(BIN)/python -m local.stack down

batch: $(READY) ## Lists of every user, as Parquet files, from the production model of `make run`
	@$(BIN)/python -m local.batch --s3-port='$(S3_PORT)'

serve: $(READY) ## The online API on the production model of `make run` or `make up`. Ctrl-C ends it
	@$(BIN)/python -m local.serve --port='$(API_PORT)' --s3-port='$(S3_PORT)'

registry: $(READY) ## A command of the registry on what ran last, e.g. make registry ARGS="list"
	@$(BIN)/python -m local.registry --s3-port='$(S3_PORT)' -- $(ARGS)

bench: $(READY) ## Every stage beside named references, on 5 million generated reviews: seconds, memory, ratios; up to 20 minutes
	@$(BIN)/python -m benchmarks.bench $(ARGS)

compose-up: ## The stack in Docker: PostgreSQL, object store, Airflow, online API (docs/docker.md)
	@$(PYTHON) -m deploy.make_env
	IMAGE_REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" docker compose up --build --detach --wait
	@docker compose ps api-server api
	@echo "Airflow: user admin, password: AIRFLOW_ADMIN_PASSWORD in .env. Online API: key API_KEY in .env"

compose-try: ## Try the started stack: retrain, batch, online API, roles (docs/docker.md)
	@$(PYTHON) -m deploy.compose.trial

compose-down: ## Stop it; its data stays
	docker compose down

lint: $(READY) $(SCANNERS) ## Style, types, imports, dependencies, compose, Terraform, workflow, licences, vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry --config deptry.toml --requirements-files deploy/requirements.txt --extend-exclude deploy/supply include dags plugins samples deploy
	$(BIN)/deptry --config deptry.toml --requirements-files deploy/api/requirements.txt --per-rule-ignores 'DEP002=httptools|uvloop,DEP003=implicit|isal|llvmlite|numba' \
	  $(addprefix include/recommender/,api data models parameters registry serving storage)
	$(BIN)/deptry --config deptry.toml --requirements-files requirements-local.txt .
	deploy/check_compose.sh $(BIN)
	deploy/aws/check.sh $(TOOLS)/bin $(BIN)
	$(TOOLS)/bin/hadolint Dockerfile deploy/api/Dockerfile
	$(TOOLS)/bin/zizmor --offline --pedantic --quiet .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/python -m deploy.supply.licences
	$(BIN)/python -m deploy.supply.audit

audit: $(READY) $(SCANNERS) ## Known vulnerabilities of the locked packages; needs the network, and fails without it (docs/supply-chain.md)
	$(BIN)/python -m deploy.supply.audit --required

sbom: $(READY) $(SCANNERS) ## A bill of materials of each image, in dist/
	$(BIN)/python -m deploy.supply.sbom

test: $(READY) ## The quick tests, three at a time: they wait as much as they compute
	$(BIN)/pytest -n 3 --dist worksteal -m "not slow" --durations=15

test-slow: $(READY) ## The rest, three at a time: whole stacks, long runs, every fault
	$(BIN)/pytest -n 3 --dist loadgroup -m slow --durations=15

clean: ## Remove the environments; .local (your data) stays
	rm -rf $(VENV) $(TOOLS)
