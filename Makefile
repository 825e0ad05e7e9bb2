# Everything a newcomer needs: `make demo` and `make test`. Only git, make and Python 3.11+ are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
STAMP := $(VENV)/.installed
# Tests start hundreds of processes: each would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test crash test-times install lint texts check bench clean

demo: install  ## Set up and play a real shop's eighteen months
	@$(BIN)/keepers demo $(ARGS)

install: $(STAMP)  ## Set up .venv with the keepers command, demo data included

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; a few minutes) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Keepers needs Python 3.11 or newer; name one with PYTHON=…"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt --editable '.[demo]'
	@touch $(STAMP)

$(VENV)/.installed-dev: $(STAMP)
	@echo "Adding what the tests need …"
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt --editable '.[demo,dev]'
	@touch $@

lint: $(VENV)/.installed-dev  ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

texts: $(VENV)/.installed-dev  ## Collect the texts for people and add new ones to every language's PO file
	@mkdir -p build
	$(BIN)/pybabel extract --mapping pyproject.toml --add-location file --sort-by-file --project Keepers \
		--output build/keepers.pot .
	$(BIN)/pybabel update --input-file build/keepers.pot --output-dir src/keepers/i18n/locale --domain keepers \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 120

test: lint  ## Everything, on SQLite and PostgreSQL
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --durations 15 -rs $(ARGS)

KILLS ?= 500
SEED ?=

crash: $(VENV)/.installed-dev  ## Kill processes KILLS times at random moments, on both stores; SEED repeats the moments of a run
	CRASH_KILLS=$(KILLS) CRASH_SEED=$(SEED) $(BIN)/python -m pytest tests/crash --durations 12 -rP $(ARGS)

# Zone, day and hour of each run of test-times: night, 29 February, the hour that clocks skip, the end of a year.
TIMES := UTC_2027-03-02_03:00:00 UTC_2028-02-29_12:00:00 Europe/Warsaw_2027-03-28_01:58:00 UTC_2026-12-31_23:59:00

build/shift.so: tests/times/shift.c
	@mkdir -p build
	$(CC) -shared -fPIC -O2 -Wall -o $@ $< -ldl

test-times: $(VENV)/.installed-dev build/shift.so  ## The tests at awkward times of the machine (Linux, with a C compiler)
	@set -e; failed=0; for time in $(TIMES); do \
		zone=$${time%%_*}; at=$$(echo "$${time#*_}" | tr _ ' '); echo "As if it were $$at, $$zone:"; \
		shift_s=$$(( $$(TZ=$$zone date -d "$$at" +%s) - $$(date +%s) )); \
		TZ=$$zone SHIFT_S=$$shift_s LD_PRELOAD=$(CURDIR)/build/shift.so \
			$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS) || failed=1; \
	done; exit $$failed

bench: $(VENV)/.installed-dev  ## Measure, each figure beside its yardstick; writes build/bench.json
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## Remove what was made
	rm -rf $(VENV) build demo-workspace .pytest_cache .ruff_cache .mypy_cache .hypothesis
