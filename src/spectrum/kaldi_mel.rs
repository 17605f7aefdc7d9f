//! Kaldi's mel filters: triangles over mel rather than hertz, with vocal tract length normalisation.

use super::MelBank;
use crate::audio::Hertz;

/// The filters of Kaldi's `feat/mel-computations.cc`: triangles of height 1 whose sides are straight on the mel scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KaldiMel {
    /// How many filters.
    pub bands: usize,
    /// The lower end of the first, in hertz.
    pub low: f64,
    /// The upper end of the last, in hertz.
    pub high: f64,
}

/// Vocal tract length normalisation: the filters' corners moved as another speaker's formants would be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vtln {
    /// Where the scaling starts to give way towards the lower end, in hertz.
    pub low: f64,
    /// Where the scaling starts to give way towards the upper end, in hertz.
    pub high: f64,
    /// The warp: corners between the two are divided by it; 1 leaves all as they are.
    pub warp: f64,
}

/// Kaldi's mel scale, which is HTK's with the factor rounded: 2595 / ln 10 = 1126.99.
fn mel(hertz: f64) -> f64 {
    1_127.0 * (1.0 + hertz / 700.0).ln()
}

fn hertz(mel: f64) -> f64 {
    700.0 * ((mel / 1_127.0).exp() - 1.0)
}

impl KaldiMel {
    /// Makes `bank` the filters for an FFT of `n_fft` samples at `rate`, in the memory that it has.
    ///
    /// The bin at the Nyquist frequency has no weight in any, as in Kaldi.
    pub fn design(&self, vtln: Vtln, n_fft: usize, rate: Hertz, bank: &mut MelBank) {
        let (low, high) = (mel(self.low), mel(self.high));
        let step = (high - low) / (self.bands + 1) as f64;
        let bin_width = f64::from(rate.get()) / n_fft as f64;
        bank.clear();
        for band in 0..self.bands {
            let corner = |number: usize| {
                let corner = low + (band + number) as f64 * step;
                if vtln.warp == 1.0 { corner } else { mel(self.warped(vtln, hertz(corner))) }
            };
            let (left, centre, right) = (corner(0), corner(1), corner(2));
            // One bin too many on either side, so that rounding in the mel scale loses none.
            let first = (hertz(left) / bin_width) as usize;
            let last = ((hertz(right) / bin_width) as usize + 2).min(n_fft / 2);
            bank.add(first..last, |bin| {
                let bin = mel(bin as f64 * bin_width);
                ((bin - left) / (centre - left)).min((right - bin) / (right - centre))
            });
        }
    }

    /// Where a corner at `hertz` goes. The factor is 1/warp between the two inflection points; beyond them straight lines
    /// lead to the ends of the band, which stay where they are.
    fn warped(&self, vtln: Vtln, hertz: f64) -> f64 {
        if hertz < self.low || hertz > self.high {
            return hertz;
        }
        let [low, high] = vtln.inflections();
        if hertz < low {
            self.low + (low / vtln.warp - self.low) / (low - self.low) * (hertz - self.low)
        } else if hertz < high {
            hertz / vtln.warp
        } else {
            self.high + (self.high - high / vtln.warp) / (self.high - high) * (hertz - self.high)
        }
    }
}

impl Vtln {
    /// The inflection points, in hertz, chosen so that no warped corner passes `low` or `high`.
    #[must_use]
    pub fn inflections(&self) -> [f64; 2] {
        [self.low * self.warp.max(1.0), self.high * self.warp.min(1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::LANES;
    use super::*;

    const SPEECH: Hertz = Hertz::new(16_000).unwrap();
    const BAND: KaldiMel = KaldiMel { bands: 80, low: 20.0, high: 8_000.0 };
    const UNWARPED: Vtln = Vtln { low: 100.0, high: 7_500.0, warp: 1.0 };

    fn bank(mel: KaldiMel, vtln: Vtln, n_fft: usize, rate: Hertz) -> MelBank {
        let mut bank = MelBank::default();
        mel.design(vtln, n_fft, rate, &mut bank);
        bank
    }

    fn response(bank: &MelBank, bin: usize) -> Vec<f32> {
        let mut power = vec![0.0; 257 + LANES];
        power[bin] = 1.0;
        let mut energies = vec![0.0; bank.num_bands()];
        bank.apply(&power, &mut energies);
        energies
    }

    #[test]
    fn filters_weigh_as_kaldi_defines_them() {
        let bank = bank(BAND, UNWARPED, 512, SPEECH);
        let (low, step) = (mel(20.0), (mel(8_000.0) - mel(20.0)) / 81.0);
        for bin in 0..256 {
            let at = mel(bin as f64 * 31.25);
            for (band, &weight) in response(&bank, bin).iter().enumerate() {
                let left = low + band as f64 * step;
                let triangle = ((at - left) / step).min((left + 2.0 * step - at) / step).max(0.0);
                assert!((f64::from(weight) - triangle).abs() < 1e-6, "bin {bin}, band {band}: {weight} {triangle}");
            }
        }
        assert!(response(&bank, 256).iter().all(|&weight| weight == 0.0), "the Nyquist bin has no weight");
    }

    #[test]
    fn a_warp_moves_the_middle_and_leaves_the_ends() {
        for warp in [0.9, 1.1] {
            let vtln = Vtln { warp, ..UNWARPED };
            assert!((BAND.warped(vtln, 1_000.0) - 1_000.0 / warp).abs() < 1e-9);
            for end in [20.0, 8_000.0] {
                assert!((BAND.warped(vtln, end) - end).abs() < 1e-9, "{end} Hz at {warp}");
            }
            let corners: Vec<f64> = (20..8_000).map(|hertz| BAND.warped(vtln, f64::from(hertz))).collect();
            assert!(corners.is_sorted(), "the warp {warp} keeps the order");
        }
    }

    #[test]
    fn a_bank_designed_anew_is_a_new_bank() {
        let mut used = bank(BAND, Vtln { warp: 0.8, ..UNWARPED }, 512, SPEECH);
        BAND.design(UNWARPED, 512, SPEECH, &mut used);
        assert_eq!(used, bank(BAND, UNWARPED, 512, SPEECH));
    }

    #[test]
    fn eighty_bands_fit_eight_kilohertz_and_a_hundred_do_not() {
        // kaldi-native-fbank 1.23.0 takes the first and refuses the second: "num_mel_bins too large".
        let telephone = Hertz::new(8_000).unwrap();
        let empty = |bands| bank(KaldiMel { bands, low: 20.0, high: 4_000.0 }, UNWARPED, 256, telephone).num_empty();
        assert_eq!(empty(80), 0);
        assert!(empty(100) > 0);
    }
}
