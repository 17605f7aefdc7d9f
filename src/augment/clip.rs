//! Within bounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::clip;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Within bounds: a sample below `min` becomes `min`, one above `max` becomes `max`.
///
/// For the end of a chain before sound is written as integers; `clipping_distortion` and `saturate` are the
/// augmentations. Nothing is drawn. Source: audiomentations 0.43.1 `Clip`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clip {
    /// The least sample, -1000 to 1000; -1.
    pub min: f64,
    /// The greatest sample, `min` to 1000; 1.
    pub max: f64,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Clip {
    fn default() -> Self {
        Self { min: -1.0, max: 1.0, probability: Probability::ALWAYS }
    }
}

impl Member for Clip {
    const EXAMPLE: &'static str = "clip: { min: -1, max: 1 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Clip"];
}

impl Augment for Clip {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("min", self.min, -1_000.0, 1_000.0)?;
        SettingError::unless_within("max", self.max, self.min, 1_000.0)?;
        Ok(())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Clip {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        clip(sound, self.min as f32, self.max as f32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, varied};

    #[test]
    fn samples_stay_within_the_bounds() {
        let sound = mono(8_000, vec![-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 7.0]);
        assert_eq!(varied(Clip::default(), &sound).channels[0], [-1.0, -1.0, -0.3, 0.0, 0.5, 1.0, 1.0]);
        let row = Clip { min: -0.25, max: 0.5, ..Clip::default() };
        assert_eq!(varied(row, &sound).channels[0], [-0.25, -0.25, -0.25, 0.0, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn bounds_that_are_the_wrong_way_round_are_refused() {
        let check = |min, max| Clip { min, max, ..Clip::default() }.check(None).map_err(|error| error.key());
        assert_eq!(check(0.5, -0.5), Err("max"));
        assert_eq!(check(f64::NAN, 1.0), Err("min"));
        assert_eq!(check(0.0, f64::NAN), Err("max"));
    }
}
