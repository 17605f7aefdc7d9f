//! Clips of one length.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::crop::crop;
use super::{Apply, Augment, AugmentError, Draw, Filling, Location, Probability, Setup, Side, Text};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Clips of one length: longer ones are cropped, shorter ones padded.
///
/// The length is `duration_s` rounded to whole samples. A part that is cropped is uniform among all (audiomentations leaves out the
/// last); padding is that of `pad`. `added_s` of the record
/// is how much was added, `before_s` with `side: random` how much of it came before the clip. The transcript is lost
/// where anything is cut, and where the clip itself is heard again.
/// With `longer: keep` it only pads, as lhotse's `CutSet.pad`. Source: audiomentations 0.43 `AdjustDuration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustDuration {
    /// The length in seconds, 0.001 to 3600.
    pub duration_s: f64,
    /// What becomes of clips that are longer; `crop`.
    #[serde(default)]
    pub longer: Longer,
    /// Which part of a longer clip is taken; `random`.
    #[serde(default)]
    pub location: Location,
    /// What is added to a shorter clip; `silence`.
    #[serde(default)]
    pub mode: Filling,
    /// Where it is added; `end`.
    #[serde(default)]
    pub side: Side,
    /// What becomes of the transcript where it does not hold; `drop`.
    #[serde(default)]
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

/// What becomes of clips that are longer than the length that clips shall have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Longer {
    /// A part of them is taken.
    #[default]
    Crop,
    /// They stay as they are.
    Keep,
}

impl Member for AdjustDuration {
    const EXAMPLE: &'static str = "adjust_duration: { duration_s: 4, side: random }";
    const PEERS: &'static [&'static str] = &["audiomentations.AdjustDuration"];
}

impl Augment for AdjustDuration {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("duration_s", self.duration_s, 0.001, 3_600.0).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for AdjustDuration {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let len = sound.num_samples();
        let wanted = (self.duration_s * f64::from(sound.sample_rate.get())).round().max(1.0) as usize;
        let lost = if wanted < len {
            self.longer == Longer::Crop && crop(sound, wanted, self.location, draw)
        } else {
            let added = wanted - len;
            let before = self.side.before(added, draw);
            unless_too_long(sound, wanted)?;
            let seconds = |samples: usize| samples as f64 / f64::from(sound.sample_rate.get());
            draw.note("added_s", seconds(added));
            if self.side == Side::Random {
                draw.note("before_s", seconds(before));
            }
            for channel in &mut sound.channels {
                self.mode.extend(channel, before, added - before);
            }
            added > 0 && self.mode != Filling::Silence
        };
        if lost {
            self.text.lose_words(draw);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{mono, told, varied};

    fn to(duration_s: f64) -> AdjustDuration {
        AdjustDuration {
            duration_s,
            longer: Longer::Crop,
            location: Location::Random,
            mode: Filling::Silence,
            side: Side::End,
            text: Text::Drop,
            probability: Probability::ALWAYS,
        }
    }

    #[test]
    fn clips_of_all_lengths_have_one() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let wanted = (0.25 * f64::from(rate)).round() as usize;
            for len in [1, 2, wanted - 1, wanted, wanted + 1, 3 * wanted] {
                let mut clip = mono(rate, vec![0.5; len]);
                clip.channels.push(vec![0.25; len]);
                let (adjusted, told) = told(to(0.25), &clip);
                assert!(adjusted.channels.iter().all(|channel| channel.len() == wanted), "{len} at {rate} Hz");
                assert_eq!(told.words, if len > wanted { Words::Lost } else { Words::Kept });
            }
        }
    }

    #[test]
    fn a_place_that_is_drawn_is_recorded() {
        let (padded, told) = told(AdjustDuration { side: Side::Random, ..to(0.5) }, &mono(1_000, vec![1.0]));
        let before = padded.channels[0].iter().position(|sample| *sample == 1.0).unwrap();
        assert_eq!(told.applied[0]["adjust_duration"]["before_s"], before as f64 / 1_000.0);
    }

    #[test]
    fn longer_clips_may_stay_and_labels_may_hold() {
        let clip = mono(1_000, vec![0.5; 100]);
        assert_eq!(varied(AdjustDuration { longer: Longer::Keep, ..to(0.05) }, &clip), clip);
        assert_eq!(told(AdjustDuration { text: Text::Keep, ..to(0.05) }, &clip).1.words, Words::Kept);
        assert_eq!(told(AdjustDuration { mode: Filling::Wrap, ..to(0.15) }, &clip).1.words, Words::Lost);
    }
}
