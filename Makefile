# make demo and make test are all a newcomer needs; each sets everything up by itself.
.PHONY: setup demo test check format golden slow slow-short netx mutants clean

# The first Python that is new enough; override with make PYTHON=/path/to/python3.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
# Libraries that tests compare with. Installed alone: they ask for torchvision, torchaudio and
# samna, which no test needs and which would bring another torch; what nengo-loihi asks for is here,
# and what tonic imports but librosa, which only its sound needs.
LIBRARIES := spikingjelly norse sinabs nengo nengo-loihi tonic importRosbag expelliarmus
# mypy sees the three folders as one package through this tree of links.
TYPES := build/types/snncompile

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt Makefile
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps $(LIBRARIES)
	@touch $@

demo: setup
	$(BIN)/snncompile demo

# Tests run beside each other, so each has one thread; more than four would mostly take memory.
BESIDE := --numprocesses auto --maxprocesses 4 --dist worksteal

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(BESIDE)

# Both: the tests that make test leaves out; slow-short without the longest.
slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow $(BESIDE)

slow-short: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow and not very_slow" $(BESIDE)

# The environment in which lava-dl's netx loads our .net files: 5 GB, of Python 3.10; make slow uses it.
netx: .netx/ready

.netx/ready: .venv/ready tests/backends/netx/requirements.txt
	$(BIN)/python tests/helpers/install_netx.py .netx
	@touch $@

# At most 90 minutes on two cores; fewer with make mutants MUTANTS='--minutes 20 --sample 10'.
mutants: setup
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mutants.py $(MUTANTS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf $(TYPES) && mkdir -p $(TYPES)
	ln -s $(CURDIR)/snncompile/* $(CURDIR)/backends $(CURDIR)/hwmodels $(TYPES)
	cd $(TYPES)/.. && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p snncompile

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: setup
	$(BIN)/python -m pytest --update-golden

clean:
	rm -rf .venv .netx build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
