# Everything a newcomer needs: `make run` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
MODEL_PACKAGE := $(VENV)/.llama
INSTALLED := $(VENV)/.installed
PLAYGROUND := clients/playground
CONFORMANCE := clients/conformance
# Tests wait more than they work: two at once for each core.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(8, 2 * os.cpu_count()))')

# Portable build of llama.cpp: AMX off (gcc < 13.2 miscompiles it), AVX512 where the machine has it.
AVX512 := $(shell grep -qw avx512_vnni /proc/cpuinfo 2>/dev/null && echo "-DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON")
LLAMA_FLAGS := -DGGML_NATIVE=OFF $(AVX512) -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_CURL=OFF

.PHONY: run test check conformance format schema playground seed bench fuzz train clean

run: $(INSTALLED) playground-if-npm
	JISHI_DEV=$${JISHI_DEV:-1} JISHI_ACCESS_LIFE_S=$${JISHI_ACCESS_LIFE_S:-43200} exec $(BIN)/jishi serve --ready

test: $(INSTALLED)
	$(BIN)/pytest -n $(JOBS) --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	JISHI_DEV=1 $(BIN)/jishi migrate --check
	JISHI_DEV=1 $(BIN)/jishi schema --check

# graphql-http's 61 audits, npm graphql-ws and graphql-sse, raw frames; on a server of its own.
conformance: $(INSTALLED)
	cd $(CONFORMANCE) && npm install --no-audit --no-fund --loglevel=error && node run.mjs ../../$(BIN)/jishi

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(INSTALLED)
	JISHI_DEV=1 $(BIN)/jishi schema --write

$(MODEL_PACKAGE): constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade 'pip>=25' -c constraints.txt
	@echo '正在编译 llama-cpp-python，首次约 5-10 分钟，之后由 pip 缓存。'
	@echo 'Building llama-cpp-python: 5 to 10 minutes the first time, then pip keeps it.'
	CMAKE_ARGS='$(LLAMA_FLAGS)' $(BIN)/pip install --progress-bar on -c constraints.txt llama-cpp-python & \
	  build=$$!; began=$$(date +%s); \
	  while kill -0 $$build 2>/dev/null; do sleep 5; \
	    printf '\r  %s s ' $$(( $$(date +%s) - began )); done; echo; wait $$build
	touch $@

$(INSTALLED): $(MODEL_PACKAGE) pyproject.toml constraints.txt
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

playground: $(PLAYGROUND)/dist/index.html

.PHONY: playground-if-npm
playground-if-npm:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory playground || \
	  echo 'the playground was not built; the page will say how'; fi

$(PLAYGROUND)/dist/index.html: $(wildcard $(PLAYGROUND)/src/* $(PLAYGROUND)/src/*/* $(PLAYGROUND)/*.json $(PLAYGROUND)/*.ts $(PLAYGROUND)/index.html)
	cd $(PLAYGROUND) && npm install --no-audit --no-fund --loglevel=error && npm run build

seed: $(INSTALLED)
	JISHI_DEV=1 $(BIN)/jishi seed

# Minutes, on a quiet machine: writes docs/performance.md and its picture.
bench: $(INSTALLED)
	$(BIN)/python -m bench.drive
	$(BIN)/python -m bench.rooms.drive

# Drawn requests against a server of its own: make fuzz MINUTES=10
MINUTES ?= 10
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

train: $(INSTALLED)
	$(BIN)/pip install -q -c constraints.txt -e '.[train]'
	$(BIN)/python -m llm.training

clean:
	rm -rf $(VENV) var $(PLAYGROUND)/node_modules $(PLAYGROUND)/dist $(CONFORMANCE)/node_modules
