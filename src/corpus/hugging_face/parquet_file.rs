//! Parquet: the columns beside the sound a batch at a time, and of the sound only where it is.

use arrow::array::{ArrayRef, AsArray};
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;

use super::columns::{Columns, Form};
use super::layout::DataFile;
use super::sounds::Sounds;
use super::{HuggingFace, Ids, Reading};
use crate::corpus::corpus_table::Rows;
use crate::corpus::regular_file::open_regular;
use crate::corpus::table::parquet_file::{guarded, open_parquet};
use crate::corpus::{CorpusError, Place};

impl HuggingFace {
    /// Reads the rows of a file, and says what their ids are made of.
    pub(super) fn read_parquet(&self, part: &DataFile, rows: &mut Rows) -> Result<Ids, CorpusError> {
        let path = &part.path;
        let builder = open_parquet(path)?;
        let columns = Columns::of(self, path, builder.schema(), rows)?;
        let schema = builder.parquet_schema();
        let audio_name = builder.schema().field(columns.audio).name().clone();
        let bytes_leaf = columns.form.has_bytes().then(|| bytes_leaf(schema, &columns)).flatten();
        if columns.form.has_bytes() && bytes_leaf.is_none() {
            let reason = format!("the column `{audio_name}` has no bytes in the Parquet schema");
            return Err(CorpusError::malformed(Place::whole(path), reason));
        }
        let sounds = bytes_leaf.map(|leaf| Sounds::of(path, open_regular(path)?, builder.metadata(), leaf));
        let mut sounds = sounds.transpose()?;

        let is_read = |root: usize| root == columns.audio || columns.others.iter().any(|other| other.number == root);
        let leaves: Vec<usize> = (0..schema.num_columns())
            .filter(|leaf| is_read(schema.get_column_root_idx(*leaf)) && Some(*leaf) != bytes_leaf)
            .collect();
        // The columns of a batch: those of the file of which any leaf is read, in their order.
        let mut roots: Vec<usize> = leaves.iter().map(|leaf| schema.get_column_root_idx(*leaf)).collect();
        roots.dedup();
        let mask = ProjectionMask::leaves(schema, leaves);
        let mut batches = guarded(path, || builder.with_projection(mask).build())?;
        let mut reading = Reading { settings: self, part, columns: &columns, rows, number: 0 };
        while let Some(batch) = guarded(path, || Ok(batches.next().transpose()?))? {
            let array = |number| roots.iter().position(|root| *root == number).and_then(|at| batch.columns().get(at));
            let paths: Option<ArrayRef> = match columns.form {
                Form::Text => array(columns.audio).cloned(),
                Form::Struct { path: true, .. } => {
                    let structs = array(columns.audio).and_then(|array| array.as_struct_opt());
                    structs.and_then(|structs| structs.column_by_name("path")).cloned()
                }
                Form::Struct { .. } | Form::Binary => None,
            };
            reading.read_batch(batch.num_rows(), array, paths.as_ref(), |_| {
                sounds.as_mut().map_or(Ok(None), Sounds::next_sound)
            })?;
        }
        Ok(columns.ids(self.ids))
    }
}

/// The leaf of the schema that holds the bytes of the audio column.
fn bytes_leaf(schema: &SchemaDescriptor, columns: &Columns) -> Option<usize> {
    let of_audio = |leaf: &usize| schema.get_column_root_idx(*leaf) == columns.audio;
    (0..schema.num_columns()).filter(of_audio).find(|leaf| match columns.form {
        Form::Binary => true,
        _ => matches!(schema.column(*leaf).path().parts(), [_, field] if field == "bytes"),
    })
}
