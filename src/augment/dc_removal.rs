//! Without offset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::mean;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::Waveform;
use crate::family::Member;

/// The offset of each channel taken away: `y = x - mean(x)`.
///
/// The mean is a sum in double precision. Nothing is drawn. (Kaldi and torchaudio's `compliance.kaldi` do so in each
/// frame: `remove_dc_offset` of `kaldi_fbank`.)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DcRemoval {
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Member for DcRemoval {
    const EXAMPLE: &'static str = "dc_removal: {}";
}

impl Augment for DcRemoval {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for DcRemoval {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        for channel in &mut sound.channels {
            let offset = mean(channel);
            for sample in channel {
                *sample = (f64::from(*sample) - offset) as f32;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine, varied};

    #[test]
    fn each_channel_loses_its_own_offset() {
        let clean = sine(440.0, 0.1, 8_000);
        let mut sound = clean.clone();
        sound.channels.push(clean.channels[0].clone());
        sound.channels[0].iter_mut().for_each(|sample| *sample += 0.25);
        sound.channels[1].iter_mut().for_each(|sample| *sample -= 0.5);
        for channel in varied(DcRemoval::default(), &sound).channels {
            assert!(mean(&channel).abs() < 1e-9);
            assert!(channel.iter().zip(&clean.channels[0]).all(|(y, x)| (y - x).abs() < 1e-7));
        }
    }

    #[test]
    fn a_small_offset_of_a_long_clip_is_found() {
        let found = varied(DcRemoval::default(), &mono(48_000, vec![0.1; 2_000_003]));
        assert!(found.channels[0].iter().all(|y| y.abs() < 1e-9));
        assert_eq!(varied(DcRemoval::default(), &mono(8_000, vec![0.7])).channels[0], [0.0]);
    }
}
