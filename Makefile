# Every command for working on Lentigo and for running it. `make` alone lists the targets.
#
# Each environment is one pinned file of requirements/. All of them install into .venv, agree on
# every pin, and leave a stamp there, so that the second time costs nothing.

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

DISTRIBUTIONS_inference := shared services/inference
DISTRIBUTIONS_trainer := shared services/trainer
DISTRIBUTIONS_gateway := shared services/gateway
# It reads logs and needs nothing of ours; what all have in common makes it an environment like them.
DISTRIBUTIONS_tensorboard := shared
DISTRIBUTIONS_fuzz := shared
DISTRIBUTIONS_dev := shared services/trainer services/inference services/gateway

SOURCES := shared/src services/trainer/src services/inference/src services/gateway/src
PYPROJECTS := $(patsubst %,%/pyproject.toml,$(DISTRIBUTIONS_dev))

# TensorFlow 2.21 has packages for these; name another with `make PYTHON=...`.
SUITABLE = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUITABLE)' 2>/dev/null && echo "$$python" && break; done)
NO_PYTHON = Lentigo needs Python 3.11, 3.12 or 3.13 (TensorFlow has packages for no other): \
	install one, or name it with make PYTHON=/path/to/python3

WORK ?= work
MODELS ?= models
MINUTES ?= 60

# The theme prints a notice about MkDocs 2, which is not what is pinned here.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs

# Either version of Compose; whatever it needs besides the compose file comes from the environment.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
PROFILES := train monitoring gpu keys hospital
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup serve test check format docs train benchmark tensorboard up hospital down logs train-container smoke helm-check fuzz lock clean .source .engine

help: ## Print what every target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## Install everything for working on Lentigo into .venv

serve: $(VENV)/.inference ## Serve the newest model of models/ on http://127.0.0.1:8000 (LENTIGO_HOST, LENTIGO_PORT, ...)
	$(BIN)/lentigo-inference

# Playwright keeps an event loop running in its process, in which no asynchronous test can start, so
# the page's tests have a process of their own. The containers' are `make smoke`.
test: $(VENV)/.dev ## Run the tests (ARGS="tests/contract -k name" to choose)
	$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),\
	$(BIN)/python -m pytest --ignore=tests/e2e/page --ignore=tests/containers && \
	$(BIN)/python -m pytest tests/e2e/page)

check: $(VENV)/.dev ## Check format, lint, types, import rules, duplicated code and the documentation
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pylint --disable=all --enable=duplicate-code $(wildcard $(addsuffix /*,$(SOURCES)))
	$(MKDOCS) build --strict --quiet

format: $(VENV)/.dev ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.dev ## Serve the documentation on http://127.0.0.1:8001, and build it again when a file changes
	$(MKDOCS) serve --strict $(ARGS)

train: .source $(VENV)/.trainer ## Train on HAM10000 and publish: SOURCE=dir [WEIGHTS=dir] [WORK=dir] [MODELS=dir] [ARGS=...]
	$(BIN)/lentigo-train run --source "$(SOURCE)" $(if $(WEIGHTS),--weights-dir "$(WEIGHTS)") \
		--work "$(WORK)" --models "$(MODELS)" $(ARGS)

benchmark: .source $(VENV)/.trainer ## Compare all architectures and write a report: SOURCE=dir [WEIGHTS=dir] [WORK=dir] [REPORT=dir] [ARGS=...]
	$(BIN)/lentigo-train benchmark --source "$(SOURCE)" $(if $(WEIGHTS),--weights-dir "$(WEIGHTS)") \
		--work "$(WORK)" $(if $(REPORT),--report-dir "$(REPORT)") $(ARGS)

tensorboard: $(VENV)/.tensorboard ## Show the curves of the runs in WORK, finished or under way, on http://127.0.0.1:6006
	$(BIN)/tensorboard --logdir "$(WORK)" $(ARGS)

up: .engine ## Build and start the service in containers, and wait until it answers (settings: .env.example)
	@COMPOSE="$(COMPOSE)" LENTIGO_REVISION="$(REVISION)" deploy/up.sh

hospital: .engine $(VENV)/.dev ## Start service, gateway, archive and FHIR server in containers, and store three images made by code
	@COMPOSE="$(COMPOSE)" PYTHON="$(BIN)/python" LENTIGO_REVISION="$(REVISION)" deploy/hospital/up.sh

down: .engine ## Stop the containers; the volumes with the models and the training's work stay
	$(COMPOSE) $(PROFILES:%=--profile %) down --remove-orphans

logs: .engine ## Follow the containers' logs
	$(COMPOSE) logs --follow --tail 100

train-container: .source .engine ## Train in a container and publish to its volume: SOURCE=dir [WEIGHTS=dir] [ARGS=...]
	LENTIGO_REVISION="$(REVISION)" $(COMPOSE) build trainer
	@LENTIGO_SOURCE="$(abspath $(SOURCE))" $(COMPOSE) run --rm $(if $(WEIGHTS),--volume "$(abspath $(WEIGHTS)):/weights:ro") trainer run --source /data \
		$(if $(WEIGHTS),--weights-dir /weights) $(ARGS) || { code=$$?; [ $$code -ne 137 ] || \
		echo "The container was ended from outside: by hand, or because it needed more memory than LENTIGO_TRAINER_MEMORY allows." >&2; \
		exit $$code; }

smoke: .engine $(VENV)/.dev ## Build the images and test them on a Docker engine: train, publish, swap, and what may go wrong
	COMPOSE="$(COMPOSE)" $(BIN)/python -m pytest tests/containers --numprocesses=0 $(ARGS)

# Triples of what can be turned on and off, where `make test` takes pairs. KSERVE_CRDS=dir holds deploy/kserve/ to
# KServe's own schemas: its folder config/crd/full.
helm-check: $(VENV)/.dev ## Lint and render the Helm chart, and hold it to Kubernetes' schemas and our policies; fetches helm if there is none
	deploy/helm/get-helm.sh
	CHART_COMBINATIONS=3 $(BIN)/python -m pytest tests/deploy $(ARGS)

fuzz: $(VENV)/.dev $(VENV)/.fuzz ## Fuzz what reads bytes from outside, each target for so long: [MINUTES=60] [ARGS="images infer"]
	$(BIN)/python -m fuzz --minutes $(MINUTES) $(ARGS)

lock: $(BIN)/python ## Compile the pinned files of requirements/ again (ARGS=--upgrade to move to newer versions)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(call compile,dev,requirements/dev.in requirements/build.in $(PYPROJECTS) --extra savedmodel --extra litert \
		--extra score --extra ray --extra mlflow)
	$(call compile,build,requirements/build.in)
	$(call compile,trainer,shared/pyproject.toml services/trainer/pyproject.toml)
	$(call compile,trainer-gpu,shared/pyproject.toml services/trainer/pyproject.toml requirements/trainer-gpu.in \
		--override requirements/trainer-gpu.overrides)
	$(call compile,tensorboard,requirements/tensorboard.in)
	$(call compile,fuzz,requirements/fuzz.in)
	$(call compile,inference,shared/pyproject.toml services/inference/pyproject.toml --extra litert)
	$(call compile,inference-full,shared/pyproject.toml services/inference/pyproject.toml --extra litert --extra savedmodel)
	$(call compile,gateway,shared/pyproject.toml services/gateway/pyproject.toml)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--output-file benchmarks/rivals/requirements.txt benchmarks/rivals/requirements.in $(ARGS)

clean: ## Remove .venv and every cache; work/ and models/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(SOURCES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

.engine:
	@docker version >/dev/null 2>&1 || { \
		echo "No Docker engine answers: install and start one, or name it in DOCKER_HOST." >&2; exit 1; }

.source:
	@$(if $(SOURCE),:,$(error make $(firstword $(MAKECMDGOALS)) needs SOURCE=dir, the folder with the HAM10000 archives and metadata))

# One set of pins: dev.txt comes first and holds the others to its versions. Neither a registry's
# address nor a path of this machine goes in, so the files mean the same everywhere. They name every
# package, so pip installs them without looking for others: it would refuse `package[extra]`.
compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-emit-package lentigo-contract \
	--custom-compile-command "make lock" $(if $(filter-out dev,$(1)),--constraints requirements/dev.txt) \
	--output-file requirements/$(1).txt $(2) $(ARGS)

$(BIN)/python:
	@$(if $(PYTHON),:,$(error $(NO_PYTHON)))
	@$(PYTHON) -c '$(SUITABLE)' || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make an environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }

$(VENV)/.%: requirements/%.txt requirements/build.txt $(PYPROJECTS) | $(BIN)/python
	@echo "Installing $< into $(VENV); the first time takes a minute or two."
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes --requirement $< --requirement requirements/build.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation $(DISTRIBUTIONS_$*:%=--editable %)
	@touch $@
