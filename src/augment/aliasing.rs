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
/// are a little weaker. The rate is uniform in mels, `2595 · log10(1 + f / 700)`; that of `m` samples, `m / n · rate`, is recorded.
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
        Box::new(AliasingAtWork { rate_hz: self.rate_hz.clone(), sound: Vec::new() })
    }
}

struct AliasingAtWork {
    rate_hz: Range,
    sound: Vec<f32>,
}

impl Apply for AliasingAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate_hz = draw.mel_number("rate_hz", &self.rate_hz);
        let rate = f64::from(sound.sample_rate.get());
        let len = sound.num_samples();
        let between = (len as f64 * rate_hz / rate).round_ties_even().max(1.0);
        draw.note("rate_hz", between / len as f64 * rate);
        for channel in &mut sound.channels {
            self.sound.clone_from(channel);
            alias(&self.sound, between as usize, channel);
        }
        Ok(())
    }
}

/// A place among points, as a whole number and a rest in shares of `steps`: integers, which are exact.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    over: usize,
}

impl Place {
    /// `spans` points after the first, of `steps` steps to it.
    fn new(spans: usize, steps: usize) -> Self {
        Self { index: spans / steps, over: spans % steps }
    }

    fn plus(self, other: Self, steps: usize) -> Self {
        let (index, over) = (self.index + other.index, self.over + other.over);
        if over >= steps { Self { index: index + 1, over: over - steps } } else { Self { index, over } }
    }
}

/// Fills `out` with `samples`, of the same length, read at `between` even steps from the first to the last one and those at as
/// many as there were, each on straight lines. Of the points in between only the two are made that an output lies between.
fn alias(samples: &[f32], between: usize, out: &mut [f32]) {
    let (spans, between_spans) = (samples.len().saturating_sub(1), between.saturating_sub(1));
    let (steps, between_steps) = (spans.max(1), between_spans.max(1));
    let (part, between_part) = (1.0 / steps as f64, 1.0 / between_steps as f64);
    // From one output to the next among the points in between, and from point to point among the samples.
    let output = Place::new(between_spans, steps);
    let point = Place::new(spans, between_steps);
    // `output.index` points at once: their product with the spans is at most the number of points.
    let points = Place::new(output.index * spans, between_steps);
    let at = |place: Place| {
        let here = samples.get(place.index).copied().map_or(0.0, f64::from);
        let next = samples.get(place.index + 1).copied().map_or(here, f64::from);
        here + (next - here) * (place.over as f64 * between_part)
    };
    // The point before the output, and the values of that and of the next one.
    let mut place = Place { index: 0, over: 0 };
    let (mut here, mut next) = (at(place), at(place.plus(point, between_steps)));
    let mut over = 0;
    for out in out {
        *out = (here + (next - here) * (over as f64 * part)) as f32;
        over += output.over;
        let further = over >= steps;
        if further {
            over -= steps;
        }
        match (output.index, further) {
            (0, false) => continue,
            (0, true) | (1, false) => {
                place = place.plus(point, between_steps);
                here = next;
            }
            (_, further) => {
                place = place.plus(points, between_steps);
                if further {
                    place = place.plus(point, between_steps);
                }
                here = at(place);
            }
        }
        next = at(place.plus(point, between_steps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::filter::tests::{off, voiced};
    use crate::augment::testing::{drawn, is_uniform, mono, sine, told, varied};

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
    fn the_points_are_those_of_two_passes_and_the_rate_that_is_recorded_is_theirs() {
        let through = |samples: &[f64], len: usize| -> Vec<f64> {
            let (spans, steps) = (samples.len() - 1, (len - 1).max(1));
            let at = |i: usize| {
                let here = samples[i * spans / steps];
                let next = samples.get(i * spans / steps + 1).copied().unwrap_or(here);
                here + (next - here) * ((i * spans % steps) as f64 * (1.0 / steps as f64))
            };
            (0..len).map(at).collect()
        };
        for (len, rate_hz) in
            [(1, 9_000.0), (2, 9_000.0), (700, 300.0), (701, 15_999.0), (333, 17_000.0), (97, 768_000.0)]
        {
            let clip = mono(16_000, voiced(16_000).channels[0][..len].to_vec());
            let between = (len as f64 * rate_hz / 16_000.0).round_ties_even().max(1.0);
            let samples: Vec<f64> = clip.channels[0].iter().copied().map(f64::from).collect();
            let twice: Vec<f32> =
                through(&through(&samples, between as usize), len).iter().map(|y| *y as f32).collect();
            let (aliased, told) = told(at(rate_hz), &clip);
            assert_eq!(aliased.channels[0], twice, "{len} samples at {rate_hz} Hz");
            assert_eq!(told.applied[0]["aliasing"]["rate_hz"], between / len as f64 * 16_000.0);
        }
    }

    #[test]
    fn rates_are_even_in_mels() {
        let mel = |hertz: f64| 2_595.0 * (1.0 + hertz / 700.0).log10();
        let mels: Vec<f64> = drawn(Aliasing::default(), "rate_hz", 10_000).into_iter().map(mel).collect();
        assert!(is_uniform(&mels, mel(8_000.0), mel(30_000.0)));
    }
}
