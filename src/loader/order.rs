//! The order of rows: a permutation of shards, then of the rows of some shards at a time, as a function of its key.

use std::ops::Range;

use crate::seed::{Draws, Generator};

/// Shuffles in place: Fisher and Yates, as Durstenfeld has it (CACM 7, 1964).
pub(super) fn shuffle<T>(items: &mut [T], generator: &mut Generator) {
    for last in (1..items.len()).rev() {
        let drawn = (u128::from(generator.bits()) * (last as u128 + 1)) >> u64::BITS;
        items.swap(last, drawn as usize);
    }
}

/// The generator of what is drawn for a pass over a dataset.
pub(super) fn generator(seed: u64, what: &str, pass: u32, part: Option<u32>) -> Generator {
    Draws { seed, id: what, copy: pass, segment: part, channel: 0 }.stage("loader")
}

/// How the rows of a dataset are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are stored.
    Stored,
    /// At random: rows are mixed within blocks of so many shards.
    Shuffled {
        /// What decides the order.
        seed: u64,
        /// Shards of which rows are mixed: so many are read at a time.
        block: usize,
    },
}

/// The rows of a dataset in the order of pass `pass`; `name` tells datasets of a mix apart. `shards` are the rows of each shard;
/// `kept` says which are there at all.
pub(super) fn rows_in_order(
    order: Order,
    name: &str,
    pass: u32,
    shards: &[Range<u32>],
    kept: impl Fn(u32) -> bool,
) -> Vec<u32> {
    let all: usize = shards.iter().map(ExactSizeIterator::len).sum();
    let mut rows = Vec::with_capacity(all);
    let Order::Shuffled { seed, block } = order else {
        rows.extend(shards.iter().cloned().flatten().filter(|row| kept(*row)));
        return rows;
    };
    let mut places: Vec<usize> = (0..shards.len()).collect();
    shuffle(&mut places, &mut generator(seed, name, pass, None));
    for (number, block) in places.chunks(block.max(1)).enumerate() {
        let start = rows.len();
        rows.extend(block.iter().flat_map(|place| shards[*place].clone()).filter(|row| kept(*row)));
        shuffle(&mut rows[start..], &mut generator(seed, name, pass, Some(number as u32)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_drawn_equally_often() {
        let mut counts = [[0_u32; 6]; 6];
        for pass in 0..6000 {
            let mut items: Vec<usize> = (0..6).collect();
            shuffle(&mut items, &mut generator(17, "x", pass, None));
            for (place, item) in items.into_iter().enumerate() {
                counts[place][item] += 1;
            }
        }
        // Chi-square of 25 degrees of freedom: 52.6 is its 99.9 % point.
        let chi_square: f64 = counts.iter().flatten().map(|count| (f64::from(*count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi_square < 52.6, "{chi_square}");
    }

    #[test]
    fn rows_stay_within_their_block_of_shards() {
        let shards: Vec<Range<u32>> = (0..12).map(|shard| shard * 10..shard * 10 + 10).collect();
        let order = Order::Shuffled { seed: 3, block: 4 };
        let rows = rows_in_order(order, "a", 0, &shards, |_| true);
        for block in rows.chunks(40) {
            let mut shards: Vec<u32> = block.iter().map(|row| row / 10).collect();
            shards.sort_unstable();
            shards.dedup();
            assert_eq!(shards.len(), 4);
        }
        assert_ne!(rows, rows_in_order(order, "a", 1, &shards, |_| true));
        assert_ne!(rows, rows_in_order(order, "b", 0, &shards, |_| true));
        assert_eq!(rows_in_order(Order::Stored, "a", 1, &shards, |row| row % 7 == 0)[..3], [0, 7, 14]);
    }
}
