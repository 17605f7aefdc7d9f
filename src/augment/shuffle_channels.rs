//! Channels in another order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::shuffle;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::Waveform;
use crate::family::Member;

/// The channels of a recording in another order, each order equally likely.
///
/// The order that they have is one of them; a mono clip stays as it is. `order` of the record holds, for each new channel, the
/// number of the old one. Source: torch-audiomentations 0.12 `ShuffleChannels`; SpeechBrain's `ChannelSwap`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShuffleChannels {
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Member for ShuffleChannels {
    const EXAMPLE: &'static str = "shuffle_channels: { probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["torch_audiomentations.ShuffleChannels", "speechbrain.ChannelSwap"];
}

impl Augment for ShuffleChannels {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for ShuffleChannels {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let mut order: Vec<usize> = (0..sound.channels.len()).collect();
        shuffle(&mut order, draw);
        let mut old = std::mem::take(&mut sound.channels);
        sound.channels = order.iter().map(|channel| std::mem::take(&mut old[*channel])).collect();
        draw.note("order", order);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{WHO, augmenter, mono, varied};
    use crate::seed::Draws;

    #[test]
    fn every_order_of_three_channels_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::<Vec<i32>, i32>::new();
        let mut augmenter = augmenter(ShuffleChannels::default());
        for number in 0..12_000 {
            let mut sound = mono(8_000, vec![0.0]);
            sound.channels = vec![vec![0.0; 2], vec![1.0; 2], vec![2.0; 2]];
            augmenter.apply(&mut sound, Draws { id: &format!("utt-{number}"), ..WHO }).unwrap();
            *counts.entry(sound.channels.iter().map(|channel| channel[1] as i32).collect()).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        // Chi-square of five degrees of freedom, at 0.1 %.
        let distance: f64 = counts.values().map(|count| f64::from(count - 2_000).powi(2) / 2_000.0).sum();
        assert!(distance < 20.52, "{counts:?}");
    }

    #[test]
    fn mono_stays_as_it_is() {
        let clip = mono(8_000, vec![0.5, 0.25]);
        assert_eq!(varied(ShuffleChannels::default(), &clip), clip);
    }
}
