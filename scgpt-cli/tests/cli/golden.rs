//! Whole-command parity: a file and a checkpoint in, the reference's embeddings out.

use scgpt_fixtures::{assert_close, cases};

use crate::run::{Place, embedding};

#[test]
fn golden_embed_end_to_end() {
    for case in cases(|case| case.is("embed_end_to_end")) {
        let expected = case.tensors("expected.safetensors");
        let atol = case.json["tolerance"]["embeddings"]["atol"].as_f64().unwrap();
        let model = case.path.join("checkpoint").display().to_string();
        let first_word = |value: &serde_json::Value| {
            value.as_str().unwrap().split_whitespace().next().unwrap().to_owned()
        };
        let same = case.json["files"]["same_data"].as_array().into_iter().flatten();
        let files = same.chain([&case.json["files"]["data"]]).map(first_word);
        let column = case.json["gene_col"].as_str().unwrap();
        for file in files {
            let place = Place::new();
            let input = case.path.join(&file).display().to_string();
            let embed = |output: &str, more: &[&str]| {
                let common = ["embed", &input, "--model", &model, "-o", output];
                let options = ["--tie-mode", "midpoint", "--gene-column", column, "--no-report"];
                place.done(&[&common[..], &options, more].concat());
                embedding(&place.path(output))
            };
            let max_length = case.json["max_length"].to_string();
            let whole = embed("whole.h5ad", &["--max-length", &max_length]);
            assert_close(&file, &whole, expected.f64("embeddings"), [0.0, atol]);

            let max_length = case.json["truncated"]["max_length"].to_string();
            let short = embed("short.h5ad", &["--max-length", &max_length, "--sampling", "head"]);
            assert_close(&file, &short, expected.f64("embeddings_truncated"), [0.0, atol]);
        }
    }
}
