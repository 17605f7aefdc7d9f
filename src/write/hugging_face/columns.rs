//! Runs of bytes as lists of numbers and as sound with a path, and back.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, LargeBinaryArray, ListArray, StringArray, StructArray, make_array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;

use super::features::{audio_fields, list_field, number_type};
use crate::write::contract::{FeatureColumn, WriteError};

/// Cells as lists of frames; the numbers are not copied.
pub(super) fn arrays_of(cells: LargeBinaryArray, column: &FeatureColumn) -> Result<ArrayRef, WriteError> {
    let (offsets, bytes, _) = cells.into_parts();
    let frame_bytes = column.frame_bytes().max(1);
    let frames = bytes.len() / frame_bytes;
    let number = number_type(column.dtype);
    let data = ArrayData::builder(number.clone()).len(bytes.len() / column.dtype.bytes());
    let data = data.add_buffer(native(bytes, column.dtype.bytes())).align_buffers(true).build()?;
    let numbers = make_array(data);
    let frames = match column.bins {
        None => numbers,
        Some(bins) => {
            let ends = short_offsets((0..=frames).map(|frame| frame * bins))?;
            Arc::new(ListArray::try_new(list_field(number), ends, numbers, None)?)
        }
    };
    let ends = short_offsets(offsets.iter().map(|offset| *offset as usize / frame_bytes))?;
    Ok(Arc::new(ListArray::try_new(list_field(frames.data_type().clone()), ends, frames, None)?))
}

/// Sound as `datasets` holds it.
pub(super) fn sound_of(sound: LargeBinaryArray, paths: StringArray) -> Result<ArrayRef, WriteError> {
    let (offsets, bytes, _) = sound.into_parts();
    let ends = short_offsets(offsets.iter().map(|offset| *offset as usize))?;
    let parts: Vec<ArrayRef> = vec![Arc::new(BinaryArray::try_new(ends, bytes, None)?), Arc::new(paths)];
    Ok(Arc::new(StructArray::try_new(audio_fields(), parts, None)?))
}

/// What [`arrays_of`] made of cells, the other way. None where it is something else.
pub(super) fn bytes_of_arrays(lists: &dyn Array, column: &FeatureColumn) -> Option<LargeBinaryArray> {
    let lists = lists.as_list_opt::<i32>().filter(|lists| lists.null_count() == 0)?;
    let (numbers, ends): (&ArrayRef, Vec<i32>) = match column.bins {
        None => (lists.values(), lists.offsets().to_vec()),
        Some(bins) => {
            let frames = lists.values().as_list_opt::<i32>().filter(|frames| frames.null_count() == 0)?;
            let ends = frames.offsets();
            let bins = i32::try_from(bins).ok()?;
            if ends.windows(2).any(|pair| pair[1] - pair[0] != bins) {
                return None;
            }
            let ends = lists.offsets().iter().map(|frame| ends.get(*frame as usize).copied()).collect::<Option<_>>()?;
            (frames.values(), ends)
        }
    };
    if *numbers.data_type() != number_type(column.dtype) || numbers.null_count() != 0 {
        return None;
    }
    let width = column.dtype.bytes();
    let data = numbers.to_data();
    let bytes = data.buffers().first()?.slice_with_length(data.offset() * width, data.len() * width);
    let ends: Vec<i64> = ends.into_iter().map(|end| i64::from(end) * width as i64).collect();
    LargeBinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), native(bytes, width), None).ok()
}

/// The bytes of what [`sound_of`] made. None where it is something else.
pub(super) fn bytes_of_sound(sound: &dyn Array) -> Option<LargeBinaryArray> {
    let sound = sound.as_struct_opt().filter(|sound| sound.null_count() == 0)?;
    let bytes = sound.column_by_name("bytes")?.as_binary_opt::<i32>().filter(|bytes| bytes.null_count() == 0)?;
    let ends: Vec<i64> = bytes.offsets().iter().map(|end| i64::from(*end)).collect();
    LargeBinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(ends)), bytes.values().clone(), None).ok()
}

/// Offsets of lists, which have 32 bits here.
fn short_offsets(offsets: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>, WriteError> {
    let short = |offset| i32::try_from(offset).map_err(|_| ArrowError::OffsetOverflowError(offset));
    let offsets = offsets.map(short).collect::<Result<Vec<i32>, _>>()?;
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// Little-endian numbers of `width` bytes in the order of this machine, or the other way.
fn native(bytes: Buffer, width: usize) -> Buffer {
    if cfg!(target_endian = "little") {
        return bytes;
    }
    bytes.chunks_exact(width).flat_map(|number| number.iter().rev().copied()).collect()
}
