# make demo    the sample clip, four times slower        make test       everything but the slow tests
# make up      endpoint, Dagster UI and sensors          make test-slow  the slow tests
# make lint    what the CI checks before the tests       make bench      the numbers of docs/numbers.md
#                                                        make bench-film those of FILM
# make test-browser  the UI in Chromium (Debian's package chromium)
# make test-wheel    the wheel in an empty environment
# make docs    the pages, in build/docs             make screenshots  their pictures, with Chromium

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Images of Docker ask for no bytecode: each of a thousand processes would compile the package, and pytest all tests.
test test-slow test-browser test-wheel: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo up test test-slow test-browser test-wheel lint docs screenshots bench bench-film clean

demo: $(VENV)/installed
	$(BIN)/slowmo run examples/big_buck_bunny.mp4 --slowdown 4

up: $(VENV)/installed
	$(BIN)/slowmo up

# The tests of a file share servers and models. Files in their own order: those with few tests are the long ones.
test: $(VENV)/dev-installed
	$(BIN)/python -m slowmo_pipeline_tests.support.processor_time -m pytest -m "not slow and not browser and not wheel" --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/dev-installed
	$(BIN)/python -m pytest -m slow

test-browser: $(VENV)/dev-installed
	$(BIN)/python -m pytest -m browser slowmo_pipeline_tests/machine

test-wheel: $(VENV)/dev-installed
	$(BIN)/python -m pytest -m wheel slowmo_pipeline_tests/test_wheel.py

lint: $(VENV)/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/serving/Dockerfile deploy/dagster/Dockerfile

docs: $(VENV)/dev-installed
	$(BIN)/python -m sphinx -n -W -q -c docs . build/docs

screenshots: $(VENV)/dev-installed
	$(BIN)/python -m docs.screenshots

bench: $(VENV)/dev-installed
	$(BIN)/python -m benchmarks

bench-film: $(VENV)/dev-installed
	$(BIN)/python -m benchmarks.film

$(VENV)/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/dev-installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) slowmo_data .pytest_cache .mypy_cache .ruff_cache .hypothesis
