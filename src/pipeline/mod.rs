//! What a pipeline file may say: each top-level key is a folder of `src/`, each row under it a file there.
//!
//! Architecture invariant: a [`Pipeline`] is valid once read. What can be known without the corpus is checked here, with
//! the place in the file; nothing later complains about the file.

mod lint;
mod mistake;
mod read;
mod tree;

use std::ops::RangeInclusive;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audio::Hertz;
use crate::augment::{Augmentation, Augments};
use crate::corpus::{Corpus, Deduplicate, Kind};
use crate::encode::Encode;
use crate::family::{Entry, Family};
use crate::featurize::{ColumnRows, Extractors, ModuleError, Recipe};
use crate::load::{Channels, Load, Quality, QualityColumns};
use crate::resample::Resample;
use crate::segment::Segments;
use crate::transform::Transforms;
use crate::variables::{Template, Variables};
use crate::write::{
    AudioColumn, CellChannels, FeatureColumn, Format, NUM_CHANNELS, Number, RowSchema, SoundColumn, Write,
};

pub use mistake::{Mistake, Mistakes};
pub use read::{ReadError, read};

/// A pipeline file: from which corpus, through which stages, into which shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The version of the pipeline language: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// A name for the dataset, kept in its manifest.
    #[serde(default = "unnamed")]
    pub name: String,
    /// The seed of every random draw.
    #[serde(default)]
    pub seed: u64,
    /// Where the utterances come from.
    pub corpus: Corpus,
    /// Which of them to take: a polars SQL condition over the corpus table, such as `duration_s BETWEEN 1 AND 30`.
    #[serde(default)]
    pub select: Option<Template>,
    /// Utterances to leave out: files with an id a line.
    #[serde(default)]
    pub exclude: Vec<Template>,
    /// What makes an utterance a duplicate of one before it in the corpus: `audio` compares recordings byte by byte. A
    /// duplicate is a reject, `duplicate`, that names the other, and that `load.max_reject_fraction` does not count.
    #[serde(default)]
    pub deduplicate: Deduplicate,
    /// How files are decoded, and what becomes of those that cannot be.
    #[serde(default)]
    pub load: Load,
    /// Which utterances become rows, once they are loaded: a polars SQL condition over the corpus table and what was
    /// measured of the sound, such as `snr_db > 10 AND clipped_fraction < 0.01`. It is true or not of a row by itself; an
    /// utterance of which it is not true is a reject, `not_kept`, that `load.max_reject_fraction` does not count.
    #[serde(default)]
    pub keep_if: Option<Template>,
    /// The sample rate of all that follows. Without it each file keeps its own.
    #[serde(default)]
    pub resample: Option<Resample>,
    /// Which parts of an utterance become rows, one row after the other; without it the whole.
    #[serde(default)]
    pub segment: Vec<Segments>,
    /// Variants of each utterance, and what is done to their sound.
    #[serde(default)]
    pub augment: Option<Augmentation>,
    /// The columns of the dataset: each a name with its extractor and transforms, or with `encode` for the sound itself.
    ///
    /// Only where the corpus is a dataset (`wavemill`) may it be left out: its rows go on as they are.
    #[serde(default)]
    #[schemars(extend("minProperties" = 1))]
    pub featurize: IndexMap<String, ColumnRows>,
    /// The format of the shards, and the parts of the dataset.
    #[serde(default)]
    pub write: Write,
}

fn unnamed() -> String {
    "dataset".to_owned()
}

impl Pipeline {
    /// Every family of members that a pipeline file may name.
    pub const FAMILIES: [Family; 6] =
        [Corpus::FAMILY, Segments::FAMILY, Augments::FAMILY, Extractors::FAMILY, Transforms::FAMILY, Format::FAMILY];

    /// The stages that are no families: every utterance passes them the one way that they are set.
    pub const STAGES: Family = Family {
        name: "stages",
        summary: "Stages beside the families: how sound is read, how many variants there are of it, and how it is kept",
        entries: &[
            Entry::of::<Load>("load"),
            Entry::of::<Resample>("resample"),
            Entry::of::<Augmentation>("augment"),
            Entry::of::<Encode>("encode"),
        ],
    };

    /// The file with all defaults filled in; `${…}` stay as written.
    #[must_use]
    pub fn resolved(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|error| unreachable!("a pipeline is plain data: {error}"))
    }

    /// The hash of the resolved file: 64 hexadecimal digits of BLAKE3.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.resolved().to_string().as_bytes()).to_hex().to_string()
    }

    /// The JSON Schema of the pipeline file (draft 2020-12), for editors and for the checks of this module.
    #[must_use]
    pub fn schema() -> Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        settings.into_generator().into_root_schema_for::<Self>()
    }

    /// The feature columns with what makes them, in the order of the file.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Recipe)> {
        self.featurize.iter().filter_map(|(name, rows)| match rows {
            ColumnRows::Features(recipe) => Some((name.as_str(), recipe)),
            ColumnRows::Audio(_) => None,
        })
    }

    /// Opens the modules of the columns that have one, and gives for each that cannot be used the reason. What was opened
    /// before stays so.
    pub fn open_modules(&mut self, variables: &Variables) -> Vec<(String, ModuleError)> {
        let recipes = self.featurize.iter_mut().filter_map(|(name, rows)| match rows {
            ColumnRows::Features(recipe) => Some((name, recipe)),
            ColumnRows::Audio(_) => None,
        });
        recipes.filter_map(|(name, recipe)| Some((name.clone(), recipe.open(variables).err()?))).collect()
    }

    /// Whether a column is made by a module, which takes the sound of several utterances at once.
    #[must_use]
    pub fn has_modules(&self) -> bool {
        self.columns().any(|(_, recipe)| recipe.batched().is_some())
    }

    /// The columns of encoded sound, in the order of the file.
    pub fn audio(&self) -> impl Iterator<Item = (&str, &Encode)> {
        self.featurize.iter().filter_map(|(name, rows)| match rows {
            ColumnRows::Features(_) => None,
            ColumnRows::Audio(encode) => Some((name.as_str(), encode)),
        })
    }

    /// The sample rate of all that follows `resample`, where the pipeline has that.
    #[must_use]
    pub fn rate(&self) -> Option<Hertz> {
        self.resample.as_ref().map(|resample| resample.rate_hz)
    }

    /// The columns as the rows will hold them: what the extractors leave open, the format decides.
    #[must_use]
    pub fn feature_columns(&self) -> Vec<FeatureColumn> {
        let decide = |(name, recipe): (&str, &Recipe)| {
            let column = recipe.column(self.rate());
            let column = column.unwrap_or_else(|_| unreachable!("a pipeline that is read has columns that fit"));
            let dtype = column.dtype.unwrap_or(self.write.member().dtype());
            let channels = match self.load.channels {
                Channels::Keep => CellChannels::All,
                _ => CellChannels::One,
            };
            FeatureColumn { name: name.to_owned(), bins: column.bins, dtype, unit: column.unit, channels }
        };
        self.columns().map(decide).collect()
    }

    /// The columns of the rows, beside what every row has; `extras` are the corpus's own.
    #[must_use]
    pub fn row_schema(&self, extras: Vec<(String, Kind)>) -> RowSchema {
        let audio = self
            .audio()
            .map(|(name, encode)| AudioColumn { name: name.to_owned(), codec: encode.codec.name().to_owned() });
        RowSchema { extras, sound: self.sound_columns(), features: self.feature_columns(), audio: audio.collect() }
    }

    /// The numbers of each utterance's variants, 0 for the utterance as it was.
    #[must_use]
    pub fn copies(&self) -> RangeInclusive<u32> {
        self.augment.as_ref().map_or(0..=0, Augmentation::numbers)
    }

    /// How many rows each utterance is planned as: itself, its copies, or both.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.copies().count()
    }

    /// What `keep_if` can read of the sound as it was decoded, beside the corpus's columns: each with its type.
    #[must_use]
    pub fn measures(&self) -> Vec<(&'static str, Kind)> {
        let mut measures =
            vec![("duration_s", Kind::Float64), ("num_samples", Kind::Int64), ("sample_rate", Kind::Int64)];
        if self.load.channels == Channels::Keep {
            measures.push((NUM_CHANNELS, Kind::Int64));
        }
        measures.extend(Quality::COLUMNS.map(|(name, _)| (name, Kind::Float64)));
        measures
    }

    /// The columns of what is found in the sound.
    #[must_use]
    pub fn sound_columns(&self) -> Vec<SoundColumn> {
        let column = |name: &str, number, unit: Option<&str>| SoundColumn {
            name: name.to_owned(),
            number,
            unit: unit.map(str::to_owned),
        };
        let mut columns = Vec::new();
        if self.load.channels == Channels::Keep {
            columns.push(column(NUM_CHANNELS, Number::Int32, None));
        }
        if !self.segment.is_empty() {
            columns.push(column("segment", Number::Int32, None));
            columns.push(column("segment_start_s", Number::Float64, Some("s")));
        }
        if self.load.quality == QualityColumns::Columns {
            columns.extend(Quality::COLUMNS.map(|(name, unit)| column(name, Number::Float64, unit)));
        }
        columns
    }
}
