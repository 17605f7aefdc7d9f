//! A level that drifts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, multiply};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A gain that changes to another, as of a speaker who turns away.
///
/// `y[i] = x[i] · 10^(g[i] / 20)`. The gain `g` is `start_gain_db` before sample `t0`, `end_gain_db` from sample `t0 +
/// n - 1` on, and a straight line in dB between. Drawn in this order: `duration_s`, rounded to n samples and at least
/// 3; `t0`, a whole number of 2 - n to N - 2 of a clip of N samples, each equally likely, recorded in seconds as
/// `start_s`; the two gains, each of `gain_db`. The change may thus begin before the clip and end after it. All
/// channels change alike; nothing is clipped.
///
/// Source: audiomentations 0.43.1 `GainTransition`, which draws the duration as a whole number of samples and rounds
/// the gains in dB to single precision. (Its durations in samples and in shares of the clip are left out.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GainTransition {
    /// The gain before the change and the gain after it, in dB, -200 to 200; [-24, 6].
    pub gain_db: Range,
    /// How long the change takes, in seconds, 0.001 to 3600; [0.2, 6].
    pub duration_s: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for GainTransition {
    fn default() -> Self {
        Self {
            gain_db: Range::Uniform([-24.0, 6.0]),
            duration_s: Range::Uniform([0.2, 6.0]),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for GainTransition {
    const EXAMPLE: &'static str = "gain_transition: { gain_db: [-24, 6], duration_s: [0.2, 6], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.GainTransition"];
}

impl Augment for GainTransition {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("gain_db", &self.gain_db, -200.0, 200.0)?;
        SettingError::unless_all_within("duration_s", &self.duration_s, 0.001, 3_600.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

/// A line in dB from one gain to another, in samples.
struct Ramp {
    /// Its first sample, which may lie before the clip.
    t0: i64,
    /// Its samples, 3 at least.
    len: i64,
    /// The gain up to its first sample and the gain from its last one on, in dB.
    gains_db: [f64; 2],
}

impl Apply for GainTransition {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate = f64::from(sound.sample_rate.get());
        let num_samples = sound.num_samples();
        let len = ((draw.number("duration_s", &self.duration_s) * rate).round() as i64).max(3);
        let t0 = draw.index(num_samples + len as usize - 3) as i64 - (len - 2);
        draw.note("start_s", t0 as f64 / rate);
        let start = draw.number("start_gain_db", &self.gain_db);
        let end = draw.number("end_gain_db", &self.gain_db);
        let ramp = Ramp { t0, len, gains_db: [start, end] };
        for channel in &mut sound.channels {
            ramp.apply(channel);
        }
        Ok(())
    }
}

impl Ramp {
    /// Samples whose gains are one power of ten and its products with a table.
    const BLOCK: usize = 64;

    fn apply(&self, samples: &mut [f32]) {
        let [start_db, end_db] = self.gains_db;
        let within = |at: i64| at.clamp(0, samples.len() as i64) as usize;
        let (first, last) = (within(self.t0), within(self.t0 + self.len));
        let (ramp, after) = samples.split_at_mut(last);
        let (before, ramp) = ramp.split_at_mut(first);
        multiply(before, amplitude(start_db));
        multiply(after, amplitude(end_db));

        let step_db = (end_db - start_db) / (self.len - 1) as f64;
        let table: [f64; Self::BLOCK] = std::array::from_fn(|i| amplitude(step_db * i as f64));
        let skipped = first as i64 - self.t0;
        for (number, block) in ramp.chunks_mut(Self::BLOCK).enumerate() {
            let gain = amplitude(start_db + step_db * (skipped + (number * Self::BLOCK) as i64) as f64);
            for (sample, ratio) in block.iter_mut().zip(&table) {
                *sample *= (gain * ratio) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{mono, told};

    #[test]
    fn ramps_are_those_of_audiomentations() {
        // t0, n and gains as in fixtures/golden/augment/level.py: inside, over the beginning, over the end, over both.
        let ramps = [
            (1_000, 3_200, -24.0, 6.0),
            (-500, 2_000, 0.0, -12.0),
            (6_000, 9_000, -3.0, 3.0),
            (-9_000, 20_000, 6.0, -6.0),
        ];
        let (_, sound) = golden("signal-chirp-8000");
        let (shape, expected) = golden("augment/gain_transition-audiomentations-0.43.1");
        assert_eq!(shape, [ramps.len(), sound.len()]);
        for ((t0, len, start, end), expected) in ramps.into_iter().zip(expected.chunks(sound.len())) {
            let mut found = sound.clone();
            Ramp { t0, len, gains_db: [start, end] }.apply(&mut found);
            let worst = found.iter().zip(expected).map(|(y, x)| (y - x).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{t0} {len}: {worst}");
        }
    }

    #[test]
    fn the_line_has_both_gains_at_its_ends_and_their_mean_in_the_middle() {
        let mut sound = vec![1.0; 401];
        Ramp { t0: 100, len: 201, gains_db: [-20.0, 20.0] }.apply(&mut sound);
        for (at, gain) in [(0, 0.1), (100, 0.1), (150, 10_f32.powf(-0.5)), (200, 1.0), (300, 10.0), (400, 10.0)] {
            assert!((sound[at] / gain - 1.0).abs() < 1e-6, "{at}: {}", sound[at]);
        }
    }

    #[test]
    fn clips_of_a_few_samples_have_a_place_for_every_ramp() {
        for len in 1..6 {
            let row = GainTransition {
                gain_db: Range::fixed(6.0),
                duration_s: Range::fixed(0.001),
                ..GainTransition::default()
            };
            let (found, told) = told(row, &mono(1_000, vec![0.5; len]));
            assert!(found.channels[0].iter().all(|y| (y - 0.5 * 10_f32.powf(0.3)).abs() < 1e-6));
            let start = told.applied[0]["gain_transition"]["start_s"].as_f64().unwrap() * 1e3;
            assert!((-1.0..=len as f64 - 2.0).contains(&start), "{start}");
        }
    }
}
