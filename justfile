# What CI runs.
check:
    .ci/run

# The tests alone, as in the README.
test:
    cargo test --workspace --release

# Licences, sources and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny check

# The golden tests on wgpu; without a GPU, on software Vulkan (Debian: mesa-vulkan-drivers).
golden-wgpu:
    SCGPT_TEST_DEVICE=wgpu XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/tmp} CARGO_TARGET_DIR=target/wgpu \
        cargo test --release -p scgpt-model -p scgpt-train --features scgpt-model/wgpu,scgpt-train/wgpu \
        --test golden --test golden_generation golden_

# The unit tests of scgpt-data with one format at a time: none needs what serves another.
lean:
    for format in h5ad zarr tenx mudata scbank shards parquet query cloud; do \
        RUSTFLAGS="-D warnings" CARGO_TARGET_DIR=target/lean \
            cargo test -p scgpt-data --lib --no-default-features --features $format || exit 1; \
    done

# One bench, for example `just bench attention`.
bench name:
    cargo bench --workspace --bench {{name}}

# A binary to hand out: slower to link, stripped.
dist:
    cargo build --profile dist -p scgpt-cli

# Fuzz one reader, for example `just fuzz mtx 600`: h5ad zarr mtx tables shards checkpoint safetensors index artefacts settings
# (needs a nightly toolchain and a C++ compiler). What it finds belongs into fuzz/saved/TARGET, with the mend.
fuzz target seconds="1200":
    fuzz/run {{target}} {{seconds}}

# The program over hostile files of others: a folder with hdf5/ (github.com/HDFGroup/cve_hdf5) and pickle/
# (tests of github.com/mmaitre314/picklescan).
hostile folder="../shared/hostile":
    cargo build --release -p scgpt-cli
    fuzz/hostile {{folder}}
