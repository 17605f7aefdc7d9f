//! Rows, ready to be written.

use crate::audio::{Hertz, Seconds, Words};
use crate::manifest::{Reject, Warning};

use super::failure::WorldFault;
use super::features::Columns;
use super::order::Weigh;

/// What a row is called in the dataset that it comes from.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) id: String,
    pub(super) copy: u32,
}

/// A row, ready to be written.
#[derive(Debug)]
pub(super) struct MadeRow {
    /// Which segment of the utterance it is, from 0, where the pipeline cuts them.
    pub(super) segment: Option<usize>,
    pub(super) num_samples: u64,
    pub(super) sample_rate: Hertz,
    /// What was done to its sound, as JSON; none for originals.
    pub(super) augmentation: Option<String>,
    /// Whether it still holds what its text says.
    pub(super) words: Words,
    /// One for each column of what was found in the sound.
    pub(super) sound: Vec<f64>,
    /// Features and encoded sound.
    pub(super) columns: Columns,
    /// What it is called, where it is a row of another dataset that goes on as it is.
    pub(super) carried: Option<Carried>,
}

impl MadeRow {
    /// Seconds of sound behind the row.
    pub(super) fn seconds(&self) -> f64 {
        Seconds::of_samples(self.num_samples, self.sample_rate).get()
    }
}

/// What became of one entry of the plan: rows, or the reason why there is none. Of several segments each is a row or a reject.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) rows: Vec<MadeRow>,
    pub(super) rejects: Vec<Reject>,
    /// What is wrong with the recording, or with what it was mixed with, all the same.
    pub(super) warnings: Vec<Warning>,
    /// Seconds of sound that were decoded and heard to the end.
    pub(super) heard_s: f64,
}

impl Made {
    /// Whether something is wrong with the entry as a whole: only such entries can be too many.
    pub(super) fn is_fault(&self) -> bool {
        self.rows.is_empty() && self.rejects.iter().any(Reject::is_fault)
    }

    /// Puts rejects in the place of rows, by their numbers in ascending order, as if they had been known from the start.
    pub(super) fn refuse(&mut self, refused: Vec<(usize, Reject)>) {
        for (number, reject) in refused.into_iter().rev() {
            self.rows.remove(number);
            self.rejects.push(reject);
        }
        self.rejects.sort_by_key(|reject| reject.segment);
        self.heard_s = self.rows.iter().fold(0.0, |sum, row| sum + row.seconds());
        if self.rows.is_empty() {
            self.warnings.clear();
        }
    }
}

impl MadeRow {
    /// Bytes of what waits for modules.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.columns
            .waiting
            .iter()
            .flat_map(|waiting| &waiting.channels)
            .map(|input| size_of_val(input.as_slice()))
            .sum()
    }
}

impl Weigh for Vec<Result<Made, WorldFault>> {
    fn weight(&self) -> usize {
        /// What a result takes beside its features, roughly.
        const RESULT_BYTES: usize = 1024;
        let rows = self.iter().flatten().flat_map(|made| &made.rows);
        let blobs = rows.flat_map(|row| row.columns.cells.iter().map(|cell| &cell.bytes).chain(&row.columns.audio));
        blobs.fold(RESULT_BYTES * self.len(), |sum, blob| sum + blob.len())
    }
}
