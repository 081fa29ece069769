#![no_main]

#[path = "../src/cells.rs"]
mod cells;
#[path = "../src/pack.rs"]
mod pack;

libfuzzer_sys::fuzz_target!(init: scgpt_data::silence_guarded_panics(), |bytes: &[u8]| {
    cells::run("h5ad", bytes);
});
