//! How a column is made: an extractor, then transforms.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{Extractors, Features, ModuleError, Torchscript};
use crate::audio::{Hertz, Waveform};
use crate::seed::Draws;
use crate::transform::{AtLoadError, Column, Extract, ExtractError, Finite, Link, SettingError, Transforms, chain};
use crate::variables::Variables;

/// The rows of a column: an extractor, then transforms in the order in which they follow.
///
/// ```
/// use wavemill::featurize::Recipe;
///
/// let clip = wavemill::load("fixtures/corpus/alba-01.flac".as_ref())?;
/// let recipe: Recipe = serde_json::from_str(r#"[{"kaldi_fbank": {"num_mel_bins": 80}}, {"deltas": {"order": 1}}]"#)?;
/// let features = recipe.extract(&clip)?;
/// assert_eq!(features.bins, 160);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What makes frames of the sound.
    pub extractor: Extractors,
    /// What is made of the frames.
    pub transforms: Vec<Transforms>,
}

/// What does not fit, and which row it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct RowError {
    /// The row: 0 for the extractor, 1 and up for the transforms.
    pub row: usize,
    /// What is wrong with it.
    pub error: SettingError,
}

impl Recipe {
    /// What the column holds of sound at `rate`; of none where each file keeps its own.
    ///
    /// # Errors
    ///
    /// A row does not fit the rate, or the row before it.
    pub fn column(&self, rate: Option<Hertz>) -> Result<Column, RowError> {
        let first = self.extractor.member().column(rate).map_err(|error| RowError { row: 0, error })?;
        let mut column = first;
        let mut stored = true;
        for (row, transform) in self.rows() {
            let after = transform.member().column(&column).map_err(|error| RowError { row, error })?;
            if !stored {
                return Err(RowError { row, error: SettingError::AfterLoad });
            }
            match transform.member().at_load() {
                Some(_) => stored = false,
                None => column = after,
            }
        }
        Ok(column)
    }

    /// What is left to do when the dataset is loaded: the rows, by the name of the transform, each with all that it needs.
    ///
    /// # Errors
    ///
    /// A file that a row names cannot be used, or a row does not fit.
    pub fn at_load(&self, rate: Option<Hertz>, variables: &Variables) -> Result<Vec<Value>, AtLoadError> {
        let Ok(column) = self.column(rate) else { return Ok(Vec::new()) };
        let rows = self.transforms.iter().filter_map(|row| Some((row.name(), row.member().at_load()?)));
        rows.map(|(name, row)| Ok(json!({ name: row.settings(&column, variables)? }))).collect()
    }

    /// How many frames `num_samples` samples at `rate` give.
    #[must_use]
    pub fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        let first = self.extractor.member().num_frames(num_samples, rate);
        // Without frames the utterance is a reject, whatever would be made of none.
        self.stored().fold(first, |frames, (_, row)| if frames == 0 { 0 } else { row.member().num_frames(frames) })
    }

    /// The column made ready for sound at `rate`: all rows as one. `path` is its place in the pipeline file, `featurize.name`.
    ///
    /// # Errors
    ///
    /// A row does not fit the rate, or the row before it.
    pub fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, RowError> {
        self.column(Some(rate))?;
        let extractor = self.extractor.member();
        let first = extractor.prepare(rate, &format!("{path}.0")).map_err(|error| RowError { row: 0, error })?;
        self.prepare_from(first, rate, path)
    }

    /// The rows after the extractor made ready for its frames of sound at `rate`, as one.
    ///
    /// # Errors
    ///
    /// A row does not fit the rate, or the row before it.
    pub fn prepare_transforms(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, RowError> {
        self.column(Some(rate))?;
        self.prepare_from(Box::new(HandOn), rate, path)
    }

    /// What makes frames as the extractor does, and the rows after it.
    fn prepare_from(&self, first: Box<dyn Extract>, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, RowError> {
        let wrong = |row| move |error| RowError { row, error };
        let mut column = self.extractor.member().column(Some(rate)).map_err(wrong(0))?;
        let first = Link::new(first, column.bins.unwrap_or(1));
        let mut further = Vec::new();
        for (row, transform) in self.stored() {
            let transform = transform.member();
            let at_work = transform.prepare(&column, &format!("{path}.{row}")).map_err(wrong(row))?;
            column = transform.column(&column).map_err(wrong(row))?;
            further.push(Link::new(at_work, column.bins.unwrap_or(1)));
        }
        if further.is_empty() {
            return Ok(chain(first, further)); // an extractor watches over itself
        }
        Ok(Box::new(Finite::new(chain(first, further), column.bins.unwrap_or(1))))
    }

    /// The extractor, if it takes the sound of several utterances at once.
    #[must_use]
    pub const fn batched(&self) -> Option<&Torchscript> {
        match &self.extractor {
            Extractors::Torchscript(module) => Some(module),
            _ => None,
        }
    }

    /// Opens the module of the extractor, if it has one. Before that, such a recipe has no column.
    ///
    /// # Errors
    ///
    /// There is no such module, or it does not do what its row says.
    pub fn open(&mut self, variables: &Variables) -> Result<(), ModuleError> {
        match &mut self.extractor {
            Extractors::Torchscript(module) => module.open(variables),
            _ => Ok(()),
        }
    }

    /// The features of a clip: each channel by itself, nothing drawn at random but what seed 0 gives.
    ///
    /// # Errors
    ///
    /// A setting does not fit the clip's rate, or the clip has no valid feature.
    pub fn extract(&self, clip: &Waveform) -> Result<Features, ExtractError> {
        let fits = |RowError { error, .. }| ExtractError::Setting { setting: error };
        let column = self.column(Some(clip.sample_rate)).map_err(fits)?;
        let mut at_work = self.prepare(clip.sample_rate, "extract").map_err(fits)?;
        Features::of(clip, column.bins.unwrap_or(1), at_work.as_mut())
    }

    /// The name of row `row`.
    #[must_use]
    pub fn name(&self, row: usize) -> &'static str {
        match row.checked_sub(1) {
            None => self.extractor.name(),
            Some(transform) => self.transforms.get(transform).map_or("", Transforms::name),
        }
    }

    /// The transforms with the numbers of their rows.
    fn rows(&self) -> impl Iterator<Item = (usize, &Transforms)> {
        (1..).zip(&self.transforms)
    }

    /// The transforms that are done before the frames are stored.
    fn stored(&self) -> impl Iterator<Item = (usize, &Transforms)> {
        self.rows().filter(|(_, transform)| transform.member().at_load().is_none())
    }
}

/// Hands frames on as they are.
struct HandOn;

impl Extract for HandOn {
    fn begin(&mut self, _: Draws<'_>) {}

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        out.extend_from_slice(input);
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        Ok(())
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extractor.name())?;
        self.transforms.iter().try_for_each(|transform| write!(f, " ► {}", transform.name()))
    }
}

impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(1 + self.transforms.len()))?;
        rows.serialize_element(&self.extractor)?;
        for transform in &self.transforms {
            rows.serialize_element(transform)?;
        }
        rows.end()
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Rows)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = Recipe;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of an extractor and transforms")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Recipe, A::Error> {
        let Some(extractor) = rows.next_element()? else { return Err(A::Error::custom("a column needs an extractor")) };
        let mut transforms = Vec::new();
        while let Some(transform) = rows.next_element()? {
            transforms.push(transform);
        }
        Ok(Recipe { extractor, transforms })
    }
}

impl JsonSchema for Recipe {
    fn schema_name() -> Cow<'static, str> {
        "Recipe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (first, further) = (generator.subschema_for::<Extractors>(), generator.subschema_for::<Transforms>());
        json_schema!({ "type": "array", "prefixItems": [first], "items": further, "minItems": 1 })
    }
}
