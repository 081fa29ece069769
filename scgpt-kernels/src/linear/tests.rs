use super::*;
use crate::{format::Format, numbers::Numbers};

/// Relative to the size of a typical result, rms.
fn tolerance(format: Format) -> f64 {
    match format {
        Format::F32 | Format::Bf16x6 => 1e-6,
        Format::Bf16x3 => 2e-5,
        Format::Bf16 => 1e-2,
    }
}

fn reference(x: &[f32], weight: &[f32], [m, k, n]: [usize; 3], bias: &[f32]) -> Vec<f64> {
    let mut out: Vec<f64> = (0..m * n).map(|i| f64::from(bias[i % n])).collect();
    for i in 0..m {
        for l in 0..k {
            for j in 0..n {
                out[i * n + j] += f64::from(x[i * k + l]) * f64::from(weight[l * n + j]);
            }
        }
    }
    out
}

fn computed(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

#[test]
fn every_format_set_and_shape_equals_f64() {
    let shapes = [
        [1, 1, 1],
        [1, 512, 33],
        [2, 31, 31],
        [31, 32, 64],
        [33, 65, 17],
        [130, 40, 48],
        [5, 7, 100],
        [3, 0, 4],
    ];
    for (i, [m, k, n]) in shapes.into_iter().enumerate() {
        let mut numbers = Numbers::new(i as u64);
        let x = numbers.normals(m * k);
        let [weight, bias, residual] = [k * n, n, m * n].map(|size| numbers.normals(size));
        let plain = reference(&x, &weight, [m, k, n], &bias);
        for cpu in Cpu::all() {
            for format in computed(cpu) {
                let packed = PackedMatrix::new(cpu, format, &weight, [k, n]);
                for (relu, residual) in [(false, None), (true, Some(residual.as_slice()))] {
                    let epilogue = Epilogue { bias: Some(&bias), relu, residual, norm: None };
                    let mut out = vec![f32::NAN; m * n];
                    linear(cpu, &x, &packed, epilogue, &mut out);
                    for (j, (&out, &plain)) in out.iter().zip(&plain).enumerate() {
                        let expected = if relu { plain.max(0.0) } else { plain }
                            + residual.map_or(0.0, |it| f64::from(it[j]));
                        let error = (f64::from(out) - expected).abs();
                        let most = tolerance(format) * 5.0 * (k as f64 + 1.0).sqrt();
                        assert!(error < most, "{cpu:?} {format} {m} {k} {n}: {out} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_set() {
    let (m, k, n) = (37, 70, 45);
    let mut numbers = Numbers::new(9);
    let [x, weight] = [numbers.normals(m * k), numbers.normals(k * n)];
    let results = Cpu::all().map(|cpu| {
        let packed = PackedMatrix::new(cpu, Format::F32, &weight, [k, n]);
        let mut out = vec![0.0; m * n];
        linear(cpu, &x, &packed, Epilogue::default(), &mut out);
        out
    });
    let results: Vec<Vec<f32>> = results.collect();
    assert!(results.iter().all(|result| result == &results[0]));
}

#[test]
fn a_row_depends_on_neither_batch_nor_place_nor_threads() {
    let (m, k, n) = (300, 96, 65);
    let mut numbers = Numbers::new(10);
    let [x, weight, bias, gamma] = [m * k, k * n, n, n].map(|size| numbers.normals(size));
    let norm = Norm { gamma: &gamma, beta: &bias, epsilon: 1e-5 };
    let epilogue =
        Epilogue { bias: Some(&bias), relu: true, norm: Some(norm), ..Epilogue::default() };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for cpu in Cpu::all().filter(|cpu| cpu.set() != crate::InstructionSet::Software) {
        for format in computed(cpu) {
            let packed = PackedMatrix::new(cpu, format, &weight, [k, n]);
            let run = |x: &[f32]| {
                let mut out = vec![0.0; x.len() / k * n];
                linear(cpu, x, &packed, epilogue, &mut out);
                out
            };
            let all = run(&x);
            assert_eq!(all, one_thread.install(|| run(&x)));
            for (first, rows) in [(0, 1), (13, 1), (299, 1), (100, 33), (31, 200)] {
                let some = run(&x[first * k..(first + rows) * k]);
                assert_eq!(some, all[first * n..(first + rows) * n], "{cpu:?} {format}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_in_its_row() {
    let (m, k, n) = (40, 33, 20);
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let packed = PackedMatrix::new(cpu, format, &vec![0.5; k * n], [k, n]);
            let mut x = vec![1.0; m * k];
            (x[3 * k + 2], x[35 * k + 32]) = (f32::NAN, f32::INFINITY);
            let mut out = vec![0.0; m * n];
            let epilogue = Epilogue { relu: true, ..Epilogue::default() };
            linear(cpu, &x, &packed, epilogue, &mut out);
            for (row, out) in out.chunks(n).enumerate() {
                let holds = |x: &f32| match row {
                    3 => x.is_nan(),
                    35 if matches!(format, Format::F32 | Format::Bf16) => *x == f32::INFINITY,
                    35 => !x.is_finite(),
                    _ => *x == 16.5,
                };
                assert!(out.iter().all(holds), "{cpu:?} {format} row {row}: {out:?}");
            }
        }
    }
}

#[test]
fn nothing_comes_of_nothing() {
    let cpu = Cpu::best();
    let packed = PackedMatrix::new(cpu, Format::Bf16, &[], [0, 0]);
    linear(cpu, &[], &packed, Epilogue::default(), &mut []);
    let packed = PackedMatrix::new(cpu, Format::Bf16, &[1.0; 6], [2, 3]);
    linear(cpu, &[], &packed, Epilogue::default(), &mut []);
}
