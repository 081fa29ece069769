//! [`Area`]: some queries by some keys.

use std::ops::Range;

use super::{Operands, Sums};
use crate::{
    attend::{Tokens, softmax::hide_others},
    block::{Block, SIDE, Tile},
    engine::{Engine, Step},
    lanes::{Lanes, Sixteen},
};

/// The most blocks of queries, and of keys, of an area: its weights stay in the second cache.
const QUERIES: usize = 8;
const KEYS: usize = 4;

/// Consecutive blocks of queries, and of keys.
#[derive(Clone, Debug)]
pub(super) struct Area {
    queries: Range<usize>,
    keys: Range<usize>,
    /// Whether queries see nothing but themselves of it.
    own: bool,
}

/// What an area is multiplied with.
#[derive(Debug, Default)]
pub(super) struct Factors {
    /// Factors as left operands: of 32 keys after the other, all queries.
    weights: Vec<Tile>,
    /// Gradients of scores, the same way.
    gradients: Vec<Tile>,
    /// Gradients of scores as right operands: of 32 queries after the other, all keys.
    gradients_of_queries: Vec<Tile>,
}

impl Area {
    /// All areas in which a query sees a key, in order.
    pub(super) fn all(tokens: Tokens) -> impl Iterator<Item = Self> {
        let queries = tokens.queries.div_ceil(SIDE);
        let known = tokens.known.div_ceil(SIDE);
        let seen = (0..known).step_by(KEYS).flat_map(move |key| {
            (0..queries).step_by(QUERIES).map(move |query| Self {
                queries: query..queries.min(query + QUERIES),
                keys: key..known.min(key + KEYS),
                own: false,
            })
        });
        let unknown = tokens.known..tokens.queries.min(tokens.used);
        let own = if unknown.is_empty() {
            0..0
        } else {
            unknown.start / SIDE..unknown.end.div_ceil(SIDE)
        };
        let own =
            own.map(|block| Self { queries: block..block + 1, keys: block..block + 1, own: true });
        seen.chain(own)
    }

    /// Adds what the area says.
    pub(super) fn add<E: Engine>(
        self,
        engine: &E,
        operands: &Operands,
        tokens: Tokens,
        sums: &mut Sums,
        to: &mut Factors,
    ) {
        let size = QUERIES * KEYS * E::TILES;
        let Factors { weights, gradients, gradients_of_queries } = to;
        for tiles in [weights, gradients, gradients_of_queries] {
            tiles.resize(size, Tile::ZERO);
        }
        engine.enter(Add { area: self, operands, tokens, sums, factors: to });
    }

    fn blocks(&self) -> usize {
        self.queries.len() * self.keys.len()
    }
}

struct Add<'a> {
    area: Area,
    operands: &'a Operands,
    tokens: Tokens,
    sums: &'a mut Sums,
    factors: &'a mut Factors,
}

impl Step for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { area, operands, tokens, sums, factors: to } = self;
        weigh(engine, &area, operands, tokens, to);
        let Factors { weights, gradients, gradients_of_queries } = to;
        let steps = operands.keys.steps();
        let (queries, keys) = (area.queries.len(), area.keys.len());
        for key in 0..keys {
            let at = key * queries * E::TILES..(key + 1) * queries * E::TILES;
            let (weights, gradients) = (&weights[at.clone()], &gradients[at]);
            let to = (area.keys.start + key) * steps;
            for column in 0..steps {
                let seen = [area.queries.start, queries];
                let by = operands.gradients.over_tokens(column, seen);
                engine.product::<true>(weights, by, &mut sums.values[to + column], None);
                let by = operands.queries.over_tokens(column, seen);
                engine.product::<true>(gradients, by, &mut sums.keys[to + column], None);
            }
        }
        for query in 0..queries {
            let at = query * keys * E::TILES..(query + 1) * keys * E::TILES;
            let by = &gradients_of_queries[at];
            let to = (area.queries.start + query) * steps;
            for column in 0..steps {
                let keys = operands.keys.over_tokens(column, [area.keys.start, keys]);
                engine.product::<true>(keys, by, &mut sums.queries[to + column], None);
            }
        }
    }
}

/// Scores, and gradients of weights, of a block: keys × queries.
#[derive(Clone, Copy)]
struct Pair {
    scores: Block,
    gradients: Block,
}

/// Scores and gradients of weights of a block of the area.
#[inline(always)]
fn products<E: Engine>(engine: &E, area: &Area, operands: &Operands, place: usize, to: &mut Pair) {
    let queries = area.queries.len();
    let (key, query) = (area.keys.start + place / queries, area.queries.start + place % queries);
    let Operands { queries, keys, values, gradients, .. } = operands;
    let right = queries.over_channels(query);
    engine.product::<false>(keys.over_channels(key), right, &mut to.scores, None);
    let right = gradients.over_channels(query);
    engine.product::<false>(values.over_channels(key), right, &mut to.gradients, None);
}

/// Computes weights and gradients of scores, as operands.
#[inline(always)]
fn weigh<E: Engine>(
    engine: &E,
    area: &Area,
    operands: &Operands,
    tokens: Tokens,
    to: &mut Factors,
) {
    let (queries, keys) = (area.queries.len(), area.keys.len());
    let Factors { weights, gradients, gradients_of_queries } = to;
    let at = |place: usize| place * E::TILES..(place + 1) * E::TILES;
    // While lanes compute exponentials of one block, tiles compute the scores of the next.
    let mut pairs = [Pair { scores: Block::ZERO, gradients: Block::ZERO }; 2];
    products(engine, area, operands, 0, &mut pairs[0]);
    for place in 0..area.blocks() {
        let [even, odd] = &mut pairs;
        let (pair, next) = if place % 2 == 0 { (even, odd) } else { (odd, even) };
        if place + 1 < area.blocks() {
            products(engine, area, operands, place + 1, next);
        }
        let (key, query) = (place / queries, place % queries);
        let (key_block, query_block) = (area.keys.start + key, area.queries.start + query);
        let seen = if area.own {
            hide_others(&mut pair.scores, query_block, tokens);
            SIDE
        } else {
            SIDE.min(tokens.known - key_block * SIDE)
        };
        let of_queries = [&operands.log_sums[query_block], &operands.deltas[query_block]];
        derive::<E>(engine.lanes(), pair, seen, of_queries);
        engine.left(&pair.scores, &mut weights[at(place)]);
        engine.left(&pair.gradients, &mut gradients[at(place)]);
        engine.right(&pair.gradients, &mut gradients_of_queries[at(query * keys + key)]);
    }
}

/// Scores become weights, and gradients of weights become gradients of scores; those of keys that
/// are not seen become zero.
#[inline(always)]
fn derive<E: Engine>(
    lanes: E::Lanes,
    pair: &mut Pair,
    seen: usize,
    [log_sums, deltas]: [&[Sixteen; 2]; 2],
) {
    let Pair { scores, gradients } = pair;
    for half in 0..2 {
        let (log_sum, delta) = (lanes.load(&log_sums[half]), lanes.load(&deltas[half]));
        for (score, gradient) in scores.0[..seen].iter_mut().zip(&mut gradients.0) {
            let x = lanes.sub(lanes.load(&score[half]), log_sum);
            let weight = if E::EXACT { lanes.exp2::<true>(x) } else { lanes.exp2::<false>(x) };
            let change = lanes.sub(lanes.load(&gradient[half]), delta);
            lanes.store(weight, &mut score[half]);
            lanes.store(lanes.mul(weight, change), &mut gradient[half]);
        }
    }
    for block in [scores, gradients] {
        block.0[seen..].fill([[0.0; 16]; 2]);
    }
}
