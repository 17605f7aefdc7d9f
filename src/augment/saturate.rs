//! Driven into saturation and brought back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, clip, peak_of, scale};
use super::tanh::tanh_in_place;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Driven into saturation and brought back to the gain that it had, as of an overloaded input.
///
/// `y = f(g · x) / g`, `g = 10^(gain_db / 20) / max|x|` over all channels: a clip at its peak times `gain_db`. `f` is
/// `max(-1, min(1, v))` (`hard`) or `tanh(v)` (`soft`). The peak of a hard-clipped clip is `gain_db` lower than before.
/// A clip whose peak is below -96 dB stays as it is, and the record says `silent`. Drawn: `gain_db`. There is no
/// oversampling: harmonics above the
/// Nyquist frequency fold back.
///
/// Source: lhotse 1.33 `Clipping` with `normalize`, to which its `ClippingTransform` adds twofold oversampling. Both
/// shapes by chance are a `one_of` of two rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Saturate {
    /// How far the clip's peak is above the limit, in dB, -100 to 100; [0, 12].
    pub gain_db: Range,
    /// The law of the limit; `hard`.
    pub shape: Saturation,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// What becomes of samples near a limit and beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Saturation {
    /// They are the limit.
    #[default]
    Hard,
    /// They come the nearer to it the greater they are: a hyperbolic tangent.
    Soft,
}

impl Default for Saturate {
    fn default() -> Self {
        Self { gain_db: Range::Uniform([0.0, 12.0]), shape: Saturation::Hard, probability: Probability::ALWAYS }
    }
}

impl Member for Saturate {
    const EXAMPLE: &'static str = "saturate: { gain_db: [0, 12], shape: soft, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["lhotse.ClippingTransform", "lhotse.Clipping"];
}

impl Augment for Saturate {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("gain_db", &self.gain_db, -100.0, 100.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Saturate {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        /// What is quieter counts as silence, as lhotse has it.
        const SILENCE_DB: f64 = -96.0;
        let gain = amplitude(draw.number("gain_db", &self.gain_db));
        let peak = f64::from(peak_of(sound));
        if peak < amplitude(SILENCE_DB) {
            draw.note("silent", true);
            return Ok(());
        }
        let limit = peak / gain;
        match self.shape {
            Saturation::Hard => {
                let limit = limit as f32;
                clip(sound, -limit, limit);
            }
            Saturation::Soft => {
                for channel in &mut sound.channels {
                    tanh_in_place(channel, (1.0 / limit) as f32);
                }
                scale(sound, limit);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine, varied};

    fn saturated(gain_db: f64, shape: Saturation, sound: &Waveform) -> Waveform {
        varied(Saturate { gain_db: Range::fixed(gain_db), shape, ..Saturate::default() }, sound)
    }

    #[test]
    fn a_hard_limit_lies_the_gain_below_the_peak() {
        let sound = mono(8_000, vec![0.8, -0.4, 0.05, 0.3]);
        let found = saturated(20.0, Saturation::Hard, &sound);
        assert_eq!(found.channels[0], [0.08, -0.08, 0.05, 0.08]);
        assert_eq!(saturated(0.0, Saturation::Hard, &sound), sound);
    }

    #[test]
    fn a_soft_limit_is_a_hyperbolic_tangent() {
        let sound = sine(440.0, 0.4, 16_000);
        let found = saturated(6.0, Saturation::Soft, &sound);
        let gain = amplitude(6.0) / f64::from(peak_of(&sound));
        for (y, x) in found.channels[0].iter().zip(&sound.channels[0]) {
            assert!((f64::from(*y) - (gain * f64::from(*x)).tanh() / gain).abs() < 1e-7);
        }
    }

    #[test]
    fn what_is_next_to_silent_is_left_alone() {
        for shape in [Saturation::Hard, Saturation::Soft] {
            for sound in [mono(8_000, vec![0.0]), mono(8_000, vec![1e-5, -1.5e-5])] {
                assert_eq!(saturated(40.0, shape, &sound), sound);
            }
        }
    }
}
