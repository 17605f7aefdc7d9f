//! A part heard again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::place::{unless_whole, whole};
use super::seam::{self, Constant, fade_in};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup, Text};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A part of the clip heard again one or several times, as of a stutter or a scratched disk.
///
/// The part has `part_s` seconds at a uniform place. Its repeats follow it at once: they are inserted (`mode: insert`: the clip
/// becomes longer by `repeats * part_s`) or stand in place of what follows (`replace`: the length stays, and repeats that do
/// not fit are cut; `repeats` of the record are those that begin within the clip). At each seam `crossfade_ms` of what
/// would have followed fade out, and as much of what led to the part fades
/// in, with weights of constant energy. A clip that is shorter than the part and a crossfade stays as it is (`repeats: 0` in the
/// record). Otherwise the transcript is lost.
///
/// Source: audiomentations 0.43 `RepeatPart`, without its `part_transform`; its last parts of a clip may lack half of a
/// crossfade, those here are drawn such that they do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepeatPart {
    /// How often the part is repeated, 1 to 100; [1, 3].
    pub repeats: Range,
    /// The length of the part in seconds, 0.001 to 60; [0.25, 1.2].
    pub part_s: Range,
    /// Whether repeats are inserted or stand in place of what follows; `insert`.
    pub mode: RepeatMode,
    /// The length of the crossfades in ms, 0 to half of the shortest part; 5.
    pub crossfade_ms: f64,
    /// What becomes of the transcript; `drop`.
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// What becomes of the sound that follows a part which is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatMode {
    /// It comes after the repeats.
    #[default]
    Insert,
    /// The repeats stand in its place.
    Replace,
}

impl Default for RepeatPart {
    fn default() -> Self {
        Self {
            repeats: Range::Uniform([1.0, 3.0]),
            part_s: Range::Uniform([0.25, 1.2]),
            mode: RepeatMode::Insert,
            crossfade_ms: 5.0,
            text: Text::Drop,
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for RepeatPart {
    const EXAMPLE: &'static str = "repeat_part: { repeats: [1, 3], part_s: [0.05, 0.2], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.RepeatPart"];
}

impl Augment for RepeatPart {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        unless_whole("repeats", &self.repeats, 1.0, 100.0)?;
        SettingError::unless_all_within("part_s", &self.part_s, 0.001, 60.0)?;
        let shortest = self.part_s.values().iter().copied().fold(f64::INFINITY, f64::min);
        SettingError::unless_within("crossfade_ms", self.crossfade_ms, 0.0, 500.0 * shortest).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(RepeatPartAtWork { settings: self.clone(), fade: Vec::new(), out: Vec::new() })
    }
}

struct RepeatPartAtWork {
    settings: RepeatPart,
    fade: Vec<f32>,
    out: Vec<f32>,
}

impl Apply for RepeatPartAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let (len, rate) = (sound.num_samples(), sound.sample_rate);
        let part = (draw.number("part_s", &self.settings.part_s) * f64::from(rate.get())).round().max(1.0) as usize;
        let repeats = whole(&self.settings.repeats, draw);
        let place = draw.unit();
        // Half of a crossfade, on either side of a seam.
        let half = (seam::samples(self.settings.crossfade_ms, rate) / 2).min(part / 2);
        let Some(rest) = len.checked_sub(part + 2 * half) else {
            draw.note("repeats", 0);
            return Ok(());
        };
        let start = half + ((place * (rest + 1) as f64) as usize).min(rest);
        draw.note("start_s", start as f64 / f64::from(rate.get()));

        let longer = match self.settings.mode {
            RepeatMode::Insert => len + repeats * part,
            RepeatMode::Replace => len,
        };
        unless_too_long(sound, longer)?;
        if self.fade.len() != 2 * half {
            fade_in(2 * half, Constant::Energy, &mut self.fade);
        }
        let mut heard = 0;
        for channel in &mut sound.channels {
            heard = repeat(channel, start..start + part, repeats, self.settings.mode, &self.fade, &mut self.out);
            std::mem::swap(channel, &mut self.out);
        }
        draw.note("repeats", heard);
        if heard > 0 {
            self.settings.text.lose_words(draw);
        }
        Ok(())
    }
}

/// Writes the channel with its samples `part` repeated; each crossfade is as long as `fade`, half of it on either side of the seam.
/// Gives how many repeats begin within the channel.
fn repeat(
    channel: &[f32],
    part: std::ops::Range<usize>,
    repeats: usize,
    mode: RepeatMode,
    fade: &[f32],
    out: &mut Vec<f32>,
) -> usize {
    let half = fade.len() / 2;
    let (lead, tail) = (part.start - half, part.end - half);
    out.clear();
    out.extend_from_slice(&channel[..tail]);
    let mut heard = 0;
    for _ in 0..repeats {
        if mode == RepeatMode::Replace && out.len() + fade.len().max(1) > channel.len() {
            break;
        }
        heard += 1;
        crossfade(&channel[tail..], &channel[lead..], fade, out);
        out.extend_from_slice(&channel[lead + fade.len()..tail]);
    }
    match mode {
        // The last repeat goes on with what follows the part, without a seam.
        RepeatMode::Insert => out.extend_from_slice(&channel[tail..]),
        RepeatMode::Replace => {
            out.truncate(channel.len());
            let back = &channel[out.len()..];
            crossfade(&channel[tail..], back, fade, out);
            out.extend_from_slice(&channel[out.len().min(channel.len())..]);
        }
    }
    heard
}

/// Appends what fades from one sound to another, as far as both go.
fn crossfade(from: &[f32], to: &[f32], fade: &[f32], out: &mut Vec<f32>) {
    let weights = fade.iter().zip(fade.iter().rev());
    out.extend(from.iter().zip(to).zip(weights).map(|((from, to), (rising, falling))| from * falling + to * rising));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::audio::golden::golden;
    use crate::augment::testing::{WHO, augmenter, drawn, is_uniform, mono, told, varied};
    use crate::seed::Draws;

    fn repeated(channel: &[f32], part: std::ops::Range<usize>, repeats: usize, mode: RepeatMode) -> Vec<f32> {
        let mut out = Vec::new();
        repeat(channel, part, repeats, mode, &[], &mut out);
        out
    }

    #[test]
    fn a_part_comes_again_as_often_as_is_said() {
        let channel = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let insert = repeated(&channel, 1..3, 2, RepeatMode::Insert);
        assert_eq!(insert, [1.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(repeated(&channel, 1..3, 1, RepeatMode::Replace), [1.0, 2.0, 3.0, 2.0, 3.0, 6.0, 7.0]);
        assert_eq!(repeated(&channel, 1..3, 2, RepeatMode::Replace), [1.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
        assert_eq!(repeated(&channel, 1..4, 9, RepeatMode::Replace), [1.0, 2.0, 3.0, 4.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn the_seams_are_those_of_audiomentations() {
        let (_, signal) = golden("signal-voiced-16000");
        let signal = &signal[..3_200];
        let mut fade = Vec::new();
        fade_in(80, Constant::Energy, &mut fade);
        for (name, mode, repeats, start) in [
            ("insert", RepeatMode::Insert, 2, 1_000),
            ("replace", RepeatMode::Replace, 2, 1_000),
            ("replace_cut", RepeatMode::Replace, 3, 2_000),
        ] {
            let (_, expected) = golden(&format!("augment/repeat_part-{name}-voiced-16000-audiomentations-0.43.1"));
            let mut out = Vec::new();
            repeat(signal, start..start + 500, repeats, mode, &fade, &mut out);
            assert_eq!(out.len(), expected.len(), "{name}");
            for (i, (ours, theirs)) in out.iter().zip(&expected).enumerate() {
                // Where the last insert ends, the peer crossfades the sound with itself, by weights whose sum is 1 within 0.5 %.
                let same = mode == RepeatMode::Insert && (2_460..2_540).contains(&i);
                let tolerance = if same { 5e-3 * ours.abs() } else { 1e-6 };
                assert!((ours - theirs).abs() <= tolerance, "{name}, sample {i}: {ours} and {theirs}");
            }
        }
    }

    #[test]
    fn a_clip_grows_by_its_repeats_or_not_at_all() {
        let settings = RepeatPart { repeats: Range::fixed(3.0), part_s: Range::fixed(0.1), ..RepeatPart::default() };
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let clip = mono(rate, vec![0.5; rate as usize]);
            let (longer, told) = told(settings.clone(), &clip);
            assert_eq!(longer.num_samples(), rate as usize + 3 * (rate as usize / 10));
            assert_eq!(told.words, Words::Lost);
            let same = varied(RepeatPart { mode: RepeatMode::Replace, ..settings.clone() }, &clip);
            assert_eq!(same.num_samples(), rate as usize);
        }
    }

    #[test]
    fn repeats_that_begin_behind_the_end_are_not_recorded() {
        let settings = RepeatPart {
            repeats: Range::fixed(9.0),
            part_s: Range::fixed(0.3),
            mode: RepeatMode::Replace,
            crossfade_ms: 0.0,
            ..RepeatPart::default()
        };
        let mut augmenter = augmenter(settings);
        let mut seen = [0; 4];
        for number in 0..200 {
            let mut clip = mono(1_000, (0..1_000).map(|i| i as f32).collect());
            let told = augmenter.apply(&mut clip, Draws { id: &format!("utt-{number}"), ..WHO }).unwrap();
            let record = &told.applied[0]["repeat_part"];
            let start = (record["start_s"].as_f64().unwrap() * 1_000.0).round();
            let begin = |sample: &&f32| f64::from(**sample) == start;
            let heard = clip.channels[0].iter().filter(begin).count() - 1;
            assert_eq!(record["repeats"], heard, "{start}");
            seen[heard] += 1;
        }
        assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}");
    }

    #[test]
    fn repeats_are_drawn_evenly() {
        let row =
            RepeatPart { repeats: Range::Uniform([1.0, 20.0]), part_s: Range::fixed(0.01), ..RepeatPart::default() };
        let repeats: Vec<f64> = drawn(row, "repeats", 10_000).into_iter().map(|repeats| repeats - 0.5).collect();
        assert!(is_uniform(&repeats, 0.0, 20.0));
    }

    #[test]
    fn a_clip_that_is_too_short_keeps_its_words() {
        for len in [1, 10, 3_999] {
            let clip = mono(16_000, vec![0.5; len]);
            let (same, told) = told(RepeatPart::default(), &clip);
            assert_eq!((same, told.words), (clip, Words::Kept));
            assert_eq!(told.applied[0]["repeat_part"]["repeats"], 0);
        }
    }

    #[test]
    fn places_are_drawn_evenly() {
        let settings = RepeatPart { part_s: Range::fixed(0.02), crossfade_ms: 0.0, ..RepeatPart::default() };
        let starts: Vec<f64> = drawn(settings, "start_s", 10_000).iter().map(|start| start + 0.5 / 8_000.0).collect();
        assert!(is_uniform(&starts, 0.0, 0.080_125));
    }
}
