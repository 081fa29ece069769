use super::*;
use crate::{Epilogue, InstructionSet, PackedMatrix, linear, numbers::Numbers};

/// Relative to the size of a typical term, rms.
fn tolerance(format: Format) -> f64 {
    match format {
        Format::F32 | Format::Bf16x6 => 1e-6,
        Format::Bf16x3 => 2e-5,
        Format::Bf16 => 1e-2,
    }
}

fn computed(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

/// Gradients of x, weight and bias.
fn run(
    cpu: Cpu,
    format: Format,
    [x, weight, gradient]: [&[f32]; 3],
    [m, k, n]: [usize; 3],
) -> [Vec<f32>; 3] {
    let mut out = [m * k, k * n, n].map(|size| vec![f32::NAN; size]);
    let [of_x, of_weight, of_bias] = &mut out;
    let transposed = PackedMatrix::transposed(cpu, format, weight, [k, n]);
    linear(cpu, gradient, &transposed, Epilogue::default(), of_x);
    linear_gradient(cpu, format, x, gradient, of_weight, of_bias);
    out
}

/// The same in f64.
fn reference([x, weight, gradient]: [&[f32]; 3], [m, k, n]: [usize; 3]) -> [Vec<f64>; 3] {
    let mut out = [m * k, k * n, n].map(|size| vec![0.0; size]);
    for i in 0..m {
        for j in 0..n {
            let g = f64::from(gradient[i * n + j]);
            out[2][j] += g;
            for l in 0..k {
                out[0][i * k + l] += g * f64::from(weight[l * n + j]);
                out[1][l * n + j] += g * f64::from(x[i * k + l]);
            }
        }
    }
    out
}

#[test]
fn every_format_set_and_shape_equals_f64() {
    let shapes = [
        [1, 1, 1],
        [1, 40, 33],
        [2, 31, 31],
        [33, 65, 17],
        [64, 32, 96],
        [130, 5, 140],
        [545, 33, 12],
        [1030, 1, 2],
        [3, 0, 4],
    ];
    for (i, shape @ [m, k, n]) in shapes.into_iter().enumerate() {
        let mut numbers = Numbers::new(40 + i as u64);
        let [x, weight, gradient] = [m * k, k * n, m * n].map(|size| numbers.normals(size));
        let given = [x.as_slice(), &weight, &gradient];
        let expected = reference(given, shape);
        for cpu in Cpu::all() {
            for format in computed(cpu) {
                let out = run(cpu, format, given, shape);
                // Sums of biases are of f32 numbers in all formats.
                let formats = [format, format, Format::F32];
                let terms = [n, m, m].map(|terms| (terms as f64).sqrt() * 6.0);
                for (part, (out, expected)) in out.iter().zip(&expected).enumerate() {
                    let most = tolerance(formats[part]) * terms[part];
                    for (out, expected) in out.iter().zip(expected) {
                        let error = (f64::from(*out) - expected).abs();
                        assert!(error < most, "{cpu:?} {format} {shape:?}: {out} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_set() {
    let shape @ [m, k, n] = [600, 70, 45];
    let mut numbers = Numbers::new(50);
    let [x, weight, gradient] = [m * k, k * n, m * n].map(|size| numbers.normals(size));
    let results = Cpu::all().map(|cpu| run(cpu, Format::F32, [&x, &weight, &gradient], shape));
    let results: Vec<_> = results.collect();
    assert!(results.iter().all(|result| result == &results[0]));
}

#[test]
fn software_has_the_bits_of_the_processor() {
    let (Ok(amx), Ok(software)) =
        (Cpu::with(InstructionSet::Amx), Cpu::with(InstructionSet::Software))
    else {
        eprintln!("skipped: this processor has no tiles");
        return;
    };
    let shape @ [m, k, n] = [90, 40, 70];
    let mut numbers = Numbers::new(51);
    let [x, weight, gradient] = [m * k, k * n, m * n].map(|size| numbers.normals(size));
    for format in Format::ALL {
        let [a, b] = [amx, software].map(|cpu| run(cpu, format, [&x, &weight, &gradient], shape));
        assert_eq!(a, b, "{format}");
    }
}

#[test]
fn sums_do_not_depend_on_threads() {
    let (m, k, n) = (1100, 290, 65);
    let mut numbers = Numbers::new(52);
    let [x, gradient] = [m * k, m * n].map(|size| numbers.normals(size));
    for cpu in Cpu::all().filter(|cpu| cpu.set() != InstructionSet::Software) {
        for format in computed(cpu) {
            let results: Vec<_> = [1, 2, 3, 7]
                .into_iter()
                .map(|threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                    let (mut weight, mut bias) = (vec![0.0; k * n], vec![0.0; n]);
                    pool.unwrap().install(|| {
                        linear_gradient(cpu, format, &x, &gradient, &mut weight, &mut bias);
                    });
                    (weight, bias)
                })
                .collect();
            assert!(results.iter().all(|it| it == &results[0]), "{cpu:?} {format}");
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_column() {
    let (m, k, n) = (70, 40, 35);
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let (mut x, mut gradient) = (vec![1.0; m * k], vec![1.0; m * n]);
            (x[60 * k + 33], gradient[5 * n + 7]) = (f32::NAN, f32::NAN);
            let (mut weight, mut bias) = (vec![0.0; k * n], vec![0.0; n]);
            linear_gradient(cpu, format, &x, &gradient, &mut weight, &mut bias);
            for (i, value) in weight.iter().enumerate() {
                let is_nan = i / n == 33 || i % n == 7;
                assert!(value.is_nan() == is_nan && (is_nan || *value == 70.0), "{cpu:?} {format}");
            }
            for (j, value) in bias.iter().enumerate() {
                assert!(if j == 7 { value.is_nan() } else { *value == 70.0 });
            }
        }
    }
}

#[test]
fn nothing_comes_of_nothing() {
    let (mut weight, mut bias) = ([1.0; 6], [1.0; 3]);
    linear_gradient(Cpu::best(), Format::Bf16, &[], &[], &mut weight, &mut bias);
    assert_eq!((weight, bias), ([0.0; 6], [0.0; 3]));
    linear_gradient(Cpu::best(), Format::Bf16, &[], &[], &mut [], &mut []);
}
