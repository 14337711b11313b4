# The project's commands in one list. Each is a line that works without `just`, too.

default:
    @just --list

# Everything that CI runs: set-up, lints, tests
test:
    scripts/test

# The same, longer
full:
    scripts/test full

# Two embedded clusters, Fishplate before them and sample events
demo:
    cargo run --release --features demo -- demo

# Only what needs no clusters
quick:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace --lib --bins

# Real clusters with Fishplate before them, until Ctrl-C
clusters:
    FISHPLATE_HOLD=1 cargo test --test kafka

# Hostile bytes for an hour, or so many seconds
fuzz *seconds:
    scripts/fuzz {{seconds}}

# The table of measured numbers
bench:
    scripts/bench
