//! What the columns of a dataset hold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type in which the numbers of a feature cell are stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision: 11 significant bits, up to 65,504.
    F16,
    /// bfloat16: 8 significant bits, the range of single precision.
    Bf16,
    /// 16-bit integers: of amplitudes, full scale ±1 becomes ±32768, rounded and clipped; of all else, each cell has a scale.
    I16,
    /// 8-bit integers, each cell with a scale: its largest number becomes ±127.
    I8,
}

impl Dtype {
    /// Every type.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Bf16, Self::I16, Self::I8];

    /// Bytes of one number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 => 1,
        }
    }

    /// The name in the pipeline file and in a column's metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I16 => "i16",
            Self::I8 => "i8",
        }
    }
}

/// One column, as the manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSchema {
    /// The column's name.
    pub name: String,
    /// `string`, `int64`, `int32`, `float32`, `float64`, `bool`, the numbers of a feature cell (`f32`, `f16`, `bf16`, `i16`,
    /// `i8`), or what sound is encoded with (`flac`, `wav`, `opus`, `vorbis`).
    pub dtype: String,
    /// Of a feature cell: its dimensions, −1 for the frames. Absent where a cell is a single value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<i64>>,
    /// What the numbers measure, where they measure something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}
