# `make example` and `make test` are all a newcomer needs; both make the virtual environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The tests start hundreds of processes; each would compile all modules again, a fifth of its time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: all install example test lint format bench clients closure deviates slurm lines fuzz faults service observatory bytes bytes-check gallery data clean

all: lint test

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/elvis warm
	touch $@

example: install
	$(BIN)/elvis example micado | $(BIN)/elvis > micado.fits
	$(BIN)/elvis preview micado.fits -o micado.png
	@echo "micado.fits and its picture micado.png are ready"

test: install
	$(BIN)/python -m pytest -q -n 3 --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Processor seconds, memory and ratios to the floor; peers beside them, each in an environment of its own (GalSim in ours).
# It took 18 minutes on two cores, with the installation of the peers.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.bench.noise
	$(BIN)/python -m tests.bench.warm
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.stars
	$(BIN)/python -m tests.bench.image
	$(BIN)/python -m tests.bench.ccd
	$(BIN)/python -m tests.bench.echelle
	$(BIN)/python -m tests.bench.worst
	$(BIN)/python -m pytest -q -s tests/bench/timings.py

# Lines of sky and star in frames of CRIRES2, METIS LMS and HARMONI, extracted.
lines: install
	ELVIS_HIGH_RESOLUTION_TESTS=1 $(BIN)/python -m pytest -q tests/instruments/test_high_resolution.py

# Signal-to-noise ratios of all spectrographs, extracted from 30 frames each, against the prediction; then the
# products of every imaging mode against noiseless frames, and all that the suite leaves out to end in time.
closure: install
	ELVIS_CLOSURE=1 $(BIN)/python -m pytest -q tests/test_closure_spectroscopy.py
	ELVIS_CLOSURE=1 $(BIN)/python -m pytest -q -s \
	  $$(grep -rlE "ELVIS_CLOSURE|closure_only" tests --include="test_*.py" | grep -v test_closure_spectroscopy)

# Deviates of the noise: tails, moments and correlations of 1e9 normal ones, Anderson-Darling on 1e8, Poisson ones one by one.
deviates: install
	ELVIS_DEVIATES=1 $(BIN)/python -m pytest -q -s tests/kernels/test_deviates.py

# A batch, a reduction and a survey on a SLURM of two nodes on this machine, of which one is killed halfway (needs root
# and Debian's slurm-wlm).
slurm: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dask,observatory,reduce]' dask-jobqueue
	$(BIN)/python -m tests.slurm.run

# Programs of others read the frames: ESO's HAWK-I recipes, source-extractor, photutils, STILTS (apt and pip fetch them).
clients: install
	$(BIN)/python -m pytest -q -s tests/clients/*.py

# Fifty thousand damaged requests, files, blocks and surveys (tests/fuzz), then twenty thousand requests, all rendered.
fuzz: install
	$(BIN)/python -m tests.fuzz --cases 50000 --jobs 2
	ELVIS_FUZZ=10 $(BIN)/python -m pytest -q tests/request/test_filter_fuzz.py

# Faults of the machine: little memory, full disks, signals at random moments, damaged caches (needs strace and faketime).
faults: install
	$(BIN)/python tests/faults/run.py

# The service: figures beside what is asked, abuse, its interface and that of the archive tried at random, all tests. With
# CORPUS=FOLDER the frames of 50 ETC requests (JSON files) there are compared too; ELVIS_QUICK=1 compares small windows.
service: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check schemathesis
	$(BIN)/python -m tests.load.measure $(if $(CORPUS),--corpus $(CORPUS)) $(if $(ELVIS_QUICK),--window)
	$(BIN)/python -m tests.load.abuse
	$(BIN)/python -m tests.load.schema
	ELVIS_SERVICE_TESTS=1 $(BIN)/python -m pytest -q tests/service

# The observatory: 20 random kills on each database, ten thousand sources and simulated epochs, with time and memory.
observatory: install
	ELVIS_KILLS=20 $(BIN)/python -m pytest -q tests/commands/test_observatory.py -k killed
	ELVIS_EPOCHS=500 $(BIN)/python -m pytest -q -s tests/observatory/test_simulated.py -k close
	$(BIN)/python -m tests.bench.observatory

# The archive: STILTS on its services with SQLite and PostgreSQL, 100 000 rows, 1000 files, bad queries and bodies; 60
# generated queries, of which the suite asks 14.
archive: install
	ELVIS_CLOSURE=1 $(BIN)/python -m pytest -q tests/archive/test_queries.py -k generated
	$(BIN)/python -m tests.archive.measure

# Every frame whose hash is known, not only those of the suite.
bytes-check: install
	ELVIS_ALL_BYTES=1 $(BIN)/python -m pytest -q -n 2 tests/test_same_bytes.py

# Write the hashes of the frames anew, after bytes were changed on purpose: see tests/test_same_bytes.py.
bytes: install
	$(BIN)/python -m tests.test_same_bytes

# Every mode, scene and kind of picture, to be looked at: gallery/index.html.
gallery: install
	$(BIN)/python tests/gallery.py

# Rebuild the shipped tables from public packages (needs the package index; byte for byte the same).
data: install
	$(BIN)/python -m elvis_cli.data._build.build

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis micado.fits micado.png gallery
	find . -name __pycache__ -prune -exec rm -rf {} +
