//! Mean and variance of a whole dataset, which whoever loads it applies.

use std::fs;
use std::path::PathBuf;

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use super::Norm;
use crate::manifest::Statistics;
use crate::transform::{AtLoadError, FrameToRow};

/// Mean and variance of each bin over the frames of a whole dataset: those of a manifest, or of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GlobalStatistics {
    /// Mean of each bin: `[bins]`.
    pub mean: Vec<f64>,
    /// Population variance of each bin, zero or more: `[bins]`.
    pub variance: Vec<f64>,
}

impl From<&Statistics> for GlobalStatistics {
    fn from(Statistics { mean, variance, .. }: &Statistics) -> Self {
        Self { mean: mean.clone(), variance: variance.clone() }
    }
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
        match statistics.check(bins) {
            Err(AtLoadError::NegativeVarianceInManifest(bin)) => Err(AtLoadError::NegativeVariance { path, bin }),
            Err(AtLoadError::OtherBinsInManifest { found, bins }) => Err(AtLoadError::OtherBins { path, found, bins }),
            Err(error) => Err(error),
            Ok(()) => Ok(statistics),
        }
    }

    /// Checks that they are of `bins` bins, and no variance below zero.
    pub(super) fn check(&self, bins: usize) -> Result<(), AtLoadError> {
        if let Some(bin) = self.variance.iter().position(|variance| *variance < 0.0) {
            return Err(AtLoadError::NegativeVarianceInManifest(bin));
        }
        let counts = [&self.mean, &self.variance].map(Vec::len);
        match counts.into_iter().find(|count| *count != bins) {
            Some(found) => Err(AtLoadError::OtherBinsInManifest { found, bins }),
            None => Ok(()),
        }
    }
}

/// Each bin less the dataset's mean, over the dataset's standard deviation if asked for: in double precision, as
/// [`OverUtterance`](super::OverUtterance) does it with the utterance's.
pub(super) struct OverDataset {
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl OverDataset {
    /// That of `statistics`, which were checked.
    pub(super) fn new(norm: Norm, GlobalStatistics { mean, variance }: &GlobalStatistics) -> Self {
        Self {
            means: mean.iter().map(|&mean| if norm.means { mean } else { 0.0 }).collect(),
            scales: variance.iter().map(|&variance| if norm.vars { norm.scale(variance) } else { 1.0 }).collect(),
        }
    }
}

impl FrameToRow for OverDataset {
    fn bins_in(&self) -> usize {
        self.means.len()
    }

    fn bins_out(&self) -> usize {
        self.means.len()
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        normalise(frame, &self.means, &self.scales, row);
    }
}

/// y = (x − mean) · scale, bin by bin.
#[multiversion(targets("x86_64+avx2"))]
fn normalise(frame: &[f32], means: &[f64], scales: &[f64], row: &mut [f32]) {
    for (((normalised, &value), &mean), &scale) in row.iter_mut().zip(frame).zip(means).zip(scales) {
        *normalised = ((f64::from(value) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::{AtLoad, Cmvn, CmvnOver, Column, Extract};

    const FRAMES: [f32; 6] = [1.0, 10.0, 3.0, 10.0, 5.0, 12.0];

    fn statistics() -> GlobalStatistics {
        GlobalStatistics { mean: vec![1.0, 10.0], variance: vec![4.0, 0.0] }
    }

    fn normalised(settings: &Cmvn, statistics: Option<&GlobalStatistics>) -> Result<Vec<f32>, AtLoadError> {
        let mut at_work = AtLoad::prepare(settings, &Column::of(2, "dB", None), statistics)?;
        let mut out = vec![7.0];
        at_work.begin(Draws { seed: 0, id: "a", copy: 0, channel: 0, segment: None });
        FRAMES.chunks(2).for_each(|frame| at_work.push(frame, &mut out));
        at_work.finish(&mut out).unwrap();
        Ok(out.split_off(1))
    }

    #[test]
    fn means_and_deviations_are_the_datasets() {
        let of = |norm_means, norm_vars, eps, std_floor| {
            let settings = Cmvn { over: CmvnOver::Global, norm_means, norm_vars, eps, std_floor, ..Cmvn::default() };
            normalised(&settings, Some(&statistics())).unwrap()
        };
        assert_eq!(of(true, false, 0.0, 1e-10), [0.0, 0.0, 2.0, 0.0, 4.0, 2.0]);
        assert_eq!(of(true, true, 0.0, 0.5), [0.0, 0.0, 1.0, 0.0, 2.0, 4.0], "a floor of 0.5 under a deviation of 0");
        assert_eq!(of(false, true, 2.0, 1e-10), [0.25, 5.0, 0.75, 5.0, 1.25, 6.0], "2 is added to each deviation");
    }

    #[test]
    fn statistics_that_do_not_fit_are_refused() {
        let refused = |statistics: Option<&GlobalStatistics>| {
            let settings = Cmvn { over: CmvnOver::Global, ..Cmvn::default() };
            normalised(&settings, statistics).unwrap_err().to_string()
        };
        assert!(refused(None).contains("no statistics"));
        let three = GlobalStatistics { mean: vec![0.0; 2], variance: vec![1.0; 3] };
        assert!(refused(Some(&three)).contains("3 bins, and the column has 2"));
        let below = GlobalStatistics { variance: vec![1.0, -1e-9], ..statistics() };
        assert!(refused(Some(&below)).contains("of bin 1"));
    }
}
