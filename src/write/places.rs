//! Where the cells of a shard lie in its files, for whoever reads them without the format's reader.

use super::contract::{AudioColumn, FeatureColumn, RowSchema};

/// Where the cells of some columns of a shard lie. Every place lies within its file as long as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPlaces {
    /// The rows of the shard.
    pub rows: u64,
    /// By column, in the order in which they were asked for: the place of each row's cell.
    pub cells: Vec<Vec<CellPlace>>,
    /// The first row of each row group (Parquet) or record batch (Arrow), ascending; nothing where the format has none.
    pub groups: Vec<u64>,
}

/// Where one cell lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellPlace {
    /// Which of the shard's files.
    pub file: usize,
    /// Its first byte.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A column of cells, and its number among those of its kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum CellColumn<'s> {
    Feature(usize, &'s FeatureColumn),
    Audio(usize, &'s AudioColumn),
}

impl<'s> CellColumn<'s> {
    /// The columns of these names; none where one of them is no column of cells.
    pub(super) fn find(schema: &'s RowSchema, columns: &[&str]) -> Option<Vec<Self>> {
        let find = |name: &&str| {
            let mut features = schema.features.iter().enumerate().filter(|(_, column)| column.name == *name);
            let mut audio = schema.audio.iter().enumerate().filter(|(_, column)| column.name == *name);
            let feature = features.next().map(|(place, column)| Self::Feature(place, column));
            feature.or_else(|| audio.next().map(|(place, column)| Self::Audio(place, column)))
        };
        columns.iter().map(find).collect()
    }
}
