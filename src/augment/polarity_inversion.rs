//! Upside down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::scale;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::Waveform;
use crate::family::Member;

/// The waveform upside down: `y = -x`.
///
/// No ear hears it, and no feature that is made of magnitudes changes; it is for models that read samples. Source:
/// audiomentations 0.43 `PolarityInversion`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolarityInversion {
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Member for PolarityInversion {
    const EXAMPLE: &'static str = "polarity_inversion: { probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["audiomentations.PolarityInversion", "torch_audiomentations.PolarityInversion", "speechbrain.SignFlip"];
}

impl Augment for PolarityInversion {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for PolarityInversion {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        scale(sound, -1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{sine, varied};

    #[test]
    fn every_sample_changes_its_sign() {
        let sound = sine(440.0, 0.1, 8_000);
        let turned = varied(PolarityInversion::default(), &sound);
        assert!(turned.channels[0].iter().zip(&sound.channels[0]).all(|(y, x)| *y == -*x));
        assert_eq!(varied(PolarityInversion::default(), &turned), sound);
    }
}
