use super::*;
use crate::{
    block::{Block, SIDE, Tile},
    engine::{Engine, Step},
    numbers::Numbers,
};

fn block(numbers: &mut Numbers) -> Block {
    let mut block = Block::ZERO;
    for row in &mut block.0 {
        for half in row {
            half.copy_from_slice(&numbers.normals(16));
        }
    }
    block
}

fn at(block: &Block, row: usize, column: usize) -> f32 {
    block.0[row][column / 16][column % 16]
}

/// `start + left · right`, both of two operands; packed straight, or as columns.
struct Product<'a> {
    left: [&'a Block; 2],
    right: [&'a Block; 2],
    start: Option<&'a Block>,
    as_columns: bool,
}

impl Task for Product<'_> {
    type Output = Block;

    fn run<E: Engine>(self, engine: &E) -> Block {
        engine.enter(self)
    }
}

impl Step for Product<'_> {
    type Output = Block;

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) -> Block {
        let mut left = vec![Tile::ZERO; 2 * E::TILES];
        let mut right = vec![Tile::ZERO; 2 * E::TILES];
        for i in 0..2 {
            let range = i * E::TILES..(i + 1) * E::TILES;
            if self.as_columns {
                engine.left_of_columns(self.left[i], &mut left[range.clone()]);
                engine.right_of_columns(self.right[i], &mut right[range]);
            } else {
                engine.left(self.left[i], &mut left[range.clone()]);
                engine.right(self.right[i], &mut right[range]);
            }
        }
        let mut out = self.start.copied().unwrap_or(Block([[[f32::NAN; 16]; 2]; SIDE]));
        if self.start.is_some() {
            engine.product::<true>(&left, &right, &mut out, None);
        } else {
            engine.product::<false>(&left, &right, &mut out, left.first());
        }
        out
    }
}

#[test]
fn products_equal_those_in_f64() {
    let mut numbers = Numbers::new(3);
    let blocks: [Block; 5] = std::array::from_fn(|_| block(&mut numbers));
    let [a, b, c, d, start] = &blocks;
    for cpu in Cpu::all() {
        for format in Format::ALL.into_iter().filter(|&it| cpu.computes_in(it) == it) {
            for as_columns in [false, true] {
                for start in [None, Some(start)] {
                    let product = Product { left: [a, b], right: [c, d], start, as_columns };
                    let out = cpu.run(format, product);
                    let entry = |block: &Block, i: usize, j: usize| {
                        f64::from(if as_columns { at(block, j, i) } else { at(block, i, j) })
                    };
                    let (mut errors, mut squares) = (0.0, 0.0);
                    for i in 0..SIDE {
                        for j in 0..SIDE {
                            let mut sum = start.map_or(0.0, |start| f64::from(at(start, i, j)));
                            for k in 0..SIDE {
                                sum += entry(a, i, k) * entry(c, k, j);
                                sum += entry(b, i, k) * entry(d, k, j);
                            }
                            errors += (f64::from(at(&out, i, j)) - sum).powi(2);
                            squares += sum.powi(2);
                        }
                    }
                    let error = (errors / squares).sqrt();
                    let most = match format {
                        Format::F32 | Format::Bf16x6 => 5e-7,
                        Format::Bf16x3 => 1e-5,
                        Format::Bf16 => 4e-3,
                    };
                    assert!(error < most, "{cpu:?} {format} {as_columns}: {error}");
                }
            }
        }
    }
}

#[test]
fn software_has_the_bits_of_the_processor() {
    let Ok(amx) = Cpu::with(InstructionSet::Amx) else {
        eprintln!("skipped: this processor has no tiles");
        return;
    };
    let software = Cpu::with(InstructionSet::Software).unwrap();
    let mut numbers = Numbers::new(4);
    for round in 0..20 {
        let mut blocks: [Block; 5] = std::array::from_fn(|_| block(&mut numbers));
        // Of all sizes: sums that cancel, overflow, and vanish.
        for block in &mut blocks[..4] {
            for x in block.0.as_flattened_mut().as_flattened_mut() {
                let size = (numbers.next() * 60.0 - 30.0) * f64::from(round.min(4));
                #[allow(clippy::cast_possible_truncation, reason = "a test number")]
                let size = size.exp2() as f32;
                *x *= size;
            }
        }
        if round == 19 {
            blocks[0].0[3][0][5] = f32::NAN;
            blocks[1].0[4][1][6] = f32::INFINITY;
            blocks[2].0[7][0][8] = 1e-41;
        }
        let [a, b, c, d, start] = &blocks;
        for format in [Format::Bf16, Format::Bf16x3, Format::Bf16x6] {
            let [x, y] = [amx, software].map(|cpu| {
                let product =
                    Product { left: [a, b], right: [c, d], start: Some(start), as_columns: false };
                cpu.run(format, product)
            });
            for i in 0..SIDE {
                for j in 0..SIDE {
                    let [x, y] = [at(&x, i, j), at(&y, i, j)];
                    assert!(x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()), "{x} {y}");
                }
            }
        }
    }
}

#[test]
fn sets_are_found_by_name() {
    for set in InstructionSet::ALL {
        assert_eq!(set.name().parse(), Ok(set));
    }
    assert_eq!(Cpu::named(None), Ok(Cpu::best()));
    assert_eq!(Cpu::named(Some("portable")).unwrap().set(), InstructionSet::Portable);
    let error = Cpu::named(Some("sse9")).unwrap_err().to_string();
    assert!(error.starts_with("`sse9` is no instruction set: use amx,"), "{error}");
}

#[test]
fn what_is_absent_is_an_error() {
    for set in InstructionSet::ALL {
        match Cpu::with(set) {
            Ok(cpu) => assert!(Cpu::all().any(|it| it == cpu)),
            Err(error) => assert!(error.to_string().contains("there is"), "{error}"),
        }
    }
}

#[test]
fn software_is_never_chosen() {
    assert_ne!(Cpu::best().set(), InstructionSet::Software);
}

#[test]
fn what_is_installed_stays() {
    let used = Cpu::best();
    assert_eq!(used.install(), Ok(()));
    let asked = Cpu::with(InstructionSet::Software).unwrap();
    let error = asked.install().unwrap_err();
    assert_eq!(error, CpuError::Used { asked: asked.set(), used: used.set() });
    assert_eq!(Cpu::best(), used);
}
