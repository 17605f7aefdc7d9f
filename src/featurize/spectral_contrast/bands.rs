//! Which bins belong to which band, and how many of them make its peak and its valley.

use std::ops::Range;

use crate::audio::Hertz;
use crate::transform::SettingError;

/// A band of neighbouring bins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) bins: Range<usize>,
    /// How many of them make its peak, and its valley: 1 up to all.
    pub(super) count: usize,
}

/// The band from 0 Hz to `fmin`, then `octaves` octaves, in an FFT of `n_fft` samples at `rate`.
///
/// As in librosa 0.11, each band but the first starts one bin early, each but the last ends one bin early, and the last goes
/// on to the Nyquist frequency; the quantile is of the bins before that end is cut.
pub(super) fn bands(
    fmin: f64,
    octaves: usize,
    quantile: f64,
    n_fft: usize,
    rate: Hertz,
) -> Result<Vec<Band>, SettingError> {
    // numpy's `rfftfreq` rounds thus, which decides on which side of an edge a bin lies.
    let bin_width = 1.0 / (n_fft as f64 * (1.0 / f64::from(rate.get())));
    let num_bins = n_fft / 2 + 1;
    let edge = |number: usize| fmin * 2_f64.powi(number as i32);
    let highest = edge(octaves - 1);
    if highest >= rate.nyquist() {
        return Err(SettingError::AboveNyquist { key: "n_bands", value: highest, rate });
    }
    let band = |number: usize| {
        let low = number.checked_sub(1).map_or(0.0, edge);
        let inside = |bin: &usize| (low..=edge(number)).contains(&(*bin as f64 * bin_width));
        let (first, last) = ((0..num_bins).find(inside)?, (0..num_bins).rfind(inside)?);
        let start = first.saturating_sub(1);
        let (end, cut) = if number == octaves { (num_bins, 0) } else { (last + 1, 1) };
        let count = (quantile * (end - start) as f64).round_ties_even() as usize;
        let bins = start..end - cut;
        (!bins.is_empty()).then(|| Band { count: count.clamp(1, bins.len()), bins })
    };
    let none = SettingError::DoesNotFit { key: "n_fft", reason: "a band lies between two FFT bins: lengthen the FFT" };
    (0..=octaves).map(band).collect::<Option<_>>().ok_or(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(n_fft: usize, hertz: u32) -> Vec<(usize, usize, usize)> {
        let bands = bands(200.0, 6, 0.02, n_fft, Hertz::new(hertz).unwrap()).unwrap();
        bands.iter().map(|band| (band.bins.start, band.bins.end, band.count)).collect()
    }

    #[test]
    fn bands_are_those_of_librosa_and_share_a_bin_where_an_edge_is_one() {
        assert_eq!(
            found(2_048, 16_000),
            [(0, 25, 1), (25, 51, 1), (51, 102, 1), (102, 204, 2), (204, 409, 4), (409, 819, 8), (819, 1_025, 4)]
        );
        assert_eq!(
            found(400, 16_000),
            [(0, 5, 1), (4, 10, 1), (9, 20, 1), (19, 40, 1), (39, 80, 1), (79, 160, 2), (159, 201, 1)]
        );
    }
}
