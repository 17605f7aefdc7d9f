//! A smaller range between loud and soft.

use std::f64::consts::LOG2_10;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, peaks};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A smaller range between loud and soft: what is above a threshold is made softer by a ratio.
///
/// The level is `l = 20 log10 |x|`, the highest of all channels. What is above the threshold T is reduced by the static
/// curve, with `s = 1 - 1 / ratio` and a knee W: `d = 0` where `l - T <= -W / 2`; `d = s · (l - T + W / 2)^2 / (2 W)`
/// within the knee; `d = s · (l - T)` above it. The reduction is smoothed in dB: `p[i] = max(d[i], a_R · p[i-1] + (1 -
/// a_R) · d[i])`, then `q[i] = a_A · q[i-1] + (1 - a_A) · p[i]`, where `a = exp(-1 / samples)` for the attack and the
/// release; `y = x · 10^((makeup_db - q) / 20)`. All channels have one gain; nothing is delayed or clipped. Drawn, in
/// this order: `threshold_db`, `ratio`, `attack_ms`, `release_ms`, `makeup_db`.
///
/// Source: Giannoulis, Massberg and Reiss, "Digital Dynamic Range Compressor Design", J. Audio Eng. Soc. 60 (6), 2012:
/// the feed-forward design with the gain computer and the smooth, decoupled peak detector in the logarithmic domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compressor {
    /// The level above which the sound is made softer, in dB of full scale, -120 to 20; [-40, -15].
    pub threshold_db: Range,
    /// By how many dB the level must rise for the result to rise by 1 dB, 1 to 1000; [2, 8].
    pub ratio: Range,
    /// The time constant with which the gain falls, in milliseconds, 0 to 10000; 5.
    pub attack_ms: Range,
    /// The time constant with which the gain recovers, in milliseconds, 0 to 10000; 100.
    pub release_ms: Range,
    /// How wide the bend of the static curve is, in dB, 0 to 60; 6.
    pub knee_db: f64,
    /// A gain after it, in dB, -100 to 100; 0.
    pub makeup_db: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Compressor {
    fn default() -> Self {
        Self {
            threshold_db: Range::Uniform([-40.0, -15.0]),
            ratio: Range::Uniform([2.0, 8.0]),
            attack_ms: Range::fixed(5.0),
            release_ms: Range::fixed(100.0),
            knee_db: 6.0,
            makeup_db: Range::fixed(0.0),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for Compressor {
    const EXAMPLE: &'static str = "compressor: { threshold_db: [-40, -15], ratio: [2, 8], makeup_db: [0, 6] }";
}

impl Augment for Compressor {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("threshold_db", &self.threshold_db, -120.0, 20.0)?;
        SettingError::unless_all_within("ratio", &self.ratio, 1.0, 1_000.0)?;
        SettingError::unless_all_within("attack_ms", &self.attack_ms, 0.0, 10_000.0)?;
        SettingError::unless_all_within("release_ms", &self.release_ms, 0.0, 10_000.0)?;
        SettingError::unless_within("knee_db", self.knee_db, 0.0, 60.0)?;
        SettingError::unless_all_within("makeup_db", &self.makeup_db, -100.0, 100.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(CompressorAtWork { settings: self.clone(), gains: Vec::new() })
    }
}

struct CompressorAtWork {
    settings: Compressor,
    /// The level of each sample, then its gain.
    gains: Vec<f32>,
}

impl Apply for CompressorAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        /// Where a reduction decays no further: numbers below the normal ones are slow.
        const LEAST_DB: f64 = 1e-30;
        let rate = f64::from(sound.sample_rate.get());
        // 0 ms, whose constant would be exp(-1 / 0), is no smoothing.
        let constant = |ms: f64| (-1.0 / (ms * 1e-3 * rate).max(1e-9)).exp();
        let curve = Curve {
            threshold_db: draw.number("threshold_db", &self.settings.threshold_db),
            slope: 1.0 - 1.0 / draw.number("ratio", &self.settings.ratio),
            knee_db: self.settings.knee_db,
        };
        let attack = constant(draw.number("attack_ms", &self.settings.attack_ms));
        let release = constant(draw.number("release_ms", &self.settings.release_ms));
        let makeup = amplitude(draw.number("makeup_db", &self.settings.makeup_db));

        self.gains.clear();
        self.gains.resize(sound.num_samples(), 0.0);
        peaks(sound, &mut self.gains);
        let bend = amplitude(curve.threshold_db - 0.5 * curve.knee_db) as f32;
        let (mut peak, mut reduction) = (0.0_f64, 0.0_f64);
        for gain in &mut self.gains {
            // Logarithms only of what the curve bends.
            let wanted = if *gain > bend { curve.reduction_db(20.0 * f64::from(*gain).log10()) } else { 0.0 };
            peak = wanted.max(release * peak + (1.0 - release) * wanted).max(LEAST_DB);
            reduction = attack * reduction + (1.0 - attack) * peak;
            *gain = reduction as f32;
        }
        for gain in &mut self.gains {
            *gain = (makeup * (-f64::from(*gain) * (LOG2_10 / 20.0)).exp2()) as f32;
        }
        for channel in &mut sound.channels {
            channel.iter_mut().zip(&self.gains).for_each(|(sample, gain)| *sample *= gain);
        }
        Ok(())
    }
}

/// What of a steady level is taken away.
struct Curve {
    threshold_db: f64,
    slope: f64,
    knee_db: f64,
}

impl Curve {
    fn reduction_db(&self, level_db: f64) -> f64 {
        let above = level_db - self.threshold_db;
        let half = 0.5 * self.knee_db;
        if above <= -half {
            0.0
        } else if above < half {
            self.slope * (above + half) * (above + half) / (2.0 * self.knee_db)
        } else {
            self.slope * above
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine, varied};

    fn compressor(threshold_db: f64, ratio: f64, attack_ms: f64, release_ms: f64) -> Compressor {
        Compressor {
            threshold_db: Range::fixed(threshold_db),
            ratio: Range::fixed(ratio),
            attack_ms: Range::fixed(attack_ms),
            release_ms: Range::fixed(release_ms),
            ..Compressor::default()
        }
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.log10()
    }

    #[test]
    fn steady_sines_come_out_by_the_static_curve() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            for knee_db in [0.0, 6.0, 12.0] {
                for (level, ratio) in [(-40.0, 4.0), (-24.0, 4.0), (-20.0, 4.0), (-17.5, 3.0), (-6.0, 4.0), (0.0, 10.0)]
                {
                    let row = Compressor { knee_db, ..compressor(-20.0, ratio, 5.0, 500.0) };
                    let sound = sine(1_000.0, amplitude(level), rate);
                    let found = varied(row, &sound);
                    let last = rate as usize * 9 / 10;
                    let peak =
                        |sound: &Waveform| sound.channels[0][last..].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
                    let slope = 1.0 - 1.0 / ratio;
                    let above = level + 20.0;
                    let expected = if above <= -knee_db / 2.0 {
                        0.0
                    } else if above >= knee_db / 2.0 {
                        slope * above
                    } else {
                        slope * (above + knee_db / 2.0).powi(2) / (2.0 * knee_db)
                    };
                    let reduction = -db(f64::from(peak(&found) / peak(&sound)));
                    assert!((reduction - expected).abs() < 0.05, "{rate} {knee_db} {level}: {reduction} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_gain_falls_and_recovers_with_its_time_constants() {
        // Constant magnitudes: 12 dB above the threshold for a second, then 12 dB below it. Ratio 4 takes 9 dB away.
        let mut samples = vec![amplitude(-8.0) as f32; 16_000];
        samples.resize(32_000, amplitude(-32.0) as f32);
        for (i, sample) in samples.iter_mut().enumerate() {
            *sample = if i % 2 == 0 { *sample } else { -*sample };
        }
        let found = varied(compressor(-20.0, 4.0, 10.0, 200.0), &mono(16_000, samples.clone()));
        let reduction = |at: usize| -db(f64::from(found.channels[0][at] / samples[at]));
        let e = std::f64::consts::E;
        assert!((reduction(159) - 9.0 * (1.0 - 1.0 / e)).abs() < 0.01, "{}", reduction(159));
        assert!((reduction(319) - 9.0 * (1.0 - 1.0 / (e * e))).abs() < 0.01);
        assert!((reduction(15_999) - 9.0).abs() < 1e-3);
        // Once the attack's filter follows, a release constant takes the reduction to 1/e.
        assert!((reduction(16_000 + 5_000) / reduction(16_000 + 1_800) - 1.0 / e).abs() < 1e-3);
    }

    #[test]
    fn makeup_is_a_gain_and_channels_have_one_gain() {
        let row = Compressor { makeup_db: Range::fixed(6.0), ..compressor(0.0, 4.0, 0.0, 0.0) };
        let mut sound = sine(440.0, 0.1, 8_000);
        let found = varied(row, &sound);
        let six = amplitude(6.0) as f32;
        assert!(found.channels[0].iter().zip(&sound.channels[0]).all(|(y, x)| (y - six * x).abs() < 1e-7));

        sound.channels.push(vec![0.9; 8_000]);
        let found = varied(compressor(-20.0, 4.0, 5.0, 100.0), &sound);
        for at in [1, 500, 7_999] {
            let gains = [0, 1].map(|channel: usize| found.channels[channel][at] / sound.channels[channel][at]);
            assert!((gains[0] - gains[1]).abs() < 1e-6);
        }
    }

    #[test]
    fn without_smoothing_each_sample_has_the_gain_of_the_curve() {
        let row = Compressor { knee_db: 0.0, ..compressor(-20.0, 2.0, 0.0, 0.0) };
        let found = varied(row.clone(), &mono(8_000, vec![1.0, 0.1, 0.0, -1.0]));
        let expected = [amplitude(-10.0) as f32, 0.1, 0.0, -amplitude(-10.0) as f32];
        assert!(found.channels[0].iter().zip(expected).all(|(y, x)| (y - x).abs() < 1e-6), "{found:?}");
        assert_eq!(varied(row, &mono(8_000, vec![0.0])).channels[0], [0.0]);
    }
}
