//! What is drawn for one clip at one place of the chain, and the record of it.

use serde_json::{Map, Value};

use super::AugmentError;
use super::bank::Bank;
use crate::audio::{Range, Words};
use crate::isolation::isolated;
use crate::load::LoadError;
use crate::seed::{Draws, Generator};

/// Draws an augmentation's parameters for one clip and keeps them: what is drawn by name stands in the row's `augmentation`
/// column. A function of seed, place in the pipeline file, utterance and copy.
pub struct Draw<'a> {
    who: Draws<'a>,
    path: &'a str,
    generator: Generator,
    record: Map<String, Value>,
    told: &'a mut Told,
}

/// What a chain tells of a clip beside its samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// What was applied, in order, each by its name with the parameters drawn: `[{"gain": {"gain_db": 3.5}}]`.
    pub applied: Vec<Value>,
    /// What became of the words that are spoken in the clip.
    pub words: Words,
    /// Recordings that were drawn and could not be used: their names, and why.
    pub unusable: Vec<(String, String)>,
}

impl<'a> Draw<'a> {
    /// The draws of `who` at `path` of the pipeline file.
    pub(crate) fn new(who: Draws<'a>, path: &'a str, told: &'a mut Told) -> Self {
        Self { who, path, generator: who.stage(path), record: Map::new(), told }
    }

    /// A value of `range`, drawn and recorded under `key`.
    pub fn number(&mut self, key: &str, range: &Range) -> f64 {
        let value = range.at(self.unit());
        self.note(key, value);
        value
    }

    /// A value of `range` whose logarithm is uniform, drawn and recorded under `key`: of frequencies and other ratios. Both
    /// bounds are above zero.
    pub fn log_number(&mut self, key: &str, range: &Range) -> f64 {
        let unit = self.unit();
        let value = match range {
            Range::Uniform([low, high]) => (low * (high / low).powf(unit)).clamp(*low, *high),
            range => range.at(unit),
        };
        self.note(key, value);
        value
    }

    /// A value of `range` whose mel is uniform, drawn and recorded under `key`: of frequencies, as audiomentations draws them. The mel
    /// is O'Shaughnessy's (1987), `2595 · log10(1 + f / 700)`: nearly linear below 700 Hz, nearly logarithmic above. Both bounds
    /// are above zero.
    pub fn mel_number(&mut self, key: &str, range: &Range) -> f64 {
        let value = mel_at(range, self.unit());
        self.note(key, value);
        value
    }

    /// One of the multiples of `step` in `range`, each equally likely, drawn and recorded under `key`. Bounds and choices are multiples of
    /// it.
    pub fn multiple(&mut self, key: &str, range: &Range, step: f64) -> f64 {
        let unit = self.unit();
        let value = match range {
            Range::Uniform([low, high]) => {
                let steps = ((high - low) / step).round();
                low + step * (unit * (steps + 1.0)).floor().min(steps)
            }
            range => range.at(unit),
        };
        self.note(key, value);
        value
    }

    /// One of `0..len`, each equally likely, drawn and not recorded; `len` is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        ((self.unit() * len as f64) as usize).min(len - 1)
    }

    /// Uniform in [0, 1), drawn and not recorded.
    pub fn unit(&mut self) -> f64 {
        self.generator.unit()
    }

    /// The generator of these draws, for long streams that are not recorded.
    pub fn generator(&mut self) -> &mut Generator {
        &mut self.generator
    }

    /// The generator of what channel `channel` has of its own, such as noise; the same at each call.
    #[must_use]
    pub fn of_channel(&self, channel: usize) -> Generator {
        self.who.stage(&format!("{}.channel.{channel}", self.path))
    }

    /// Records something under `key`.
    pub fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.record.insert(key.to_owned(), value.into());
    }

    /// Says that the clip no longer holds the words of the utterance, whole and in order: its `text` becomes null.
    pub fn lose_words(&mut self) {
        self.told.words = Words::Lost;
    }

    /// The id of the utterance that draws.
    #[must_use]
    pub fn id(&self) -> &str {
        self.who.id
    }

    /// Draws one recording of `bank` and gives what `take` makes of it, with its number. One that cannot be used is told as a
    /// warning, and the next is drawn, up to [`Bank::TRIES`]. A draw depends on the recordings' ids and on nothing else of
    /// them: if one is added or removed, only the draws that take it change.
    ///
    /// # Errors
    ///
    /// None of those tried can be used, or the system cannot read.
    pub fn recording<T>(
        &mut self,
        bank: &Bank,
        take: impl FnMut(usize) -> Result<T, LoadError>,
    ) -> Result<(usize, T), AugmentError> {
        self.recording_of(bank, |_| true, take)
    }

    /// As [`recording`](Self::recording), of the recordings that are `wanted`.
    ///
    /// # Errors
    ///
    /// None is wanted, none of those tried can be used, or the system cannot read.
    pub fn recording_of<T>(
        &mut self,
        bank: &Bank,
        wanted: impl Fn(usize) -> bool,
        mut take: impl FnMut(usize) -> Result<T, LoadError>,
    ) -> Result<(usize, T), AugmentError> {
        let order = bank.order(self.generator.bits(), self.who.id, wanted);
        let tried = order.len();
        let mut last = AugmentError::NothingToDraw;
        for index in order {
            // A decoder that panics has a recording that cannot be used, as one that complains.
            let panicked = |_| Err(LoadError::UnsupportedFormat { feature: "its decoder panicked: please report it" });
            match isolated(|| take(index)).unwrap_or_else(panicked) {
                Ok(taken) => return Ok((index, taken)),
                Err(source) => {
                    if source.is_world() {
                        let audio = bank.location(index).to_string();
                        return Err(AugmentError::NoRecording { tried: 1, audio, source });
                    }
                    let audio = bank.name(index).to_owned();
                    self.told.unusable.push((audio.clone(), crate::error::chain(&source)));
                    last = AugmentError::NoRecording { tried, audio, source };
                }
            }
        }
        Err(last)
    }

    /// Ends the draws: the record.
    pub(crate) fn finish(self) -> Map<String, Value> {
        self.record
    }

    /// The draws of `path`, within the same clip.
    pub(crate) fn at<'b>(&'b mut self, path: &'b str) -> Draw<'b> {
        Draw::new(self.who, path, self.told)
    }

    /// Adds to what is told of the clip.
    pub(crate) fn applied(&mut self, name: &str, record: Map<String, Value>) {
        let entry = Map::from_iter([(name.to_owned(), Value::Object(record))]);
        self.told.applied.push(Value::Object(entry));
    }
}

/// The frequency of `range` that a draw of `unit`, uniform in [0, 1), stands for where the mel is uniform: see [`Draw::mel_number`].
pub(super) fn mel_at(range: &Range, unit: f64) -> f64 {
    let mel = |hertz: f64| 2_595.0 * (1.0 + hertz / 700.0).log10();
    match range {
        Range::Uniform([low, high]) => {
            let mel = mel(*low) + (mel(*high) - mel(*low)) * unit;
            (700.0 * (10_f64.powf(mel / 2_595.0) - 1.0)).clamp(*low, *high)
        }
        range => range.at(unit),
    }
}
