# The tasks of a developer. Everything runs from .venv, which has exactly the versions of constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The development tools: the dependency group `dev`, which pip reads itself from version 25.1 on.
DEVELOPMENT = $(shell $(PYTHON) -c "import tomllib; \
	print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'])")

.DEFAULT_GOAL := help
.PHONY: help install run test test-laws test-hostile test-durability test-import test-deploying test-console test-relay test-sdks test-contracts test-cluster \
	bench bench-quick bench-smoke bench-noisy bench-slow \
	profile check format docs build pins clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(INSTALLED) ## Make .venv: the gateway, editable, and the development tools, in the pinned versions

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --editable '.[all]' $(DEVELOPMENT)
	@touch $@

run: install ## Serve on 127.0.0.1:8080, with the SQLite file gateway.db; GATEWAY_* variables change that
	$(BIN)/profile-gateway serve

test: install ## Run the tests, except the long ones below
	$(BIN)/pytest --numprocesses 2 --dist loadgroup

test-laws: install ## Test the laws with 10,000 examples each
	HYPOTHESIS_PROFILE=laws $(BIN)/pytest --numprocesses 2 --dist worksteal -m law

test-hostile: install ## Send a real server 20,000 mutants of the public corpora and 20,000 crossed requests
	HOSTILE_EXAMPLES=20000 $(BIN)/pytest -m hostile

test-durability: install ## Kill, starve and crash a loaded gateway: nothing acknowledged may be lost (PROOF=kills: one test)
	$(BIN)/python -m tests.durability $(PROOF)

fuzz: ## Fuzz the codecs and the dialects, guided by coverage, for SECONDS (60); finds go to .fuzz/
	test -d .fuzz/environment || $(PYTHON) -m venv .fuzz/environment
	PIP_CONSTRAINT= .fuzz/environment/bin/pip install --quiet atheris '.[all]' && mkdir -p .fuzz/corpus
	.fuzz/environment/bin/python -m tests.hostile.fuzz .fuzz/corpus -artifact_prefix=.fuzz/ -max_len=4096 \
		-max_total_time=$(or $(SECONDS),60)

test-import: install ## Import 100,000 rows of each format, killed six times: each row once (ROWS=1000000)
	GATEWAY_TEST_IMPORT_ROWS=$(or $(ROWS),100000) $(BIN)/pytest tests/test_file_import.py -k killed

test-deploying: install ## Validate docs/deploying with systemd-analyze, kubernetes-validate and the compose schema
	$(BIN)/python -m tests.deploying

test-console: install ## Click through the console in Debian's chromium, at desktop and phone width, light and dark
	$(BIN)/pytest tests/console/browser.py

test-sdks: install ## Run the vendors' own SDKs against a real server; needs node and npm
	PIP_CONSTRAINT= $(BIN)/python tests/sdks/courier.py
	PIP_CONSTRAINT= $(BIN)/python tests/sdks/klaviyo.py

test-cluster: install ## Kill the leader of a PostgreSQL cluster (Patroni, etcd) under load, three times; some minutes
	PIP_CONSTRAINT= $(BIN)/python -m tests.cluster

bench: install ## Measure the gateway beside a bare server and Fastify; TOPICS="updates reads" picks some, SECONDS=2 takes less
	$(BIN)/python -m bench $(TOPICS) $(SECONDS:%=--seconds %)

bench-quick: install ## Compare the gateway's speed with another commit in two minutes; BASE=HEAD~1
	$(BIN)/python -m bench.compare $(BASE)

bench-smoke: install ## Run every measurement briefly, to test that it works
	$(BIN)/python -m bench --smoke

bench-noisy: install ## Measure the latency of a quiet client beside large batches and a busy token
	$(BIN)/python -m bench.noisy

bench-slow: install ## Measure the latency of a client beside a thousand that never finish their requests
	$(BIN)/python -m bench.slow_clients

test-relay: install ## Relay 1,000 random histories of every pair, and kill both sides of a relay 50 times
	RELAY_HISTORIES=$(or $(HISTORIES),72) RELAY_KILLS=$(or $(KILLS),50) $(BIN)/pytest tests/test_relay_histories.py tests/test_relay_kills.py

profile: install ## Print where the time of an update goes, in JSON and in XML
	$(BIN)/python -m bench.weights

test-contracts: install ## Test the published contracts with 100,000 generated requests, and lint them where there is npm; SEED=1
	$(BIN)/python -m tests.contracts.run 100 $(SEED)

check: install ## Lint, check the format and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## Format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## Write the generated parts of docs/, and the examples of the published contracts
	$(BIN)/python -m tests.generate_docs
	$(BIN)/python -m tests.examples

build: install ## Make the sdist and the wheel in dist/
	$(BIN)/python -m build

pins: ## Write constraints.txt anew, with the newest versions that pyproject.toml admits
	rm -rf .venv
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT= $(BIN)/pip install --editable '.[all]' $(DEVELOPMENT)
	$(BIN)/pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$$' > constraints.txt
	touch $(INSTALLED)

clean: ## Remove .venv and everything that was built
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
