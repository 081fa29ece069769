//! Contexts of 32 queries by running softmax: keys come in groups, exponentials are relative to the
//! largest score of the first, and what earlier groups gave is scaled down when those of a later one
//! are much larger.

use super::{Tokens, head::Head};
use crate::{
    block::{Block, SIDE, Tile},
    engine::{Engine, Made, Step},
    lanes::Lanes,
};

/// Blocks of keys in a group.
const GROUP: usize = 2;

/// The exponentials of a group may add up to so much, which fits well into f32 and bf16. Hardly any
/// group is beyond it, and none but the first is searched for its largest score before it is.
const MOST: f32 = (1 << 14) as f32;

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

    /// Leaves nothing of the scores that are not seen.
    #[inline(always)]
    fn hide(self, block: usize, tokens: Tokens, scores: &mut [Block]) {
        if self.own {
            return hide_others(&mut scores[0], block, tokens);
        }
        let seen = tokens.known - self.first * SIDE;
        if seen < self.blocks * SIDE {
            scores[seen / SIDE].0[seen % SIDE..].fill([[f32::NEG_INFINITY; 16]; 2]);
        }
    }
}

/// State of 32 queries, two times sixteen lanes.
#[derive(Clone, Copy)]
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
        first.hide(block, tokens, scores);
        running.base = largest(lanes, &scores[..first.blocks]);
    }
    let mut waiting: Option<Group> = None;
    let mut index = 0;
    while let Some(now) = group {
        index += 1;
        let next = Group::nth(index, block, tokens);
        let before = running;
        // Tiles compute the scores of the next group and the contexts of the one before, lanes
        // exponentials: neither waits for what the other has just written.
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
                share(engine, &scores[i], &mut running, &mut shares[i * E::TILES..]);
            }
        }
        let growth = running.growth(lanes, before);
        let most = lanes.splat(MOST);
        if lanes.any_greater(growth[0], most) || lanes.any_greater(growth[1], most) {
            running = before;
            let largest = largest(lanes, &scores[..now.blocks]);
            rebase(lanes, largest, growth, &mut running, sums);
            for i in 0..now.blocks {
                share(engine, &scores[i], &mut running, &mut shares[i * E::TILES..]);
            }
        }
        waiting = Some(now);
        std::mem::swap(shares, shares_before);
        std::mem::swap(scores, scores_next);
        if let Some(next) = next {
            next.hide(block, tokens, scores);
        }
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

/// The largest score of each query.
#[inline(always)]
fn largest<L: Lanes>(lanes: L, scores: &[Block]) -> [L::F; 2] {
    let mut largest = [lanes.splat(f32::NEG_INFINITY); 2];
    for scores in scores {
        for row in &scores.0 {
            for half in 0..2 {
                largest[half] = lanes.max(largest[half], lanes.load(&row[half]));
            }
        }
    }
    largest
}

impl<L: Lanes> Running<L> {
    /// What a group has added to sums since `before`.
    #[inline(always)]
    fn growth(&self, lanes: L, before: Self) -> [L::F; 2] {
        let mut growth = self.total;
        for half in 0..2 {
            growth[half] = lanes.sub(growth[half], before.total[half]);
        }
        growth
    }
}

/// Makes exponentials relative to the largest scores of a group in which they grew too much. Each query
/// decides alone.
#[inline(always)]
fn rebase<L: Lanes>(
    lanes: L,
    largest: [L::F; 2],
    growth: [L::F; 2],
    running: &mut Running<L>,
    sums: &mut [Block],
) {
    for half in 0..2 {
        let (base, is_beyond) = (running.base[half], [growth[half], lanes.splat(MOST)]);
        let raised = lanes.if_greater(is_beyond, largest[half], base);
        let fade = lanes.exp2::<true>(lanes.sub(base, raised));
        let fade = lanes.if_greater(is_beyond, fade, lanes.splat(1.0));
        running.base[half] = raised;
        running.total[half] = lanes.mul(running.total[half], fade);
        for sum in sums.iter_mut() {
            for row in &mut sum.0 {
                lanes.store(lanes.mul(lanes.load(&row[half]), fade), &mut row[half]);
            }
        }
    }
}

/// Exponentials of a block of scores as a right operand.
#[inline(always)]
fn share<E: Engine>(engine: &E, scores: &Block, running: &mut Running<E::Lanes>, to: &mut [Tile]) {
    let mut rows = Exponentials::<E> { lanes: engine.lanes(), scores, running: *running };
    engine.right_of(&mut rows, &mut to[..E::TILES]);
    *running = rows.running;
}

/// Exponentials of scores, which are added up.
struct Exponentials<'a, E: Engine> {
    lanes: E::Lanes,
    scores: &'a Block,
    running: Running<E::Lanes>,
}

impl<E: Engine> Made<E::Lanes> for Exponentials<'_, E> {
    #[inline(always)]
    fn make(&mut self, row: usize, half: usize) -> <E::Lanes as Lanes>::F {
        let (lanes, running) = (self.lanes, &mut self.running);
        let x = lanes.sub(lanes.load(&self.scores.0[row][half]), running.base[half]);
        let x = if E::EXACT { lanes.exp2::<true>(x) } else { lanes.exp2::<false>(x) };
        running.total[half] = lanes.add(running.total[half], x);
        x
    }
}
