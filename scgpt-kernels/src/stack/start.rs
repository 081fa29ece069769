//! [`Start`]: what the first block reads.

use crate::{
    engine::{Engine, Step},
    lanes::Lanes,
    linear::{part, put},
    norm::{Norm, norm_row},
};

/// The states of tokens before the first block, cell after cell without padding.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// As they are, `[Σ used, d]`.
    States(&'a [f32]),
    /// By tables. Rows are looked up where they are needed, by the thread that computes the cell.
    Tables(Tables<'a>),
}

/// Tables of gene and value vectors, whose sum a token is: `norm(genes[gene]) + values[value]`.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// `[g, d]`.
    pub genes: &'a [f32],
    /// Of gene vectors.
    pub norm: Norm<'a>,
    /// `[v, d]`.
    pub values: &'a [f32],
    /// The rows of both tables, for every token, `[Σ used]`.
    pub tokens: &'a [[u32; 2]],
}

impl Start<'_> {
    /// # Panics
    /// If these are not the states of so many tokens.
    pub(super) fn check(self, tokens: usize, d: usize) {
        match self {
            Self::States(states) => {
                assert_eq!(states.len(), tokens * d, "states are [Σ used, d]");
            }
            Self::Tables(tables) => {
                assert_eq!(tables.tokens.len(), tokens, "tokens are [Σ used]");
                tables.norm.check(d);
            }
        }
    }

    /// Writes the states from token `first` on.
    pub(super) fn write<E: Engine>(self, engine: &E, first: usize, d: usize, to: &mut [f32]) {
        match self {
            Self::States(states) => to.copy_from_slice(&states[first * d..][..to.len()]),
            Self::Tables(tables) => engine.enter(LookUp { tables, first, d, to }),
        }
    }
}

struct LookUp<'a> {
    tables: Tables<'a>,
    first: usize,
    d: usize,
    to: &'a mut [f32],
}

impl Step for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { tables: Tables { genes, norm, values, tokens }, first, d, to } = self;
        let lanes = engine.lanes();
        let row = |row: u32| row as usize * d..(row as usize + 1) * d;
        for (to, [gene, value]) in to.chunks_exact_mut(d).zip(&tokens[first..]) {
            to.copy_from_slice(&genes[row(*gene)]);
            norm_row(lanes, to, norm);
            for (to, value) in to.chunks_mut(16).zip(values[row(*value)].chunks(16)) {
                put(lanes, lanes.add(part(lanes, to), part(lanes, value)), to);
            }
        }
    }
}
