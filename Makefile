SHELL := /bin/bash
# `make demo` and `make test` set up all they need by themselves.
PREFIX ?= /usr/local
BUILD := swift build -c release
MILVAULT := .build/release/milvault
# The Milvus servers that demo and tests run: Python environments inside this folder.
export MILVAULT_EMBEDDED_HOME ?= $(CURDIR)/.venv
export SWIFT_BACKTRACE ?= enable=no

.PHONY: setup build demo test soak lint format bench install proto clean

setup:
	@Scripts/setup

build: setup
	$(BUILD) --product milvault

demo: build
	$(MILVAULT) demo

# Unit tests, and the command line against real Milvus servers. `swift build` first, so that a build error is not taken for a failed test.
test: setup
	$(BUILD) --build-tests
	$(MILVAULT) embedded install --all
	@Scripts/foreign-programs
	@set -o pipefail; swift test -c release --skip-build $(TESTFLAGS) 2>&1 | tee .build/test.log || \
	  { echo; echo "What failed:"; grep -a -A 12 'recorded an issue' .build/test.log; exit 1; }
	@grep -a SKIPPED .build/test.log || echo "Nothing was skipped."

# `make test TIMES=1` tells how long each test had its server.
ifdef TIMES
test: export MILVAULT_TEST_TIMES = 1
endif

# What needs many repetitions: hundreds of kills and rounds.
soak: export MILVAULT_SOAK = 1
soak: test

lint:
	find Sources Tests Benchmarks Package.swift -name '*.swift' -not -path '*/Generated/*' -print0 | xargs -0 swift format lint --strict

format:
	find Sources Tests Benchmarks Package.swift -name '*.swift' -not -path '*/Generated/*' | xargs swift format --in-place

bench: build
	$(MILVAULT) embedded install 2.3.5 lite-2.5.1
	Benchmarks/run
	Benchmarks/memory
	Benchmarks/export
	Benchmarks/change
	Benchmarks/since
	Benchmarks/merge
	Benchmarks/restore
	Benchmarks/segments
	Benchmarks/verify
	Benchmarks/objects
	Benchmarks/copies

install: build
	@Scripts/install "$(PREFIX)"

proto:
	Scripts/generate-proto

clean:
	rm -rf .build .build-* .deps .venv
