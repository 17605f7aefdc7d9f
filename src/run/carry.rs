//! Rows of a dataset that go on as they are.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type};

use crate::audio::{Hertz, Words};
use crate::corpus::Dataset;
use crate::manifest::Moments;
use crate::write::{Cell, Number, RowSchema, WriteError, decode_cell};

use super::features::Columns;
use super::row::{Carried, MadeRow};

/// The row `row` of a dataset.
pub(super) fn carry(dataset: &Dataset, row: u64) -> Result<MadeRow, std::io::Error> {
    let batch = dataset.row(row).map_err(std::io::Error::other)?;
    made(dataset.schema(), &batch).map_err(std::io::Error::other)
}

fn made(schema: &RowSchema, batch: &RecordBatch) -> Result<MadeRow, WriteError> {
    let wrong = |name: &str| WriteError::Damaged(format!("the column `{name}` is not as the manifest says"));
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(name));
    let text = |name: &str| {
        let cells = column(name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name))?;
        Ok::<_, WriteError>(cells.is_valid(0).then(|| cells.value(0).to_owned()))
    };
    let int = |name: &str| {
        let cells = column(name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| wrong(name))?;
        Ok::<_, WriteError>(cells.value(0))
    };
    let bytes = |name: &str| {
        let cells = column(name)?.as_binary_opt::<i64>().ok_or_else(|| wrong(name))?;
        Ok::<_, WriteError>(cells.value(0).to_vec())
    };
    let sound = schema.sound.iter().map(|found| match found.number {
        Number::Int32 => int(&found.name).map(f64::from),
        Number::Float64 => {
            let cells = column(&found.name)?.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(&found.name))?;
            Ok(cells.value(0))
        }
    });
    let sound = sound.collect::<Result<_, _>>()?;
    let (mut cells, mut moments) = (Vec::new(), Vec::new());
    for feature in &schema.features {
        let mut cell = Cell { frames: int(&feature.frames_name())? as u32, bytes: bytes(&feature.name)?, scale: 1.0 };
        if let Some(name) = feature.scale_name() {
            let scales = column(&name)?.as_primitive_opt::<Float32Type>().ok_or_else(|| wrong(&name))?;
            cell.scale = scales.value(0);
        }
        moments.push(Moments::of(&decode_cell(&cell.bytes, cell.scale, feature), feature.bins.unwrap_or(1)));
        cells.push(cell);
    }
    let audio = schema.audio.iter().map(|sound| bytes(&sound.name)).collect::<Result<_, _>>()?;
    let num_samples = column("num_samples")?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("num_samples"))?;
    Ok(MadeRow {
        segment: None,
        num_samples: num_samples.value(0) as u64,
        sample_rate: Hertz::new(int("sample_rate")? as u32).ok_or_else(|| wrong("sample_rate"))?,
        augmentation: text("augmentation")?,
        words: Words::Kept,
        sound,
        columns: Columns { cells, moments, audio, waiting: Vec::new() },
        carried: Some(Carried { id: text("id")?.ok_or_else(|| wrong("id"))?, copy: int("copy")? as u32 }),
    })
}
