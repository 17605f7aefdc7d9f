//! A cheap converter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A cheap converter: to another sample rate and back without a filter.
///
/// The `n` samples become `m = round(n · rate_hz / rate)` and `n` again, each time on straight lines between
/// neighbours, the first and the last where they were. Below the clip's rate high frequencies fold down, above it they
/// are a little weaker. The rate is uniform in mels, `2595 · log10(1 + f / 700)`.
///
/// Source: audiomentations 0.43 `Aliasing` (`m` is 1 at least here; there it fails).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Aliasing {
    /// The rate in between, in hertz, 2 to 768000; [8000, 30000].
    pub rate_hz: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Aliasing {
    fn default() -> Self {
        Self { rate_hz: Range::Uniform([8_000.0, 30_000.0]), probability: Probability::ALWAYS }
    }
}

impl Member for Aliasing {
    const EXAMPLE: &'static str = "aliasing: { rate_hz: [8000, 30000], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Aliasing"];
}

impl Augment for Aliasing {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("rate_hz", &self.rate_hz, 2.0, 768_000.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AliasingAtWork { rate_hz: self.rate_hz.clone(), between: Vec::new(), sound: Vec::new() })
    }
}

struct AliasingAtWork {
    rate_hz: Range,
    sound: Vec<f64>,
    between: Vec<f64>,
}

/// The most samples that there may be in between, a clip of a gigabyte: what is longer stays so long.
const MOST_SAMPLES: f64 = (1 << 28) as f64;

impl Apply for AliasingAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate_hz = draw.mel_number("rate_hz", &self.rate_hz);
        let rate = f64::from(sound.sample_rate.get());
        for channel in &mut sound.channels {
            let len = (channel.len() as f64 * rate_hz / rate).round_ties_even().clamp(1.0, MOST_SAMPLES);
            self.sound.clear();
            self.sound.extend(channel.iter().map(|sample| f64::from(*sample)));
            self.between.resize(len as usize, 0.0);
            on_straight_lines(&self.sound, &mut self.between);
            on_straight_lines(&self.between, &mut self.sound);
            for (sample, aliased) in channel.iter_mut().zip(&self.sound) {
                *sample = *aliased as f32;
            }
        }
        Ok(())
    }
}

/// Fills `out` with `samples` read at even steps from the first to the last one, on straight lines between them.
fn on_straight_lines(samples: &[f64], out: &mut [f64]) {
    // Output i stands at i · spans / steps; its whole part and its rest are carried along in integers, which are exact.
    let (spans, steps) = (samples.len().saturating_sub(1), out.len().saturating_sub(1).max(1));
    let (whole, rest) = (spans / steps, spans % steps);
    let (mut index, mut over) = (0, 0);
    let part = 1.0 / steps as f64;
    for out in out {
        let here = samples.get(index).copied().unwrap_or_default();
        let next = samples.get(index + 1).copied().unwrap_or(here);
        *out = here + (next - here) * (over as f64 * part);
        index += whole;
        over += rest;
        if over >= steps {
            over -= steps;
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::filter::tests::{off, voiced};
    use crate::augment::testing::{drawn, is_uniform, mono, sine, varied};

    fn at(rate_hz: f64) -> Aliasing {
        Aliasing { rate_hz: Range::fixed(rate_hz), ..Aliasing::default() }
    }

    #[test]
    fn the_samples_are_those_of_audiomentations() {
        for (rate, between) in [(16_000, 8_000.0), (16_000, 11_025.5), (16_000, 29_999.0), (8_000, 3_000.0)] {
            let name = format!("aliasing-{rate}-{between:.0}");
            let off = off(&varied(at(between), &voiced(rate)), &name);
            assert!(off < 1e-6, "{name}: {off:e}");
        }
    }

    #[test]
    fn a_tone_above_half_of_the_rate_folds_down() {
        let aliased = varied(at(8_000.0), &sine(5_000.0, 0.5, 16_000));
        let level = |hertz: f64| {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (i, sample) in aliased.channels[0].iter().enumerate() {
                let angle = std::f64::consts::TAU * hertz * i as f64 / 16_000.0;
                real += f64::from(*sample) * angle.cos();
                imaginary += f64::from(*sample) * angle.sin();
            }
            2.0 * real.hypot(imaginary) / 16_000.0
        };
        assert!(level(3_000.0) > 0.1, "{}", level(3_000.0));
    }

    #[test]
    fn clips_of_any_length_keep_it() {
        for len in [1, 2, 3, 100] {
            for rate_hz in [2.0, 8_000.0, 768_000.0] {
                let clip = mono(16_000, vec![0.25; len]);
                let aliased = varied(at(rate_hz), &clip);
                assert_eq!(aliased.channels[0], clip.channels[0], "{len} samples, {rate_hz} Hz");
            }
        }
    }

    #[test]
    fn rates_are_even_in_mels() {
        let mel = |hertz: f64| 2_595.0 * (1.0 + hertz / 700.0).log10();
        let mels: Vec<f64> = drawn(Aliasing::default(), "rate_hz", 10_000).into_iter().map(mel).collect();
        assert!(is_uniform(&mels, mel(8_000.0), mel(30_000.0)));
    }
}
