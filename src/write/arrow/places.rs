//! Where the cells of an Arrow file lie: behind each other in a buffer of each batch, with another one of where they end.

use arrow::ipc::FieldNode;

use super::read::{ArrowFile, BatchLayout, buffers_of, damaged, read_at};
use crate::write::contract::{RowSchema, WriteError};
use crate::write::places::{CellColumn, CellPlace, ShardPlaces};

impl ArrowFile {
    /// Where the cells of `columns` lie; none where one of them is no column of cells. Of the file are read the batches' metadata
    /// and where their cells end.
    pub(super) fn places(mut self, schema: &RowSchema, columns: &[&str]) -> Result<Option<ShardPlaces>, WriteError> {
        if CellColumn::find(schema, columns).is_none() {
            return Ok(None);
        }
        let fields = self.schema.fields();
        let first = |place: usize| fields[..place].iter().map(|field| buffers_of(field.data_type())).sum::<usize>();
        let wanted = columns.iter().filter_map(|name| {
            let (place, _) = fields.find(name)?;
            Some((place, first(place)))
        });
        let wanted: Vec<(usize, usize)> = wanted.collect();
        let mut places = ShardPlaces { rows: 0, cells: vec![Vec::new(); wanted.len()], groups: Vec::new() };
        let mut after = 0;
        for block in std::mem::take(&mut self.blocks) {
            let start = block.offset() as u64;
            if start < after {
                return Err(damaged("a batch lies in another one"));
            }
            after = start + block.metaDataLength() as u64 + block.bodyLength() as u64;
            let layout = self.layout(&block)?;
            if layout.rows == 0 {
                continue;
            }
            places.groups.push(places.rows);
            let sum = places.rows.checked_add(layout.rows);
            places.rows = sum.ok_or_else(|| damaged("the batches have too many rows"))?;
            for ((place, first), cells) in wanted.iter().zip(&mut places.cells) {
                self.add_cells(&layout, *place, *first, cells)?;
            }
        }
        Ok(Some(places))
    }

    /// Adds the cells of the column `place` of a batch, whose buffers start with the one numbered `first`.
    fn add_cells(
        &mut self,
        layout: &BatchLayout,
        place: usize,
        first: usize,
        cells: &mut Vec<CellPlace>,
    ) -> Result<(), WriteError> {
        const OFFSET: u64 = size_of::<i64>() as u64;
        let has_all = |node: &FieldNode| node.null_count() == 0 && u64::try_from(node.length()) == Ok(layout.rows);
        let (Some(node), Some([_, ends, values])) = (layout.nodes.get(place), layout.buffers.get(first..first + 3))
        else {
            return Err(damaged("a batch has another number of columns than the file"));
        };
        let size = layout.rows.checked_add(1).and_then(|count| count.checked_mul(OFFSET));
        let Some(size) = size.filter(|size| *size <= ends.bytes && has_all(node)) else {
            return Err(damaged("a column of a batch has not a cell for each row"));
        };
        let ends = read_at(&mut self.file, ends.offset, size)?;
        let (ends, _) = ends.as_slice().as_chunks();
        let mut ends = ends.iter().map(|end| i64::from_le_bytes(*end));
        let mut from = ends.next().unwrap_or_default();
        for to in ends {
            let (Ok(start), Ok(bytes)) = (u64::try_from(from), u64::try_from(to.saturating_sub(from))) else {
                return Err(damaged("the cells of a batch are not in order"));
            };
            if start.checked_add(bytes).is_none_or(|end| end > values.bytes) {
                return Err(damaged("a cell lies outside of its batch"));
            }
            cells.push(CellPlace { file: 0, offset: values.offset + start, bytes });
            from = to;
        }
        Ok(())
    }
}
