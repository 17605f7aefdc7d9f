//! Kaldi's cepstra, with the parameters and defaults of `torchaudio.compliance.kaldi.mfcc`.
//!
//! The frames and filters of `kaldi_fbank`, then the orthonormal DCT-II of their logarithms and a lifter, coefficient `k`
//! times 1 + Q/2·sin(πk/Q), as Kaldi's `feature-mfcc.cc`, kaldi-native-fbank 1.23 and torchaudio 2.11 have them; both are
//! matched to within 5e-3.

use std::f64::consts::{PI, SQRT_2};
use std::num::NonZeroU32;

use super::Extractor;
use super::kaldi::{Bands, PowerToRow, WithEnergy, kaldi_mel_row};
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Generator;
use crate::spectrum::{Dct, Framing};
use crate::transform::{Column, Extract, SettingError};

kaldi_mel_row! {
    /// Kaldi's mel-frequency cepstral coefficients.
    ///
    /// Shape `[frames, num_ceps]`, cepstra of ln(energy) of int16-scaled sound. Parameters, names and defaults are those of
    /// `torchaudio.compliance.kaldi.mfcc`; Kaldi's own tools and kaldi-native-fbank are `{ use_energy: true, energy_floor: 0
    /// }`, lhotse's `Mfcc` `{ sample_scale: unit, snip_edges: false, high_freq_hz: -400 }`. With `htk_compat`, C0 is √2
    /// times as much, as HTK scales it.
    pub struct KaldiMfcc {
        /// The constant Q of the lifter, which raises the higher coefficients; 22. Zero is no lifter.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        pub cepstral_lifter: f64 = 22.0,
        /// The number of coefficients, C0 counted, up to `num_mel_bins`; 13.
        #[schemars(range(max = 4096))]
        pub num_ceps: NonZeroU32 = const { NonZeroU32::new(13).unwrap() },
    }
}

impl Member for KaldiMfcc {
    const EXAMPLE: &'static str = "kaldi_mfcc: { num_mel_bins: 40, num_ceps: 40, low_freq_hz: 20, high_freq_hz: -400 }";
}

impl Extractor for KaldiMfcc {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        if self.num_ceps > self.num_mel_bins {
            return Err(SettingError::DoesNotFit {
                key: "num_ceps",
                reason: "there are no more coefficients than `num_mel_bins`",
            });
        }
        Ok(Column::of(self.num_ceps.get() as usize, "cepstrum of ln(energy)", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.frames().framing(rate)
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        let lifter = SettingError::unless_within("cepstral_lifter", self.cepstral_lifter, 0.0, 1e6)?;
        let frames = self.frames();
        let bands = self.filters().prepare(rate, frames.n_fft(rate)?)?;
        let scale = |k: usize| match k {
            0 if self.htk_compat => SQRT_2,
            _ if lifter == 0.0 => 1.0,
            _ => 1.0 + 0.5 * lifter * (PI * k as f64 / lifter).sin(),
        };
        let row = Mfcc {
            dct: Dct::scaled(bands.num_bands(), self.num_ceps.get() as usize, scale),
            mel: vec![0.0; bands.num_bands()],
            bands,
            use_energy: self.use_energy,
            energy_last: self.htk_compat,
        };
        frames.prepare(rate, path, WithEnergy::kaldi(self.use_energy), row)
    }
}

/// A power spectrum's way through filters and DCT.
struct Mfcc {
    bands: Bands,
    /// What the filters measure.
    mel: Vec<f32>,
    /// The DCT with the lifter in it.
    dct: Dct,
    use_energy: bool,
    energy_last: bool,
}

impl PowerToRow for Mfcc {
    fn num_bins(&self) -> usize {
        self.dct.num_out()
    }

    fn draws(&self) -> bool {
        self.bands.draws()
    }

    fn draw(&mut self, generator: &mut Generator) {
        self.bands.draw(generator);
    }

    fn row(&mut self, power: &mut [f32], energy: f32, row: &mut [f32]) -> bool {
        let finite = self.bands.measure(power, &mut self.mel);
        self.dct.apply(&self.mel, row);
        if self.use_energy {
            row[0] = energy;
        }
        if self.energy_last {
            row.rotate_left(1);
        }
        finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::KaldiFbank;
    use crate::featurize::golden::{extract, golden, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn silence_has_one_coefficient_and_broken_sound_its_frame() {
        let mfcc = KaldiMfcc::default();
        for row in extract(&mfcc, &[0.0; 1_000], rate(16_000)).unwrap().chunks(13) {
            // √(1/23)·Σ ln ε
            let floor = 23_f32.sqrt() * f32::EPSILON.ln();
            assert!((row[0] - floor).abs() < 1e-4 && row[1..].iter().all(|c| c.abs() < 1e-4), "{row:?}");
        }
        let mut sound = [0.1; 1_000];
        sound[700] = f32::NAN;
        for use_energy in [false, true] {
            let mfcc = KaldiMfcc { use_energy, ..KaldiMfcc::default() };
            assert_eq!(extract(&mfcc, &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }));
        }
        let short = extract(&mfcc, &[0.1; 399], rate(16_000));
        assert_eq!(short, Err(ExtractError::TooShort { num_samples: 399, needed: 400 }));
    }

    #[test]
    fn all_coefficients_without_a_lifter_hold_the_filters() {
        let (_, sound) = golden("signal-voiced-16000");
        let all = settings::<KaldiMfcc>(r#"{"num_ceps": 23, "cepstral_lifter": 0}"#);
        let cepstra = extract(&all, &sound, rate(16_000)).unwrap();
        let mel = extract(&KaldiFbank::default(), &sound, rate(16_000)).unwrap();
        let energy = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        for (cepstra, mel) in cepstra.chunks(23).zip(mel.chunks(23)) {
            assert!((energy(cepstra) / energy(mel) - 1.0).abs() < 1e-5, "an orthonormal transform keeps the energy");
        }
    }

    #[test]
    fn htk_puts_the_first_coefficient_last_and_scales_it() {
        let (_, sound) = golden("signal-voiced-16000");
        let of = |json: &str| extract(&settings::<KaldiMfcc>(json), &sound, rate(16_000)).unwrap();
        let (kaldi, htk) = (of("{}"), of(r#"{"htk_compat": true}"#));
        for (kaldi, htk) in kaldi.chunks(13).zip(htk.chunks(13)) {
            assert_eq!(kaldi[1..], htk[..12]);
            assert!((htk[12] - std::f32::consts::SQRT_2 * kaldi[0]).abs() < 1e-4);
        }
        let (kaldi, htk) = (of(r#"{"use_energy": true}"#), of(r#"{"use_energy": true, "htk_compat": true}"#));
        assert!(kaldi.chunks(13).zip(htk.chunks(13)).all(|(kaldi, htk)| kaldi[0] == htk[12]), "the energy is not");
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<KaldiMfcc>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"num_ceps": 24}"#), "num_ceps");
        assert_eq!(refused(r#"{"cepstral_lifter": -1}"#), "cepstral_lifter");
        assert_eq!(refused(r#"{"num_mel_bins": 128}"#), "num_mel_bins");
        assert_eq!(refused(r#"{"dither": -1}"#), "dither");
        assert!(serde_json::from_str::<KaldiMfcc>(r#"{"use_power": true}"#).is_err());
    }
}
