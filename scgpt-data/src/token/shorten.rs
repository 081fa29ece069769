//! Cells with more tokens than they may have: which of the tokens are kept.

use std::collections::BTreeMap;

use super::CellTokens;
use crate::condition_token::ConditionToken;
use crate::{keyed::choose, vocab::GeneToken};

impl CellTokens {
    /// Like [`shorten`](Self::shorten), but every condition gets an equal share of the room; what
    /// one condition does not need goes to the others. In this way a hundred proteins are not
    /// crowded out by ten thousand open peaks.
    pub fn shorten_fairly(
        &mut self,
        max_length: usize,
        keep: usize,
        order: impl Fn(GeneToken) -> u64,
    ) {
        let Some(conditions) = self.conditions.as_ref().filter(|_| self.len() > max_length) else {
            return;
        };
        let keep = keep.min(max_length);
        let groups = by_condition(&conditions[keep..]);
        let available: Vec<usize> = groups.iter().map(Vec::len).collect();
        let mut chosen: Vec<usize> = (0..keep).collect();
        for (group, room) in groups.iter().zip(fair(&available, max_length - keep)) {
            let of = choose(group.len(), room, |index| order(self.genes[keep + group[index]]));
            chosen.extend(of.into_iter().map(|index| keep + group[index]));
        }
        chosen.sort_unstable();
        self.take(&chosen);
    }

    /// Keeps the first `keep` tokens and of the others as many as fit into `max_length`, those with
    /// the smallest `order` (of equal ones the first), in their present order.
    pub fn shorten(&mut self, max_length: usize, keep: usize, order: impl Fn(GeneToken) -> u64) {
        if self.len() <= max_length {
            return;
        }
        let keep = keep.min(max_length);
        let rest =
            choose(self.len() - keep, max_length - keep, |index| order(self.genes[keep + index]));
        let chosen: Vec<usize> =
            (0..keep).chain(rest.into_iter().map(|index| keep + index)).collect();
        self.take(&chosen);
    }

    /// Keeps the `chosen` tokens, places in ascending order.
    fn take(&mut self, chosen: &[usize]) {
        take(&mut self.genes, chosen);
        take(&mut self.values, chosen);
        if let Some(conditions) = &mut self.conditions {
            take(conditions, chosen);
        }
    }
}

/// Positions of each condition, by condition.
pub(super) fn by_condition(conditions: &[ConditionToken]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<ConditionToken, Vec<usize>> = BTreeMap::new();
    for (position, &condition) in conditions.iter().enumerate() {
        groups.entry(condition).or_default().push(position);
    }
    groups.into_values().collect()
}

/// Divides `room` into equal shares, none larger than what is `available`; what is left goes to the
/// others.
fn fair(available: &[usize], mut room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..available.len()).collect();
    order.sort_by_key(|&group| available[group]);
    let mut shares = vec![0; available.len()];
    for (place, group) in order.into_iter().enumerate() {
        shares[group] = available[group].min(room / (available.len() - place));
        room -= shares[group];
    }
    shares
}

/// Keeps the `chosen` items, places in ascending order.
fn take<T: Copy>(items: &mut Vec<T>, chosen: &[usize]) {
    for (to, &from) in chosen.iter().enumerate() {
        items[to] = items[from];
    }
    items.truncate(chosen.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shared_as_far_as_it_is_needed() {
        assert_eq!(fair(&[100, 3, 50], 60), [29, 3, 28]);
        assert_eq!(fair(&[1, 2], 60), [1, 2]);
        assert_eq!(fair(&[], 60), [0; 0]);
    }
}
