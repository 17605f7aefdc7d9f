//! Where the cells of a safetensors file lie: behind each other in their column's tensor.

use std::path::Path;

use safetensors::Dtype as TensorType;

use super::read::{Packed, header, stored_rows};
use super::tensor_type;
use crate::write::contract::{RowSchema, WriteError};
use crate::write::open_file;
use crate::write::places::{CellColumn, CellPlace, ShardPlaces};

/// Where the cells of `columns` lie in the file `path`; none where one of them is no column of cells. Of the file are read the
/// header and the offsets.
pub(super) fn places(path: &Path, schema: &RowSchema, columns: &[&str]) -> Result<Option<ShardPlaces>, WriteError> {
    let Some(columns) = CellColumn::find(schema, columns) else { return Ok(None) };
    let mut file = open_file(path)?;
    let (header, start) = header(&mut file)?;
    let rows = stored_rows(&header)?;
    let cells = columns.into_iter().map(|column| {
        let mut packed = match column {
            CellColumn::Feature(_, column) => {
                let (dtype, bytes) = (tensor_type(column.dtype), column.frame_bytes());
                Packed::find(&header, start, rows, &column.name, dtype, column.bins, bytes)?
            }
            CellColumn::Audio(_, column) => Packed::find(&header, start, rows, &column.name, TensorType::U8, None, 1)?,
        };
        let cell = |row| {
            let (offset, bytes) = packed.place(&mut file, row)?;
            Ok(CellPlace { file: 0, offset, bytes })
        };
        (0..rows).map(cell).collect::<Result<Vec<_>, WriteError>>()
    });
    let cells = cells.collect::<Result<_, WriteError>>()?;
    Ok(Some(ShardPlaces { rows, cells, groups: Vec::new() }))
}
