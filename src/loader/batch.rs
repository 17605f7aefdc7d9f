//! What a training step takes: rows of like length, padded to one.

use indexmap::IndexMap;

use super::memory::Buffer;
use crate::manifest::Dtype;

/// Some rows. The order is the same in all columns.
#[derive(Debug)]
pub struct Batch {
    /// The rows' keys: unique in a dataset.
    pub keys: Vec<String>,
    /// What is said in each, as far as that is known.
    pub texts: Vec<Option<String>>,
    /// The other columns that were asked for.
    pub columns: IndexMap<String, Column>,
    /// Rows that belong here and are damaged, where [`OnDamage::Skip`](super::OnDamage::Skip) leaves them out.
    pub skipped: Vec<String>,
    /// The column that the loader takes for the features.
    pub(super) features: Option<String>,
}

impl Batch {
    /// How many rows there are. None only where an epoch has fewer rows than a step has batches, or all are damaged.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The features: `features`, or else the only matrix, or else the first padded column that was asked for.
    #[must_use]
    pub fn features(&self) -> Option<&Padded> {
        self.padded(self.features.as_ref()?)
    }

    /// A column of features.
    #[must_use]
    pub fn padded(&self, name: &str) -> Option<&Padded> {
        match self.columns.get(name)? {
            Column::Padded(padded) => Some(padded),
            _ => None,
        }
    }

    /// A column of texts: `speaker`, for example.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&[Option<String>]> {
        match self.columns.get(name)? {
            Column::Text(texts) => Some(texts),
            _ => None,
        }
    }
}

/// One column of a batch.
#[derive(Debug)]
pub enum Column {
    /// Features, padded.
    Padded(Padded),
    /// Texts.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Numbers.
    Float(Vec<Option<f64>>),
    /// Truths.
    Boolean(Vec<Option<bool>>),
    /// Sound as the bytes of files.
    Sound(Vec<Vec<u8>>),
}

/// The cells of a column, all made as long as the longest: row-major `[rows, frames, bins]`, or `[rows, frames]`; where all channels
/// are kept, `[rows, channels, frames, bins]` or `[rows, channels, frames]`.
#[derive(Debug)]
pub struct Padded {
    /// The type of the numbers.
    pub dtype: Dtype,
    /// The dimensions.
    pub shape: Vec<usize>,
    /// Frames of each row that are not padding.
    pub lengths: Vec<u32>,
    /// Channels of each row, where all are kept.
    pub channels: Option<Vec<u32>>,
    pub(super) buffer: Buffer,
}

impl Padded {
    /// The numbers as bytes, in the order of the processor.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// The numbers, where they are of single precision.
    #[must_use]
    pub fn f32s(&self) -> Option<&[f32]> {
        (self.dtype == Dtype::F32).then(|| bytemuck::cast_slice(self.bytes()))
    }

    /// The numbers, where they are of half precision.
    #[must_use]
    pub fn f16s(&self) -> Option<&[half::f16]> {
        (self.dtype == Dtype::F16).then(|| bytemuck::cast_slice(self.bytes()))
    }

    /// The numbers, where they are of bfloat16.
    #[must_use]
    pub fn bf16s(&self) -> Option<&[half::bf16]> {
        (self.dtype == Dtype::Bf16).then(|| bytemuck::cast_slice(self.bytes()))
    }

    /// Frames that each row takes, padding counted.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.shape[if self.channels.is_some() { 2 } else { 1 }]
    }
}
