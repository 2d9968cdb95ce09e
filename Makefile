# Two commands matter: `make demo` runs the main job, `make test` passes the tests.
# Each sets itself up; a second run reuses what the first has built.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE := .tame
ENGINE := $(STATE)/engine/venv

# Reach the engine and the router alike, as settings: make serve BASE_MODEL=… TENSOR_PARALLEL_SIZE=4
ifdef BASE_MODEL
export TAME_ENGINE__BASE_MODEL := $(BASE_MODEL)
endif
ifdef TENSOR_PARALLEL_SIZE
export TAME_ENGINE__TENSOR_PARALLEL_SIZE := $(TENSOR_PARALLEL_SIZE)
endif

.DEFAULT_GOAL := help
.PHONY: help services setup encoder engine router demo serve stop test quick check protos release-protos format adapters bench bench-routing bench-edge bench-relay bench-overload bench-joins clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

services:  ## install Redis, PostgreSQL and Prometheus for the tests that want them (Debian)
	@deploy/local/install_services.sh

setup: $(VENV)/.stamp  ## make the project's environment
encoder: setup  ## make the embedded encoder
	@$(BIN)/python deploy/local/install_encoder.py --state-dir $(STATE)

engine: setup  ## make vLLM's environment and the embedded base model
	@$(BIN)/python deploy/local/install_engine.py --state-dir $(STATE)

router: encoder  ## train the router, where lines or encoder have changed
	@$(BIN)/tame router train --if-needed

demo: engine router  ## ask ten questions, and bring, publish and take back an adapter, on a real vLLM
	@$(BIN)/python deploy/local/demo.py

serve: engine router  ## start vLLM and the router, and leave them running
	@$(BIN)/python deploy/local/serve.py

stop:  ## stop what `make serve` started
	@$(BIN)/python deploy/local/stop.py

test: engine router  ## all tests, with a real vLLM
	@deploy/local/test.sh

quick: encoder  ## the tests that need no engine
	@$(BIN)/python -m pytest -m "not engine and not network" --numprocesses auto --dist loadfile

check: setup  ## formatting, lint, types, import contracts, protos, dependencies, file lengths
	@deploy/local/check.sh

protos: setup  ## regenerate tame_router/v1 from protos/
	@$(BIN)/buf format -w && $(BIN)/buf lint && $(BIN)/python protos/generate.py

release-protos: setup  ## remember the protos as released, for the breaking-change check
	@$(BIN)/buf build --exclude-source-info -o protos/released.binpb

format: setup  ## put all code into its form
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format . && $(BIN)/buf format -w

adapters: engine  ## rebuild the reference adapters (about 25 minutes on 2 cores)
	@$(ENGINE)/bin/python adapters/train.py && $(ENGINE)/bin/python adapters/evaluate.py

bench: encoder  ## what the router adds to the first token, its start, memory and event loop
	@$(BIN)/python bench/overhead.py
	@$(BIN)/python bench/event_loop.py

bench-routing: encoder  ## how well and how fast it decides, beside two peers: make bench-routing DATA=…
	@$(BIN)/python bench/routing.py $(if $(DATA),--data $(DATA))

bench-edge: encoder  ## what identity, quota, audit and telemetry cost; abuse; quotas shared by four routers
	@$(BIN)/python bench/edge.py
	@$(BIN)/python bench/abuse.py
	@$(BIN)/python bench/shared_quota.py

bench-relay: encoder  ## what the router costs, beside vllm-router and the LiteLLM proxy
	@$(BIN)/python bench/relay.py

bench-overload: encoder  ## what is answered at up to ten times the load that can be
	@$(BIN)/python bench/overload.py

bench-joins: engine encoder  ## how soon each join speaks, and what joins bring (real vLLM, half an hour)
	@$(BIN)/python bench/joins.py
	@$(BIN)/python bench/join_quality.py

clean:  ## remove everything that was built
	rm -rf $(VENV) $(STATE) build dist *.egg-info

# A new pip, because that of older Pythons knows no dependency groups and takes minutes to choose
# among versions. Nothing is compiled ahead, which would take as long: most of it is never imported.
$(VENV)/.stamp: pyproject.toml
	@echo "setting up $(VENV) (some minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --no-compile --group dev -e '.[encoder,litellm,otlp,parquet,postgresql,redis,report,s3]'
	@touch $@
