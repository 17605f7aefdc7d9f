//! What every way to cut an utterance promises: parts of its sound, in samples.

use std::ops::Range;

use crate::audio::{Hertz, Waveform, Words};
use crate::transform::SettingError;

use super::Segments;

/// The YAML side of a way to cut: settings, valid in themselves once read. It draws nothing: the parts are a function of the sound.
pub trait Segment {
    /// Checks what depends on the sample rate; none where each file keeps its own.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the rate, or another setting.
    fn check(&self, _rate: Option<Hertz>) -> Result<(), SettingError> {
        Ok(())
    }

    /// Appends the parts of `sound` that are kept, in samples from its start, in the order of their starts; none is empty. A
    /// part may end behind the sound: what is missing is silence. All channels are cut alike.
    fn parts(&self, sound: &Waveform, parts: &mut Vec<Range<usize>>);

    /// Whether a part still holds all words of the whole, in the order spoken.
    fn words(&self) -> Words;
}

/// The parts of `sound` that are left by all of `rows`, one after the other, in samples from the start of `sound`.
#[must_use]
pub fn cut(rows: &[Segments], sound: &Waveform) -> Vec<Range<usize>> {
    let mut parts = vec![0..sound.num_samples()];
    for row in rows {
        let mut next = Vec::new();
        for part in parts {
            let mut within = Vec::new();
            row.member().parts(&take(sound, &part), &mut within);
            next.extend(within.into_iter().map(|inner| part.start + inner.start..part.start + inner.end));
        }
        parts = next;
    }
    parts
}

/// One part of a sound, with silence where it goes on behind it.
#[must_use]
pub fn take(sound: &Waveform, part: &Range<usize>) -> Waveform {
    let taken = |channel: &Vec<f32>| {
        let end = part.end.min(channel.len());
        let mut samples = channel[part.start.min(end)..end].to_vec();
        samples.resize(part.len(), 0.0);
        samples
    };
    Waveform { sample_rate: sound.sample_rate, channels: sound.channels.iter().map(taken).collect() }
}
