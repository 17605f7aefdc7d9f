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

    /// The parts of `sound` that are kept, in the order of their starts; none is empty. All channels are cut alike.
    fn parts(&self, sound: &Waveform) -> Vec<Part>;
}

/// A part of a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its samples, from the start of the sound; they lie within it.
    pub samples: Range<usize>,
    /// The samples of silence that follow them.
    pub silence: usize,
    /// Whether it still holds all words of the whole, in the order spoken.
    pub words: Words,
}

impl Part {
    /// All of a sound.
    #[must_use]
    pub fn whole(sound: &Waveform) -> Self {
        Self { samples: 0..sound.num_samples(), silence: 0, words: Words::Kept }
    }

    /// Its length in samples, with the silence.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.samples.len() + self.silence
    }

    /// A part of this part, as a part of the sound; none where only silence is left.
    fn within(&self, inner: &Self) -> Option<Self> {
        let at = |sample: usize| self.samples.start + sample.min(self.samples.len());
        let samples = at(inner.samples.start)..at(inner.samples.end);
        let silence = inner.num_samples() - samples.len();
        let words = if self.words == Words::Kept { inner.words } else { Words::Lost };
        (!samples.is_empty()).then_some(Self { samples, silence, words })
    }
}

/// The parts of `sound` that are left by all of `rows`, one after the other; all of it where there is no row. None if they
/// have together more than `most` samples a channel: parts that overlap are more than the sound.
#[must_use]
pub fn cut(rows: &[Segments], sound: &Waveform, most: usize) -> Option<Vec<Part>> {
    if sound.num_samples() == 0 {
        return Some(Vec::new());
    }
    let mut parts = vec![Part::whole(sound)];
    for row in rows {
        let (mut next, mut samples) = (Vec::new(), 0_usize);
        for part in parts {
            // The first row has all of the sound before it, which needs no copy.
            let inner = if part == Part::whole(sound) {
                row.member().parts(sound)
            } else {
                row.member().parts(&take(sound, &part))
            };
            for inner in inner.iter().filter_map(|inner| part.within(inner)) {
                samples = samples.saturating_add(inner.num_samples());
                if samples > most {
                    return None;
                }
                next.push(inner);
            }
        }
        parts = next;
    }
    Some(parts)
}

/// One part of a sound, a copy of it.
#[must_use]
pub fn take(sound: &Waveform, part: &Part) -> Waveform {
    let taken = |channel: &Vec<f32>| {
        let mut samples = Vec::with_capacity(part.num_samples());
        samples.extend_from_slice(channel.get(part.samples.clone()).unwrap_or_default());
        samples.resize(part.num_samples(), 0.0);
        samples
    };
    Waveform { sample_rate: sound.sample_rate, channels: sound.channels.iter().map(taken).collect() }
}

/// The nearest number of samples to so many seconds.
pub(super) fn samples(seconds: f64, rate: Hertz) -> usize {
    (seconds * f64::from(rate.get())).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(yaml: &str) -> Vec<Segments> {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn ten() -> Waveform {
        Waveform { sample_rate: Hertz::new(10).unwrap(), channels: vec![(1..=10).map(|i| i as f32).collect()] }
    }

    #[test]
    fn rows_cut_one_after_the_other() {
        let parts =
            cut(&rows("[window: { length_s: 0.5 }, window: { length_s: 0.2, remainder: drop }]"), &ten(), usize::MAX)
                .unwrap();
        let samples: Vec<_> = parts.iter().map(|part| part.samples.clone()).collect();
        assert_eq!(samples, [0..2, 2..4, 5..7, 7..9]);
        assert!(parts.iter().all(|part| part.words == Words::Lost && part.silence == 0));
        assert_eq!(cut(&[], &ten(), usize::MAX).unwrap(), [Part::whole(&ten())]);
    }

    #[test]
    fn padding_is_silence_and_never_what_follows_in_the_sound() {
        let rows = rows("[window: { length_s: 0.5 }, window: { length_s: 0.3, remainder: pad }]");
        let parts: Vec<_> =
            cut(&rows, &ten(), usize::MAX).unwrap().iter().map(|part| take(&ten(), part).channels[0].clone()).collect();
        assert_eq!(parts, [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0], [6.0, 7.0, 8.0], [9.0, 10.0, 0.0]]);
    }

    #[test]
    fn what_is_padding_alone_is_no_part() {
        let rows = rows("[window: { length_s: 3, remainder: pad }, window: { length_s: 0.8 }]");
        let parts: Vec<_> =
            cut(&rows, &ten(), usize::MAX).unwrap().into_iter().map(|part| (part.samples, part.silence)).collect();
        assert_eq!(parts, [(0..8, 0), (8..10, 6)]);
    }

    #[test]
    fn no_sound_has_no_parts() {
        let none = Waveform { sample_rate: Hertz::new(10).unwrap(), channels: vec![Vec::new()] };
        assert!(cut(&rows("[window: { length_s: 1 }, vad: {}]"), &none, usize::MAX).unwrap().is_empty());
        assert!(cut(&[], &none, usize::MAX).unwrap().is_empty());
    }
}
