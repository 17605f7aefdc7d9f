//! Parts of one length, one hop after the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::samples;
use super::{Part, Segment};
use crate::audio::{Hertz, Waveform, Words};
use crate::family::Member;
use crate::transform::SettingError;

/// Parts of one length, one hop after the other.
///
/// Part `k` begins at `k * hop_s`; both lengths are rounded to whole samples. They overlap where the hop is shorter than
/// the part, and leave gaps where it is longer. The `remainder` is the sound from the next hop on, where it is not heard in
/// the last whole part already; of an utterance that is shorter than a part it is all. The transcript is lost where anything is cut.
/// As lhotse's `CutSet.cut_into_windows`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The length of a part in seconds, 0.001 to 86400 (to 300 with `remainder: pad`).
    pub length_s: f64,
    /// The time from one start to the next in seconds, 0.0036 (a million parts an hour) to 86400; as long as a part.
    #[serde(default)]
    pub hop_s: Option<f64>,
    /// What becomes of the shorter part at the end; `keep`.
    #[serde(default)]
    pub remainder: Remainder,
}

/// What becomes of the last part, which is shorter than the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// It is a part.
    #[default]
    Keep,
    /// It is left out.
    Drop,
    /// It is a part that silence makes as long as the others.
    Pad,
}

impl Member for Window {
    const EXAMPLE: &'static str = "window: { length_s: 10, hop_s: 5, remainder: drop }";
    const PEERS: &'static [&'static str] = &["lhotse.CutSet.cut_into_windows"];
}

impl Segment for Window {
    fn check(&self, rate: Option<Hertz>) -> Result<(), SettingError> {
        // What is padded lies in memory.
        let longest = if self.remainder == Remainder::Pad { 300.0 } else { 86_400.0 };
        SettingError::unless_within("length_s", self.length_s, 0.001, longest)?;
        let (key, hop_s) = self.hop_s.map_or(("length_s", self.length_s), |hop_s| ("hop_s", hop_s));
        SettingError::unless_within(key, hop_s, 0.003_6, 86_400.0)?;
        match rate {
            Some(rate) if samples(hop_s, rate) == 0 => Err(SettingError::NoHop { key, rate }),
            _ => Ok(()),
        }
    }

    fn parts(&self, sound: &Waveform) -> Vec<Part> {
        let (len, rate) = (sound.num_samples(), sound.sample_rate);
        let length = samples(self.length_s, rate).max(1);
        let hop = samples(self.hop_s.unwrap_or(self.length_s), rate).max(1);
        let part = |start: usize, end: usize, silence: usize| {
            let words = if end - start == len { Words::Kept } else { Words::Lost };
            Part { samples: start..end, silence, words }
        };
        let count = len.checked_sub(length).map_or(0, |rest| rest / hop + 1);
        let mut parts: Vec<Part> = (0..count).map(|k| part(k * hop, k * hop + length, 0)).collect();

        let heard = parts.last().map_or(0, |last| last.samples.end);
        let next = count * hop;
        if heard < len && next < len {
            match self.remainder {
                Remainder::Keep => parts.push(part(next, len, 0)),
                Remainder::Pad => parts.push(part(next, len, length - (len - next))),
                Remainder::Drop => {}
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of ten samples at 10 Hz, with the silence behind them.
    fn parts(length_s: f64, hop_s: Option<f64>, remainder: Remainder) -> Vec<(std::ops::Range<usize>, usize)> {
        let sound = Waveform { sample_rate: Hertz::new(10).unwrap(), channels: vec![vec![0.5; 10]; 2] };
        let parts = Window { length_s, hop_s, remainder }.parts(&sound);
        for part in &parts {
            assert_eq!(part.words == Words::Kept, part.samples == (0..10));
        }
        parts.into_iter().map(|part| (part.samples, part.silence)).collect()
    }

    #[test]
    fn parts_follow_each_other_and_the_remainder_is_kept_dropped_or_padded() {
        assert_eq!(parts(0.4, None, Remainder::Keep), [(0..4, 0), (4..8, 0), (8..10, 0)]);
        assert_eq!(parts(0.4, None, Remainder::Drop), [(0..4, 0), (4..8, 0)]);
        assert_eq!(parts(0.4, None, Remainder::Pad), [(0..4, 0), (4..8, 0), (8..10, 2)]);
        assert_eq!(parts(0.5, None, Remainder::Pad), [(0..5, 0), (5..10, 0)]);
    }

    #[test]
    fn parts_overlap_or_leave_gaps() {
        assert_eq!(parts(0.4, Some(0.2), Remainder::Keep), [(0..4, 0), (2..6, 0), (4..8, 0), (6..10, 0)]);
        assert_eq!(parts(0.4, Some(0.5), Remainder::Keep), [(0..4, 0), (5..9, 0)]);
        assert_eq!(parts(0.4, Some(0.4), Remainder::Keep).last(), Some(&(8..10, 0)));
        assert_eq!(parts(0.4, Some(0.25), Remainder::Keep), [(0..4, 0), (3..7, 0), (6..10, 0)]);
        assert_eq!(parts(0.5, Some(0.3), Remainder::Pad), [(0..5, 0), (3..8, 0), (6..10, 1)]);
    }

    #[test]
    fn a_short_utterance_is_a_remainder_with_its_words() {
        assert_eq!(parts(3.0, None, Remainder::Keep), [(0..10, 0)]);
        assert_eq!(parts(3.0, None, Remainder::Pad), [(0..10, 20)]);
        assert_eq!(parts(3.0, None, Remainder::Drop), []);
        assert_eq!(parts(1.0, None, Remainder::Drop), [(0..10, 0)]);
    }

    #[test]
    fn hops_of_nothing_and_endless_parts_are_refused() {
        let window = |length_s, hop_s, remainder| Window { length_s, hop_s, remainder }.check(Hertz::new(16_000));
        assert!(window(1.0, Some(0.003), Remainder::Keep).is_err());
        assert!(window(0.001, None, Remainder::Keep).is_err());
        assert!(window(f64::NAN, None, Remainder::Keep).is_err());
        assert!(window(301.0, None, Remainder::Pad).is_err());
        assert!(window(0.025, Some(0.01), Remainder::Pad).is_ok());
        assert!(Window { length_s: 0.01, hop_s: None, remainder: Remainder::Keep }.check(Hertz::new(10)).is_err());
    }
}
