//! Backwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup, Text};
use crate::audio::Waveform;
use crate::family::Member;

/// The clip backwards: `y[n] = x[N - 1 - n]`.
///
/// For sounds whose class stays so, and as examples of what is no speech. The transcript is lost. Source: audiomentations 0.43
/// `Reverse`, torch-audiomentations 0.12 `TimeInversion`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reverse {
    /// What becomes of the transcript; `drop`.
    pub text: Text,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Member for Reverse {
    const EXAMPLE: &'static str = "reverse: { probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Reverse", "torch_audiomentations.TimeInversion"];
}

impl Augment for Reverse {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Reverse {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        for channel in &mut sound.channels {
            channel.reverse();
        }
        self.text.lose_words(draw);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{mono, told, varied};

    #[test]
    fn the_last_sample_comes_first_and_the_words_are_lost() {
        let (reversed, told) = told(Reverse::default(), &mono(8_000, vec![1.0, 2.0, 3.0]));
        assert_eq!(reversed.channels[0], [3.0, 2.0, 1.0]);
        assert_eq!(told.words, Words::Lost);
    }

    #[test]
    fn one_sample_stays_as_it_is() {
        let clip = mono(8_000, vec![0.5]);
        assert_eq!(varied(Reverse::default(), &clip), clip);
    }
}
