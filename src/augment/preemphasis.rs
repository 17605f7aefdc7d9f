//! High frequencies raised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// High frequencies raised: `y[i] = x[i] - coeff · x[i - 1]`.
///
/// `y[0] = x[0]`, as if silence came before. Drawn: `coeff`, once for all channels.
///
/// Source: torchaudio 2.11 `transforms.Preemphasis`. Others begin otherwise: librosa with `3 x[0] - x[1]` (at 1),
/// Kaldi, which does so in each frame, with `(1 - coeff) · x[0]`. `deemphasis` takes it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preemphasis {
    /// The share of the sample before, 0 to 1; 0.97.
    pub coeff: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Preemphasis {
    fn default() -> Self {
        Self { coeff: Range::fixed(0.97), probability: Probability::ALWAYS }
    }
}

impl Member for Preemphasis {
    const EXAMPLE: &'static str = "preemphasis: { coeff: 0.97 }";
    const PEERS: &'static [&'static str] = &["torchaudio.Preemphasis"];
}

impl Augment for Preemphasis {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("coeff", &self.coeff, 0.0, 1.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Preemphasis {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let coeff = draw.number("coeff", &self.coeff) as f32;
        for channel in &mut sound.channels {
            let mut before = 0.0;
            for sample in channel {
                let x = *sample;
                *sample = x - coeff * before;
                before = x;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, varied};

    #[test]
    fn each_sample_loses_a_share_of_the_one_before() {
        let row = Preemphasis { coeff: Range::fixed(0.5), ..Preemphasis::default() };
        let mut sound = mono(8_000, vec![1.0, 1.0, -1.0, 0.0]);
        sound.channels.push(vec![0.0, 0.0, 0.0, 2.0]);
        assert_eq!(varied(row, &sound).channels, [[1.0, 0.5, -1.5, 0.5], [0.0, 0.0, 0.0, 2.0]]);
        assert_eq!(varied(Preemphasis::default(), &mono(8_000, vec![0.5])).channels[0], [0.5]);
    }
}
