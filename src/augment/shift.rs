//! Earlier or later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::Amount;
use super::seam::{self, Constant, fade_in};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup, Text};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// The sound earlier or later within the clip, whose length stays; the same for all channels.
///
/// Shifted by `k` samples, later where `k > 0`: `y[n] = x[n - k]`. What is pushed out at one end comes in again at the other
/// (`edge: wrap`) or is gone, and silence comes in (`silence`). The seam fades over `fade_ms`, out before it and in after it, with
/// weights of constant energy; beside silence there is one fade only. `k` is drawn as a share of the clip (`shift_part`) or
/// in seconds (`shift_s`) and rounded. The transcript is lost unless nothing moves, or `text: keep` says that it holds: small
/// shifts of a command in its margins, `{ shift_s: [-0.005, 0.005], edge: silence, fade_ms: 0, text: keep }`, are NeMo's `shift`.
///
/// Source: audiomentations 0.43 `Shift` (`rollover: true` is `edge: wrap`); torch-audiomentations' and NeMo's have no fades.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shift {
    /// The shift as a share of the clip, -1 to 1; [-0.5, 0.5] where `shift_s` is not given either.
    pub shift_part: Option<Range>,
    /// The shift in seconds instead, -3600 to 3600.
    pub shift_s: Option<Range>,
    /// What comes in at one end for what is pushed out at the other; `wrap`.
    pub edge: Edge,
    /// The length of the fades at the seam in ms, 0 to 1000; 5.
    pub fade_ms: f64,
    /// What becomes of the transcript; `drop`.
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// What comes in at an end of a clip that is shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// What is pushed out at the other end.
    #[default]
    Wrap,
    /// Silence.
    Silence,
}

impl Default for Shift {
    fn default() -> Self {
        Self {
            shift_part: None,
            shift_s: None,
            edge: Edge::Wrap,
            fade_ms: 5.0,
            text: Text::Drop,
            probability: Probability::ALWAYS,
        }
    }
}

impl Shift {
    fn amount(&self) -> Amount<'_> {
        Amount {
            part: ("shift_part", self.shift_part.as_ref()),
            time: ("shift_s", self.shift_s.as_ref(), 1.0),
            default: [-0.5, 0.5],
        }
    }
}

impl Member for Shift {
    const EXAMPLE: &'static str = "shift: { shift_s: [-0.1, 0.1], edge: silence, text: keep, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Shift", "torch_audiomentations.Shift", "nemo.shift"];
}

impl Augment for Shift {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        self.amount().check(-1.0, -3_600.0, 3_600.0)?;
        SettingError::unless_within("fade_ms", self.fade_ms, 0.0, 1_000.0).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(ShiftAtWork { settings: self.clone(), fade: Vec::new(), shifted: Vec::new() })
    }
}

struct ShiftAtWork {
    settings: Shift,
    fade: Vec<f32>,
    /// A channel that is being made: two copies are faster than a rotation in place.
    shifted: Vec<f32>,
}

impl Apply for ShiftAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let (len, rate) = (sound.num_samples(), sound.sample_rate);
        let places = self.settings.amount().draw(len, rate, draw) as i64;
        // The place in the shifted clip where its old start stands.
        let seam = match self.settings.edge {
            Edge::Wrap => places.rem_euclid(len as i64) as usize,
            Edge::Silence => places.unsigned_abs().min(len as u64) as usize,
        };
        if seam == 0 {
            return Ok(());
        }
        let fade = seam::samples(self.settings.fade_ms, rate);
        if self.fade.len() != fade {
            fade_in(fade, Constant::Energy, &mut self.fade);
        }
        for channel in &mut sound.channels {
            match self.settings.edge {
                Edge::Wrap => {
                    let (front, back) = channel.split_at(len - seam);
                    self.shifted.clear();
                    self.shifted.extend_from_slice(back);
                    self.shifted.extend_from_slice(front);
                    std::mem::swap(channel, &mut self.shifted);
                    let (before, after) = channel.split_at_mut(seam);
                    begin(after, &self.fade);
                    end(before, &self.fade);
                }
                Edge::Silence if places > 0 => {
                    channel.copy_within(..len - seam, seam);
                    channel[..seam].fill(0.0);
                    begin(&mut channel[seam..], &self.fade);
                }
                Edge::Silence => {
                    channel.copy_within(seam.., 0);
                    channel[len - seam..].fill(0.0);
                    end(&mut channel[..len - seam], &self.fade);
                }
            }
        }
        self.settings.text.lose_words(draw);
        Ok(())
    }
}

/// Fades in at the start of some samples.
fn begin(samples: &mut [f32], fade: &[f32]) {
    for (sample, weight) in samples.iter_mut().zip(fade) {
        *sample *= weight;
    }
}

/// Fades out at the end of some samples.
fn end(samples: &mut [f32], fade: &[f32]) {
    for (sample, weight) in samples.iter_mut().rev().zip(fade) {
        *sample *= weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::audio::golden::golden;
    use crate::augment::testing::{drawn, is_uniform, mono, told, varied};

    fn by(shift_s: f64, edge: Edge) -> Shift {
        Shift { shift_s: Some(Range::fixed(shift_s)), edge, fade_ms: 0.0, ..Shift::default() }
    }

    #[test]
    fn samples_come_later_by_as_many_places() {
        let clip = mono(1_000, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        for (shift_s, edge, expected) in [
            (0.002, Edge::Wrap, [4.0, 5.0, 1.0, 2.0, 3.0]),
            (-0.002, Edge::Wrap, [3.0, 4.0, 5.0, 1.0, 2.0]),
            (0.007, Edge::Wrap, [4.0, 5.0, 1.0, 2.0, 3.0]),
            (0.002, Edge::Silence, [0.0, 0.0, 1.0, 2.0, 3.0]),
            (-0.002, Edge::Silence, [3.0, 4.0, 5.0, 0.0, 0.0]),
            (0.009, Edge::Silence, [0.0; 5]),
            (-0.009, Edge::Silence, [0.0; 5]),
        ] {
            assert_eq!(varied(by(shift_s, edge), &clip).channels[0], expected, "{shift_s} s, {edge:?}");
        }
    }

    #[test]
    fn the_seams_are_those_of_audiomentations() {
        let (_, signal) = golden("signal-voiced-16000");
        for (name, part, edge) in [
            ("wrap_later", 0.25, Edge::Wrap),
            ("wrap_earlier", -0.25, Edge::Wrap),
            ("silence_later", 0.25, Edge::Silence),
            ("silence_earlier", -0.25, Edge::Silence),
        ] {
            let (_, expected) = golden(&format!("augment/shift-{name}-voiced-16000-audiomentations-0.43.1"));
            let settings = Shift { shift_part: Some(Range::fixed(part)), edge, ..Shift::default() };
            let shifted = varied(settings, &mono(16_000, signal.clone()));
            let seam = if part > 0.0 { 3_200 } else { 9_600 };
            let around = &shifted.channels[0][seam - expected.len() / 2..][..expected.len()];
            for (i, (ours, theirs)) in around.iter().zip(&expected).enumerate() {
                assert!((ours - theirs).abs() <= 1e-6, "{name}, sample {i}: {ours} and {theirs}");
            }
        }
    }

    #[test]
    fn words_are_lost_where_anything_moves_and_nothing_says_otherwise() {
        let clip = mono(1_000, vec![1.0; 5]);
        assert_eq!(told(by(0.001, Edge::Wrap), &clip).1.words, Words::Lost);
        assert_eq!(told(by(0.005, Edge::Wrap), &clip).1.words, Words::Kept);
        assert_eq!(told(by(0.000_1, Edge::Silence), &clip).1.words, Words::Kept);
        assert_eq!(told(Shift { text: Text::Keep, ..by(0.001, Edge::Silence) }, &clip).1.words, Words::Kept);
    }

    #[test]
    fn shifts_are_drawn_evenly() {
        assert!(is_uniform(&drawn(Shift::default(), "shift_part", 10_000), -0.5, 0.5));
    }

    #[test]
    fn short_clips_are_shifted_too() {
        for len in 1..4 {
            for edge in [Edge::Wrap, Edge::Silence] {
                for part in [-1.0, -0.5, 0.4, 1.0] {
                    let settings = Shift { shift_part: Some(Range::fixed(part)), edge, ..Shift::default() };
                    assert_eq!(varied(settings, &mono(48_000, vec![0.5; len])).num_samples(), len);
                }
            }
        }
    }
}
