//! Parts with speech, by their energy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spans::{Levels, Spans};
use super::{Part, Segment};
use crate::audio::silence::runs;
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Parts with speech, by their energy: the method of Kaldi's `compute-vad`.
///
/// The log energy of a frame of 25 ms, each 10 ms, is `e = ln(max(sum((32768 (x - mean))^2), 1.19e-7))`, as that of Kaldi's MFCC
/// without dither; of several channels the highest counts, and less than 25 ms are one frame. A frame has energy where
/// `e > vad_energy_threshold + vad_energy_mean_scale * mean(e)`, the mean over the whole sound, and is speech where of the frames
/// from `vad_frames_context` before it to as many after it the share `vad_proportion_threshold` at least have energy. It stands
/// for the 10 ms around its middle, the first also for what is before it and the last for what is after it.
///
/// Kaldi ends here, with single frames. Runs of them become parts as in `split_on_silence`: gaps shorter than `min_silence_s` are
/// closed, spans shorter than `min_length_s` left out, `pad_s` added on both sides, spans longer than `max_length_s` cut where
/// they are quietest. The transcript stays where all speech is in one part, and is lost otherwise.
///
/// It is good for clean recordings with pauses, as of telephone calls or readings. It takes every loud sound for speech, and
/// finds one long part in steady noise; a recording that is all speech has a high mean, which hides its soft parts
/// (`pad_s` and a lower `vad_energy_mean_scale` help). Level matters: 5.0 is meant for 16-bit samples of a usual level. Source:
/// Kaldi `src/ivector/voice-activity-detection.cc` with its defaults; older versions ignore the context by mistake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vad {
    /// The constant part of the threshold in natural logarithms of energy, -100 to 100; 5.0.
    pub vad_energy_threshold: f64,
    /// How much of the mean log energy is added to it, 0 to 10; 0.5.
    pub vad_energy_mean_scale: f64,
    /// How many frames on either side are looked at, 0 to 1000; 0. (Kaldi's recipes for speakers: 2.)
    #[schemars(range(min = 0, max = 1_000))]
    pub vad_frames_context: u32,
    /// The share of the frames looked at that must have energy, 0.001 to 0.999; 0.6. (Kaldi's recipes for speakers: 0.12.)
    pub vad_proportion_threshold: f64,
    /// Pauses that are shorter do not split, in seconds, 0 to 3600; 0.3.
    pub min_silence_s: f64,
    /// Spans that are shorter are left out, in seconds, 0 to 3600; 0.2.
    pub min_length_s: f64,
    /// The longest part in seconds, 0.1 to 86400 and twice `min_length_s` at least; none.
    pub max_length_s: Option<f64>,
    /// What stays of the pause on each side in seconds, 0 to 60; 0.1.
    pub pad_s: f64,
}

impl Default for Vad {
    fn default() -> Self {
        Self {
            vad_energy_threshold: 5.0,
            vad_energy_mean_scale: 0.5,
            vad_frames_context: 0,
            vad_proportion_threshold: 0.6,
            min_silence_s: 0.3,
            min_length_s: 0.2,
            max_length_s: None,
            pad_s: 0.1,
        }
    }
}

impl Vad {
    fn spans(&self) -> Spans {
        let Self { min_silence_s, min_length_s, max_length_s, pad_s, .. } = *self;
        Spans { min_silence_s, min_length_s, pad_s, max_length_s }
    }

    /// Which frames are speech.
    fn speech(&self, log_energies: &[f64]) -> Vec<bool> {
        let count = log_energies.len();
        let mean = log_energies.iter().sum::<f64>() / count.max(1) as f64;
        let threshold = self.vad_energy_threshold + self.vad_energy_mean_scale * mean;
        // How many of the frames before each place have energy.
        let mut before = Vec::with_capacity(count + 1);
        before.push(0_usize);
        for (place, log_energy) in log_energies.iter().enumerate() {
            before.push(before[place] + usize::from(*log_energy > threshold));
        }
        let context = self.vad_frames_context as usize;
        let decide = |frame: usize| {
            let (first, end) = (frame.saturating_sub(context), (frame + context + 1).min(count));
            (before[end] - before[first]) as f64 >= (end - first) as f64 * self.vad_proportion_threshold
        };
        (0..count).map(decide).collect()
    }
}

impl Member for Vad {
    const EXAMPLE: &'static str = "vad: { vad_frames_context: 2, min_silence_s: 0.5, max_length_s: 30 }";
    const PEERS: &'static [&'static str] = &["kaldi.compute-vad", "auditok.split"];
}

impl Segment for Vad {
    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("vad_energy_threshold", self.vad_energy_threshold, -100.0, 100.0)?;
        SettingError::unless_within("vad_energy_mean_scale", self.vad_energy_mean_scale, 0.0, 10.0)?;
        SettingError::unless_within("vad_frames_context", f64::from(self.vad_frames_context), 0.0, 1_000.0)?;
        SettingError::unless_within("vad_proportion_threshold", self.vad_proportion_threshold, 0.001, 0.999)?;
        self.spans().check()
    }

    fn parts(&self, sound: &Waveform) -> Vec<Part> {
        let len = sound.num_samples();
        let grid = Grid::of(sound);
        let log_energies = grid.log_energies(sound);
        let speech = self.speech(&log_energies);
        let edge = |frame: usize| match frame {
            0 => 0,
            frame if frame == speech.len() => len,
            frame => frame * grid.hop + (grid.frame - grid.hop) / 2,
        };
        let spans: Vec<_> = runs(&speech).into_iter().map(|run| edge(run.start)..edge(run.end)).collect();
        let levels = Levels { of_places: &log_energies, offset: grid.frame / 2, hop: grid.hop };
        self.spans().parts(&spans, levels, len, sound.sample_rate)
    }
}

/// Kaldi's frames, of which none reaches over the end.
#[derive(Debug, Clone, Copy)]
struct Grid {
    frame: usize,
    hop: usize,
}

impl Grid {
    fn of(sound: &Waveform) -> Self {
        let rate = f64::from(sound.sample_rate.get());
        let hop = ((rate * 0.010) as usize).max(1);
        Self { frame: ((rate * 0.025) as usize).max(hop), hop }
    }

    fn log_energies(self, sound: &Waveform) -> Vec<f64> {
        let last = sound.num_samples().saturating_sub(self.frame) / self.hop;
        let of = |place: usize| {
            let start = place * self.hop;
            let energies = sound.channels.iter().map(|channel| {
                let end = (start + self.frame).min(channel.len());
                channel.get(start..end).map_or(0.0, energy)
            });
            energies.fold(LEAST, f64::max).ln()
        };
        (0..=last).map(of).collect()
    }
}

/// The least energy whose logarithm is taken: Kaldi's single precision epsilon.
const LEAST: f64 = f32::EPSILON as f64;

/// The sum of the squares of some samples about their mean, in units of 16-bit samples.
fn energy(samples: &[f32]) -> f64 {
    let sum = |of: &dyn Fn(f64) -> f64| samples.iter().map(|sample| of(f64::from(*sample))).sum::<f64>();
    let mean = sum(&|sample| sample) / samples.len().max(1) as f64;
    sum(&|sample| (sample - mean) * (sample - mean)) * (32_768.0 * 32_768.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::audio::golden::golden;

    fn sound(rate: u32, samples: Vec<f32>) -> Waveform {
        Waveform { sample_rate: Hertz::new(rate).unwrap(), channels: vec![samples] }
    }

    #[test]
    fn log_energies_are_those_of_kaldi() {
        for signal in ["voiced", "quiet"] {
            let (shape, expected) = golden(&format!("kaldi_mfcc-energy-{signal}-16000-kaldi-native-fbank-1.23.0"));
            let sound = sound(16_000, golden(&format!("signal-{signal}-16000")).1);
            let ours = Grid::of(&sound).log_energies(&sound);
            assert_eq!(ours.len(), shape[0]);
            for (ours, row) in ours.iter().zip(expected.chunks_exact(shape[1])) {
                assert!((ours - f64::from(row[0])).abs() < 1e-4, "{signal}: {ours} and {}", row[0]);
            }
        }
    }

    #[test]
    fn a_frame_is_speech_where_enough_frames_around_it_have_energy() {
        // The mean is 10, the threshold 5 + 0.5 * 10.
        let log_energies = [5.0, 15.0, 15.0, 5.0, 5.0, 15.0, 5.0, 15.0];
        let speech = |vad: Vad| vad.speech(&log_energies).iter().map(|speech| u8::from(*speech)).collect::<Vec<_>>();
        assert_eq!(speech(Vad::default()), [0, 1, 1, 0, 0, 1, 0, 1]);
        let context = Vad { vad_frames_context: 1, ..Vad::default() };
        // Shares: 1/2, 2/3, 2/3, 1/3, 1/3, 1/3, 2/3, 1/2.
        assert_eq!(speech(context.clone()), [0, 1, 1, 0, 0, 0, 1, 0]);
        assert_eq!(speech(Vad { vad_proportion_threshold: 0.5, ..context }), [1, 1, 1, 0, 0, 0, 1, 1]);
        assert_eq!(speech(Vad { vad_energy_mean_scale: 1.0, ..Vad::default() }), [0; 8]);
    }

    #[test]
    fn speech_between_pauses_is_found_at_every_rate() {
        for rate in [8_000_u32, 16_000, 44_100, 48_000] {
            // 1 s of a faint hum, 1.5 s of a loud tone, 1 s of hum, 1 s of tone, 1 s of hum.
            let level = |t: f64| if (1.0..2.5).contains(&t) || (3.5..4.5).contains(&t) { 0.2 } else { 2e-5 };
            let samples = (0..rate * 11 / 2)
                .map(|place| f64::from(place) / f64::from(rate))
                .map(|t| (level(t) * (2.0 * std::f64::consts::PI * 200.0 * t).sin()) as f32);
            let sound = sound(rate, samples.collect());
            let parts = Vad { pad_s: 0.0, ..Vad::default() }.parts(&sound);
            let times: Vec<[f64; 2]> = parts
                .iter()
                .map(|part| [part.samples.start, part.samples.end].map(|place| place as f64 / f64::from(rate)))
                .collect();
            assert_eq!(times.len(), 2, "{times:?}");
            for (found, expected) in times.iter().flatten().zip([1.0, 2.5, 3.5, 4.5]) {
                assert!((found - expected).abs() <= 0.018, "{found} for {expected} s at {rate} Hz");
            }
            assert!(parts.iter().all(|part| part.words == Words::Lost));
            let one = Vad { min_silence_s: 1.5, ..Vad::default() }.parts(&sound);
            assert_eq!((one.len(), one[0].words), (1, Words::Kept));
        }
    }

    #[test]
    fn very_short_sounds_and_silence_have_parts_or_none() {
        let all = Vad { min_length_s: 0.0, ..Vad::default() };
        for len in [1, 2, 399, 400, 401, 560] {
            // One frame of a steady tone is above half of its own energy and five.
            let tone = sound(16_000, (0..len).map(|place| if place % 2 == 0 { 0.5 } else { -0.5 }).collect());
            let parts = all.parts(&tone);
            // A single sample is its own mean: no energy.
            assert_eq!(parts.len(), usize::from(len > 1), "{len}");
            assert!(parts.iter().all(|part| part.samples == (0..len)));
            assert!(all.parts(&sound(16_000, vec![0.0; len])).is_empty());
        }
    }
}
