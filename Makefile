# The commands of the project; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := pipeline transforms detectors io schemas
SHELL := /bin/bash
# One thread a process in numeric libraries: the parallelism is Beam's and pytest's.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help install demo live test test-pure test-live test-flink lint format bench quality lock clean
.PHONY: prism flink-up flink-run flink-down

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/installed: setup.py requirements/lock.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "eddyline needs Python 3.11 or newer; this is $$($(PYTHON) --version)." \
	       "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) (about 1.4 GB, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/lock.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@mkdir -p .types/eddyline
	@for f in $(FOLDERS); do ln -sfn ../../$$f .types/eddyline/$$f; done
	@touch $@

install: $(VENV)/installed ## .venv with the locked dependencies and eddyline itself

demo: install ## simulate a fleet, run the real job on it, tell what it found
	@$(BIN)/eddyline demo

test: install ## the whole suite
	@$(BIN)/pytest -n 2 --dist worksteal

test-pure: install ## the tests without Beam: seconds
	@$(BIN)/pytest tests/schemas tests/detectors tests/io/simulate tests/test_layout.py -m "not job and not many and not flink and not live"

lint: install ## ruff (lint, format) and pyright strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --warnings

format: install ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

prism: install ## the Prism engine, which `eddyline live` and the streaming tests run on
	@$(BIN)/python -m eddyline.pipeline.prism

live: prism ## a simulated fleet through emulated Kinesis and the job on Prism, until Ctrl-C
	@$(BIN)/eddyline live

test-live: install ## sources, Kafka, `live`, chaos and a soak on real servers and Prism: half an hour
	-@$(BIN)/python -m eddyline.pipeline.prism
	@$(BIN)/python -m deploy.servers $(BIN)/pytest -v --durations=15 -m "live or job" \
	  tests/io/sources tests/io/kafka tests/pipeline/live tests/chaos tests/soak

flink-up: install ## a Flink cluster on this machine (fetches 400 MB once)
	@$(BIN)/python -m deploy.flink up

flink-run: install ## the job on it: make flink-run ARGS="--source kinesis:NAME --lake lake"
	@$(BIN)/python -m deploy.flink run $(ARGS)

flink-down: ## stop the cluster; checkpoints stay
	@$(BIN)/python -m deploy.flink down

test-flink: install ## the job on Flink under kills and outages, minutes
	@$(BIN)/pytest -v --durations=10 -m flink tests/flink

bench: install ## readings a second on each engine, latency, detectors beside River, bytes of state
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.detectors
	@$(BIN)/python -m benchmarks.state_bytes
	@$(BIN)/python -m benchmarks.live_latency
	@$(BIN)/python -m benchmarks.engines
	@$(BIN)/python -m benchmarks.sweep

quality: install ## detection quality on every labelled set, compared with the last time
	@$(BIN)/python -m benchmarks.quality

lock: install ## renew requirements/*.txt
	@$(BIN)/uv pip compile setup.py --extra dev --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header -q -o requirements/lock.txt
	@echo uv | $(BIN)/uv pip compile - --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements/uv.txt

clean: ## remove what make made
	rm -rf $(VENV) .types demo live .flink .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
