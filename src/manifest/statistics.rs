//! Mean and variance of each bin, gathered in one pass and merged without loss.
//!
//! Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

use serde::{Deserialize, Serialize};

/// The moments of some frames, by bin: mergeable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Frames counted.
    pub count: u64,
    /// Mean of each bin: `[bins]`.
    pub mean: Vec<f64>,
    /// Sum of squared differences from the mean, of each bin: `[bins]`.
    pub m2: Vec<f64>,
}

impl Moments {
    /// The moments of no frames of `bins` bins.
    #[must_use]
    pub fn empty(bins: usize) -> Self {
        Self { count: 0, mean: vec![0.0; bins], m2: vec![0.0; bins] }
    }

    /// The moments of `frames`, row-major `[frames, bins]`.
    #[must_use]
    pub fn of(frames: &[f32], bins: usize) -> Self {
        let mut moments = Self::empty(bins);
        let count = frames.len() / bins.max(1);
        if count == 0 {
            return moments;
        }
        moments.count = count as u64;
        fold(frames, &mut moments.mean, |_, value| value);
        for mean in &mut moments.mean {
            *mean /= count as f64;
        }
        let mean = &moments.mean;
        fold(frames, &mut moments.m2, |bin, value| (value - mean[bin]) * (value - mean[bin]));
        moments
    }

    /// Adds the moments of other frames, of the same bins.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (here, there) = (self.count as f64, other.count as f64);
        let total = here + there;
        for bin in 0..self.mean.len().min(other.mean.len()) {
            let delta = other.mean[bin] - self.mean[bin];
            self.mean[bin] += delta * there / total;
            self.m2[bin] += other.m2[bin] + delta * delta * here * there / total;
        }
        self.count += other.count;
    }
}

/// Adds `term(bin, value)` of every value to its bin's sum.
///
/// Narrow frames are added in several lanes at once: one running sum would wait for each addition to finish.
fn fold(frames: &[f32], sums: &mut [f64], term: impl Fn(usize, f64) -> f64) {
    /// Enough independent sums to keep a core's adders busy.
    const LANES: usize = 16;
    let bins = sums.len();
    let repeat = LANES.div_ceil(bins);
    let mut lanes = vec![0.0; bins * repeat];
    for block in frames.chunks(lanes.len()) {
        for (row, lane) in block.chunks(bins).zip(lanes.chunks_mut(bins)) {
            for (bin, (value, sum)) in row.iter().zip(lane).enumerate() {
                *sum += term(bin, f64::from(*value));
            }
        }
    }
    for lane in lanes.chunks(bins) {
        for (sum, part) in sums.iter_mut().zip(lane) {
            *sum += part;
        }
    }
}

/// Mean and variance of each bin, as the manifest gives them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Frames counted.
    pub count: u64,
    /// Mean of each bin: `[bins]`.
    pub mean: Vec<f64>,
    /// Population variance of each bin: `[bins]`.
    pub variance: Vec<f64>,
}

impl From<Moments> for Statistics {
    fn from(moments: Moments) -> Self {
        let count = moments.count.max(1) as f64;
        Self { count: moments.count, mean: moments.mean, variance: moments.m2.iter().map(|m2| m2 / count).collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers_have_their_mean_and_variance() {
        let statistics = Statistics::from(Moments::of(&[1.0, 10.0, 3.0, 10.0, 5.0, 10.0], 2));
        assert_eq!(statistics.mean, [3.0, 10.0]);
        assert_eq!(statistics.variance, [8.0 / 3.0, 0.0]);
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole(frames in prop::collection::vec(-20_f32..20.0, 0..400), bins in 1_usize..5, cut in 0.0..1.0) {
            let whole = &frames[..frames.len() / bins * bins];
            let (one, other) = whole.split_at((whole.len() as f64 * cut) as usize / bins * bins);
            let mut merged = Moments::of(one, bins);
            merged.merge(&Moments::of(other, bins));
            let expected = Moments::of(whole, bins);
            prop_assert_eq!(merged.count, expected.count);
            for bin in 0..bins {
                prop_assert!((merged.mean[bin] - expected.mean[bin]).abs() < 1e-9);
                prop_assert!((merged.m2[bin] - expected.m2[bin]).abs() < 1e-6);
            }
        }
    }
}
