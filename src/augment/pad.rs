//! Longer by silence or by the clip itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::place::Amount;
use super::{Apply, Augment, AugmentError, Draw, Filling, Length, Probability, Setup, Side, Text};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Silence, or the clip itself, added before or after the clip.
///
/// How much is drawn as a share of the clip (`padding_part`) or in seconds (`padding_s`). `mode` and its results are NumPy's:
/// zeros, `wrap` or `reflect`. The transcript stays where silence is added, and is lost where the clip itself is heard again.
/// With `side: random` the record says how much came before the clip, as `before_s`. To pad to a length see `adjust_duration`.
///
/// `length: keep` is audiomentations' `Padding`: what is added takes the place of as much of the clip at that side, one
/// sample of which stays at least, and the transcript is lost. Source: audiomentations 0.43 `Padding`; lhotse 1.33
/// `ExtraPadding`; NeMo 2.x `silence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pad {
    /// What is added as a share of the clip, 0 to 1; [0.01, 0.7] where `padding_s` is not given either.
    pub padding_part: Option<Range>,
    /// What is added in seconds instead, 0 to 3600.
    pub padding_s: Option<Range>,
    /// What is added; `silence`.
    pub mode: Filling,
    /// Where it is added; `end`.
    pub side: Side,
    /// What becomes of the clip's length; `change`.
    pub length: Length,
    /// What becomes of the transcript where it does not hold; `drop`.
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Pad {
    fn default() -> Self {
        Self {
            padding_part: None,
            padding_s: None,
            mode: Filling::Silence,
            side: Side::End,
            length: Length::Change,
            text: Text::Drop,
            probability: Probability::ALWAYS,
        }
    }
}

impl Pad {
    fn amount(&self) -> Amount<'_> {
        Amount {
            part: ("padding_part", self.padding_part.as_ref()),
            time: ("padding_s", self.padding_s.as_ref(), 1.0),
            default: [0.01, 0.7],
        }
    }
}

impl Member for Pad {
    const EXAMPLE: &'static str = "pad: { padding_s: [0, 0.5], side: both }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.Padding", "torch_audiomentations.Padding", "lhotse.ExtraPadding", "nemo.silence"];
}

impl Augment for Pad {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        self.amount().check(0.0, 0.0, 3_600.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Pad {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let len = sound.num_samples();
        let mut added = self.amount().draw(len, sound.sample_rate, draw) as usize;
        if self.length == Length::Keep {
            added = added.min(len - 1);
        }
        let before = self.side.before(added, draw);
        if self.side == Side::Random {
            draw.note("before_s", before as f64 / f64::from(sound.sample_rate.get()));
        }
        if self.length == Length::Change {
            unless_too_long(sound, len.saturating_add(added))?;
        }
        for channel in &mut sound.channels {
            if self.length == Length::Keep {
                channel.truncate(len - (added - before));
                channel.drain(..before);
            }
            self.mode.extend(channel, before, added - before);
        }
        if added > 0 && (self.length == Length::Keep || self.mode != Filling::Silence) {
            self.text.lose_words(draw);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{drawn, is_uniform, mono, told, varied};

    fn by(padding_s: f64) -> Pad {
        Pad { padding_s: Some(Range::fixed(padding_s)), ..Pad::default() }
    }

    #[test]
    fn silence_comes_where_it_is_said_and_words_stay() {
        let clip = mono(1_000, vec![1.0, 2.0]);
        let (padded, told) = told(by(0.003), &clip);
        assert_eq!((&padded.channels[0][..], told.words), (&[1.0, 2.0, 0.0, 0.0, 0.0][..], Words::Kept));
        assert_eq!(varied(Pad { side: Side::Start, ..by(0.003) }, &clip).channels[0], [0.0, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(varied(Pad { side: Side::Both, ..by(0.003) }, &clip).channels[0], [0.0, 1.0, 2.0, 0.0, 0.0]);
        let random = varied(Pad { side: Side::Random, ..by(0.003) }, &clip);
        assert_eq!((random.num_samples(), random.channels[0].iter().sum::<f32>()), (5, 3.0));
    }

    #[test]
    fn the_clip_itself_comes_again_without_its_words() {
        let clip = mono(1_000, vec![1.0, 2.0, 3.0]);
        let (padded, told) = told(Pad { mode: Filling::Reflect, ..by(0.003) }, &clip);
        assert_eq!((&padded.channels[0][..], told.words), (&[1.0, 2.0, 3.0, 2.0, 1.0, 2.0][..], Words::Lost));
    }

    #[test]
    fn a_kept_length_is_that_of_audiomentations() {
        // The peer keeps the end of the clip where padding takes its start.
        let clip = mono(1_000, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let kept = |mode, side| {
            let (padded, told) = told(Pad { mode, side, length: Length::Keep, ..by(0.002) }, &clip);
            assert_eq!(told.words, Words::Lost);
            padded.channels.into_iter().next().unwrap()
        };
        assert_eq!(kept(Filling::Silence, Side::End), [1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(kept(Filling::Silence, Side::Start), [0.0, 0.0, 3.0, 4.0, 5.0]);
        assert_eq!(kept(Filling::Wrap, Side::End), [1.0, 2.0, 3.0, 1.0, 2.0]);
        assert_eq!(kept(Filling::Reflect, Side::Start), [5.0, 4.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn a_place_that_is_drawn_is_recorded() {
        let (padded, told) = told(Pad { side: Side::Random, ..by(0.5) }, &mono(1_000, vec![1.0]));
        let before = padded.channels[0].iter().position(|sample| *sample == 1.0).unwrap();
        assert_eq!(told.applied[0]["pad"]["before_s"], before as f64 / 1_000.0);
    }

    #[test]
    fn one_sample_can_be_padded_in_every_way() {
        for mode in [Filling::Silence, Filling::Wrap, Filling::Reflect] {
            for side in [Side::Start, Side::End, Side::Both, Side::Random] {
                let clip = mono(48_000, vec![0.5]);
                assert_eq!(varied(Pad { mode, side, ..by(0.01) }, &clip).num_samples(), 481);
                assert_eq!(varied(Pad { mode, side, length: Length::Keep, ..by(0.01) }, &clip), clip);
            }
        }
    }

    #[test]
    fn shares_are_drawn_evenly_and_too_much_is_refused_before_it_is_taken() {
        assert!(is_uniform(&drawn(Pad::default(), "padding_part", 10_000), 0.01, 0.7));
        let mut augmenter = crate::augment::testing::augmenter(by(3_600.0));
        let mut clip = mono(768_000, vec![0.5]);
        let refused = augmenter.apply(&mut clip, crate::augment::testing::WHO);
        assert!(matches!(refused, Err(AugmentError::TooLong { .. })), "{refused:?}");
    }
}
