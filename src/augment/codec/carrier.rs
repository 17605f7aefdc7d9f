//! The way of a clip to a codec and back: its range of samples, its rates and its channels.

use std::fmt::Display;

use super::super::AugmentError;
use crate::audio::{Hertz, Waveform};
use crate::resample::{Method, Resampler};

/// Brings clips to a codec, and back to their own rate and length.
pub(super) struct Carrier {
    codec: &'static str,
    /// The rate that the codec has for clips of a rate.
    rate_for: fn(u32) -> u32,
    method: Method,
    converters: Option<Converters>,
    carried: Vec<Vec<f32>>,
}

/// Resamplers there and back.
struct Converters {
    from: Hertz,
    to: Hertz,
    there: Resampler,
    back: Resampler,
}

impl Carrier {
    pub(super) fn new(codec: &'static str, rate_for: fn(u32) -> u32) -> Self {
        Self { codec, rate_for, method: Method::default(), converters: None, carried: Vec::new() }
    }

    /// What the codec says when it refuses.
    pub(super) fn refusal(&self, reason: impl Display) -> AugmentError {
        AugmentError::Codec { codec: self.codec, reason: reason.to_string() }
    }

    /// The rate at which the codec works on clips of this one.
    pub(super) fn rate_for(&self, rate: Hertz) -> u32 {
        (self.rate_for)(rate.get())
    }

    /// Gives the clip to `code`, at the codec's rate, within full scale, in groups of one or two channels that it
    /// changes in place and leaves as long as they are.
    pub(super) fn carry<E: Display>(
        &mut self,
        sound: &mut Waveform,
        mut code: impl FnMut(&mut [Vec<f32>]) -> Result<(), E>,
    ) -> Result<(), AugmentError> {
        let (from, len) = (sound.sample_rate, sound.num_samples());
        let to = Hertz::new(self.rate_for(from)).unwrap_or(from);
        let group = if sound.channels.len() == 2 { 2 } else { 1 };
        if from == to {
            clip(&mut sound.channels);
            return sound.channels.chunks_mut(group).try_for_each(code).map_err(|reason| self.refusal(reason));
        }
        let mut converters = match self.converters.take().filter(|made| (made.from, made.to) == (from, to)) {
            Some(made) => made,
            None => self.converters(from, to)?,
        };
        self.carried.resize_with(group, Vec::new);
        for channels in sound.channels.chunks_mut(group) {
            for (channel, carried) in channels.iter().zip(&mut self.carried) {
                carried.clear();
                converters.there.push(channel, carried);
                converters.there.finish(carried);
            }
            clip(&mut self.carried);
            code(&mut self.carried).map_err(|reason| self.refusal(reason))?;
            for (channel, carried) in channels.iter_mut().zip(&self.carried) {
                channel.clear();
                converters.back.push(carried, channel);
                converters.back.finish(channel);
                // Both ways round up.
                channel.truncate(len);
            }
        }
        self.converters = Some(converters);
        Ok(())
    }

    fn converters(&self, from: Hertz, to: Hertz) -> Result<Converters, AugmentError> {
        let resampler = |from, to| Resampler::new(from, to, &self.method).map_err(|error| self.refusal(error));
        Ok(Converters { from, to, there: resampler(from, to)?, back: resampler(to, from)? })
    }
}

/// Clips samples at full scale.
fn clip(channels: &mut [Vec<f32>]) {
    for sample in channels.iter_mut().flatten() {
        *sample = sample.clamp(-1.0, 1.0);
    }
}

/// Writes samples `from..` of channels one after the other into `frame`, silence behind their end.
pub(super) fn interleave(channels: &[Vec<f32>], from: usize, frame: &mut [f32]) {
    for (number, channel) in channels.iter().enumerate() {
        let samples = channel.iter().skip(from).copied().chain(std::iter::repeat(0.0));
        for (out, sample) in frame.iter_mut().skip(number).step_by(channels.len()).zip(samples) {
            *out = sample;
        }
    }
}

/// Where decoded sound goes: the clip's own channels, without the codec's delay.
pub(super) struct Place {
    /// Samples of the delay that are still to come.
    delay: usize,
    at: usize,
}

impl Place {
    /// Behind a delay of so many samples.
    pub(super) const fn behind(delay: usize) -> Self {
        Self { delay, at: 0 }
    }

    /// Samples of each channel that are there.
    pub(super) const fn filled(&self) -> usize {
        self.at
    }

    /// Takes decoded samples, interleaved; those behind the clip's end are not wanted.
    pub(super) fn put(&mut self, decoded: &[f32], channels: &mut [Vec<f32>]) {
        let width = channels.len();
        let frames = decoded.len() / width;
        let skipped = self.delay.min(frames);
        self.delay -= skipped;
        let decoded = &decoded[skipped * width..];
        let mut taken = 0;
        for (number, channel) in channels.iter_mut().enumerate() {
            let room = &mut channel[self.at..];
            taken = room.len().min(frames - skipped);
            for (out, sample) in room.iter_mut().zip(decoded.iter().skip(number).step_by(width)) {
                *out = *sample;
            }
        }
        self.at += taken;
    }
}
