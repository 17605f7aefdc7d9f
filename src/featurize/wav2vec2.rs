//! The input of wav2vec 2.0, HuBERT and their kin: the sound itself, brought to mean 0 and variance 1.
//!
//! (x − μ) / √(σ² + 1e-7), μ and σ² over the utterance's samples, as in Hugging Face transformers' `Wav2Vec2FeatureExtractor`
//! with `do_normalize: true`; matched to within 1e-5. Sums are taken in double precision.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{Edges, Framing, double_sum};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The samples, brought to mean 0 and variance 1 over the utterance.
///
/// Shape `[samples]`, standard deviations: `Wav2Vec2FeatureExtractor` of Hugging Face transformers with `do_normalize: true`.
/// The models are trained on 16 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wav2vec2 {
    /// What is added to the variance, 1e-12 to 1; 1e-7. (Older releases of transformers: 1e-5.)
    #[schemars(range(min = 1e-12, max = 1.0))]
    pub eps: f64,
}

impl Default for Wav2vec2 {
    fn default() -> Self {
        Self { eps: 1e-7 }
    }
}

impl Member for Wav2vec2 {
    const EXAMPLE: &'static str = "wav2vec2: { eps: 1.0e-7 }";
}

impl Extractor for Wav2vec2 {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        SettingError::unless_within("eps", self.eps, 1e-12, 1.0)?;
        Ok(Column {
            bins: None,
            unit: "standard deviations".to_owned(),
            dtype: None,
            frame_shift: self.frame_shift(rate),
        })
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        Ok(Framing { length: NonZeroUsize::MIN, hop: NonZeroUsize::MIN, edges: Edges::Snip })
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        Ok(Box::new(AtWork { eps: self.eps, num_samples: 0 }))
    }
}

/// The extractor at work.
struct AtWork {
    eps: f64,
    num_samples: usize,
}

impl Extract for AtWork {
    fn begin(&mut self, _: Draws<'_>) {
        self.num_samples = 0;
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.num_samples += samples.len();
        out.extend_from_slice(samples);
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.num_samples == 0 {
            return Err(ExtractError::TooShort { num_samples: 0, needed: 1 });
        }
        let start = out.len().saturating_sub(self.num_samples);
        let samples = &mut out[start..];
        let count = samples.len() as f64;
        let mean = double_sum(samples, f64::from) / count;
        if !mean.is_finite() {
            let bad = samples.iter().position(|sample| !sample.is_finite()).unwrap_or_default();
            return Err(ExtractError::NotFinite { frame: bad as u64 });
        }
        let variance = double_sum(samples, |sample| (f64::from(sample) - mean) * (f64::from(sample) - mean)) / count;
        let scale = 1.0 / (variance + self.eps).sqrt();
        for sample in samples {
            *sample = ((f64::from(*sample) - mean) * scale) as f32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate};

    #[test]
    fn the_mean_is_zero_and_the_variance_one_whatever_they_were() {
        let (_, sound) = golden("signal-voiced-16000");
        for (scale, offset) in [(1.0, 0.0), (0.1, 0.5), (30.0, -7.0)] {
            let sound: Vec<f32> = sound.iter().map(|sample| sample * scale + offset).collect();
            let made = extract(&Wav2vec2::default(), &sound, rate(16_000)).unwrap();
            let mean = made.iter().map(|&x| f64::from(x)).sum::<f64>() / made.len() as f64;
            let variance = made.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / made.len() as f64;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-2, "{mean} {variance}");
        }
    }

    #[test]
    fn a_constant_is_silence_and_the_largest_numbers_stay_finite() {
        assert!(extract(&Wav2vec2::default(), &[0.25; 1_003], rate(8_000)).unwrap().iter().all(|&x| x == 0.0));
        let loud = extract(&Wav2vec2::default(), &[f32::MAX, -f32::MAX], rate(8_000)).unwrap();
        assert_eq!(loud, [1.0, -1.0]);
    }

    #[test]
    fn no_sound_and_broken_sound_are_refused() {
        let refused = |sound: &[f32]| extract(&Wav2vec2::default(), sound, rate(16_000)).unwrap_err();
        assert_eq!(refused(&[]), ExtractError::TooShort { num_samples: 0, needed: 1 });
        assert_eq!(refused(&[0.0, f32::NAN]), ExtractError::NotFinite { frame: 1 });
        assert_eq!(refused(&[f32::INFINITY, f32::NEG_INFINITY]), ExtractError::NotFinite { frame: 0 });
        assert_eq!(Wav2vec2 { eps: 0.0 }.column(None).unwrap_err().key(), "eps");
    }
}
