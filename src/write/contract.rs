//! What a shard format promises: rows in, one file out, the same bytes for the same rows; and rows back again.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use arrow::array::RecordBatch;
use thiserror::Error;

use crate::audio::{Hertz, Words};
use crate::corpus::{CorpusTable, Kind};
use crate::manifest::{ColumnSchema, Dtype};

use super::ShardFile;

/// The columns that every row starts with; the corpus's further columns and the features follow.
pub const ROW_COLUMNS: [&str; 10] =
    ["key", "id", "copy", "text", "speaker", "language", "num_samples", "sample_rate", "duration_s", "augmentation"];

/// One column of what was found in the sound: single numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundColumn {
    /// The column's name.
    pub name: &'static str,
    /// How the numbers are stored.
    pub number: Number,
    /// What they measure, where they measure something.
    pub unit: Option<&'static str>,
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
}

/// The columns of a dataset's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSchema {
    /// The corpus's further columns, carried through.
    pub extras: Vec<(String, Kind)>,
    /// What was found in the sound.
    pub sound: Vec<SoundColumn>,
    /// The features.
    pub features: Vec<FeatureColumn>,
}

impl RowSchema {
    /// The first name that two columns have.
    #[must_use]
    pub fn repeated(&self) -> Option<String> {
        let mut seen = HashSet::new();
        self.describe().into_iter().map(|column| column.name).find(|name| !seen.insert(name.clone()))
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
        let sound = self.sound.iter().map(|column| plain(column.name, column.number.name(), column.unit));
        let features = self.features.iter().flat_map(|column| {
            let cells = ColumnSchema {
                name: column.name.clone(),
                dtype: column.dtype.name().to_owned(),
                shape: Some(column.shape()),
                unit: Some(column.unit.clone()),
            };
            [cells, plain(&column.frames_name(), "int32", Some("frames"))]
        });
        fixed.chain(extras).chain(sound).chain(features).collect()
    }
}

/// One feature of one row: `frames` frames, as the bytes that are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Frames of each channel in the cell.
    pub frames: u32,
    /// Row-major little-endian numbers: `channels × frames × frame_bytes`.
    pub bytes: Vec<u8>,
}

/// One row on its way into a shard.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// `id`, `id~1` for copy 1, `id@3~1` for segment 3 of that.
    pub key: &'a str,
    /// The corpus, and the utterance's row in it.
    pub table: &'a CorpusTable,
    /// The utterance's row in `table`.
    pub utterance: usize,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// Whether it still holds the words of the corpus: else its `text` is null.
    pub words: Words,
    /// Samples that the features were made from.
    pub num_samples: u64,
    /// Their rate.
    pub sample_rate: Hertz,
    /// What was drawn for this copy, as JSON; none for originals.
    pub augmentation: Option<&'a str>,
    /// What was found in the sound, in the order of the schema.
    pub sound: &'a [f64],
    /// The features, in the order of the schema.
    pub cells: &'a [Cell],
}

impl<'a> Row<'a> {
    /// What is said in it, as far as that is known.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.table.text(self.utterance).filter(|_| self.words == Words::Kept)
    }
}

/// The YAML side of a shard format.
pub trait WriteShards {
    /// The ending of a data file's name, without the dot.
    fn extension(&self) -> &'static str;

    /// The size at which a shard is full.
    fn shard_bytes(&self) -> u64;

    /// The type of the numbers of columns whose extractor leaves it open.
    fn dtype(&self) -> Dtype;

    /// Whether columns like these can be written.
    ///
    /// # Errors
    ///
    /// A setting that does not go with a column.
    fn accepts(&self, features: &[FeatureColumn]) -> Result<(), FormatError>;

    /// Starts a shard that goes into `file`, front to back.
    ///
    /// # Errors
    ///
    /// The file takes no bytes.
    fn start(&self, schema: &RowSchema, file: ShardFile) -> Result<Box<dyn WriteRows>, WriteError>;

    /// Reads a shard back, in batches of some rows with the columns that [`RowSchema::describe`] lists. With `columns`,
    /// only those are read.
    ///
    /// # Errors
    ///
    /// The file is no shard of this format, or damaged.
    fn read(&self, file: &Path, columns: Option<&[&str]>) -> Result<Batches, WriteError>;
}

/// The rows of a shard, some at a time.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, WriteError>>>;

/// A shard being written. It buffers one row group at most.
pub trait WriteRows: Send {
    /// Adds a row.
    ///
    /// # Errors
    ///
    /// The file takes no more bytes.
    fn push(&mut self, row: &Row<'_>) -> Result<(), WriteError>;

    /// Writes what is left and the file's end; whoever started the shard commits the file.
    ///
    /// # Errors
    ///
    /// The file takes no more bytes.
    fn finish(self: Box<Self>) -> Result<ShardFile, WriteError>;
}

/// Why a shard could not be written or read.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The format's library failed.
    #[error("the Parquet file failed")]
    Parquet(#[from] parquet::errors::ParquetError),
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
    /// Lists hold what tools read without help: f32 and i16.
    #[error("`layout: list` stores f32 and i16, and the column `{column}` is {dtype}", dtype = dtype.name())]
    ListDtype {
        /// The column.
        column: String,
        /// Its type.
        dtype: Dtype,
    },
    /// 16-bit integers hold samples: ±1 becomes ±32768, and all else would be clipped.
    #[error("`dtype: i16` stores amplitudes, and the column `{column}` is in {unit}")]
    IntegersOf {
        /// The column.
        column: String,
        /// What its numbers measure.
        unit: String,
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
            Self::IntegersOf { .. } => "dtype",
        }
    }
}
