//! Down to a lower sample rate and back.

use super::AugmentError;
use crate::audio::{Hertz, Waveform};
use crate::resample::{Method, Resampler};
use crate::transform::SettingError;

/// Resamplers down and up again, with their buffers, reused from clip to clip.
#[derive(Default)]
pub(super) struct RoundTrip {
    /// Those used last, the latest at the end.
    pairs: Vec<Pair>,
    low: Vec<f32>,
}

struct Pair {
    high: Hertz,
    low: Hertz,
    down: Resampler,
    up: Resampler,
}

impl RoundTrip {
    /// Pairs of rates whose filters are kept.
    const KEPT: usize = 8;

    /// Brings every channel to the rate `low`, below its own, lets `meanwhile` change it there, and brings it back to
    /// its rate, in its place and length.
    pub(super) fn apply(
        &mut self,
        sound: &mut Waveform,
        low: Hertz,
        mut meanwhile: impl FnMut(&mut Waveform),
    ) -> Result<(), AugmentError> {
        let high = sound.sample_rate;
        let known = self.pairs.iter().position(|pair| (pair.high, pair.low) == (high, low));
        let mut pair = match known {
            Some(known) => self.pairs.remove(known),
            None => Pair { high, low, down: resampler(high, low)?, up: resampler(low, high)? },
        };
        let len = sound.num_samples();
        let mut at_low = Waveform { sample_rate: low, channels: vec![std::mem::take(&mut self.low)] };
        for channel in &mut sound.channels {
            for samples in &mut at_low.channels {
                samples.clear();
                pair.down.push(channel, samples);
                pair.down.finish(samples);
            }
            meanwhile(&mut at_low);
            channel.clear();
            for samples in &at_low.channels {
                pair.up.push(samples, channel);
            }
            pair.up.finish(channel);
            channel.resize(len, 0.0);
        }
        self.low = at_low.channels.pop().unwrap_or_default();
        if self.pairs.len() == Self::KEPT {
            self.pairs.remove(0);
        }
        self.pairs.push(pair);
        Ok(())
    }
}

fn resampler(from: Hertz, to: Hertz) -> Result<Resampler, SettingError> {
    let reason = "this sample rate and the lower one have no common block of bearable length";
    Resampler::new(from, to, &Method::default()).map_err(|_| SettingError::DoesNotFit { key: "", reason })
}
