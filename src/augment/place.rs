//! Places in a clip: where something is cut, at which end something is added, and what it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Draw;
use crate::audio::{Hertz, Range};
use crate::transform::SettingError;

/// Where in a clip something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// Anywhere, each place equally likely.
    #[default]
    Random,
    /// At its start.
    Start,
    /// At its end.
    End,
}

impl Location {
    /// The start of a part of `len` of `num_samples` samples; `len` is at most `num_samples`. A number is drawn in any case.
    pub(super) fn start(self, num_samples: usize, len: usize, draw: &mut Draw<'_>) -> usize {
        let rest = num_samples - len;
        let random = draw.index(rest + 1);
        match self {
            Self::Random => random,
            Self::Start => 0,
            Self::End => rest,
        }
    }
}

/// At which end of a clip samples are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Before it.
    Start,
    /// After it.
    #[default]
    End,
    /// Half before it and half after it; an odd sample after it.
    Both,
    /// Any number before it, each equally likely, and the rest after it.
    Random,
}

impl Side {
    /// How many of `len` samples are added before the clip. A number is drawn in any case.
    pub(super) fn before(self, len: usize, draw: &mut Draw<'_>) -> usize {
        let random = draw.index(len + 1);
        match self {
            Self::Start => len,
            Self::End => 0,
            Self::Both => len / 2,
            Self::Random => random,
        }
    }
}

/// What is added to a clip that becomes longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filling {
    /// Zeros.
    #[default]
    Silence,
    /// The clip again and again.
    Wrap,
    /// The clip backwards and forwards; its last sample is not doubled (`reflect` of NumPy).
    Reflect,
}

impl Filling {
    /// Adds `before` and `after` samples to a channel, which has one at least.
    pub(super) fn extend(self, channel: &mut Vec<f32>, before: usize, after: usize) {
        let len = channel.len();
        channel.resize(len + before + after, 0.0);
        channel.copy_within(..len, before);
        let (front, rest) = channel.split_at_mut(before);
        let (clip, back) = rest.split_at_mut(len);
        // The period of the endless sound that the clip is a part of.
        let period = match self {
            Self::Silence => {
                front.fill(0.0);
                return;
            }
            Self::Wrap => len,
            Self::Reflect => (2 * len - 2).max(1),
        };
        let at = |place: usize| if place < len { clip[place] } else { clip[period - place] };
        let mut place = 0;
        for sample in front.iter_mut().rev() {
            place = if place == 0 { period - 1 } else { place - 1 };
            *sample = at(place);
        }
        place = len % period;
        for sample in back {
            *sample = at(place);
            place += 1;
            if place == period {
                place = 0;
            }
        }
    }
}

/// What becomes of a clip's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// It stays.
    Keep,
    /// It changes by what is added or removed.
    Change,
}

/// A length that is drawn as a share of the clip or in seconds, at most one of which is given.
pub(super) struct Amount<'a> {
    /// The share of the clip, and its key.
    pub(super) part: (&'static str, Option<&'a Range>),
    /// The time, its key, and how many of its units are a second.
    pub(super) time: (&'static str, Option<&'a Range>, f64),
    /// The share where neither is given.
    pub(super) default: [f64; 2],
}

impl Amount<'_> {
    /// Checks that one of the two is given at most, between `low` and 1 of the clip, or `low_s` and `high_s` seconds.
    pub(super) fn check(&self, low: f64, low_s: f64, high_s: f64) -> Result<(), SettingError> {
        let ((part_key, part), (time_key, time, units)) = (self.part, self.time);
        if let Some(part) = part {
            SettingError::unless_all_within(part_key, part, low, 1.0)?;
        }
        if let Some(time) = time {
            SettingError::unless_all_within(time_key, time, low_s * units, high_s * units)?;
            if part.is_some() {
                return Err(SettingError::DoesNotFit {
                    key: time_key,
                    reason: "it is given as a share of the clip too: leave one away",
                });
            }
        }
        Ok(())
    }

    /// The amount in samples, drawn and recorded.
    pub(super) fn draw(&self, num_samples: usize, rate: Hertz, draw: &mut Draw<'_>) -> f64 {
        let (key, value, samples) = self.drawn(num_samples, rate, draw);
        draw.note(key, value);
        samples
    }

    /// The amount in samples, drawn and not recorded: of what there may be several of.
    pub(super) fn draw_silently(&self, num_samples: usize, rate: Hertz, draw: &mut Draw<'_>) -> f64 {
        self.drawn(num_samples, rate, draw).2
    }

    /// What is drawn, its key, and how many samples it stands for.
    fn drawn(&self, num_samples: usize, rate: Hertz, draw: &mut Draw<'_>) -> (&'static str, f64, f64) {
        let unit = draw.unit();
        if let (key, Some(time), units) = self.time {
            let value = time.at(unit);
            (key, value, (value / units * f64::from(rate.get())).round())
        } else {
            let default = Range::Uniform(self.default);
            let value = self.part.1.unwrap_or(&default).at(unit);
            (self.part.0, value, (value * num_samples as f64).round())
        }
    }
}

/// A whole number of `range`, each as likely as another, drawn and not recorded.
pub(super) fn whole(range: &Range, draw: &mut Draw<'_>) -> usize {
    let unit = draw.unit();
    match range {
        // Each whole number has an equal share of the range with one more at its end.
        Range::Uniform([low, high]) => (low + (high - low + 1.0) * unit).floor().min(*high) as usize,
        range => range.at(unit) as usize,
    }
}

/// Checks that all values of `range` are whole numbers between `low` and `high`.
pub(super) fn unless_whole(key: &'static str, range: &Range, low: f64, high: f64) -> Result<(), SettingError> {
    SettingError::unless_all_within(key, range, low, high)?;
    if range.values().iter().any(|value| value.fract() != 0.0) {
        return Err(SettingError::DoesNotFit { key, reason: "it counts, and has a fraction" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(clip: &[f32], filling: Filling, before: usize, after: usize) -> Vec<f32> {
        let mut channel = clip.to_vec();
        filling.extend(&mut channel, before, after);
        channel
    }

    #[test]
    fn what_is_added_is_what_numpy_pads() {
        let clip = [1.0, 2.0, 3.0];
        assert_eq!(extended(&clip, Filling::Silence, 1, 2), [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(extended(&clip, Filling::Wrap, 4, 4), [3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
        let reflected = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0];
        assert_eq!(extended(&clip, Filling::Reflect, 4, 5), reflected);
        assert_eq!(extended(&[7.0], Filling::Reflect, 1, 2), [7.0; 4]);
        assert_eq!(extended(&[7.0], Filling::Wrap, 1, 2), [7.0; 4]);
        assert_eq!(extended(&[7.0, 8.0], Filling::Reflect, 2, 2), [7.0, 8.0, 7.0, 8.0, 7.0, 8.0]);
    }
}
