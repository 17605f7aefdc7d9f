//! Preemphasis taken back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Preemphasis taken back: `y[i] = x[i] + coeff · y[i - 1]`, `y[0] = x[0]`.
///
/// The state is in double precision, and nothing is clipped: torchaudio's holds every sample within -1 to 1. Drawn:
/// `coeff`, once for all channels.
///
/// Source: torchaudio 2.11 `transforms.Deemphasis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deemphasis {
    /// The share of the result before, 0 to 0.9999; 0.97.
    pub coeff: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Deemphasis {
    fn default() -> Self {
        Self { coeff: Range::fixed(0.97), probability: Probability::ALWAYS }
    }
}

impl Member for Deemphasis {
    const EXAMPLE: &'static str = "deemphasis: { coeff: 0.97 }";
    const PEERS: &'static [&'static str] = &["torchaudio.Deemphasis"];
}

impl Augment for Deemphasis {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("coeff", &self.coeff, 0.0, 0.9999)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for Deemphasis {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let coeff = draw.number("coeff", &self.coeff);
        for channel in &mut sound.channels {
            let mut state = 0.0_f64;
            for sample in channel {
                let sum = f64::from(*sample) + coeff * state;
                // In silence it would decay into numbers below the normal ones, which are slow.
                state = if sum.abs() < f64::from(f32::MIN_POSITIVE) { 0.0 } else { sum };
                *sample = state as f32;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Preemphasis;
    use crate::augment::testing::{mono, sine, varied};

    #[test]
    fn it_takes_preemphasis_back() {
        for rate in [8_000, 48_000] {
            let sound = sine(200.0, 0.8, rate);
            let found = varied(Deemphasis::default(), &varied(Preemphasis::default(), &sound));
            let worst =
                found.channels[0].iter().zip(&sound.channels[0]).map(|(y, x)| (y - x).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{rate}: {worst}");
        }
    }

    #[test]
    fn an_impulse_decays_by_the_coefficient_and_sums_are_not_clipped() {
        let row = Deemphasis { coeff: Range::fixed(0.5), ..Deemphasis::default() };
        assert_eq!(varied(row.clone(), &mono(8_000, vec![1.0, 0.0, 0.0])).channels[0], [1.0, 0.5, 0.25]);
        assert_eq!(varied(row, &mono(8_000, vec![1.0, 1.0, 1.0])).channels[0], [1.0, 1.5, 1.75]);
    }
}
