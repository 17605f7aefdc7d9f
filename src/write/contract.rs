//! What a shard format promises: rows in, one or several files out, the same bytes for the same rows; and rows back again.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use thiserror::Error;

use crate::audio::Hertz;
use crate::encode::AudioCodec;
use crate::manifest::{ColumnSchema, Dtype, FileEntry, ShardEntry};
use crate::value::{Kind, Value};

use super::{ShardFile, ShardName, ShardPlaces};

/// The columns that every row starts with; the corpus's further columns and the features follow.
pub const ROW_COLUMNS: [&str; 10] =
    ["key", "id", "copy", "text", "speaker", "language", "num_samples", "sample_rate", "duration_s", "augmentation"];

/// One column of what was found in the sound: single numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundColumn {
    /// The column's name.
    pub name: String,
    /// How the numbers are stored.
    pub number: Number,
    /// What they measure, where they measure something.
    pub unit: Option<String>,
}

/// How single numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Whole numbers of 32 bits.
    Int32,
    /// Double precision.
    Float64,
}

impl Number {
    /// The name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int32 => "int32",
            Self::Float64 => "float64",
        }
    }
}

/// How many channels of the sound a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellChannels {
    /// One: `[frames, bins]`.
    One,
    /// As many as the row's column [`NUM_CHANNELS`] says: `[channels, frames, bins]`.
    All,
}

/// The row column that counts the channels of cells that hold [`CellChannels::All`].
pub const NUM_CHANNELS: &str = "num_channels";

/// One feature column, its type decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureColumn {
    /// The column's name.
    pub name: String,
    /// Numbers a frame; none where a cell is one-dimensional.
    pub bins: Option<usize>,
    /// How the numbers are stored.
    pub dtype: Dtype,
    /// What the numbers measure.
    pub unit: String,
    /// How many channels a cell holds.
    pub channels: CellChannels,
}

impl FeatureColumn {
    /// The dimensions of a cell, −1 for the frames and for channels: `[-1, 80]`, `[-1]` or `[-1, -1, 80]`.
    #[must_use]
    pub fn shape(&self) -> Vec<i64> {
        let leading = match self.channels {
            CellChannels::One => 1,
            CellChannels::All => 2,
        };
        std::iter::repeat_n(-1, leading).chain(self.bins.map(|bins| bins as i64)).collect()
    }

    /// Bytes of one frame of one channel.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.bins.unwrap_or(1) * self.dtype.bytes()
    }

    /// The name of the column that counts the frames of each cell.
    #[must_use]
    pub fn frames_name(&self) -> String {
        format!("{}_frames", self.name)
    }

    /// Whether each cell has a scale of its own: a number is then its integer times the scale. Integers of 16 bits that hold
    /// samples, one-dimensional cells of amplitudes, have none: ±1 is ±32768.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        match self.dtype {
            Dtype::I8 => true,
            Dtype::I16 => self.unit != "amplitude" || self.bins.is_some(),
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => false,
        }
    }

    /// The name of the column with the scale of each cell, where cells have one.
    #[must_use]
    pub fn scale_name(&self) -> Option<String> {
        self.is_scaled().then(|| format!("{}_scale", self.name))
    }
}

/// One column of sound as the bytes of a file: `audio`, FLAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioColumn {
    /// The column's name.
    pub name: String,
    /// What encoded it: `flac`, `wav`, `opus` or `vorbis`.
    pub codec: String,
}

impl AudioColumn {
    /// The ending of a file that holds such a cell.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        let codec = AudioCodec::ALL.into_iter().find(|codec| codec.name() == self.codec);
        codec.map_or("bin", AudioCodec::extension)
    }
}

/// The columns of a dataset's rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowSchema {
    /// The corpus's further columns, carried through.
    pub extras: Vec<(String, Kind)>,
    /// What was found in the sound.
    pub sound: Vec<SoundColumn>,
    /// The features.
    pub features: Vec<FeatureColumn>,
    /// The sound itself, encoded.
    pub audio: Vec<AudioColumn>,
}

impl RowSchema {
    /// The first name that two columns have.
    #[must_use]
    pub fn repeated(&self) -> Option<String> {
        let mut seen = HashSet::new();
        self.describe().into_iter().map(|column| column.name).find(|name| !seen.insert(name.clone()))
    }

    /// The feature column that is meant where a format has one matrix a row: `features`, or else the only one.
    #[must_use]
    pub fn matrix(&self) -> Option<usize> {
        let matrices = || {
            let columns = self.features.iter().enumerate();
            columns.filter(|(_, column)| column.bins.is_some() && column.channels == CellChannels::One)
        };
        let named = matrices().find(|(_, column)| column.name == "features");
        let only = matrices().next().filter(|_| matrices().count() == 1);
        named.or(only).map(|(place, _)| place)
    }

    /// Whether every column of integers with a scale can have one: for each channel of a cell it would be another.
    ///
    /// # Errors
    ///
    /// A column holds all channels in one cell.
    pub fn check_scales(&self) -> Result<(), FormatError> {
        match self.features.iter().find(|column| column.is_scaled() && column.channels == CellChannels::All) {
            Some(column) => Err(FormatError::ScaledChannels { column: column.name.clone(), dtype: column.dtype }),
            None => Ok(()),
        }
    }

    /// The columns as the manifest describes them.
    #[must_use]
    pub fn describe(&self) -> Vec<ColumnSchema> {
        let plain = |name: &str, dtype: &str, unit: Option<&str>| ColumnSchema {
            name: name.to_owned(),
            dtype: dtype.to_owned(),
            shape: None,
            unit: unit.map(str::to_owned),
        };
        let fixed = ROW_COLUMNS.iter().map(|name| match *name {
            "copy" => plain(name, "int32", None),
            "num_samples" => plain(name, "int64", Some("samples")),
            "sample_rate" => plain(name, "int32", Some("Hz")),
            "duration_s" => plain(name, "float64", Some("s")),
            text => plain(text, "string", None),
        });
        let extras = self.extras.iter().map(|(name, kind)| plain(name, kind.name(), None));
        let sound = self.sound.iter().map(|column| plain(&column.name, column.number.name(), column.unit.as_deref()));
        let features = self.features.iter().flat_map(|column| {
            let cells = ColumnSchema {
                name: column.name.clone(),
                dtype: column.dtype.name().to_owned(),
                shape: Some(column.shape()),
                unit: Some(column.unit.clone()),
            };
            let scale = column.scale_name().map(|name| plain(&name, "float32", None));
            [Some(cells), Some(plain(&column.frames_name(), "int32", Some("frames"))), scale].into_iter().flatten()
        });
        let audio = self.audio.iter().map(|column| plain(&column.name, &column.codec, None));
        fixed.chain(extras).chain(sound).chain(features).chain(audio).collect()
    }

    /// The columns that a manifest describes: [`Self::describe`] the other way. None where it is of no version that is known.
    ///
    /// Numbers that were found in the sound and have no unit are told from the corpus's own only where they are `int32`;
    /// they hold the same either way.
    #[must_use]
    pub fn of(columns: &[ColumnSchema]) -> Option<Self> {
        let names: Vec<&str> = columns.iter().take(ROW_COLUMNS.len()).map(|column| column.name.as_str()).collect();
        if names != ROW_COLUMNS {
            return None;
        }
        let mut schema = Self::default();
        let mut counted = HashSet::new();
        for ColumnSchema { name, dtype, shape, unit } in &columns[ROW_COLUMNS.len()..] {
            if counted.contains(name) {
                continue;
            }
            let (name, unit) = (name.clone(), unit.clone());
            if let Some(shape) = shape {
                let dtype = Dtype::ALL.into_iter().find(|known| known.name() == dtype)?;
                let (channels, bins) = match shape.as_slice() {
                    [-1] => (CellChannels::One, None),
                    [-1, -1] => (CellChannels::All, None),
                    [-1, bins] => (CellChannels::One, Some(*bins)),
                    [-1, -1, bins] => (CellChannels::All, Some(*bins)),
                    _ => return None,
                };
                let bins = bins.map(usize::try_from).transpose().ok()?;
                let column = FeatureColumn { name, bins, dtype, unit: unit.unwrap_or_default(), channels };
                counted.insert(column.frames_name());
                counted.extend(column.scale_name());
                schema.features.push(column);
            } else if AudioCodec::ALL.iter().any(|codec| codec.name() == dtype) {
                schema.audio.push(AudioColumn { name, codec: dtype.clone() });
            } else if dtype == Number::Int32.name() {
                schema.sound.push(SoundColumn { name, number: Number::Int32, unit });
            } else if unit.is_some() {
                schema.sound.push(SoundColumn { name, number: Number::Float64, unit });
            } else {
                let kinds = [Kind::String, Kind::Int64, Kind::Float64, Kind::Boolean];
                let kind = kinds.into_iter().find(|kind| kind.name() == dtype)?;
                schema.extras.push((name, kind));
            }
        }
        Some(schema)
    }
}

/// One feature of one row: `frames` frames, as the bytes that are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Frames of each channel in the cell.
    pub frames: u32,
    /// Row-major little-endian numbers: `channels × frames × frame_bytes`.
    pub bytes: Vec<u8>,
    /// What an integer is to be multiplied with, where [`FeatureColumn::is_scaled`]; 1 elsewhere.
    pub scale: f32,
}

impl Default for Cell {
    fn default() -> Self {
        Self { frames: 0, bytes: Vec::new(), scale: 1.0 }
    }
}

/// One row on its way into a shard.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// `id`, `id~1` for copy 1, `id@3~1` for segment 3 of that. Unique in a dataset.
    pub key: &'a str,
    /// The utterance's id.
    pub id: &'a str,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// What is said in it, as far as that is known.
    pub text: Option<&'a str>,
    /// Who says it.
    pub speaker: Option<&'a str>,
    /// In which language.
    pub language: Option<&'a str>,
    /// Samples that the features were made from.
    pub num_samples: u64,
    /// Their rate.
    pub sample_rate: Hertz,
    /// What was drawn for this copy, as JSON; none for originals.
    pub augmentation: Option<&'a str>,
    /// The corpus's further columns, in the order of the schema.
    pub extras: &'a [Value<'a>],
    /// What was found in the sound, in the order of the schema.
    pub sound: &'a [f64],
    /// The features, in the order of the schema.
    pub cells: &'a [Cell],
    /// The encoded sound, in the order of the schema.
    pub audio: &'a [Vec<u8>],
}

impl Row<'_> {
    /// How long it is, in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.num_samples as f64 / f64::from(self.sample_rate.get())
    }

    /// What its texts, features and sound take, in bytes: it decides where row groups and batches end.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What the columns beside them take, roughly.
        const ROW_BYTES: usize = 200;
        let text = |value: &Value<'_>| if let Value::String(text) = value { text.len() } else { 0 };
        let texts = self.text.map_or(0, str::len) + self.extras.iter().map(text).sum::<usize>();
        let cells = self.cells.iter().map(|cell| cell.bytes.len()).sum::<usize>();
        ROW_BYTES + texts + cells + self.audio.iter().map(Vec::len).sum::<usize>()
    }
}

/// The YAML side of a shard format.
pub trait WriteShards {
    /// The files of a shard, relative to the dataset's folder, below `data/`.
    fn files(&self, name: &ShardName<'_>, schema: &RowSchema) -> Vec<String>;

    /// The size at which a shard is full.
    fn shard_bytes(&self) -> u64;

    /// The type of the numbers of columns whose extractor leaves it open.
    fn dtype(&self) -> Dtype;

    /// Whether columns like these can be written.
    ///
    /// # Errors
    ///
    /// A setting that does not go with a column.
    fn accepts(&self, schema: &RowSchema) -> Result<(), FormatError>;

    /// Starts a shard that goes into `files`, those of [`Self::files`], each front to back.
    ///
    /// # Errors
    ///
    /// A file takes no bytes.
    fn start(&self, schema: &RowSchema, files: Vec<ShardFile>) -> Result<Box<dyn WriteRows>, WriteError>;

    /// Reads a shard back from its files, in batches of some rows: the columns that [`RowSchema::describe`] lists, in the
    /// types of [`arrow_schema`](super::arrow_schema). With `columns`, only those are there, and no others need be read.
    ///
    /// # Errors
    ///
    /// A file is none of this format, or damaged.
    fn read(&self, schema: &RowSchema, files: &[PathBuf], columns: Option<&[&str]>) -> Result<Batches, WriteError>;

    /// Where the cells of `columns` lie in the shard's files: each as one run of the bytes that [`Self::read`] gives, uncompressed.
    /// None where this format or the settings of these files store them in another way, or a column has no cells; whoever wants
    /// rows then reads them with [`Self::read`]. It costs far less than reading the cells.
    ///
    /// # Errors
    ///
    /// A file is none of this format, or damaged.
    fn places(
        &self,
        schema: &RowSchema,
        files: &[PathBuf],
        columns: &[&str],
    ) -> Result<Option<ShardPlaces>, WriteError> {
        let _ = (schema, files, columns);
        Ok(None)
    }

    /// Writes what the shards have in common, once all are there: lists of all rows, for example. All of it below `data/`.
    ///
    /// # Errors
    ///
    /// A shard cannot be read, or the disk is full or gone.
    fn gather(&self, schema: &RowSchema, folder: &Path, shards: &[ShardEntry]) -> Result<Vec<FileEntry>, WriteError> {
        let _ = (schema, folder, shards);
        Ok(Vec::new())
    }
}

/// The rows of a shard, some at a time.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, WriteError>> + Send>;

/// A shard being written. It holds some megabytes of rows in memory at most, or one row.
pub trait WriteRows: Send {
    /// Adds a row.
    ///
    /// # Errors
    ///
    /// The file takes no more bytes.
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError>;

    /// Writes what is left and the files' ends; whoever started the shard commits the files.
    ///
    /// # Errors
    ///
    /// A file takes no more bytes.
    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>, WriteError>;
}

/// Why a shard could not be written or read.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The format's library failed.
    #[error("the Parquet file failed")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// The file is not as its format says.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// Rows could not be put into columns, or taken out of them.
    #[error("the rows failed")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The file failed.
    #[error("the file failed")]
    File(#[from] io::Error),
}

/// A format's setting that does not go with a column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Lists hold what tools read without help: f32, i16 and i8.
    #[error("`layout: list` stores f32, i16 and i8, and the column `{column}` is {dtype}", dtype = dtype.name())]
    ListDtype {
        /// The column.
        column: String,
        /// Its type.
        dtype: Dtype,
    },
    /// Integers with a scale hold the cells of one channel.
    #[error("`dtype: {}` scales each cell, and `load.channels: keep` gives `{column}` all channels in one", dtype.name())]
    ScaledChannels {
        /// The column.
        column: String,
        /// Its type.
        dtype: Dtype,
    },
    /// The format holds other types.
    #[error("the format stores {stored}, and the column `{column}` is {}", dtype.name())]
    Dtype {
        /// The column.
        column: String,
        /// Its type.
        dtype: Dtype,
        /// What the format stores.
        stored: &'static str,
    },
    /// The format cannot hold the dataset's columns.
    #[error("{reason}")]
    Columns {
        /// What is missing or too much, and what to do.
        reason: String,
    },
    /// Lists hold the frames of one channel.
    #[error("`layout: list` stores one channel a cell, and `load.channels: keep` gives `{column}` all of them")]
    ListChannels {
        /// The column.
        column: String,
    },
}

impl FormatError {
    /// The key in the format's row that must change.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::ListDtype { .. } | Self::ListChannels { .. } => "layout",
            Self::ScaledChannels { .. } | Self::Dtype { .. } => "dtype",
            Self::Columns { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Quality;

    #[test]
    fn a_schema_is_the_one_that_it_describes() {
        let found = |(name, unit): (&str, Option<&str>)| SoundColumn {
            name: name.to_owned(),
            number: Number::Float64,
            unit: unit.map(str::to_owned),
        };
        let count = SoundColumn { name: NUM_CHANNELS.to_owned(), number: Number::Int32, unit: None };
        let feature = |name: &str, bins, dtype, unit: &str, channels| FeatureColumn {
            name: name.to_owned(),
            bins,
            dtype,
            unit: unit.to_owned(),
            channels,
        };
        let schema = RowSchema {
            extras: vec![
                ("a".to_owned(), Kind::String),
                ("b".to_owned(), Kind::Float64),
                ("c".to_owned(), Kind::Boolean),
            ],
            sound: std::iter::once(count).chain(Quality::COLUMNS.map(found)).collect(),
            features: vec![
                feature("mel", Some(80), Dtype::I8, "dB", CellChannels::One),
                feature("wave", None, Dtype::I16, "amplitude", CellChannels::All),
            ],
            audio: vec![AudioColumn { name: "audio".to_owned(), codec: "flac".to_owned() }],
        };
        assert_eq!(RowSchema::of(&schema.describe()), Some(schema));
    }
}
