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

# Compares ten passes with those of passkit-generator, and has KDE's reader read them: see docs/peers.md.
peers:
    scripts/peers

# Lets libFuzzer make up inputs, for two minutes or as long as said: see docs/fuzzing.md.
fuzz *args:
    scripts/fuzz {{ args }}

# Runs this release beside one whose tables have a newer version.
rolling-upgrade:
    scripts/rolling-upgrade

# Formats the code.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# What can be said without running it: formatting, clippy, docs, spelling, dependencies.
lint:
    scripts/lint

# Whether callers break that know the API as it was at a revision.
api-changes revision:
    scripts/api-changes {{ revision }}

# Makes a release, or with --dry-run shows it: see docs/releases.md.
release version *args:
    scripts/release {{ version }} {{ args }}

# What the gate runs.
ci:
    .ci/run
