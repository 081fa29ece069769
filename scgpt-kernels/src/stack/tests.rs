use super::*;
use crate::{Epilogue, InstructionSet, attend, linear, norm, numbers::Numbers};

/// The numbers of a block.
struct Numbered {
    weights: [Vec<f32>; 4],
    biases: [Vec<f32>; 4],
    norms: [[Vec<f32>; 2]; 2],
}

impl Numbered {
    fn new(widths: Widths, numbers: &mut Numbers) -> Self {
        let Widths { model: d, inner: f, .. } = widths;
        let mut scaled = |n: usize, scale: f32, shift: f32| -> Vec<f32> {
            numbers.normals(n).into_iter().map(|x| x * scale + shift).collect()
        };
        let shapes = [[d, 3 * d], [d, d], [d, f], [f, d]];
        Self {
            weights: shapes.map(|[k, n]| scaled(k * n, 1.0 / (k as f32).sqrt(), 0.0)),
            biases: shapes.map(|[_, n]| scaled(n, 0.1, 0.0)),
            norms: [(); 2].map(|()| [scaled(d, 0.1, 1.0), scaled(d, 0.1, 0.0)]),
        }
    }

    fn affine(&self, i: usize) -> Affine<'_> {
        Affine { weight: &self.weights[i], bias: &self.biases[i] }
    }

    fn norm(&self, i: usize) -> Norm<'_> {
        let [gamma, beta] = &self.norms[i];
        Norm { gamma, beta, epsilon: 1e-5 }
    }

    fn weights(&self) -> BlockWeights<'_> {
        let [qkv, out, linear1, linear2] = [0, 1, 2, 3].map(|i| self.affine(i));
        let [norm1, norm2] = [0, 1].map(|i| self.norm(i));
        BlockWeights { qkv, out, norm1, linear1, linear2, norm2 }
    }
}

/// The same by operators of one layer each, in f32.
fn by_layers(blocks: &[Numbered], widths: Widths, x: &[f32], tokens: Tokens) -> Vec<f32> {
    let cpu = Cpu::with(InstructionSet::Portable).unwrap();
    let all = Tokens { queries: tokens.used, ..tokens };
    let mut x = x.to_vec();
    let apply = |x: &[f32], affine: Affine, epilogue: Epilogue| {
        let n = affine.bias.len();
        let shape = [affine.weight.len() / n, n];
        let weight = PackedMatrix::new(cpu, Format::F32, affine.weight, shape);
        let mut out = vec![0.0; x.len() / shape[0] * n];
        linear(cpu, x, &weight, Epilogue { bias: Some(affine.bias), ..epilogue }, &mut out);
        out
    };
    for block in blocks {
        let qkv = apply(&x, block.affine(0), Epilogue::default());
        let mut context = vec![0.0; x.len()];
        attend(cpu, Format::F32, &qkv, widths.heads, all, &mut context);
        let add = |residual, i| Epilogue {
            residual: Some(residual),
            norm: Some(block.norm(i)),
            ..Epilogue::default()
        };
        let y = apply(&context, block.affine(1), add(&x, 0));
        let inner = apply(&y, block.affine(2), Epilogue { relu: true, ..Epilogue::default() });
        x = apply(&inner, block.affine(3), add(&y, 1));
    }
    x
}

fn computed(cpu: Cpu) -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(move |&format| cpu.computes_in(format) == format)
}

#[test]
fn the_stack_equals_its_layers() {
    let cases = [
        (Widths { model: 64, inner: 96, heads: 2 }, [40, 40, 40]),
        (Widths { model: 48, inner: 33, heads: 3 }, [20, 70, 70]),
        (Widths { model: 12, inner: 20, heads: 2 }, [150, 150, 1]),
        (Widths { model: 64, inner: 64, heads: 1 }, [1, 1, 1]),
        (Widths { model: 32, inner: 64, heads: 1 }, [140, 140, 0]),
    ];
    for (i, (widths, [known, used, queries])) in cases.into_iter().enumerate() {
        let tokens = Tokens { known, used, queries };
        let d = widths.model;
        let mut numbers = Numbers::new(40 + i as u64);
        let blocks: Vec<Numbered> = (0..3).map(|_| Numbered::new(widths, &mut numbers)).collect();
        let x = numbers.normals(used * d);
        let expected = by_layers(&blocks, widths, &x, tokens);
        for cpu in Cpu::all() {
            for format in computed(cpu) {
                let weights = blocks.iter().map(Numbered::weights);
                let stack = EncoderStack::new(cpu, format, widths, weights);
                let mut out = vec![0.0; queries * d];
                stack.forward(Start::States(&x), &[tokens], &mut out);
                let most = match format {
                    Format::F32 | Format::Bf16x6 => 3e-5,
                    Format::Bf16x3 => 5e-4,
                    Format::Bf16 => 0.2,
                };
                for (out, expected) in out.iter().zip(&expected) {
                    assert!((out - expected).abs() < most, "{cpu:?} {format} case {i}");
                }
            }
        }
    }
}

#[test]
fn a_cell_depends_on_neither_batch_nor_threads() {
    let widths = Widths { model: 64, inner: 64, heads: 2 };
    let mut numbers = Numbers::new(50);
    let blocks: Vec<Numbered> = (0..2).map(|_| Numbered::new(widths, &mut numbers)).collect();
    let cells = [(30, 30), (129, 1), (64, 64), (5, 2)]
        .map(|(n, queries)| Tokens { queries, ..Tokens::all(n) });
    let total: usize = cells.iter().map(|cell| cell.used).sum();
    let x = numbers.normals(total * 64);
    let [one_thread, three] =
        [1, 3].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    for cpu in Cpu::all() {
        for format in computed(cpu) {
            let stack =
                EncoderStack::new(cpu, format, widths, blocks.iter().map(Numbered::weights));
            let forward = |x: &[f32], cells: &[Tokens]| {
                let queries: usize = cells.iter().map(|cell| cell.queries).sum();
                let mut out = vec![0.0; queries * 64];
                stack.forward(Start::States(x), cells, &mut out);
                out
            };
            let all = one_thread.install(|| forward(&x, &cells));
            assert_eq!(all, forward(&x, &cells), "{cpu:?} {format}");
            let mut rest = x.as_slice();
            let alone = cells.map(|cell| {
                let (own, others) = rest.split_at(cell.used * 64);
                rest = others;
                three.install(|| forward(own, &[cell]))
            });
            assert_eq!(all, alone.concat(), "{cpu:?} {format}");
        }
    }
}

#[test]
fn f32_has_the_same_bits_in_every_set() {
    let widths = Widths { model: 48, inner: 64, heads: 4 };
    let mut numbers = Numbers::new(51);
    let blocks: Vec<Numbered> = (0..2).map(|_| Numbered::new(widths, &mut numbers)).collect();
    let x = numbers.normals(50 * 48);
    let results: Vec<Vec<f32>> = Cpu::all()
        .map(|cpu| {
            let weights = blocks.iter().map(Numbered::weights);
            let mut out = vec![0.0; x.len()];
            let cells = [Tokens { known: 40, used: 50, queries: 50 }];
            EncoderStack::new(cpu, Format::F32, widths, weights).forward(
                Start::States(&x),
                &cells,
                &mut out,
            );
            out
        })
        .collect();
    assert!(results.iter().all(|result| result == &results[0]));
}

#[test]
fn states_are_looked_up_in_tables() {
    let widths = Widths { model: 20, inner: 8, heads: 1 };
    let mut numbers = Numbers::new(52);
    let block = Numbered::new(widths, &mut numbers);
    let [genes, values] = [5, 3].map(|rows| numbers.normals(rows * 20));
    let tokens = [[4, 0], [0, 2], [3, 1], [0, 0]];
    let cells = [Tokens::all(1), Tokens::all(3)];
    for cpu in Cpu::all() {
        let stack = EncoderStack::new(cpu, Format::F32, widths, [block.weights()]);
        let mut normed = genes.clone();
        norm(cpu, &mut normed, block.norm(0));
        let sum = |[gene, value]: [u32; 2]| {
            let row = |table: &[f32], row: u32| table[row as usize * 20..][..20].to_vec();
            row(&normed, gene).into_iter().zip(row(&values, value)).map(|(x, y)| x + y)
        };
        let states: Vec<f32> = tokens.into_iter().flat_map(sum).collect();
        let tables =
            Tables { genes: &genes, norm: block.norm(0), values: &values, tokens: &tokens };
        let [of_tables, of_states] = [Start::Tables(tables), Start::States(&states)].map(|start| {
            let mut out = vec![0.0; 4 * 20];
            stack.forward(start, &cells, &mut out);
            out
        });
        assert_eq!(of_tables, of_states, "{cpu:?}");
    }
}
