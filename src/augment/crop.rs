//! A part of the clip.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Location, Probability, Setup, Text};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// A part of the clip; a clip that is not longer stays as it is.
///
/// `duration_s` is drawn and rounded to whole samples, one at least. The place is uniform among all where the part fits. The
/// transcript is lost where anything is cut. For clips of one length see `adjust_duration`; for all parts of a recording see
/// `segment`. Source: torch-audiomentations 0.12 `RandomCrop`, lhotse 1.33 `CutSet.truncate`, NeMo 2.x `random_segment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The length of the part in seconds, 0.001 to 86400.
    pub duration_s: Range,
    /// Where the part lies; `random`.
    #[serde(default)]
    pub location: Location,
    /// What becomes of the transcript; `drop`.
    #[serde(default)]
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

impl Member for Crop {
    const EXAMPLE: &'static str = "crop: { duration_s: [2, 10] }";
    const PEERS: &'static [&'static str] = &["torch_audiomentations.RandomCrop", "nemo.random_segment"];
}

impl Augment for Crop {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("duration_s", &self.duration_s, 0.001, 86_400.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Crop {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let wanted = draw.number("duration_s", &self.duration_s) * f64::from(sound.sample_rate.get());
        if crop(sound, wanted.round().max(1.0) as usize, self.location, draw) {
            self.text.lose_words(draw);
        }
        Ok(())
    }
}

/// Cuts a clip that is longer to `wanted` samples; whether anything is cut.
pub(super) fn crop(sound: &mut Waveform, wanted: usize, location: Location, draw: &mut Draw<'_>) -> bool {
    let len = sound.num_samples();
    let start = location.start(len, wanted.min(len), draw);
    draw.note("start_s", start as f64 / f64::from(sound.sample_rate.get()));
    if wanted >= len {
        return false;
    }
    for channel in &mut sound.channels {
        channel.copy_within(start..start + wanted, 0);
        channel.truncate(wanted);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{drawn, is_uniform, mono, told, varied};

    fn to(duration_s: f64) -> Crop {
        Crop {
            duration_s: Range::fixed(duration_s),
            location: Location::Random,
            text: Text::Drop,
            probability: Probability::ALWAYS,
        }
    }

    #[test]
    fn a_part_is_as_long_as_said_and_in_one_piece() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let clip = mono(rate, (0..rate).map(|i| i as f32).collect());
            let (part, told) = told(to(0.3), &clip);
            assert_eq!(part.num_samples(), (0.3 * f64::from(rate)).round() as usize);
            assert!(part.channels[0].windows(2).all(|pair| pair[1] == pair[0] + 1.0));
            let start_s = told.applied[0]["crop"]["start_s"].as_f64().unwrap();
            assert_eq!(f64::from(part.channels[0][0]), (start_s * f64::from(rate)).round());
            assert_eq!(told.words, Words::Lost);
        }
    }

    #[test]
    fn a_clip_that_is_not_longer_stays_with_its_words() {
        for len in [1, 100, 2_400] {
            let clip = mono(8_000, vec![0.5; len]);
            let (same, told) = told(to(0.3), &clip);
            assert_eq!((same, told.words), (clip, Words::Kept));
        }
        assert_eq!(varied(to(0.001), &mono(1_000, vec![1.0, 2.0])).num_samples(), 1);
    }

    #[test]
    fn the_ends_are_places_too() {
        let clip = mono(1_000, (0..100).map(|i| i as f32).collect());
        assert_eq!(varied(Crop { location: Location::Start, ..to(0.01) }, &clip).channels[0][0], 0.0);
        assert_eq!(varied(Crop { location: Location::End, ..to(0.01) }, &clip).channels[0][9], 99.0);
    }

    #[test]
    fn places_are_drawn_evenly() {
        // 800 samples at 8 kHz: 0 to 399 are the starts of 401 samples.
        let starts: Vec<f64> =
            drawn(to(401.0 / 8_000.0), "start_s", 10_000).iter().map(|s| s * 8_000.0 + 0.5).collect();
        assert!(is_uniform(&starts, 0.0, 400.0));
    }
}
