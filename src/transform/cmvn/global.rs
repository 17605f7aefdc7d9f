//! Mean and variance of a whole dataset, which whoever loads it applies.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::transform::AtLoadError;

/// Mean and variance of each bin, from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GlobalStatistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl GlobalStatistics {
    /// Those of a file, for a column of `bins`.
    pub(super) fn read(path: PathBuf, bins: usize) -> Result<Self, AtLoadError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(AtLoadError::Unreadable { path, source }),
        };
        let statistics: Self = match serde_json::from_str(&text) {
            Ok(statistics) => statistics,
            Err(source) => return Err(AtLoadError::NoStatistics { path, source }),
        };
        if let Some(bin) = statistics.variance.iter().position(|variance| *variance < 0.0) {
            return Err(AtLoadError::NegativeVariance { path, bin });
        }
        let counts = [&statistics.mean, &statistics.variance].map(Vec::len);
        match counts.into_iter().find(|count| *count != bins) {
            Some(found) => Err(AtLoadError::OtherBins { path, found, bins }),
            None => Ok(statistics),
        }
    }
}
