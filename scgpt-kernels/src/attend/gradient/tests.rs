use super::*;
use crate::{InstructionSet, attend::attend_recorded, numbers::Numbers};

type Shape = [usize; 3];

fn computed(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

/// Contexts, sums, and the gradient of the projection.
fn run(
    cpu: Cpu,
    format: Format,
    [qkv, gradient]: [&[f32]; 2],
    [d, heads]: [usize; 2],
    tokens: Tokens,
) -> [Vec<f32>; 3] {
    let sizes = [tokens.queries * d, tokens.queries * heads, qkv.len()];
    let mut result = sizes.map(|size| vec![f32::NAN; size]);
    let [context, log_sums, out] = &mut result;
    attend_recorded(cpu, format, qkv, heads, tokens, context, log_sums);
    let attended = Attended { qkv, context, log_sums, tokens };
    attend_gradient(cpu, format, attended, heads, gradient, out);
    result
}

/// Logarithms of sums of exponentials and the gradient of the projection, in f64, query by query.
fn reference([qkv, gradient]: [&[f32]; 2], [_, d, heads]: Shape, tokens: Tokens) -> [Vec<f64>; 2] {
    let k = d / heads;
    let scale = 1.0 / (k as f64).sqrt();
    let at = |part: usize, token: usize, channel: usize| token * 3 * d + part * d + channel;
    let mut out = vec![0.0; qkv.len()];
    let mut log_sums = vec![0.0; tokens.queries * heads];
    for head in 0..heads {
        let channels = head * k..(head + 1) * k;
        for query in 0..tokens.queries {
            let own = (tokens.known..tokens.used).contains(&query).then_some(query);
            let keys: Vec<usize> = (0..tokens.known).chain(own).collect();
            let entry = |part, token, channel| f64::from(qkv[at(part, token, channel)]);
            let of_context = |channel: usize| f64::from(gradient[query * d + channel]);
            let score = |&key: &usize| {
                channels.clone().map(|c| entry(0, query, c) * entry(1, key, c)).sum::<f64>() * scale
            };
            let scores: Vec<f64> = keys.iter().map(score).collect();
            let largest = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            let log_sum = largest + total.ln();
            log_sums[query * heads + head] = log_sum;
            let weights: Vec<f64> = scores.iter().map(|score| (score - log_sum).exp()).collect();
            let of_weight = |&key: &usize| {
                channels.clone().map(|c| of_context(c) * entry(2, key, c)).sum::<f64>()
            };
            let of_weights: Vec<f64> = keys.iter().map(of_weight).collect();
            let delta: f64 = weights.iter().zip(&of_weights).map(|(w, g)| w * g).sum();
            for ((&key, weight), of_weight) in keys.iter().zip(&weights).zip(&of_weights) {
                let of_score = weight * (of_weight - delta) * scale;
                for c in channels.clone() {
                    out[at(0, query, c)] += of_score * entry(1, key, c);
                    out[at(1, key, c)] += of_score * entry(0, query, c);
                    out[at(2, key, c)] += weight * of_context(c);
                }
            }
        }
    }
    [log_sums, out]
}

// t, d, heads; known, used, queries: all known, padding, odd heads, unknown tokens, no known one,
// and one query alone.
const CASES: [(Shape, [usize; 3]); 9] = [
    ([1, 8, 1], [1, 1, 1]),
    ([5, 6, 2], [3, 4, 5]),
    ([40, 35, 5], [40, 40, 40]),
    ([33, 128, 2], [32, 33, 33]),
    ([70, 66, 2], [10, 65, 65]),
    ([200, 64, 1], [199, 200, 1]),
    ([300, 48, 2], [150, 290, 300]),
    ([20, 16, 2], [0, 20, 20]),
    ([170, 96, 1], [140, 165, 150]),
];

#[test]
fn every_format_set_and_mask_equals_f64() {
    for (i, (shape @ [t, d, heads], [known, used, queries])) in CASES.into_iter().enumerate() {
        let tokens = Tokens { known, used, queries };
        for gain in [1.0, 3.0] {
            let mut numbers = Numbers::new(60 + i as u64);
            let (mut qkv, gradient) = (numbers.normals(t * 3 * d), numbers.normals(queries * d));
            for x in &mut qkv {
                *x *= gain;
            }
            let given = [qkv.as_slice(), &gradient];
            let expected = reference(given, shape, tokens);
            let size = expected[1].iter().map(|x| x * x).sum::<f64>() / expected[1].len() as f64;
            for cpu in Cpu::all() {
                for format in computed(cpu) {
                    let [_, log_sums, out] = run(cpu, format, given, [d, heads], tokens);
                    let most = f64::from(gain).powi(2)
                        * match format {
                            Format::F32 | Format::Bf16x6 => 2e-6,
                            Format::Bf16x3 => 3e-5,
                            Format::Bf16 => 1.5e-2,
                        };
                    let errors = |out: &[f32], expected: &[f64]| -> Vec<f64> {
                        let errors = out.iter().zip(expected);
                        errors.map(|(out, expected)| f64::from(*out) - expected).collect()
                    };
                    for error in errors(&log_sums, &expected[0]) {
                        assert!(error.abs() < 2.0 * most, "{cpu:?} {format} case {i}: {error}");
                    }
                    let errors = errors(&out, &expected[1]);
                    let rms = errors.iter().map(|x| x * x).sum::<f64>() / errors.len() as f64;
                    let relative = (rms / size.max(1e-12)).sqrt();
                    assert!(relative < most, "{cpu:?} {format} case {i}, {gain}: {relative}");
                }
            }
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_set_and_equals_the_recorded_kernel() {
    let (t, d, heads) = (170, 40, 2);
    let tokens = Tokens { known: 140, used: 165, queries: 168 };
    let mut numbers = Numbers::new(80);
    let (qkv, gradient) = (numbers.normals(t * 3 * d), numbers.normals(tokens.queries * d));
    let all = Cpu::all().map(|cpu| run(cpu, Format::F32, [&qkv, &gradient], [d, heads], tokens));
    let all: Vec<_> = all.collect();
    assert!(all.iter().all(|it| it == &all[0]));
    let plan =
        crate::recorded::AttentionPlan { n_heads: heads, n: tokens.queries, cells: vec![tokens] };
    let (context, log_sums) = crate::recorded::attend(&qkv, [1, t, d], &plan);
    let recorded = crate::recorded::AttentionGradient {
        qkv: &qkv,
        context: &context,
        log_sums: &log_sums,
        gradient: &gradient,
    };
    let expected = [recorded.compute([1, t, d], &plan), log_sums];
    for (out, expected) in [&all[0][2], &all[0][1]].into_iter().zip(&expected) {
        for (out, expected) in out.iter().zip(expected) {
            assert!((out - expected).abs() < 2e-5, "{out} {expected}");
        }
    }
}

#[test]
fn software_has_the_bits_of_the_processor() {
    let (Ok(amx), Ok(software)) =
        (Cpu::with(InstructionSet::Amx), Cpu::with(InstructionSet::Software))
    else {
        eprintln!("skipped: this processor has no tiles");
        return;
    };
    let tokens = Tokens { known: 50, used: 70, queries: 70 };
    let mut numbers = Numbers::new(81);
    let (qkv, gradient) = (numbers.normals(70 * 3 * 40), numbers.normals(70 * 40));
    for format in Format::ALL {
        let [a, b] =
            [amx, software].map(|cpu| run(cpu, format, [&qkv, &gradient], [40, 1], tokens));
        assert_eq!(a, b, "{format}");
    }
}

#[test]
fn contexts_are_those_of_attend_and_nothing_depends_on_threads_or_padding() {
    let (t, d, heads) = (200, 66, 3);
    let tokens = Tokens { known: 140, used: 180, queries: 180 };
    let mut numbers = Numbers::new(82);
    let (qkv, gradient) = (numbers.normals(t * 3 * d), numbers.normals(tokens.queries * d));
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for cpu in Cpu::all().filter(|cpu| cpu.set() != InstructionSet::Software) {
        for format in computed(cpu) {
            let run = |qkv: &[f32]| run(cpu, format, [qkv, &gradient], [d, heads], tokens);
            let all = run(&qkv);
            let mut context = vec![0.0; tokens.queries * d];
            crate::attend(cpu, format, &qkv, heads, tokens, &mut context);
            assert_eq!(all[0], context, "{cpu:?} {format}");
            assert_eq!(all, one_thread.install(|| run(&qkv)), "{cpu:?} {format}");
            let [_, _, shorter] = run(&qkv[..tokens.used * 3 * d]);
            assert_eq!(all[2][..shorter.len()], shorter, "{cpu:?} {format}");
            assert!(all[2][shorter.len()..].iter().all(|x| *x == 0.0));
        }
    }
}

#[test]
fn a_query_of_its_own_adds_what_it_adds_among_others() {
    // Gradients of queries and of what unknown tokens see of themselves are of one query each.
    let (t, d) = (180, 64);
    let tokens = Tokens { known: 100, used: 170, queries: 170 };
    let mut numbers = Numbers::new(83);
    let (qkv, gradient) = (numbers.normals(t * 3 * d), numbers.normals(170 * d));
    for cpu in Cpu::all().filter(|cpu| cpu.set() != InstructionSet::Software) {
        for format in computed(cpu) {
            let [_, _, all] = run(cpu, format, [&qkv, &gradient], [d, 1], tokens);
            for queries in [1, 31, 33, 120] {
                let fewer = Tokens { queries, ..tokens };
                let [_, _, some] =
                    run(cpu, format, [&qkv, &gradient[..queries * d]], [d, 1], fewer);
                for token in 0..queries {
                    let parts = if token < tokens.known { d } else { 3 * d };
                    let at = token * 3 * d..token * 3 * d + parts;
                    assert_eq!(some[at.clone()], all[at], "{cpu:?} {format} {token}");
                }
            }
        }
    }
}

#[test]
fn large_scores_have_finite_gradients() {
    let (t, d) = (100, 32);
    let mut qkv = vec![0.0; t * 3 * d];
    for (i, row) in qkv.chunks_mut(3 * d).enumerate() {
        row[..d].fill(10.0);
        row[d..2 * d].fill((i as f32 - 50.0) * 2.0);
        row[2 * d..].fill(i as f32);
    }
    // Queries beyond those that attend have scores as large.
    let tokens = Tokens { queries: 3, ..Tokens::all(t) };
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let [_, _, out] = run(cpu, format, [&qkv, &[1.0; 3 * 32]], [d, 1], tokens);
            let of_last = &out[99 * 3 * d + 2 * d..];
            assert!(out.iter().all(|x| x.is_finite()), "{cpu:?} {format}");
            assert!(of_last.iter().all(|x| (x - 3.0).abs() < 0.1), "{cpu:?} {format} {of_last:?}");
        }
    }
}

#[test]
fn what_is_not_a_number_passes_through() {
    let (t, d) = (70, 32);
    let tokens = Tokens { known: 40, used: 66, queries: 66 };
    let mut numbers = Numbers::new(84);
    let (qkv, mut gradient) = (numbers.normals(t * 3 * d), numbers.normals(66 * d));
    gradient[50 * d + 3] = f32::NAN;
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let [_, _, out] = run(cpu, format, [&qkv, &gradient], [d, 1], tokens);
            // Of the query itself all scores, of the values that it sees one channel.
            assert!(out[50 * 3 * d..50 * 3 * d + 2 * d].iter().all(|x| x.is_nan()));
            for token in 0..40 {
                let row = &out[token * 3 * d..(token + 1) * 3 * d];
                assert!(row[..d].iter().all(|x| x.is_finite()), "{cpu:?} {format} {token}");
                assert!(row[d..2 * d].iter().all(|x| x.is_nan()), "{cpu:?} {format} {token}");
                assert!(row[2 * d + 3].is_nan() && row[2 * d + 4].is_finite());
            }
        }
    }
}

#[test]
fn nothing_comes_of_no_query() {
    let attended = Attended {
        qkv: &[1.0; 24],
        context: &[],
        log_sums: &[],
        tokens: Tokens { queries: 0, ..Tokens::all(2) },
    };
    let mut out = [1.0; 24];
    attend_gradient(Cpu::best(), Format::Bf16, attended, 2, &[], &mut out);
    assert_eq!(out, [0.0; 24]);
}
