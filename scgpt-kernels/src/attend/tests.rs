use super::*;
use crate::{InstructionSet, numbers::Numbers};

fn reference(qkv: &[f32], [t, d, heads]: [usize; 3], tokens: Tokens) -> Vec<f64> {
    let k = d / heads;
    let entry = |part: usize, token: usize, channel: usize| {
        f64::from(qkv[token * 3 * d + part * d + channel])
    };
    let mut out = vec![0.0; tokens.queries * d];
    for head in 0..heads {
        for query in 0..tokens.queries {
            let sees = |key: usize| key < tokens.known || (key == query && query < tokens.used);
            let keys: Vec<usize> = (0..t).filter(|&key| sees(key)).collect();
            let channels = head * k..(head + 1) * k;
            let score = |&key: &usize| {
                let sum: f64 =
                    channels.clone().map(|c| entry(0, query, c) * entry(1, key, c)).sum();
                sum / (k as f64).sqrt()
            };
            let scores: Vec<f64> = keys.iter().map(score).collect();
            let largest = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for channel in channels.clone() {
                let mixed = keys.iter().zip(&weights).map(|(&key, w)| w * entry(2, key, channel));
                out[query * d + channel] = mixed.sum::<f64>() / total;
            }
        }
    }
    out
}

fn computed(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

fn run(cpu: Cpu, format: Format, qkv: &[f32], [d, heads]: [usize; 2], tokens: Tokens) -> Vec<f32> {
    let mut out = vec![f32::NAN; tokens.queries * d];
    attend(cpu, format, qkv, heads, tokens, &mut out);
    out
}

#[test]
fn every_format_set_and_mask_equals_f64() {
    // t, d, heads; known, used, queries
    let cases = [
        ([1, 8, 1], [1, 1, 1]),
        ([5, 6, 2], [3, 4, 5]),
        ([40, 35, 5], [40, 40, 40]),
        ([33, 128, 2], [32, 33, 33]),
        ([70, 66, 2], [10, 65, 65]),
        ([200, 64, 1], [199, 200, 1]),
        ([300, 48, 2], [150, 290, 300]),
        ([20, 16, 2], [0, 20, 20]),
        ([130, 96, 1], [129, 130, 40]),
    ];
    for (i, ([t, d, heads], [known, used, queries])) in cases.into_iter().enumerate() {
        let tokens = Tokens { known, used, queries };
        for gain in [1.0, 4.0] {
            let mut qkv = Numbers::new(i as u64).normals(t * 3 * d);
            for x in &mut qkv {
                *x *= gain;
            }
            let expected = reference(&qkv, [t, d, heads], tokens);
            for cpu in Cpu::all() {
                for format in computed(cpu) {
                    let out = run(cpu, format, &qkv, [d, heads], tokens);
                    let most = f64::from(gain).powi(3)
                        * match format {
                            Format::F32 | Format::Bf16x6 => 4e-6,
                            Format::Bf16x3 => 6e-5,
                            Format::Bf16 => 3e-2,
                        };
                    for (out, expected) in out.iter().zip(&expected) {
                        let error = (f64::from(*out) - expected).abs();
                        assert!(error < most, "{cpu:?} {format} case {i}: {out} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_set() {
    let tokens = Tokens { known: 140, used: 170, queries: 170 };
    let qkv = Numbers::new(20).normals(170 * 3 * 40);
    let all = Cpu::all().map(|cpu| run(cpu, Format::F32, &qkv, [40, 2], tokens));
    let all: Vec<Vec<f32>> = all.collect();
    assert!(all.iter().all(|it| it == &all[0]));
}

#[test]
fn a_query_depends_on_neither_the_others_nor_padding() {
    let (t, d) = (180, 64);
    let qkv = Numbers::new(21).normals(t * 3 * d);
    let tokens = Tokens { known: 100, used: 150, queries: 150 };
    for cpu in Cpu::all().filter(|cpu| cpu.set() != InstructionSet::Software) {
        for format in computed(cpu) {
            let all = run(cpu, format, &qkv, [d, 1], tokens);
            for queries in [1, 31, 33, 120] {
                let some = run(cpu, format, &qkv, [d, 1], Tokens { queries, ..tokens });
                assert_eq!(some, all[..queries * d]);
            }
            let mut other = qkv[..150 * 3 * d].to_vec();
            assert_eq!(run(cpu, format, &other, [d, 1], tokens), all);
            // Unknown tokens are seen by none but themselves.
            other[120 * 3 * d..121 * 3 * d].fill(30.0);
            let changed = run(cpu, format, &other, [d, 1], tokens);
            for (i, (a, b)) in changed.chunks(d).zip(all.chunks(d)).enumerate() {
                assert_eq!(a == b, i != 120, "{cpu:?} {format} {i}");
            }
        }
    }
}

#[test]
fn software_attends_with_the_bits_of_the_processor() {
    let (Ok(amx), Ok(software)) =
        (Cpu::with(InstructionSet::Amx), Cpu::with(InstructionSet::Software))
    else {
        eprintln!("skipped: this processor has no tiles");
        return;
    };
    let tokens = Tokens { known: 50, used: 70, queries: 70 };
    let qkv = Numbers::new(22).normals(70 * 3 * 40);
    for format in Format::ALL {
        let [a, b] = [amx, software].map(|cpu| run(cpu, format, &qkv, [40, 1], tokens));
        assert_eq!(a, b, "{format}");
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    // Scores rise from −5000 to 5000: each group is beyond all that came before.
    let (t, d) = (400, 32);
    let mut qkv = vec![0.0; t * 3 * d];
    for (i, row) in qkv.chunks_mut(3 * d).enumerate() {
        row[..d].fill(10.0);
        row[d..2 * d].fill((i as f32 - 200.0) / 2.0);
        row[2 * d..].fill(i as f32);
    }
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let out = run(cpu, format, &qkv, [d, 1], Tokens { queries: 3, ..Tokens::all(t) });
            assert!(out.iter().all(|x| (x - 399.0).abs() < 2.0), "{cpu:?} {format} {:?}", out[0]);
        }
    }
}
