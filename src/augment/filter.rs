//! Recursive filters: a cascade of sections of second order over every channel of a clip, forwards or both ways.
//!
//! ```text
//! Filter         sections and buffers, reused from clip to clip
//!   cascade      all sections in one pass over the samples
//! Section        one section; from analog prototypes by the bilinear transform
//!   butterworth  low, high, band pass and band stop of any order
//!   cookbook     shelves and peaks
//! ```

pub(super) mod band;
mod butterworth;
mod cascade;
pub(super) mod cookbook;
pub(super) mod cutoff;
mod rolloff;
mod section;

use crate::audio::{Hertz, Waveform};

pub(super) use cookbook::Shape;
pub use rolloff::Phase;
pub(super) use section::Section;

/// The highest share of the Nyquist frequency that a filter is designed for. Above it the bilinear transform has no
/// frequencies; audiomentations' value.
const BELOW_NYQUIST: f64 = 0.9999;

/// `hertz`, or what a filter is designed for where the rate cannot carry so much.
pub(super) fn within(hertz: f64, rate: Hertz) -> f64 {
    hertz.min(rate.nyquist() * BELOW_NYQUIST)
}

/// A cascade of sections with its buffers.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// The sections, to be filled in before each clip.
    pub(super) sections: Vec<Section>,
    samples: Vec<f64>,
}

impl Filter {
    /// Filters every channel as if its first sample had lasted for ever before: a clip that does not begin at 0 does
    /// not begin with a jump.
    pub(super) fn run(&mut self, sound: &mut Waveform) {
        for channel in &mut sound.channels {
            self.samples.clear();
            self.samples.extend(channel.iter().map(|sample| f64::from(*sample)));
            cascade::run(&self.sections, &mut self.samples);
            write(&self.samples, channel);
        }
    }

    /// Filters every channel forwards and then backwards, which leaves no delay at any frequency and doubles the
    /// decibels: as `sosfiltfilt` of scipy. The clip is continued by a few samples at either end, turned about its end
    /// points (`2 x[0] - x[i]`).
    pub(super) fn run_both_ways(&mut self, sound: &mut Waveform) {
        let taps = 1 + self.sections.iter().map(Section::order).sum::<usize>();
        for channel in &mut sound.channels {
            let (Some(first), Some(last)) = (channel.first().copied(), channel.last().copied()) else { continue };
            let edge = (3 * taps).min(channel.len() - 1);
            let about = |end: f32, sample: f32| 2.0 * f64::from(end) - f64::from(sample);
            self.samples.clear();
            self.samples.extend(channel[1..=edge].iter().rev().map(|sample| about(first, *sample)));
            self.samples.extend(channel.iter().map(|sample| f64::from(*sample)));
            self.samples.extend(channel.iter().rev().skip(1).take(edge).map(|sample| about(last, *sample)));
            cascade::run(&self.sections, &mut self.samples);
            self.samples.reverse();
            cascade::run(&self.sections, &mut self.samples);
            self.samples.reverse();
            write(&self.samples[edge..], channel);
        }
    }
}

fn write(filtered: &[f64], channel: &mut [f32]) {
    for (sample, filtered) in channel.iter_mut().zip(filtered) {
        *sample = *filtered as f32;
    }
}

#[cfg(test)]
pub(super) mod tests;
