//! Utterances whose sound is another's.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::corpus::CorpusTable;
use crate::load::{content_hash, content_length};

/// By row, the row before it that has the same sound.
pub(super) fn duplicates(table: &CorpusTable) -> HashMap<usize, usize> {
    // First what costs nothing: of most recordings no other has the length.
    let lengths: Vec<Option<u64>> =
        (0..table.len()).into_par_iter().map(|row| content_length(&table.location(row))).collect();
    let cut = |row: usize| {
        let bits = |time: Option<f64>| time.map(f64::to_bits);
        (bits(table.start_s(row).or(Some(0.0))), bits(table.cut_duration_s(row)), table.channel(row), table.round(row))
    };
    let mut alike: HashMap<_, Vec<usize>> = HashMap::new();
    for (row, length) in lengths.into_iter().enumerate() {
        if let Some(length) = length {
            alike.entry((length, cut(row))).or_default().push(row);
        }
    }
    alike.retain(|_, rows| rows.len() > 1);
    let mut rows: Vec<usize> = alike.into_values().flatten().collect();
    rows.sort_unstable();
    let hashes: Vec<Option<[u8; 32]>> = rows.par_iter().map(|row| content_hash(&table.location(*row))).collect();
    let mut first = HashMap::new();
    let mut duplicates = HashMap::new();
    for (row, hash) in rows.into_iter().zip(hashes) {
        // What cannot be read is told when it is loaded.
        let Some(hash) = hash else { continue };
        let original = *first.entry((hash, cut(row))).or_insert(row);
        if original != row {
            duplicates.insert(row, original);
        }
    }
    duplicates
}
