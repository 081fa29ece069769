#![no_main]

#[path = "../src/network.rs"]
mod network;
#[path = "../src/pack.rs"]
mod pack;

libfuzzer_sys::fuzz_target!(init: scgpt_data::silence_guarded_panics(), |bytes: &[u8]| {
    network::run("settings", bytes);
});
