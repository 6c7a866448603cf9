# `make demo` and `make test` work on a machine where nothing but Python 3.11-3.13 is installed.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: demo test test-runs test-crashes test-clients test-arm test-all test-network fuzz bench-data chart bench-quality bench-architectures bench-detection bench-latency bench-calibration bench-convert bench-verify bench-sweep java-classes docs lint types layers check wheel clean

demo: $(STAMP)
	$(BIN)/mbexport build --alpha 0.75 --int8

# What a contributor runs all day: minutes, nearly all of it without TensorFlow. The order is random, and
# PYTEST_ADDOPTS=--randomly-seed=N repeats one.
test: $(STAMP)
	$(PYTEST) -m "not run and not slow and not client"

# Whole trainings, calibrations, conversions and builds.
test-runs: $(STAMP)
	$(PYTEST) -m "run and not slow and not client"

# Hundreds of kills, signals, full disks and damaged caches; prints how many. ARGS=--quick tries a few.
test-crashes: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/crash_runs.py $(ARGS)

# Programs that others wrote, in environments of their own, read our files: pip, npm and the network are needed once.
test-clients: $(STAMP)
	$(BIN)/python -m pytest -m "client and not slow"

# Real aarch64 wheels of both runtimes on two emulated processors: Debian's packages, pip and the network are needed once,
# neither root nor an installation. Slow: part of test-all; the table is left in build/tests/arm.
test-arm: $(STAMP)
	$(BIN)/python -m pytest -m client tests/clients/arm

# Laws are tried on 100 examples each, elsewhere on 25.
test-all: $(STAMP)
	$(PYTEST) --hypothesis-profile=thorough -m "not client"
	$(BIN)/python -m pytest -m client

# Trains the small network whose weights are committed for all tests; wanted only when its kind changes.
test-network: $(STAMP)
	PYTHONPATH=tests $(BIN)/python tests/small_build.py

# Ten thousand changed files, each of which must be used or refused in one line: no traceback, no crash, no hang. Takes an
# hour or two; ARGS="--cases 300 --seed 5" tries others.
fuzz: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m fuzz.fuzz $(ARGS)

# How fast images reach a training, and in how much memory, from folders and from shards; takes ten minutes and 3 GB of
# temporary files. ARGS="--shards" makes the tables of shards alone.
bench-data: $(STAMP)
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_data.py $(ARGS)

# Other quantizers and ours side by side, peers in environments of their own; takes most of an hour.
# ARGS="--quick" tries everything in minutes.
bench-quality: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_quality.py $(ARGS)

# MobileNet v2 and v3, trained here, quantized by others and by us; takes most of an hour, --reuse trains nothing again.
bench-architectures: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_architectures.py $(ARGS)

# A detector of blood cells, trained here, quantized by others and by us; takes half an hour.
# ARGS="--reuse" trains nothing again, ARGS="--quick" tries everything in minutes.
bench-detection: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_detection.py $(ARGS)

# The README's picture, from the figures in docs/images/quality.json; measures nothing.
chart: $(STAMP)
	PYTHONPATH=tests/bench $(BIN)/python tests/bench/quality/chart.py

# How fast our files are beside others' of the same networks, on one and two threads; takes about 25 minutes, and wants
# a machine that does nothing else. ARGS="--quick" tries everything in minutes.
bench-latency: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_latency.py $(ARGS)

# What calibration costs with few images and with many: seconds, memory, and how near to float its integers answer on
# 2,000 images; takes half an hour. ARGS="--beside FOLDER" compares with an earlier run.
bench-calibration: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_calibration.py $(ARGS)

# How long our conversion to int8 .tflite takes beside the usual one; takes some minutes.
bench-convert: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_convert.py $(ARGS)

# How fast six artifacts are verified, and in how much memory; takes some minutes. ARGS="FOLDER" is what a build of the
# precisions fp32, fp16 and int8 at 224 px made.
bench-verify: $(STAMP)
	PYTHONPATH=tests TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_verify.py $(ARGS)

# How much several builds at once save beside one at a time; takes half an hour, and wants a machine that does nothing
# else. ARGS="--quick" tries everything in minutes.
bench-sweep: $(STAMP)
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python tests/bench/bench_sweep.py $(ARGS)

# The Android wrapper's classes, which are committed: javac 17 is needed by those alone who change its sources.
java-classes: $(STAMP)
	PYTHONPATH=tests $(BIN)/python tests/wrapper_classes.py

# The pages of docs/ as a site in build/docs; a warning, a broken link for example, is an error. Needs no network.
docs: $(STAMP)
	PYTHONPATH=src $(BIN)/python -m sphinx --nitpicky --fail-on-warning --keep-going --quiet -d build/docs-doctrees docs build/docs

check: lint types layers

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

wheel: $(STAMP)
	rm -rf build dist-wheel
	$(BIN)/python -m build --wheel --outdir dist-wheel

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/it" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf build dist dist-wheel $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
