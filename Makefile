# The whole project's commands. Without make: ./local/setup.sh, then .venv/bin/smartcity demo.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
SOURCES := contracts/src firmware-sim/src edge/src bridge/src cloud/spark/src cloud/aws/src cloud/dashboard/src local/src

.PHONY: help setup setup-tests demo test test-unit chaos lint up down status constraints clean bench bench-bridge bench-capture bench-gateway bench-lake bench-questions bench-s3 bench-simulator bench-visible compose-test soak replay trino bench-dashboard

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## Python environment, Mosquitto, Java, jars; repeatable
	@./local/setup.sh

setup-tests:
	@./local/setup.sh --for-tests

demo: setup ## drive the whole way of a reading, and prove that nothing was lost
	@.venv/bin/smartcity demo

test: setup-tests lint ## every check and every test, with real Mosquitto, Kafka and Spark
	@$(PYTHON) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-unit: setup ## only the tests that start nothing
	@$(PYTHON) -m pytest -m "not broker and not spark and not end_to_end"

chaos: setup ## kill everything again and again, and prove that nothing was lost (CHAOS="--kills 5 --seed 1")
	@$(PYTHON) -m tests.chaos $(CHAOS)

bench: bench-bridge bench-capture bench-dashboard bench-gateway bench-lake bench-questions bench-s3 bench-simulator bench-visible ## every benchmark

bench-bridge: setup ## CPU per message of the bridge, beside a paho-loop bridge; writes var/bench/bridge.json
	@$(PYTHON) tests/bench/bridge.py

bench-simulator: setup ## CPU and memory of 10,000 simulated vehicles (BENCH="--vehicles 1000"); writes var/bench/simulator.json
	@$(PYTHON) tests/bench/simulator.py $(BENCH)

bench-capture: setup ## recorder and replayer beside mqtt-recorder; writes var/bench/capture.json
	@$(PYTHON) tests/bench/capture.py

bench-dashboard: setup-tests ## from a device to the live map, and the page's frames (BENCH="--seconds 30"); writes var/bench/dashboard.json
	@$(PYTHON) tests/bench/dashboard.py $(BENCH)

bench-gateway: setup ## honest devices' latency while strangers stall; writes var/bench/gateway.json
	@$(PYTHON) tests/bench/gateway.py

bench-lake: setup ## records per CPU-second into the lake, beside the tutorials' way; writes var/bench/lake.json
	@$(PYTHON) tests/bench/lake.py $(BENCH)

bench-questions: setup ## bytes that ten questions scan, beside the tutorials' layout; writes var/bench/questions.json
	@$(PYTHON) tests/bench/questions.py $(BENCH)

bench-s3: setup ## S3 requests per batch of the lake; writes var/bench/s3-requests.json
	@$(PYTHON) tests/bench/s3_requests.py $(BENCH)

bench-visible: setup ## from the bridge to Athena, at 20 vehicles in real time; writes var/bench/visible.json
	@$(PYTHON) tests/bench/visible.py $(BENCH)

compose-test: setup-tests ## docker-compose.yml as it is, and the bridge between containers, where an engine answers
	@$(PYTHON) -m pytest tests/test_compose.py tests/compose/brokers.py tests/compose/whole_stack.py

trino: setup-tests ## every query shipped for Athena, on the local Athena and on Trino (800 MB, a JDK 24 or 25)
	@$(PYTHON) -m pytest -q local/tests/trino_queries.py

soak: setup ## ten simulated hours: do files and memory stay steady? (SOAK="--simulated-hours 2"); writes var/bench/soak.json
	@$(PYTHON) -m tests.soak $(SOAK)

replay: setup ## send the recorded drive through the running stack (REPLAY="--restamp --loop")
	@.venv/bin/smartcity replay edge/fixtures/drive.mcap $(REPLAY)

lint: setup ## ruff, mypy, and whether the rendered files are up to date
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy $(SOURCES)
	@$(PYTHON) -m smartcity.contracts.render --check
	@$(PYTHON) -m smartcity.contracts.released --check
	@$(PYTHON) -m smartcity.aws.template.render --check
	@$(PYTHON) -m smartcity.aws.dashboard.picture --check docs/images/dashboard.svg

up: setup ## start the stack
	@.venv/bin/smartcity up

down: ## stop it; the data stays
	@.venv/bin/smartcity down

status: ## what runs, and where
	@.venv/bin/smartcity status || true

constraints: setup ## compile constraints.txt anew from every pyproject.toml
	@{ echo '# Every version that the project was tested with. Made by `make constraints` (uv pip compile --universal); do not edit.'; \
	  .venv/bin/uv pip compile --quiet --universal --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
	    pyproject.toml local/pyproject.toml --group dev | grep -vE '^(-e |smartcity)'; } > constraints.new
	@mv constraints.new constraints.txt

clean: down ## stop the stack; remove data, logs and the Python environment (jars stay)
	@rm -rf var/data var/sim var/demo var/etc var/log var/run .venv .mypy_cache .ruff_cache .pytest_cache
