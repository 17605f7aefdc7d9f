//! Spans of sound made parts: short gaps closed, short spans left out, margins added, long ones cut.

use std::ops::Range;

use super::Part;
use super::contract::samples;
use crate::audio::{Hertz, Words};
use crate::transform::SettingError;

/// How spans of sound become parts; in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the unit ends the name, as in the settings")]
pub(super) struct Spans {
    /// Gaps that are shorter are closed.
    pub(super) min_silence_s: f64,
    /// Spans that are shorter, gaps closed, are left out.
    pub(super) min_length_s: f64,
    /// What is added to both sides of a span, up to half of the gap.
    pub(super) pad_s: f64,
    /// Spans that are longer are cut where they are quietest.
    pub(super) max_length_s: Option<f64>,
}

/// The level at places of the sound: number `k` is that around the sample `offset + k * hop`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels<'a> {
    pub(super) of_places: &'a [f64],
    pub(super) offset: usize,
    pub(super) hop: usize,
}

impl Spans {
    pub(super) fn check(&self) -> Result<(), SettingError> {
        SettingError::unless_within("min_silence_s", self.min_silence_s, 0.0, 3_600.0)?;
        SettingError::unless_within("min_length_s", self.min_length_s, 0.0, 3_600.0)?;
        SettingError::unless_within("pad_s", self.pad_s, 0.0, 60.0)?;
        if let Some(max_length_s) = self.max_length_s {
            SettingError::unless_within("max_length_s", max_length_s, 0.1, 86_400.0)?;
            if 2.0 * self.min_length_s > max_length_s {
                return Err(SettingError::DoesNotFit {
                    key: "max_length_s",
                    reason: "it is less than twice `min_length_s`: what is cut could be too short",
                });
            }
        }
        Ok(())
    }

    /// The parts that `spans` of `num_samples` samples make; spans are in order, apart and not empty. The words are kept where
    /// there is one span, gaps closed, and it is one part.
    pub(super) fn parts(
        &self,
        spans: &[Range<usize>],
        levels: Levels<'_>,
        num_samples: usize,
        rate: Hertz,
    ) -> Vec<Part> {
        let mut joined: Vec<Range<usize>> = Vec::new();
        let gap = samples(self.min_silence_s, rate);
        for span in spans {
            match joined.last_mut() {
                Some(last) if span.start - last.end < gap => last.end = span.end,
                _ => joined.push(span.clone()),
            }
        }
        let alone = joined.len() == 1;
        let shortest = samples(self.min_length_s, rate);
        joined.retain(|span| span.len() >= shortest);

        let pad = samples(self.pad_s, rate);
        let mut cut = Vec::new();
        for (index, span) in joined.iter().enumerate() {
            // In the middle of a gap that is too short for both margins they meet.
            let least = index.checked_sub(1).map_or(0, |before| middle(joined[before].end, span.start));
            let most = joined.get(index + 1).map_or(num_samples, |next| middle(span.end, next.start));
            let padded = span.start.saturating_sub(pad).max(least)..(span.end + pad).min(most);
            match self.max_length_s {
                Some(longest) => levels.cut(padded, samples(longest, rate).max(2), shortest, &mut cut),
                None => cut.push(padded),
            }
        }
        let words = if alone && cut.len() == 1 { Words::Kept } else { Words::Lost };
        cut.into_iter().map(|samples| Part { samples, silence: 0, words }).collect()
    }
}

fn middle(start: usize, end: usize) -> usize {
    start + (end - start) / 2
}

impl Levels<'_> {
    /// Cuts a span that is longer than `longest` at the quietest place of the second half of that length, from the start on. What is
    /// left at its end is not shorter than `shortest`, which is half of `longest` at most.
    fn cut(self, mut span: Range<usize>, longest: usize, shortest: usize, parts: &mut Vec<Range<usize>>) {
        while span.len() > longest {
            let earliest = span.start + longest.div_ceil(2);
            let latest = (span.start + longest).min(span.end - shortest.min(longest / 2)).max(earliest);
            let place = self.quietest(earliest, latest);
            parts.push(span.start..place);
            span.start = place;
        }
        parts.push(span);
    }

    /// The sample of the lowest level from `earliest` to `latest`, the latest of several; `latest` where no level is known there.
    fn quietest(self, earliest: usize, latest: usize) -> usize {
        let first = earliest.saturating_sub(self.offset).div_ceil(self.hop);
        let places =
            self.of_places.iter().enumerate().skip(first).map(|(k, level)| (self.offset + k * self.hop, *level));
        let within = places.take_while(|(place, _)| *place <= latest);
        within.min_by(|(a, x), (b, y)| x.total_cmp(y).then(b.cmp(a))).map_or(latest, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Spans = Spans { min_silence_s: 0.0, min_length_s: 0.0, pad_s: 0.0, max_length_s: None };

    /// The parts of 100 samples at 10 Hz, whose level is the distance to sample 40.
    fn parts(settings: Spans, spans: &[Range<usize>]) -> (Vec<Range<usize>>, Vec<Words>) {
        settings.check().unwrap();
        let levels: Vec<f64> = (0..=100_i32).map(|place| f64::from((place - 40).abs())).collect();
        let levels = Levels { of_places: &levels, offset: 0, hop: 1 };
        let parts = settings.parts(spans, levels, 100, Hertz::new(10).unwrap());
        parts.into_iter().map(|part| (part.samples, part.words)).unzip()
    }

    #[test]
    fn short_gaps_are_closed_and_short_spans_left_out() {
        let spans = [5..20, 24..30, 35..37, 60..90];
        assert_eq!(parts(NONE, &spans).0, spans);
        assert_eq!(parts(Spans { min_silence_s: 0.5, ..NONE }, &spans).0, [5..30, 35..37, 60..90]);
        assert_eq!(parts(Spans { min_length_s: 0.6, ..NONE }, &spans).0, [5..20, 24..30, 60..90]);
        // Closed first, then measured.
        let both = Spans { min_silence_s: 0.6, min_length_s: 1.0, ..NONE };
        assert_eq!(parts(both, &[0..4, 9..15, 40..44]).0, std::slice::from_ref(&(0..15)));
    }

    #[test]
    fn margins_meet_in_the_middle_and_end_with_the_sound() {
        let padded = parts(Spans { pad_s: 1.0, ..NONE }, &[5..20, 27..40, 70..95]).0;
        assert_eq!(padded, [0..23, 23..50, 60..100]);
    }

    #[test]
    fn a_long_span_is_cut_where_it_is_quietest() {
        let cut = |max_length_s, min_length_s, span: Range<usize>| {
            parts(Spans { max_length_s: Some(max_length_s), min_length_s, ..NONE }, &[span]).0
        };
        assert_eq!(cut(6.0, 0.0, 0..60), std::slice::from_ref(&(0..60)));
        assert_eq!(cut(6.0, 0.0, 5..90), [5..40, 40..90]);
        assert_eq!(cut(3.0, 0.0, 0..61), [0..30, 30..45, 45..61]);
        // The last is one sample long unless it may not be.
        assert_eq!(cut(3.0, 0.0, 0..31), [0..30, 30..31]);
        assert_eq!(cut(3.0, 1.0, 0..31), [0..21, 21..31]);
    }

    #[test]
    fn words_are_kept_by_one_span_in_one_part() {
        assert_eq!(parts(NONE, std::slice::from_ref(&(10..50))).1, [Words::Kept]);
        assert_eq!(parts(Spans { min_silence_s: 1.0, ..NONE }, &[10..50, 55..70]).1, [Words::Kept]);
        assert_eq!(parts(NONE, &[10..50, 55..70]).1, [Words::Lost; 2]);
        assert_eq!(parts(Spans { min_length_s: 2.0, ..NONE }, &[10..50, 55..70]).1, [Words::Lost]);
        assert_eq!(
            parts(Spans { max_length_s: Some(2.1), ..NONE }, std::slice::from_ref(&(10..50))).1,
            [Words::Lost; 2]
        );
    }
}
