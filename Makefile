# Everything happens in .venv, which is made, and brought up to date with pyproject.toml, when a
# target needs it. The two stamps remember what was installed, so a second run starts at once.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
DEMO ?= datasets/demo-cluster.json.gz
WORKERS ?= 2
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test rl controlplane manifests test-matrix lint format types contracts wheel-check dev clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.base  ## solve the bundled cluster snapshot and write demo.html
	$(BIN)/optsched solve $(DEMO) --report demo.html

test: $(VENV)/.dev  ## run the tests (ARGS='-k name' chooses)
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -rf $(ARGS)

rl: $(VENV)/.dev  ## add what training needs (torch, several GB); without it tests/agents skips
	$(BIN)/python -c 'import sb3_contrib, torch' 2>/dev/null || $(PIP) --editable '.[rl]'

controlplane:  ## build etcd, Kubernetes, KWOK, helm, kustomize for the tests (Go; 10 minutes, once)
	$(PYTHON) tests/controlplane/build.py

manifests: $(VENV)/.dev  ## write what follows from the code in the Helm chart, and its renderings
	$(BIN)/python -m optsched.k8s.install
	$(BIN)/python -m tests.controlplane.charts

test-matrix: $(VENV)/.dev  ## run the tests that need a control plane with each version of Kubernetes
	@for minor in $$($(BIN)/python tests/controlplane/build.py --list); do \
		echo "== Kubernetes $$minor"; \
		$(BIN)/python tests/controlplane/build.py --minor $$minor \
		&& CI=true OPTSCHED_KUBERNETES=$$minor $(BIN)/pytest -rf $(ARGS) tests/k8s/e2e \
		|| failed="$$failed $$minor"; \
	done; [ -z "$$failed" ] || { echo "failed with:$$failed" >&2; exit 1; }

lint: $(VENV)/.dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## repair what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## the directions of imports
	$(BIN)/lint-imports --no-logo

wheel-check: $(VENV)/.dev  ## build the wheel, install it elsewhere, run it there
	.ci/wheel-check $(BIN)/python

dev: $(VENV)/.dev  ## make the development environment

clean:  ## remove the environment, builds and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache demo.html

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "optsched needs Python 3.11 or newer and found none;" \
		"name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip before 25.1 does not know dependency groups. The filter silences a warning of setuptools about
# folders named like the package, which is what we want here.
PIP := PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet
$(VENV)/.base: pyproject.toml Makefile | $(BIN)/python
	@echo "Installing optsched in $(VENV), and compiling its kernels: a minute or two, once."
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --editable .
	$(BIN)/python -m optsched.kernels
	touch $@

$(VENV)/.dev: pyproject.toml Makefile | $(BIN)/python
	@echo "Installing optsched and its tools in $(VENV): a minute or two, once."
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --editable . --group dev
	$(BIN)/python -m optsched.kernels
	touch $(VENV)/.base $@
