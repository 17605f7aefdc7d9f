//! Parts taken out.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Length, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Short parts taken out and what is left joined, the same for all channels: a time mask that leaves no gap.
///
/// For each of `num_time_intervals` a width `w` is drawn, below `max_width_ms` and not above what is left of the clip, made even,
/// and a place, uniform among all where it fits. The first half of the interval fades into the second with the
/// halves of a Hann window of `w` samples, so that `w / 2` samples go: a clip becomes shorter by a quarter of the widest
/// for each interval, in the mean. `length: keep` adds as much silence to its end. The transcript stays, as in the paper,
/// which trains speech recognition so; take fewer or narrower intervals for clips below some 5 s.
///
/// Source: Jain et al. 2021, `SpliceOut`; torch-audiomentations 0.12 `SpliceOut`, which fails where a clip is shorter than a width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpliceOut {
    /// How many intervals are taken out, 0 to 1000; 8.
    #[schemars(range(min = 0, max = 1_000))]
    pub num_time_intervals: u32,
    /// The bound of their widths in ms, 0 to 10000; 400.
    pub max_width_ms: f64,
    /// What becomes of the clip's length; `keep`.
    pub length: Length,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for SpliceOut {
    fn default() -> Self {
        Self { num_time_intervals: 8, max_width_ms: 400.0, length: Length::Keep, probability: Probability::ALWAYS }
    }
}

impl Member for SpliceOut {
    const EXAMPLE: &'static str = "splice_out: { num_time_intervals: 4, max_width_ms: 100, length: change }";
    const PEERS: &'static [&'static str] = &["torch_audiomentations.SpliceOut"];
}

impl Augment for SpliceOut {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("num_time_intervals", f64::from(self.num_time_intervals), 0.0, 1_000.0)?;
        SettingError::unless_within("max_width_ms", self.max_width_ms, 0.0, 10_000.0).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(SpliceOutAtWork { settings: self.clone(), fade: Vec::new() })
    }
}

struct SpliceOutAtWork {
    settings: SpliceOut,
    fade: Vec<f32>,
}

impl Apply for SpliceOutAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let before = sound.num_samples();
        let bound = self.settings.max_width_ms * 1e-3 * f64::from(sound.sample_rate.get());
        for _ in 0..self.settings.num_time_intervals {
            let len = sound.num_samples();
            let half = ((draw.unit() * bound) as usize).min(len) / 2;
            let start = draw.index(len - 2 * half + 1);
            hann(half, &mut self.fade);
            for channel in &mut sound.channels {
                splice(channel, start, &self.fade);
            }
        }
        let removed = before - sound.num_samples();
        draw.note("removed_s", removed as f64 / f64::from(sound.sample_rate.get()));
        if self.settings.length == Length::Keep {
            sound.channels.iter_mut().for_each(|channel| channel.resize(before, 0.0));
        }
        Ok(())
    }
}

/// The rising half of a periodic Hann window of twice as many samples; 1 less it is the falling half.
fn hann(half: usize, weights: &mut Vec<f32>) {
    let step = PI / half.max(1) as f64;
    weights.clear();
    weights.extend((0..half).map(|i| (0.5 - 0.5 * (i as f64 * step).cos()) as f32));
}

/// Takes as many samples as `fade` has out of the channel behind `start`, fading over as many.
fn splice(channel: &mut Vec<f32>, start: usize, fade: &[f32]) {
    let half = fade.len();
    let (out, rest) = channel[start..].split_at_mut(half);
    for ((from, to), weight) in out.iter_mut().zip(&*rest).zip(fade) {
        *from += (to - *from) * weight;
    }
    channel.drain(start + half..start + 2 * half);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{drawn, is_uniform, mono, sine, told, varied};

    #[test]
    fn the_first_half_of_an_interval_fades_into_the_second() {
        let mut fade = Vec::new();
        hann(4, &mut fade);
        let mut channel = vec![9.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 7.0];
        splice(&mut channel, 1, &fade);
        // Weights of a Hann window of eight: 0, (2 - sqrt 2) / 4, 1/2, (2 + sqrt 2) / 4.
        let expected = [9.0, 1.0, 1.0 + 0.292_893_2, 2.0, 1.0 + 1.707_106_8, 7.0];
        assert_eq!(channel.len(), expected.len());
        assert!(channel.iter().zip(expected).all(|(ours, theirs)| (ours - theirs).abs() < 1e-6), "{channel:?}");
    }

    #[test]
    fn a_clip_keeps_its_length_or_loses_what_is_told() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let clip = mono(rate, vec![0.5; 5 * rate as usize]);
            let settings = SpliceOut { length: Length::Change, ..SpliceOut::default() };
            let (shorter, told) = told(settings, &clip);
            let removed_s = told.applied[0]["splice_out"]["removed_s"].as_f64().unwrap();
            let removed = (removed_s * f64::from(rate)).round() as usize;
            assert_eq!(shorter.num_samples() + removed, clip.num_samples());
            assert!(removed_s > 0.2 && removed_s < 1.6, "{removed_s}");
            // A constant is joined to itself.
            assert!(shorter.channels[0].iter().all(|sample| (sample - 0.5).abs() < 1e-6));
            assert_eq!(told.words, Words::Kept);

            let kept = varied(SpliceOut::default(), &clip);
            assert_eq!(kept.num_samples(), clip.num_samples());
            assert_eq!(kept.channels[0][..shorter.num_samples()], shorter.channels[0]);
            assert!(kept.channels[0][shorter.num_samples()..].iter().all(|sample| *sample == 0.0));
        }
    }

    #[test]
    fn widths_are_drawn_evenly() {
        // One interval below 40 ms of 100 ms at 8 kHz: 0 to 159 samples go, each number equally likely.
        let settings = SpliceOut { num_time_intervals: 1, max_width_ms: 40.0, ..SpliceOut::default() };
        let removed: Vec<f64> =
            drawn(settings, "removed_s", 10_000).iter().map(|removed| removed * 8_000.0 + 0.5).collect();
        assert!(is_uniform(&removed, 0.0, 160.0));
    }

    #[test]
    fn channels_lose_the_same_parts_and_short_clips_keep_a_sample() {
        let mut stereo = sine(440.0, 0.5, 16_000);
        stereo.channels.push(stereo.channels[0].iter().map(|sample| -sample).collect());
        let spliced = varied(SpliceOut { length: Length::Change, ..SpliceOut::default() }, &stereo);
        assert!(spliced.channels[0].iter().zip(&spliced.channels[1]).all(|(left, right)| *left == -right));

        for len in 1..6 {
            let settings = SpliceOut { num_time_intervals: 1_000, length: Length::Change, ..SpliceOut::default() };
            let rest = varied(settings, &mono(16_000, vec![0.5; len])).num_samples();
            assert!((1..=len).contains(&rest));
        }
    }
}
