//! What a room does to a clip: convolution with its impulse response, in place and at the same level.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolution::{Convolution, Spectrum};
use super::level::{power, power_of, scale};
use crate::audio::{Hertz, Waveform};

/// The level of a reverberant clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// The mean power of the clip before, measured over its time and all its channels.
    #[default]
    Power,
    /// What the impulse response makes of it.
    None,
}

/// What becomes of the reverberation behind the clip's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// It is cut off: the clip keeps its length.
    #[default]
    Cut,
    /// The clip is longer by it.
    Keep,
}

/// An impulse response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Response<'a> {
    /// Its samples, one at least.
    pub(super) taps: &'a [f32],
    /// The sample that comes to stand at the clip's own, counted from the first tap.
    pub(super) direct: isize,
    /// Names it, if it may be met again: a recording's number, its rate and a channel.
    pub(super) key: Option<(usize, Hertz, usize)>,
}

/// A recording's number, its rate and channel, and the block's length.
type Key = ((usize, Hertz, usize), usize);

/// One worker's rooms.
pub(super) struct Reverberation {
    normalize: Normalize,
    tail: Tail,
    convolution: Convolution,
    /// Spectra that may be met again, the last used last.
    spectra: Vec<(Key, Arc<Spectrum>)>,
    outputs: Vec<f32>,
}

impl Reverberation {
    /// The most bytes of spectra that a worker keeps: forty of half a second at 16 kHz.
    const MOST_BYTES: usize = 16 << 20;

    pub(super) fn new(normalize: Normalize, tail: Tail) -> Self {
        let (convolution, spectra, outputs) = (Convolution::default(), Vec::new(), Vec::new());
        Self { normalize, tail, convolution, spectra, outputs }
    }

    /// Brings a clip into a room: `responses` has one for all channels, or one for each.
    pub(super) fn apply(&mut self, sound: &mut Waveform, responses: &[Response<'_>]) {
        let len = sound.num_samples();
        let before = power_of(sound);
        let behind = |response: &Response<'_>| response.taps.len().saturating_add_signed(-1 - response.direct);
        let longer = match self.tail {
            Tail::Cut => 0,
            Tail::Keep => responses.iter().map(behind).max().unwrap_or(0),
        };
        let mut shared = None;
        for (number, channel) in sound.channels.iter_mut().enumerate() {
            let Some(response) = responses.get(number).or(responses.last()) else {
                return;
            };
            let spectrum = match &shared {
                Some(spectrum) if number >= responses.len() => Arc::clone(spectrum),
                _ => self.spectrum(response, len + longer),
            };
            self.outputs.resize(len + longer, 0.0);
            self.convolution.apply(&spectrum, channel, response.direct, &mut self.outputs);
            std::mem::swap(channel, &mut self.outputs);
            shared = Some(spectrum);
        }
        if self.normalize == Normalize::Power {
            let after = sound.channels.iter().map(|channel| power(&channel[..len])).sum::<f64>();
            let after = after / sound.channels.len().max(1) as f64;
            if after > 0.0 {
                scale(sound, (before / after).sqrt());
            }
        }
    }

    fn spectrum(&mut self, response: &Response<'_>, num_outputs: usize) -> Arc<Spectrum> {
        let block_len = Convolution::block_len(response.taps.len(), num_outputs);
        let Some(key) = response.key.map(|key| (key, block_len)) else {
            return Arc::new(self.convolution.spectrum(response.taps, block_len));
        };
        let spectrum = match self.spectra.iter().position(|(kept, _)| *kept == key) {
            Some(place) => self.spectra.remove(place).1,
            None => Arc::new(self.convolution.spectrum(response.taps, block_len)),
        };
        self.spectra.push((key, Arc::clone(&spectrum)));
        let mut bytes: usize = self.spectra.iter().map(|(_, spectrum)| spectrum.bytes()).sum();
        let given_up = self.spectra.iter().take_while(|(_, oldest)| {
            let over = bytes > Self::MOST_BYTES;
            bytes -= oldest.bytes();
            over
        });
        let given_up = given_up.count();
        self.spectra.drain(..given_up);
        spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine};

    #[test]
    fn spectra_are_kept_within_their_budget_and_change_no_result() {
        let taps: Vec<f32> = (0..8_000).map(|n| ((n * n) as f32).sin()).collect();
        let rate = Hertz::new(16_000).expect("a rate");
        let sound = sine(440.0, 0.1, 16_000);
        let mut room = Reverberation::new(Normalize::Power, Tail::Cut);
        let mut reverberant = |index: Option<usize>| {
            let mut sound = sound.clone();
            room.apply(&mut sound, &[Response { taps: &taps, direct: 5, key: index.map(|index| (index, rate, 0)) }]);
            let bytes: usize = room.spectra.iter().map(|(_, spectrum)| spectrum.bytes()).sum();
            (sound, bytes, room.spectra.len())
        };
        let fresh = reverberant(None);
        assert_eq!((fresh.1, fresh.2), (0, 0));
        for index in (0..400).chain([399, 399]) {
            let (sound, bytes, _) = reverberant(Some(index));
            assert!(sound == fresh.0 && bytes <= Reverberation::MOST_BYTES, "{bytes}");
        }
        assert!(room.spectra.len() > 10 && room.spectra.last().is_some_and(|(key, _)| key.0.0 == 399));
    }

    #[test]
    fn without_normalisation_the_response_sets_the_level_and_a_tail_may_be_kept() {
        let mut sound = mono(8_000, vec![1.0, 0.0, -1.0]);
        let mut room = Reverberation::new(Normalize::None, Tail::Keep);
        room.apply(&mut sound, &[Response { taps: &[0.0, 2.0, 0.5], direct: 1, key: None }]);
        let expected = [2.0, 0.5, -2.0, -0.5];
        assert_eq!(sound.num_samples(), 4);
        assert!(sound.channels[0].iter().zip(expected).all(|(y, e)| (y - e).abs() < 1e-6), "{:?}", sound.channels);
    }
}
