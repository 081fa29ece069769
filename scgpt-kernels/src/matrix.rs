//! [`PackedMatrix`]: weights, packed once.

use crate::{
    block::{Block, Rows, SIDE, Tile, depth},
    cpu::Cpu,
    engine::{Engine, Step, Task},
    format::Format,
};

/// A matrix `[k, n]` that others are multiplied with, in the form that products read it in.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    /// 32 columns after the other, each 32 rows after the other.
    tiles: Vec<Tile>,
    rows: usize,
    columns: usize,
    format: Format,
}

impl PackedMatrix {
    /// Packs `weight`, row-major `[k, n]`: output `j` is the product with column `j`.
    ///
    /// # Panics
    /// If `weight` has another length.
    pub fn new(cpu: Cpu, format: Format, weight: &[f32], [k, n]: [usize; 2]) -> Self {
        assert_eq!(weight.len(), k * n, "a weight is [k, n]");
        let format = cpu.computes_in(format);
        let pack = Pack { weight: Rows::new(weight, n, [k, n]), transposed: false };
        Self { tiles: cpu.run(format, pack), rows: k, columns: n, format }
    }

    /// Packs `Wᵀ`, `[n, k]`, of a `weight` that is row-major `[k, n]` itself: [`linear`] of the
    /// gradient of a result by it is the gradient of what the weight was multiplied with.
    ///
    /// # Panics
    /// If `weight` has another length.
    ///
    /// [`linear`]: crate::linear
    pub fn transposed(cpu: Cpu, format: Format, weight: &[f32], [k, n]: [usize; 2]) -> Self {
        assert_eq!(weight.len(), k * n, "a weight is [k, n]");
        let format = cpu.computes_in(format);
        let pack = Pack { weight: Rows::new(weight, n, [k, n]), transposed: true };
        Self { tiles: cpu.run(format, pack), rows: n, columns: k, format }
    }

    /// Rows and columns, `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The format it is packed for, see [`Cpu::computes_in`].
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.tiles.as_slice())
    }

    /// 32 columns after the other.
    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }
}

struct Pack<'a> {
    weight: Rows<'a>,
    transposed: bool,
}

impl Task for Pack<'_> {
    type Output = Vec<Tile>;

    fn run<E: Engine>(self, engine: &E) -> Vec<Tile> {
        engine.enter(self)
    }
}

impl Step for Pack<'_> {
    type Output = Vec<Tile>;

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) -> Vec<Tile> {
        let Self { weight, transposed } = self;
        let lanes = engine.lanes();
        let [k, n] =
            if transposed { [weight.width, weight.height] } else { [weight.height, weight.width] };
        let (steps, panels) = (depth(k), n.div_ceil(SIDE));
        let mut tiles = vec![Tile::ZERO; steps * panels * E::TILES];
        let mut block = Block::ZERO;
        for (i, operand) in tiles.chunks_exact_mut(E::TILES).enumerate() {
            let [row, column] = [i % steps * SIDE, i / steps * SIDE];
            if transposed {
                block.read(lanes, weight, [column, row], 1.0);
                engine.right_of_columns(&block, operand);
            } else {
                block.read(lanes, weight, [row, column], 1.0);
                engine.right(&block, operand);
            }
        }
        tiles
    }
}
