//! Some frequencies missing.

use std::f64::consts::{PI, TAU};

use multiversion::multiversion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Some frequencies missing: a few narrow bands, drawn anew for each clip, are taken out.
///
/// A notch at `f`, a share of the Nyquist frequency, with the width `w` is a low pass to `f` plus a high pass from
/// `f + 2w`, or to the Nyquist frequency where that is less: two sincs of 101 samples under Blackman's window,
/// `sin(3cn) / 3cn` with c the cutoff. Notches are convolved
/// with each other, the middle 101 samples kept, and with the clip, silence before and after it; nothing is delayed.
/// `count` and each `f` are uniform. 3 stands where π would make the places exact: a notch lies between `3 / π · f` and
/// `3 / π · (f + 2w)` of the Nyquist frequency. These bounds are recorded as `notches_hz`, in hertz.
///
/// The default width takes the middle of a band down by nearly 50 dB, and 0.12 of the Nyquist frequency by 3 dB or more. 101
/// samples can be no narrower: half the width is only 10 dB deep.
///
/// Source: `DropFreq` of `SpeechBrain` 1.0, whose high passes beyond the Nyquist frequency fold back and take out what is far below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DropFreq {
    /// Where notches begin, as a share of the Nyquist frequency, 0 to 1; [0, 1].
    pub frequency_fraction: Range,
    /// How many notches there are, 0 to 100; [1, 3].
    pub count: Range,
    /// Half of a notch's width, as a share of the Nyquist frequency, 0.001 to 0.5; 0.05.
    pub width_fraction: f64,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for DropFreq {
    fn default() -> Self {
        Self {
            frequency_fraction: Range::Uniform([0.0, 1.0]),
            count: Range::Uniform([1.0, 3.0]),
            width_fraction: 0.05,
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for DropFreq {
    const EXAMPLE: &'static str =
        "drop_freq: { frequency_fraction: [0, 1], count: [1, 3], width_fraction: 0.05, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["speechbrain.DropFreq"];
}

impl Augment for DropFreq {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("frequency_fraction", &self.frequency_fraction, 0.0, 1.0)?;
        SettingError::unless_all_within("count", &self.count, 0.0, 100.0)?;
        if self.count.values().iter().any(|count| count.fract() != 0.0) {
            return Err(SettingError::DoesNotFit { key: "count", reason: "a number of notches is a whole number" });
        }
        SettingError::unless_within("width_fraction", self.width_fraction, 0.001, 0.5).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(DropFreqAtWork { settings: self.clone(), padded: Vec::new() })
    }
}

struct DropFreqAtWork {
    settings: DropFreq,
    padded: Vec<f32>,
}

/// Samples of a notch's impulse response.
const TAPS: usize = 101;
/// The one in the middle.
const MIDDLE: usize = TAPS / 2;
/// The least place of a notch: a sinc of 0 everywhere has no sum.
const LEAST: f64 = 1e-12;

impl Apply for DropFreqAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let width = self.settings.width_fraction;
        let count = draw.multiple("count", &self.settings.count, 1.0) as usize;
        let mut taps = [0.0; TAPS];
        taps[MIDDLE] = 1.0;
        let mut notches_hz = Vec::with_capacity(count);
        for _ in 0..count {
            let frequency = self.settings.frequency_fraction.at(draw.unit()).max(LEAST);
            let band = band(frequency, width);
            notches_hz.push(band.map(|cutoff| 3.0 / PI * cutoff * sound.sample_rate.nyquist()).to_vec());
            taps = correlated(&taps, &notch(band));
        }
        draw.note("notches_hz", notches_hz);
        let taps = taps.map(|tap| tap as f32);
        for channel in &mut sound.channels {
            self.padded.clear();
            self.padded.resize(MIDDLE, 0.0);
            self.padded.extend_from_slice(channel);
            self.padded.resize(channel.len() + 2 * MIDDLE, 0.0);
            correlate(&self.padded, &taps, channel);
        }
        Ok(())
    }
}

/// The cutoffs of the low pass and the high pass of a notch; the highest is the Nyquist frequency.
fn band(frequency: f64, width: f64) -> [f64; 2] {
    [frequency, (frequency + 2.0 * width).min(PI / 3.0)]
}

/// The impulse response of a notch between two cutoffs.
fn notch([from, to]: [f64; 2]) -> [f64; TAPS] {
    let mut low = low_pass(from);
    for (low, high) in low.iter_mut().zip(low_pass(to)) {
        *low -= high;
    }
    low[MIDDLE] += 1.0;
    low
}

/// A sinc under Blackman's window, in its periodic form as torch has it, whose sum is 1.
fn low_pass(cutoff: f64) -> [f64; TAPS] {
    let taps: [f64; TAPS] = std::array::from_fn(|tap| {
        let angle = 3.0 * cutoff * (tap as f64 - MIDDLE as f64);
        let sinc = if tap == MIDDLE { 1.0 } else { angle.sin() / angle };
        let turn = TAU * tap as f64 / TAPS as f64;
        sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| tap / sum)
}

/// `signal` correlated with `kernel`, of the same length and place.
fn correlated(signal: &[f64; TAPS], kernel: &[f64; TAPS]) -> [f64; TAPS] {
    std::array::from_fn(|place| {
        let tap = |(tap, weight): (usize, &f64)| {
            let index = (place + tap).checked_sub(MIDDLE)?;
            Some(signal.get(index)? * weight)
        };
        kernel.iter().enumerate().filter_map(tap).sum()
    })
}

/// Samples that are worked on side by side.
const BLOCK: usize = 64;

/// `out[i] = sum over k of taps[k] · padded[i + k]`.
#[multiversion(targets("x86_64+avx2"))]
fn correlate(padded: &[f32], taps: &[f32; TAPS], out: &mut [f32]) {
    for (number, out) in out.chunks_mut(BLOCK).enumerate() {
        let around = padded.get(number * BLOCK..).unwrap_or_default();
        let mut sums = [0.0; BLOCK];
        for (tap, weight) in taps.iter().enumerate() {
            if let Some(samples) = around.get(tap..tap + BLOCK) {
                for (sum, sample) in sums.iter_mut().zip(samples) {
                    *sum += weight * sample;
                }
            } else {
                for (sum, sample) in sums.iter_mut().zip(around.get(tap..).unwrap_or_default()) {
                    *sum += weight * sample;
                }
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::filter::tests::voiced;
    use crate::augment::testing::{drawn, mono, sine, told, varied};

    #[test]
    fn the_notches_are_those_of_speechbrain() {
        let mut taps = [0.0; TAPS];
        taps[MIDDLE] = 1.0;
        for frequency in [0.1, 0.45, 0.8] {
            taps = correlated(&taps, &notch(band(frequency, 0.05)));
        }
        let sound = voiced(16_000);
        let padded = [&[0.0; MIDDLE][..], &sound.channels[0], &[0.0; MIDDLE]].concat();
        let mut out = vec![0.0; sound.num_samples()];
        correlate(&padded, &taps.map(|tap| tap as f32), &mut out);
        let (_, expected) = golden("augment/filters/drop-freq");
        let off = out.iter().zip(expected).fold(0.0_f32, |most, (y, x)| most.max((y - x).abs()));
        assert!(off < 1e-6, "{off:e}");
    }

    #[test]
    fn a_tone_in_the_notch_is_weaker_and_others_stay() {
        let row = DropFreq { frequency_fraction: Range::fixed(0.4), count: Range::fixed(1.0), ..DropFreq::default() };
        let power = |hertz: f64, rate: u32| {
            let sound = varied(row.clone(), &sine(hertz, 0.5, rate));
            // Not the ends, which the silence around them reaches.
            crate::augment::level::power(&sound.channels[0][200..rate as usize - 200]) / 0.125
        };
        for rate in [8_000, 16_000, 48_000] {
            let (_, told) = told(row.clone(), &sine(440.0, 0.1, rate));
            let [[from, to]]: [[f64; 2]; 1] =
                serde_json::from_value(told.applied[0]["drop_freq"]["notches_hz"].clone()).unwrap();
            let notch_hz = f64::midpoint(from, to);
            let (inside, below) = (power(notch_hz, rate), power(0.6 * notch_hz, rate));
            assert!(inside < 1e-4, "{rate}: {inside}");
            assert!((below - 1.0).abs() < 0.002, "{rate}: {below}");
        }
    }

    /// The level of a notch at a share of the Nyquist frequency, in dB.
    fn response_db(taps: &[f64; TAPS], share: f64) -> f64 {
        let at = |n: usize| PI * share * (n as f64 - MIDDLE as f64);
        20.0 * taps.iter().enumerate().map(|(n, tap)| tap * at(n).cos()).sum::<f64>().abs().log10()
    }

    #[test]
    fn a_notch_is_as_deep_and_as_wide_as_is_said() {
        for frequency in [0.2, 0.45, 0.7] {
            let taps = notch(band(frequency, 0.05));
            let middle = 3.0 / PI * (frequency + 0.05);
            assert!(response_db(&taps, middle) < -49.0, "{}", response_db(&taps, middle));
            let weaker = (0..10_000).filter(|n| response_db(&taps, f64::from(*n) / 1e4) < -3.0).count();
            assert!((1_150..1_250).contains(&weaker), "{weaker}");
        }
    }

    #[test]
    fn a_notch_ends_at_the_nyquist_frequency() {
        let row = DropFreq {
            frequency_fraction: Range::fixed(1.0),
            count: Range::fixed(1.0),
            width_fraction: 0.5,
            ..DropFreq::default()
        };
        let (_, told) = told(row, &sine(440.0, 0.1, 16_000));
        let [[from, to]]: [[f64; 2]; 1] =
            serde_json::from_value(told.applied[0]["drop_freq"]["notches_hz"].clone()).unwrap();
        assert!((from - 24_000.0 / PI).abs() < 1e-6 && (to - 8_000.0).abs() < 1e-6, "{from} to {to}");
        let taps = notch(band(1.0, 0.5));
        for share in [0.01, 0.1, 0.5, 0.85] {
            assert!(response_db(&taps, share).abs() < 0.01, "{share}: {} dB", response_db(&taps, share));
        }
        assert!(response_db(&taps, 1.0) < -6.0);
    }

    #[test]
    fn no_notch_changes_nothing_and_any_length_is_kept() {
        let sound = voiced(16_000);
        assert_eq!(varied(DropFreq { count: Range::fixed(0.0), ..DropFreq::default() }, &sound), sound);
        for len in [1, 2, 63, 64, 65, 100, 101, 129] {
            let mut clip = mono(16_000, sound.channels[0][..len].to_vec());
            clip.channels.push(clip.channels[0].clone());
            let dropped = varied(DropFreq::default(), &clip);
            assert_eq!(dropped.channels[0].len(), len);
            assert_eq!(dropped.channels[0], dropped.channels[1]);
        }
        assert_eq!(varied(DropFreq::default(), &mono(16_000, vec![0.0; 300])).channels[0], [0.0; 300]);
    }

    #[test]
    fn there_are_one_to_three_notches() {
        let counts = drawn(DropFreq::default(), "count", 6_000);
        for expected in [1.0, 2.0, 3.0] {
            let count = counts.iter().filter(|count| **count == expected).count();
            assert!((1_850..2_150).contains(&count), "{expected}: {count}");
        }
    }
}
