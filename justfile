# What CI runs.
check:
    .ci/run

# The tests alone, as in the README.
test:
    cargo test --workspace --release

# Licences, sources and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# Record the expected output of command-line tests anew.
bless:
    BLESS=1 cargo test --workspace --release --test cli

# One bench, for example `just bench attention`.
bench name:
    cargo bench --workspace --bench {{name}}

# A binary to hand out: slower to link, stripped.
dist:
    cargo build --profile dist -p scgpt-cli
