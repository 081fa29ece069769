//! [`linear_gradient`]: what a gradient says of weights and biases.

use rayon::prelude::*;

use super::{IntoRows, Residual, part, put};
use crate::{
    block::{Block, Rows, SIDE, Tile, depth},
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
    lanes::Lanes,
    product::{MOST_ROWS, multiply},
    stop::each,
};

/// Rows that are summed up before they are added to what earlier ones gave.
const ROWS: usize = 512;

/// The gradients of a weight, `xᵀ dy`, and of a bias, the sums of `dy`. That of `x` is [`linear`] of
/// `dy` by a [transposed] weight.
///
/// Rows are summed up in order, so the result does not depend on the number of threads.
///
/// # Shapes
/// - x: `[m, k]`, what the weight was multiplied with
/// - gradient: `[m, n]`, dy, of the product
/// - weight: `[k, n]`, which is written
/// - bias: `[n]`, which is written
///
/// # Panics
/// If a slice has another length.
///
/// [`linear`]: crate::linear
/// [transposed]: crate::PackedMatrix::transposed
///
/// ```
/// use scgpt_kernels::{Cpu, Epilogue, Format, PackedMatrix, linear, linear_gradient};
///
/// let (cpu, format) = (Cpu::best(), Format::F32);
/// let (x, weight) = ([1.0, 2.0], [3.0, 4.0]); // one row of two, and two columns of one
/// let gradient = [10.0];
/// let (mut of_x, mut of_weight, mut of_bias) = ([0.0; 2], [0.0; 2], [0.0]);
/// let transposed = PackedMatrix::transposed(cpu, format, &weight, [2, 1]);
/// linear(cpu, &gradient, &transposed, Epilogue::default(), &mut of_x);
/// linear_gradient(cpu, format, &x, &gradient, &mut of_weight, &mut of_bias);
/// assert_eq!((of_x, of_weight, of_bias), ([30.0, 40.0], [10.0, 20.0], [10.0]));
/// ```
pub fn linear_gradient(
    cpu: Cpu,
    format: Format,
    x: &[f32],
    gradient: &[f32],
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let n = bias.len();
    let [m, k] = [gradient.len(), weight.len()].map(|len| len.checked_div(n).unwrap_or(0));
    assert!(
        x.len() == m * k && gradient.len() == m * n && weight.len() == k * n,
        "an input is [m, k], a gradient [m, n], a weight [k, n], a bias [n]"
    );
    bias.fill(0.0);
    if m == 0 || n == 0 {
        weight.fill(0.0);
        return;
    }
    let format = cpu.computes_in(format);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    // Panels of a thread: as many as share the columns that they are multiplied with in the cache.
    let panels = k.div_ceil(SIDE).div_ceil(rayon::current_num_threads()).clamp(1, MOST_ROWS);
    for first in (0..m).step_by(ROWS) {
        let rows = ROWS.min(m - first);
        let x = Rows::new(&x[first * k..], k, [rows, k]);
        let gradient = Rows::new(&gradient[first * n..], n, [rows, n]);
        let tiles = cpu.run(format, Operands { rows });
        left.resize(k.div_ceil(SIDE) * tiles, Tile::ZERO);
        right.resize(n.div_ceil(SIDE) * tiles, Tile::ZERO);
        each(left.par_chunks_mut(PANELS * tiles).enumerate(), |(i, to)| {
            cpu.run(format, PackColumns { from: x, first: i * PANELS, sums: None, to });
        });
        let sums = bias.par_chunks_mut(PANELS * SIDE);
        let panels_of = right.par_chunks_mut(PANELS * tiles).zip(sums).enumerate();
        each(panels_of, |(i, (to, sums))| {
            let sums = Some(sums);
            cpu.run(format, PackColumns { from: gradient, first: i * PANELS, sums, to });
        });
        let residual = if first == 0 { Residual::None } else { Residual::Before };
        let stripes = weight.par_chunks_mut(panels * SIDE * n);
        each(stripes.zip(left.par_chunks(panels * tiles)), |(out, left)| {
            let sink = IntoRows {
                bias: None,
                relu: false,
                residual,
                rows: out.len() / n,
                columns: n,
                out,
            };
            cpu.run(format, Multiplied { steps: depth(rows), left, right: &right, sink });
        });
    }
}

/// Panels that are packed by one thread: as wide as a processor fetches ahead.
const PANELS: usize = 4;

/// How many tiles a panel of so many rows is.
struct Operands {
    rows: usize,
}

impl Task for Operands {
    type Output = usize;

    fn run<E: Engine>(self, _: &E) -> usize {
        depth(self.rows) * E::TILES
    }
}

/// Packs columns, 32 after the other, for sums over rows.
struct PackColumns<'a> {
    from: Rows<'a>,
    /// The first panel of 32 columns.
    first: usize,
    /// What the sums of the columns are added to; a right operand has some, a left one none.
    sums: Option<&'a mut [f32]>,
    to: &'a mut [Tile],
}

impl Task for PackColumns<'_> {
    type Output = ();

    fn run<E: Engine>(self, engine: &E) {
        engine.enter(self);
    }
}

impl Step for PackColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { from, first, sums, to } = self;
        let lanes = engine.lanes();
        let steps = depth(from.height);
        let panels = to.len() / (steps * E::TILES);
        let mut totals = [[lanes.splat(0.0); 2]; PANELS];
        let mut block = Block::ZERO;
        for step in 0..steps {
            for panel in 0..panels {
                let at = (panel * steps + step) * E::TILES;
                let operand = &mut to[at..at + E::TILES];
                block.read(lanes, from, [step * SIDE, (first + panel) * SIDE], 1.0);
                if sums.is_none() {
                    engine.left_of_columns(&block, operand);
                    continue;
                }
                engine.right(&block, operand);
                for half in 0..2 {
                    let mut total = totals[panel][half];
                    for row in &block.0 {
                        total = lanes.add(total, lanes.load(&row[half]));
                    }
                    totals[panel][half] = total;
                }
            }
        }
        let Some(sums) = sums else { return };
        for (sums, total) in sums.chunks_mut(16).zip(totals.as_flattened()) {
            put(lanes, lanes.add(part(lanes, sums), *total), sums);
        }
    }
}

/// Some panels by all columns.
struct Multiplied<'a> {
    steps: usize,
    left: &'a [Tile],
    right: &'a [Tile],
    sink: IntoRows<'a>,
}

impl Task for Multiplied<'_> {
    type Output = ();

    fn run<E: Engine>(mut self, engine: &E) {
        multiply(engine, self.steps, self.left, self.right, &mut self.sink);
    }
}

#[cfg(test)]
mod tests;
