//! `SpeechBrain`'s mel filters: triangles as wide to the right as to the left.

use super::{MelBank, MelScale};
use crate::audio::Hertz;

/// Triangles of height 1, symmetric over hertz: each reaches down to the centre of the one before, and as far up.
///
/// This is `speechbrain.processing.features.Filterbank` (9c826ef), which takes the lower of the two distances between centres
/// for both sides; on HTK's scale, and unlike HTK's, they leave small gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeftMel {
    /// How many filters.
    pub bands: usize,
    /// The lower end of the first, in hertz.
    pub low: f64,
    /// Where the next centre after the last would be, in hertz.
    pub high: f64,
}

impl LeftMel {
    /// The filters for an FFT of `n_fft` samples at `rate`.
    #[must_use]
    pub fn bank(&self, n_fft: usize, rate: Hertz) -> MelBank {
        let (low, high) = (MelScale::Htk.from_hertz(self.low), MelScale::Htk.from_hertz(self.high));
        let step = (high - low) / (self.bands + 1) as f64;
        let corner = |number: usize| MelScale::Htk.to_hertz(low + number as f64 * step);
        let bin_width = f64::from(rate.get()) / n_fft as f64;
        let mut bank = MelBank::default();
        for band in 0..self.bands {
            let (left, centre) = (corner(band), corner(band + 1));
            bank.add(0..=n_fft / 2, |bin| 1.0 - (bin as f64 * bin_width - centre).abs() / (centre - left));
        }
        bank
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::LANES;
    use super::*;

    #[test]
    fn each_filter_is_symmetric_about_its_centre() {
        let bank = LeftMel { bands: 40, low: 0.0, high: 8_000.0 }.bank(16_000, Hertz::new(16_000).unwrap());
        let mut energies = vec![0.0; 40];
        let mut response = |bin: usize| {
            let mut power = vec![0.0; 8_001 + LANES];
            power[bin] = 1.0;
            bank.apply(&power, &mut energies);
            energies.clone()
        };
        let step = MelScale::Htk.from_hertz(8_000.0) / 41.0;
        for band in [0, 20, 39] {
            let corner = |number: usize| MelScale::Htk.to_hertz(number as f64 * step);
            let (left, centre) = (corner(band), corner(band + 1));
            for part in [0.25, 0.5, 0.75] {
                let bins = [centre - part * (centre - left), centre + part * (centre - left)].map(f64::round);
                for bin in bins {
                    let expected = 1.0 - (bin - centre).abs() / (centre - left);
                    assert!((f64::from(response(bin as usize)[band]) - expected).abs() < 1e-6, "band {band}, {bin} Hz");
                }
            }
        }
    }
}
