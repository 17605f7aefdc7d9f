//! In from silence and out to it.

use std::f64::consts::FRAC_PI_2;
use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// In from silence at the beginning and out to silence at the end.
///
/// Sample `i` of a fade-in of `n` samples is multiplied with `f(i / (n - 1))`; the fade-out is its mirror image. `f(t)`
/// by `shape`: `linear` t; `exponential` t · 2^(t - 1); `logarithmic` 1 + log10(0.1 + t), held within 0 to 1;
/// `quarter_sine` sin(π t / 2); `half_sine` (1 - cos(π t)) / 2. A fade that is longer than the clip takes all of it
/// (torchaudio refuses it); if both overlap, both apply. Drawn: `fade_in_s`, then `fade_out_s`.
///
/// Source: torchaudio 2.11 `transforms.Fade`, whose lengths are in samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fade {
    /// The length of the fade-in, in seconds, 0 to 3600; 0.
    pub fade_in_s: Range,
    /// The length of the fade-out, in seconds, 0 to 3600; 0.
    pub fade_out_s: Range,
    /// The course of the gain; `linear`.
    pub shape: FadeShape,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// The course of a fade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FadeShape {
    /// t.
    #[default]
    Linear,
    /// t · 2^(t - 1).
    Exponential,
    /// 1 + log10(0.1 + t), within 0 to 1.
    Logarithmic,
    /// sin(π t / 2).
    QuarterSine,
    /// (1 - cos(π t)) / 2.
    HalfSine,
}

impl FadeShape {
    /// The gain at `t`, 0 to 1.
    fn gain(self, t: f64) -> f64 {
        match self {
            Self::Linear => t,
            Self::Exponential => t * (t - 1.0).exp2(),
            Self::Logarithmic => (1.0 + (0.1 + t).log10()).clamp(0.0, 1.0),
            Self::QuarterSine => (FRAC_PI_2 * t).sin(),
            Self::HalfSine => 0.5 - 0.5 * (PI * t).cos(),
        }
    }
}

impl Default for Fade {
    fn default() -> Self {
        Self {
            fade_in_s: Range::fixed(0.0),
            fade_out_s: Range::fixed(0.0),
            shape: FadeShape::Linear,
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for Fade {
    const EXAMPLE: &'static str = "fade: { fade_in_s: [0, 0.5], fade_out_s: [0, 0.5], shape: half_sine }";
    const PEERS: &'static [&'static str] = &["torchaudio.Fade"];
}

impl Augment for Fade {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("fade_in_s", &self.fade_in_s, 0.0, 3_600.0)?;
        SettingError::unless_all_within("fade_out_s", &self.fade_out_s, 0.0, 3_600.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(FadeAtWork { settings: self.clone(), gains: Vec::new() })
    }
}

struct FadeAtWork {
    settings: Fade,
    /// The gains of a fade, from silence on.
    gains: Vec<f32>,
}

impl Apply for FadeAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate = f64::from(sound.sample_rate.get());
        let most = sound.num_samples();
        let lens = [("fade_in_s", &self.settings.fade_in_s), ("fade_out_s", &self.settings.fade_out_s)]
            .map(|(key, range)| ((draw.number(key, range) * rate).round() as usize).min(most));
        let [fade_in, fade_out] = lens;
        self.make(fade_in);
        for channel in &mut sound.channels {
            channel.iter_mut().zip(&self.gains).for_each(|(sample, gain)| *sample *= gain);
        }
        self.make(fade_out);
        for channel in &mut sound.channels {
            channel.iter_mut().rev().zip(&self.gains).for_each(|(sample, gain)| *sample *= gain);
        }
        Ok(())
    }
}

impl FadeAtWork {
    fn make(&mut self, len: usize) {
        if self.gains.len() == len {
            return;
        }
        let shape = self.settings.shape;
        let last = len.saturating_sub(1).max(1) as f64;
        self.gains.clear();
        self.gains.extend((0..len).map(|i| shape.gain(i as f64 / last) as f32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{mono, varied};

    const SHAPES: [FadeShape; 5] = [
        FadeShape::Linear,
        FadeShape::Exponential,
        FadeShape::Logarithmic,
        FadeShape::QuarterSine,
        FadeShape::HalfSine,
    ];

    fn fade(fade_in_s: f64, fade_out_s: f64, shape: FadeShape) -> Fade {
        Fade { fade_in_s: Range::fixed(fade_in_s), fade_out_s: Range::fixed(fade_out_s), shape, ..Fade::default() }
    }

    #[test]
    fn gains_are_those_of_torchaudio() {
        let (shape, expected) = golden("augment/fade-torchaudio-2.11.0");
        assert_eq!(shape, [SHAPES.len(), 400]);
        for (shape, expected) in SHAPES.into_iter().zip(expected.chunks(400)) {
            let found = varied(fade(0.1, 0.3, shape), &mono(1_000, vec![1.0; 400]));
            let worst = found.channels[0].iter().zip(expected).map(|(y, x)| (y - x).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{shape:?}: {worst}");
        }
    }

    #[test]
    fn a_fade_that_is_longer_than_the_clip_takes_all_of_it() {
        let found = varied(fade(5.0, 0.0, FadeShape::Linear), &mono(8_000, vec![1.0; 5]));
        assert_eq!(found.channels[0], [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(varied(fade(5.0, 0.0, FadeShape::Linear), &mono(8_000, vec![1.0])).channels[0], [0.0]);
        assert_eq!(varied(Fade::default(), &mono(8_000, vec![1.0; 3])).channels[0], [1.0; 3]);
    }
}
