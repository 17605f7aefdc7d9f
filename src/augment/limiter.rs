//! Peaks held below a threshold.

use multiversion::multiversion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, peak_of, peaks};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Peaks held below a threshold by a gain that falls before each of them and recovers after it.
///
/// With the threshold T, `r[i] = min(1, T / |x[i]|)` over the highest of all channels, and the attack as A samples:
/// `m[i] = min(r[i .. i + A])`; `h[i] = m[i]` where that is below `h[i - 1]`, else `h[i] = m[i] + c · (h[i - 1] -
/// m[i])` with `c = 10^(-3 / release)` (release in samples: it is the time to 99.9 % of the way); `y[i] = x[i] ·
/// mean(h[i - A .. i])`. The gain thus falls in a straight line that ends with the peak, no sample of the result is
/// above T, and the sound is not delayed. All channels have one gain. Drawn, in this order: `threshold_db`,
/// `attack_ms`, `release_ms`.
///
/// Source of settings, defaults and the meaning of the release time: audiomentations 0.43.1 `Limiter`. Its gain follows
/// an envelope in a recursive way, delayed by 60 % of the attack, and lets peaks through: results are alike and not the
/// same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limiter {
    /// The threshold in dB, -100 to 100; [-24, -2].
    pub threshold_db: Range,
    /// What the threshold is relative to; `relative_to_signal_peak`.
    pub threshold_mode: ThresholdMode,
    /// How long before a peak the gain begins to fall, in milliseconds, 0 to 1000; [0.5, 25].
    pub attack_ms: Range,
    /// How long the gain takes to recover by 99.9 %, in milliseconds, 0 to 60000; [50, 700].
    pub release_ms: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// What a threshold is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// The highest magnitude of the clip.
    #[default]
    RelativeToSignalPeak,
    /// Full scale.
    Absolute,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            threshold_db: Range::Uniform([-24.0, -2.0]),
            threshold_mode: ThresholdMode::RelativeToSignalPeak,
            attack_ms: Range::Uniform([0.5, 25.0]),
            release_ms: Range::Uniform([50.0, 700.0]),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for Limiter {
    const EXAMPLE: &'static str = "limiter: { threshold_db: [-24, -2], attack_ms: [0.5, 25], release_ms: [50, 700] }";
    const PEERS: &'static [&'static str] = &["audiomentations.Limiter"];
}

impl Augment for Limiter {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("threshold_db", &self.threshold_db, -100.0, 100.0)?;
        SettingError::unless_all_within("attack_ms", &self.attack_ms, 0.0, 1_000.0)?;
        SettingError::unless_all_within("release_ms", &self.release_ms, 0.0, 60_000.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(LimiterAtWork { settings: self.clone(), gains: Vec::new(), minima: Vec::new(), held: Vec::new() })
    }
}

struct LimiterAtWork {
    settings: Limiter,
    /// The gain that each sample needs, between an attack before the clip and one after it; then the gain that it gets.
    gains: Vec<f32>,
    /// The minima of some gains each.
    minima: Vec<f32>,
    /// The gains that fall at once and recover, of which the mean is taken, behind an attack of ones.
    held: Vec<f64>,
}

impl Apply for LimiterAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let samples_of = |ms: f64| ms * 1e-3 * f64::from(sound.sample_rate.get());
        let threshold = amplitude(draw.number("threshold_db", &self.settings.threshold_db));
        let attack = samples_of(draw.number("attack_ms", &self.settings.attack_ms)).round() as usize;
        let release = samples_of(draw.number("release_ms", &self.settings.release_ms)).max(1.0);
        let threshold = match self.settings.threshold_mode {
            ThresholdMode::RelativeToSignalPeak => threshold * f64::from(peak_of(sound)),
            ThresholdMode::Absolute => threshold,
        } as f32;
        if threshold < f32::MIN_POSITIVE || peak_of(sound) <= threshold {
            return Ok(());
        }
        let num_samples = sound.num_samples();
        // A gain cannot begin to fall before the clip does, nor because of what comes after it.
        self.gains.clear();
        self.gains.resize(num_samples + 2 * attack, 1.0);
        let within = &mut self.gains[attack..attack + num_samples];
        peaks(sound, within);
        needed(within, threshold);
        self.follow(attack, 10_f64.powf(-3.0 / release));
        for channel in &mut sound.channels {
            apply(channel, &self.gains[attack..], threshold);
        }
        Ok(())
    }
}

impl LimiterAtWork {
    /// Makes of the gains that are needed those that are applied, an attack later; `keep` is the share of the way to a
    /// recovered gain that is left after a sample.
    fn follow(&mut self, attack: usize, keep: f64) {
        let width = attack + 1;
        // The minimum of two spans is that of both: spans double.
        let mut span = 1;
        while span < width {
            let step = span.min(width - span);
            self.minima.resize(self.gains.len() - step, 1.0);
            lesser(&self.gains, &self.gains[step..], &mut self.minima);
            std::mem::swap(&mut self.gains, &mut self.minima);
            span += step;
        }
        self.held.resize(self.held.len().max(width + self.gains.len()), 1.0);
        self.held[..width].fill(1.0);

        let share = 1.0 / width as f64;
        let (mut held, mut sum) = (1.0_f64, width as f64);
        let rest = 1.0 - keep;
        // Two samples at a time: the second gain from the one before the first, for processors to overlap them.
        let (keep_two, rest_two) = (keep * keep, keep * rest);
        for at in (0..self.gains.len()).step_by(2) {
            let first = f64::from(self.gains[at]);
            let second = self.gains.get(at + 1).map_or(first, |gain| f64::from(*gain));
            let most = second.min(keep * first + rest * second);
            let one = first.min(keep * held + rest * first);
            held = most.min(keep_two * held + (rest_two * first + rest * second));
            let old = self.held[at];
            self.held[at + width] = one;
            let before = sum + (one - old);
            self.gains[at] = (before * share) as f32;
            if let Some(gain) = self.gains.get_mut(at + 1) {
                self.held[at + 1 + width] = held;
                sum += (one - old) + (held - self.held[at + 1]);
                *gain = (sum * share) as f32;
            }
        }
    }
}

/// Puts the lesser of two numbers each into `out`.
#[multiversion(targets("x86_64+avx2"))]
fn lesser(some: &[f32], others: &[f32], out: &mut [f32]) {
    for ((out, one), other) in out.iter_mut().zip(some).zip(others) {
        *out = if one < other { *one } else { *other };
    }
}

/// The gain that each magnitude needs.
#[multiversion(targets("x86_64+avx2"))]
fn needed(magnitudes: &mut [f32], threshold: f32) {
    for magnitude in magnitudes {
        *magnitude = if *magnitude > threshold { threshold / *magnitude } else { 1.0 };
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn apply(samples: &mut [f32], gains: &[f32], threshold: f32) {
    for (sample, gain) in samples.iter_mut().zip(gains) {
        // Rounding may leave a peak a bit above the threshold.
        let y = *sample * gain;
        let y = if y > threshold { threshold } else { y };
        *sample = if y < -threshold { -threshold } else { y };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{mono, sine, varied};

    fn limiter(threshold_db: f64, attack_ms: f64, release_ms: f64) -> Limiter {
        Limiter {
            threshold_db: Range::fixed(threshold_db),
            attack_ms: Range::fixed(attack_ms),
            release_ms: Range::fixed(release_ms),
            ..Limiter::default()
        }
    }

    /// The gain of each sample by the definition, in the plainest way.
    fn gains(samples: &[f32], threshold: f64, attack: usize, keep: f64) -> Vec<f64> {
        let needed = |at: i64| {
            let sample = usize::try_from(at).ok().and_then(|at| samples.get(at)).copied().unwrap_or(0.0);
            if f64::from(sample.abs()) > threshold { threshold / f64::from(sample.abs()) } else { 1.0 }
        };
        let attack = attack as i64;
        let mut held = 1.0_f64;
        let all: Vec<f64> = (-attack..samples.len() as i64)
            .map(|at| {
                let lowest = (at..=at + attack).map(needed).fold(1.0, f64::min);
                held = if lowest < held { lowest } else { lowest + keep * (held - lowest) };
                held
            })
            .collect();
        all.windows(attack as usize + 1).map(|window| window.iter().sum::<f64>() / (attack + 1) as f64).collect()
    }

    #[test]
    fn the_gain_is_the_one_defined() {
        let (_, samples) = golden("signal-voiced-8000");
        let samples = &samples[1_000..2_500];
        let peak = f64::from(samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs())));
        for (attack_ms, release_ms) in [(0.0, 0.0), (0.125, 10.0), (5.0, 50.0), (25.0, 700.0), (1_000.0, 100.0)] {
            let attack = (attack_ms * 8.0_f64).round() as usize;
            let threshold = peak * amplitude(-12.0);
            let keep = 10_f64.powf(-3.0 / (release_ms * 8.0_f64).max(1.0));
            let expected = gains(samples, threshold, attack, keep);
            let found = varied(limiter(-12.0, attack_ms, release_ms), &mono(8_000, samples.to_vec()));
            for ((y, x), gain) in found.channels[0].iter().zip(samples).zip(expected) {
                assert!((f64::from(*y) - gain * f64::from(*x)).abs() < 1e-6, "{attack_ms} {release_ms}");
            }
        }
    }

    #[test]
    fn no_sample_is_above_the_threshold_and_most_of_the_sound_is_kept() {
        for (name, rate) in [("voiced", 8_000), ("chirp", 44_100), ("voiced", 48_000)] {
            let (_, samples) = golden(&format!("signal-{name}-{rate}"));
            let mut sound = mono(rate, samples.clone());
            sound.channels.push(samples.iter().map(|sample| -0.7 * sample).collect());
            let found = varied(limiter(-10.0, 5.0, 100.0), &sound);
            let limit = (amplitude(-10.0) * f64::from(peak_of(&sound))) as f32;
            assert!(peak_of(&found) <= limit && peak_of(&found) > 0.9 * limit, "{name} {rate}");
            // Channels have one gain.
            assert!(
                found.channels[0].iter().zip(&found.channels[1]).all(|(one, other)| (other + 0.7 * one).abs() < 1e-6)
            );
        }
    }

    #[test]
    fn the_gain_falls_in_a_line_before_a_peak_and_recovers_by_the_release_time() {
        // A peak of 1 in a floor of 0.1 with the threshold at 0.5.
        let mut samples = vec![0.1; 16_000];
        samples[4_000] = 1.0;
        let row = Limiter { threshold_mode: ThresholdMode::Absolute, ..limiter(20.0 * 0.5_f64.log10(), 10.0, 300.0) };
        let found = varied(row, &mono(16_000, samples));
        let gain = |at: usize| f64::from(found.channels[0][at]) / if at == 4_000 { 1.0 } else { 0.1 };
        assert!((gain(4_000 - 161) - 1.0).abs() < 1e-6);
        assert!((gain(4_000 - 80) - (1.0 - 0.5 * 81.0 / 161.0)).abs() < 1e-6);
        assert!((gain(4_000) - 0.5).abs() < 1e-6);
        // In a third of the release time a tenth of the way is left, once the mean over the attack follows.
        let left = |at: usize| (1.0 - gain(at)) / (1.0 - gain(at - 1_600));
        assert!((left(4_000 + 200 + 1_600) - 0.1).abs() < 1e-4, "{}", left(5_800));
    }

    #[test]
    fn silence_and_what_is_below_an_absolute_threshold_stay() {
        assert_eq!(varied(limiter(-10.0, 1.0, 50.0), &mono(8_000, vec![0.0])).channels[0], [0.0]);
        let row = Limiter { threshold_mode: ThresholdMode::Absolute, ..limiter(-6.0, 1.0, 50.0) };
        let sound = sine(440.0, 0.5, 8_000);
        assert_eq!(varied(row.clone(), &sound), sound);
        assert_eq!(varied(row, &mono(8_000, vec![-1.0])).channels[0], [-(amplitude(-6.0) as f32)]);
    }
}
