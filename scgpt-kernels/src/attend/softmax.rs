//! Contexts of 32 queries by running softmax: keys come in groups, and what earlier groups gave is
//! scaled down when a later one has a much larger score.

use super::{Tokens, head::Head};
use crate::{
    block::{Block, SIDE, Tile},
    engine::{Engine, Step},
    lanes::Lanes,
};

/// Blocks of keys in a group.
const GROUP: usize = 2;

/// A score may be so much larger than the one that exponentials are relative to: 2⁸ fits well into
/// f32 and bf16, and hardly any group has to scale down what came before.
const SLACK: f32 = 8.0;

/// Buffers of a thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Scores of a group, and of the one that comes next; keys × queries.
    scores: [Vec<Block>; 2],
    /// Exponentials of a group, and of the one before, as right operands.
    shares: [Vec<Tile>; 2],
    /// Contexts, channels × queries.
    sums: Vec<Block>,
    /// The same, queries × channels.
    contexts: Vec<Block>,
    /// What exponentials of each query are relative to, and their sum.
    kept: [[f32; SIDE]; 2],
}

impl Scratch {
    /// The logarithm of the sum of exponentials of a query of the block that was attended last.
    pub(super) fn log_sum(&self, query: usize) -> f32 {
        let [base, total] = self.kept.map(|of| of[query]);
        base * std::f32::consts::LN_2 + total.ln()
    }
}

/// Some consecutive blocks of keys.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: usize,
    blocks: usize,
    /// Whether queries see nothing but themselves of it.
    own: bool,
}

impl Group {
    /// The groups that the queries of a block see: known keys, and their own if some are unknown.
    fn nth(index: usize, block: usize, tokens: Tokens) -> Option<Self> {
        let known = tokens.known.div_ceil(SIDE);
        let first = index * GROUP;
        if first < known {
            return Some(Self { first, blocks: GROUP.min(known - first), own: false });
        }
        let is_last = index == known.div_ceil(GROUP);
        let has_unknown = (block + 1) * SIDE > tokens.known && block * SIDE < tokens.used;
        (is_last && has_unknown).then_some(Self { first: block, blocks: 1, own: true })
    }

    /// Keys of its `i`-th block that are seen.
    fn keys(self, i: usize, tokens: Tokens) -> usize {
        if self.own { SIDE } else { SIDE.min(tokens.known - (self.first + i) * SIDE) }
    }
}

/// State of 32 queries, two times sixteen lanes.
struct Running<L: Lanes> {
    /// What exponentials are relative to.
    base: [L::F; 2],
    /// Sums of exponentials.
    total: [L::F; 2],
}

/// The contexts of queries `32 block…`, 32 channels after the other.
pub(crate) fn attend_block<'a, E: Engine>(
    engine: &E,
    head: &Head,
    block: usize,
    tokens: Tokens,
    scratch: &'a mut Scratch,
) -> &'a [Block] {
    let steps = head.steps();
    for scores in &mut scratch.scores {
        scores.resize(GROUP, Block::ZERO);
    }
    for shares in &mut scratch.shares {
        shares.resize(GROUP * E::TILES, Tile::ZERO);
    }
    scratch.sums.resize(steps, Block::ZERO);
    scratch.sums.fill(Block::ZERO);
    scratch.contexts.resize(steps, Block::ZERO);
    engine.enter(Attend { head, block, tokens, scratch });
    &scratch.contexts
}

struct Attend<'a> {
    head: &'a Head,
    block: usize,
    tokens: Tokens,
    scratch: &'a mut Scratch,
}

impl Step for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<E: Engine>(self, engine: &E) {
        let Self { head, block, tokens, scratch } = self;
        attend(engine, head, block, tokens, scratch);
    }
}

#[inline(always)]
fn attend<E: Engine>(engine: &E, head: &Head, block: usize, tokens: Tokens, scratch: &mut Scratch) {
    let lanes = engine.lanes();
    let Scratch {
        scores: [scores, scores_next],
        shares: [shares, shares_before],
        sums,
        contexts,
        kept,
    } = scratch;
    let mut running = Running::<E::Lanes> {
        base: [lanes.splat(f32::NEG_INFINITY); 2],
        total: [lanes.splat(0.0); 2],
    };
    let queries = head.queries::<E>(block);
    let mut group = Group::nth(0, block, tokens);
    if let Some(first) = group {
        for i in 0..first.blocks {
            score(engine, head, queries, first, i, &mut scores[i]);
        }
    }
    let mut waiting: Option<Group> = None;
    let mut index = 0;
    while let Some(now) = group {
        if now.own {
            hide_others(&mut scores[0], block, tokens);
        }
        let largest = largest(lanes, now, tokens, scores);
        if running.is_exceeded(lanes, largest) {
            if let Some(before) = waiting.take() {
                for (column, sum) in sums.iter_mut().enumerate() {
                    add_values(engine, head, before, column, shares_before, sum);
                }
            }
            rebase(lanes, largest, &mut running, sums);
        }
        index += 1;
        let next = Group::nth(index, block, tokens);
        // While lanes compute exponentials, tiles compute the scores of the next group and the
        // contexts of the one before.
        for i in 0..GROUP {
            if let Some(next) = next.filter(|next| i < next.blocks) {
                score(engine, head, queries, next, i, &mut scores_next[i]);
            }
            if let Some(before) = waiting {
                for column in (i..sums.len()).step_by(GROUP) {
                    add_values(engine, head, before, column, shares_before, &mut sums[column]);
                }
            }
            if i < now.blocks {
                exponentials::<E>(lanes, &mut scores[i], now.keys(i, tokens), &mut running);
                engine.right(&scores[i], &mut shares[i * E::TILES..(i + 1) * E::TILES]);
            }
        }
        waiting = Some(now);
        std::mem::swap(shares, shares_before);
        std::mem::swap(scores, scores_next);
        group = next;
    }
    if let Some(before) = waiting {
        for (column, sum) in sums.iter_mut().enumerate() {
            add_values(engine, head, before, column, shares_before, sum);
        }
    }
    let one = lanes.splat(1.0);
    let mut inverse = [one; 2];
    for half in 0..2 {
        let mut total = [0.0; 16];
        lanes.store(running.total[half], &mut total);
        lanes.store(running.base[half], &mut kept[0].as_chunks_mut().0[half]);
        kept[1].as_chunks_mut().0[half] = total;
        for x in &mut total {
            *x = 1.0 / *x;
        }
        inverse[half] = lanes.load(&total);
    }
    for (sum, context) in sums.iter_mut().zip(contexts) {
        for row in &mut sum.0 {
            for half in 0..2 {
                let x = lanes.mul(lanes.load(&row[half]), inverse[half]);
                lanes.store(x, &mut row[half]);
            }
        }
        sum.transposed(lanes, context);
    }
}

/// Scores of the group's `i`-th block of keys.
#[inline(always)]
fn score<E: Engine>(
    engine: &E,
    head: &Head,
    queries: &[Tile],
    group: Group,
    i: usize,
    to: &mut Block,
) {
    engine.product::<false>(head.keys::<E>(group.first + i), queries, to, None);
}

/// Leaves each unknown query its own score alone, and known ones nothing.
#[inline(always)]
pub(super) fn hide_others(scores: &mut Block, block: usize, tokens: Tokens) {
    for (key, row) in scores.0.iter_mut().enumerate() {
        for (query, score) in row.as_flattened_mut().iter_mut().enumerate() {
            let is_unknown = (tokens.known..tokens.used).contains(&(block * SIDE + query));
            if key != query || !is_unknown {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Adds the values of a group to contexts, 32 channels of them.
#[inline(always)]
fn add_values<E: Engine>(
    engine: &E,
    head: &Head,
    group: Group,
    column: usize,
    shares: &[Tile],
    sum: &mut Block,
) {
    let values = head.values::<E>(column, [group.first, group.blocks]);
    engine.product::<true>(values, &shares[..group.blocks * E::TILES], sum, None);
}

/// The largest score of each query in a group.
#[inline(always)]
fn largest<L: Lanes>(lanes: L, group: Group, tokens: Tokens, scores: &[Block]) -> [L::F; 2] {
    let least = lanes.splat(f32::NEG_INFINITY);
    let (mut even, mut odd) = ([least; 2], [least; 2]);
    for i in 0..group.blocks {
        let (pairs, rest) = scores[i].0[..group.keys(i, tokens)].as_chunks::<2>();
        for [first, second] in pairs {
            even[0] = lanes.max(even[0], lanes.load(&first[0]));
            even[1] = lanes.max(even[1], lanes.load(&first[1]));
            odd[0] = lanes.max(odd[0], lanes.load(&second[0]));
            odd[1] = lanes.max(odd[1], lanes.load(&second[1]));
        }
        for row in rest {
            even[0] = lanes.max(even[0], lanes.load(&row[0]));
            even[1] = lanes.max(even[1], lanes.load(&row[1]));
        }
    }
    [lanes.max(even[0], odd[0]), lanes.max(even[1], odd[1])]
}

impl<L: Lanes> Running<L> {
    /// Whether a score is much larger than what exponentials are relative to.
    #[inline(always)]
    fn is_exceeded(&self, lanes: L, largest: [L::F; 2]) -> bool {
        let slack = lanes.splat(SLACK);
        lanes.any_greater(largest[0], lanes.add(self.base[0], slack))
            || lanes.any_greater(largest[1], lanes.add(self.base[1], slack))
    }
}

/// Makes exponentials relative to scores that are much larger. Each query decides alone.
#[inline(always)]
fn rebase<L: Lanes>(lanes: L, largest: [L::F; 2], running: &mut Running<L>, sums: &mut [Block]) {
    for half in 0..2 {
        let (largest, base) = (largest[half], running.base[half]);
        let limit = lanes.add(base, lanes.splat(SLACK));
        let raised = lanes.if_greater([largest, limit], largest, base);
        // One where it stays, zero where there was nothing yet.
        let fade = lanes.exp2::<true>(lanes.sub(base, raised));
        let fade = lanes.if_greater([largest, limit], fade, lanes.splat(1.0));
        running.base[half] = raised;
        running.total[half] = lanes.mul(running.total[half], fade);
        for sum in sums.iter_mut() {
            for row in &mut sum.0 {
                lanes.store(lanes.mul(lanes.load(&row[half]), fade), &mut row[half]);
            }
        }
    }
}

/// Scores become exponentials; those of keys that are not seen become zero.
#[inline(always)]
fn exponentials<E: Engine>(
    lanes: E::Lanes,
    scores: &mut Block,
    keys: usize,
    running: &mut Running<E::Lanes>,
) {
    let base = running.base;
    let mut total = running.total;
    for row in &mut scores.0[..keys] {
        for half in 0..2 {
            let x = lanes.sub(lanes.load(&row[half]), base[half]);
            let x = if E::EXACT { lanes.exp2::<true>(x) } else { lanes.exp2::<false>(x) };
            total[half] = lanes.add(total[half], x);
            lanes.store(x, &mut row[half]);
        }
    }
    running.total = total;
    scores.0[keys..].fill([[0.0; 16]; 2]);
}
