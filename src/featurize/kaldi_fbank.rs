//! Kaldi's log mel filter banks, with the parameters and defaults of `torchaudio.compliance.kaldi.fbank`.
//!
//! Each frame: take the mean away, pre-emphasise, window, FFT, power, mel filters, logarithm; the order and every detail
//! are those of Kaldi's `feat/feature-window.cc`, `feature-fbank.cc` and `mel-computations.cc`, as kaldi-native-fbank 1.23
//! and torchaudio 2.11 have them. Both are matched to within 5e-3 in ln(energy), one number in a thousand above 1e-3.

use super::Extractor;
use super::kaldi::{Bands, PowerToRow, WithEnergy, kaldi_mel_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Generator;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, SettingError};

kaldi_mel_row! {
    /// Kaldi's log mel filter banks.
    ///
    /// Shape `[frames, num_mel_bins]`, one more with `use_energy`; ln(energy) of int16-scaled sound. Parameters, names and
    /// defaults are those of `torchaudio.compliance.kaldi.fbank`. icefall's features (lhotse `Fbank`) are
    /// `{ num_mel_bins: 80, sample_scale: unit, snip_edges: false, high_freq_hz: -400 }`, or `lhotse_fbank`.
    pub struct KaldiFbank {
        /// Whether logarithms are taken, of at least 1.2e-7 (single precision's epsilon); true.
        pub use_log_fbank: bool = true,
        /// Whether filters add up power |X|² rather than magnitude |X|; true.
        pub use_power: bool = true,
    }
}

impl Member for KaldiFbank {
    const EXAMPLE: &'static str = "kaldi_fbank: { num_mel_bins: 80 }";
}

impl Extractor for KaldiFbank {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        let unit = match (self.use_log_fbank, self.use_power) {
            (true, true) => "ln(energy)",
            (true, false) => "ln(magnitude)",
            (false, true) => "energy",
            (false, false) => "magnitude",
        };
        let bins = self.num_mel_bins.get() as usize + usize::from(self.use_energy);
        Ok(Column::of(bins, unit, self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.frames().framing(rate)
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.prepare_with(rate, path, WithEnergy::kaldi(self.use_energy))
    }
}

impl KaldiFbank {
    /// [`prepare`](Extractor::prepare), the energy measured in another way.
    pub(super) fn prepare_with(
        &self,
        rate: Hertz,
        path: &str,
        energy: WithEnergy,
    ) -> Result<Box<dyn Extract>, SettingError> {
        let frames = self.frames();
        let mut bands = self.filters().prepare(rate, frames.n_fft(rate)?)?;
        bands.exponent = if self.use_power { 2.0 } else { 1.0 };
        bands.log = self.use_log_fbank;
        let last = if self.htk_compat { bands.num_bands() } else { 0 };
        frames.prepare(rate, path, energy, Fbank { bands, energy: self.use_energy.then_some(last) })
    }
}

/// A power spectrum's way through the filters.
struct Fbank {
    bands: Bands,
    /// The column of the energy.
    energy: Option<usize>,
}

impl PowerToRow for Fbank {
    fn num_bins(&self) -> usize {
        self.bands.num_bands() + usize::from(self.energy.is_some())
    }

    fn draws(&self) -> bool {
        self.bands.draws()
    }

    fn draw(&mut self, generator: &mut Generator) {
        self.bands.draw(generator);
    }

    fn row(&mut self, power: &mut [f32], energy: f32, row: &mut [f32]) -> bool {
        let first = usize::from(self.energy == Some(0));
        let finite = self.bands.measure(power, &mut row[first..first + self.bands.num_bands()]);
        if let Some(column) = self.energy {
            row[column] = energy;
        }
        finite
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};
    use crate::seed::Draws;
    use crate::spectrum;
    use crate::transform::ExtractError;

    #[test]
    fn silence_gives_the_floor_and_broken_sound_its_frame() {
        let fbank = KaldiFbank { use_energy: true, ..KaldiFbank::default() };
        let silence = extract(&fbank, &[0.0; 1_000], rate(16_000)).unwrap();
        for row in silence.chunks(24) {
            assert_eq!(row[0], 0.0, "the energy's floor is ln 1");
            assert!(row[1..].iter().all(|&value| value == spectrum::ln(f32::EPSILON)));
        }
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let mut sound = [0.1; 1_000];
            sound[700] = bad;
            assert_eq!(extract(&fbank, &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }), "{bad}");
        }
        assert_eq!(
            extract(&fbank, &[0.1; 399], rate(16_000)),
            Err(ExtractError::TooShort { num_samples: 399, needed: 400 })
        );
    }

    #[test]
    fn channels_share_their_warp_and_not_their_noise() {
        let (_, sound) = golden("signal-voiced-16000");
        let drawn = |json: &str, channel: usize| {
            let mut fbank = settings::<KaldiFbank>(json).prepare(rate(16_000), "featurize.features.0").unwrap();
            let mut out = Vec::new();
            fbank.begin(Draws { seed: 17, id: "a", copy: 0, channel, segment: None });
            fbank.push(&sound, &mut out);
            fbank.finish(&mut out).unwrap();
            out
        };
        let warp = r#"{"vtln_warp": [0.9, 1.1]}"#;
        assert!(drawn(warp, 0) == drawn(warp, 1) && drawn(warp, 0) == drawn(warp, 7));
        let both = r#"{"vtln_warp": [0.9, 1.1], "dither": 1.0}"#;
        assert!(
            drawn(both, 0) != drawn(both, 1) && drawn(both, 1) != drawn(both, 2) && drawn(both, 2) == drawn(both, 2)
        );
    }

    #[test]
    fn dither_and_warp_are_drawn_by_utterance_and_copy_alone() {
        let (_, sound) = golden("signal-voiced-16000");
        let drawn = |json: &str, id: &str, copy: u32| {
            let mut fbank = settings::<KaldiFbank>(json).prepare(rate(16_000), "featurize.features.0").unwrap();
            let mut out = Vec::new();
            fbank.begin(Draws { seed: 17, id, copy, channel: 0, segment: None });
            fbank.push(&sound, &mut out);
            fbank.finish(&mut out).unwrap();
            out
        };
        for json in
            [r#"{"dither": 1.0}"#, r#"{"vtln_warp": [0.9, 1.1]}"#, r#"{"vtln_warp": {"one_of": [0.9, 0.95, 1.1]}}"#]
        {
            let first = drawn(json, "a", 0);
            assert_eq!(first, drawn(json, "a", 0), "{json}");
            assert!((1..6).any(|copy| first != drawn(json, "a", copy)), "{json}");
            assert!((1..6).any(|copy| first != drawn(json, "b", copy)), "{json}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str, hertz| match settings::<KaldiFbank>(json).prepare(rate(hertz), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"num_mel_bins": 128}"#, 16_000), "num_mel_bins");
        assert_eq!(refused(r#"{"high_freq_hz": 7600}"#, 8_000), "high_freq_hz");
        assert_eq!(refused(r#"{"low_freq_hz": 5000}"#, 8_000), "low_freq_hz");
        assert_eq!(refused(r#"{"frame_length_ms": 0.1}"#, 8_000), "frame_length_ms");
        assert_eq!(refused(r#"{"frame_length_ms": 1e9}"#, 8_000), "frame_length_ms");
        assert_eq!(refused(r#"{"frame_shift_ms": 0}"#, 8_000), "frame_shift_ms");
        assert_eq!(refused(r#"{"frame_shift_ms": 1e300}"#, 8_000), "frame_shift_ms");
        assert_eq!(refused(r#"{"vtln_warp": 0}"#, 8_000), "vtln_warp");
        assert_eq!(refused(r#"{"vtln_warp": 1.1, "vtln_low_hz": 20}"#, 8_000), "vtln_low_hz");
        assert_eq!(refused(r#"{"vtln_warp": 1.1, "vtln_high_hz": 4000}"#, 8_000), "vtln_high_hz");
        assert_eq!(refused(r#"{"vtln_warp": [0.9, 9], "vtln_low_hz": 500}"#, 8_000), "vtln_warp");
        assert!(serde_json::from_str::<KaldiFbank>(r#"{"num_mel_bin": 80}"#).is_err());
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_bit(
            cuts in prop::collection::vec(0_usize..12_800, 0..40),
            snip_edges: bool,
            subtract_mean: bool,
            dither in prop::sample::select(vec![0.0, 1.0]),
        ) {
            let (_, sound) = golden("signal-voiced-16000");
            let fbank = KaldiFbank { dither, snip_edges, subtract_mean, ..KaldiFbank::default() };
            let whole = extract(&fbank, &sound, rate(16_000)).unwrap();
            prop_assert_eq!(extract_in_blocks(&fbank, &sound, &cuts, rate(16_000)).unwrap(), whole);
        }
    }
}
