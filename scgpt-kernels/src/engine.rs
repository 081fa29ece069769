//! [`Engine`]: products of blocks, in the numbers of a format and the instructions of a set.
//!
//! ```text
//! c [32, 32] (+)= left [32, 32 n] · right [32 n, 32]
//! ```
//!
//! Every operator is written once, over engines. Those of bf16 numbers work on tiles: of the
//! processor (`amx`), as 16 dot products at a time (`pairs`), or in portable code with the very bits
//! of the processor's (`software`), so that all that surrounds tiles is tested on every machine.

#[cfg(target_arch = "x86_64")]
mod amx;
mod halves;
#[cfg(target_arch = "x86_64")]
mod pairs;
mod single;
mod software;

#[cfg(target_arch = "x86_64")]
pub(crate) use self::{
    amx::{Amx, Permission},
    pairs::Pairs,
};
pub(crate) use self::{single::Single, software::Software};
use crate::{
    block::{Block, Tile},
    lanes::{Lanes, Run},
};

/// Multiplies operands that it packed itself: 32 × 32 numbers of a left or a right matrix are
/// `TILES` tiles.
pub(crate) trait Engine: Sized {
    type Lanes: Lanes;

    /// Tiles of an operand.
    const TILES: usize;
    /// Whether exponentials have to be exact to f32.
    const EXACT: bool;

    /// The engine of attention in a stack of this one.
    type Attention: Engine;

    fn lanes(&self) -> Self::Lanes;

    fn attention(&self) -> Self::Attention;

    /// Runs a step with the engine's instructions, as a function of its own.
    fn enter<S: Step>(&self, step: S) -> S::Output;

    /// Packs rows of a left matrix: 32 rows, 32 deep.
    fn left(&self, block: &Block, to: &mut [Tile]);

    /// As [`left`](Self::left) of the transposed block.
    fn left_of_columns(&self, block: &Block, to: &mut [Tile]);

    /// Packs rows of a right matrix: 32 deep, 32 columns.
    #[inline(always)]
    fn right(&self, block: &Block, to: &mut [Tile]) {
        self.right_of(&mut Stored(self.lanes(), block), to);
    }

    /// As [`right`](Self::right), of rows that are made as they are packed.
    fn right_of(&self, rows: &mut impl Made<Self::Lanes>, to: &mut [Tile]);

    /// As [`right`](Self::right) of the transposed block.
    fn right_of_columns(&self, block: &Block, to: &mut [Tile]);

    /// `c = left · right`, or with `ADD` `c + left · right`. Fetches `ahead` into the second cache
    /// meanwhile, if that makes sense.
    ///
    /// # Panics
    /// Unless both are the same whole number of operands.
    fn product<const ADD: bool>(
        &self,
        left: &[Tile],
        right: &[Tile],
        c: &mut Block,
        ahead: Option<&Tile>,
    );
}

/// Rows of a block that are made when they are asked for: both halves of each once, and each half of
/// all rows in order.
pub(crate) trait Made<L: Lanes> {
    fn make(&mut self, row: usize, half: usize) -> L::F;
}

/// Rows as they are.
struct Stored<'a, L>(L, &'a Block);

impl<L: Lanes> Made<L> for Stored<'_, L> {
    #[inline(always)]
    fn make(&mut self, row: usize, half: usize) -> L::F {
        self.0.load(&self.1.0[row][half])
    }
}

/// What runs on whichever engine there is.
pub(crate) trait Task {
    type Output;

    fn run<E: Engine>(self, engine: &E) -> Self::Output;
}

/// A part of a task that is compiled for the engine's instructions as a whole: `run` and all that it
/// calls has to be inlined.
pub(crate) trait Step {
    type Output;

    fn run<E: Engine>(self, engine: &E) -> Self::Output;
}

/// A step on its engine.
struct On<'a, E, S>(&'a E, S);

impl<E: Engine, S: Step> Run for On<'_, E, S> {
    type Output = S::Output;

    #[inline(always)]
    fn run(self) -> S::Output {
        self.1.run(self.0)
    }
}
