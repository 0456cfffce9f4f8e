# Lists the recipes.
default:
    @just --list

# Runs the service with nothing configured.
dev *args:
    cargo run --release -- dev {{ args }}

# Runs all tests.
test *args:
    scripts/test {{ args }}

# Runs all benchmarks, or those named: see docs/benchmarks.md.
bench *args:
    scripts/bench {{ args }}

# Builds passes beside other libraries, which it installs outside the repository.
bench-peers:
    scripts/bench-peers

# Formats the code.
fmt:
    cargo fmt --all

# Clippy, docs and, where it is installed, cargo-deny.
lint:
    scripts/lint

# What the gate runs.
ci:
    .ci/run
