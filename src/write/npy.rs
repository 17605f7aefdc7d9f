//! Feature cells as NumPy's `.npy` files, version 1.0 (NumPy's `numpy/lib/format.py`).

use super::contract::{Cell, CellChannels, FeatureColumn, FormatError, NUM_CHANNELS, Row, RowSchema, WriteError};
use super::metadata::Metadata;
use crate::manifest::Dtype;

/// Where the length of the header stands, and where the header starts.
const LENGTH: std::ops::Range<usize> = 8..10;
const HEADER: usize = 10;

/// Whether NumPy has a type for every column.
///
/// # Errors
///
/// A column is of another type, or of integers that cannot have their scale.
pub(super) fn accepts(schema: &RowSchema) -> Result<(), FormatError> {
    schema.check_scales()?;
    match schema.features.iter().find(|column| type_name(column.dtype).is_none()) {
        Some(column) => Err(FormatError::Dtype {
            column: column.name.clone(),
            dtype: column.dtype,
            stored: "f32, f16, i16 and i8, which NumPy has",
        }),
        None => Ok(()),
    }
}

/// What NumPy calls the type; none where it has none.
const fn type_name(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::F32 => Some("<f4"),
        Dtype::F16 => Some("<f2"),
        Dtype::I16 => Some("<i2"),
        Dtype::I8 => Some("|i1"),
        Dtype::Bf16 => None,
    }
}

/// The channels of a row's cells, as the row says.
pub(super) fn row_channels(row: &Row<'_>, schema: &RowSchema) -> Option<usize> {
    let column = schema.sound.iter().position(|column| column.name == NUM_CHANNELS)?;
    row.sound.get(column).map(|channels| *channels as usize)
}

/// The same of a row that is read.
pub(super) fn stored_channels(row: &Metadata) -> Option<usize> {
    row.0.get(NUM_CHANNELS).and_then(serde_json::Value::as_u64).and_then(|channels| usize::try_from(channels).ok())
}

/// The dimensions of a cell: `[frames, bins]`, `[frames]`, or either with the channels before it.
pub(super) fn shape(column: &FeatureColumn, frames: u32, bytes: usize, channels: Option<usize>) -> Vec<usize> {
    let frames = frames as usize;
    let channels = match column.channels {
        CellChannels::One => None,
        // A row that does not say how many is as long as they are many.
        CellChannels::All => Some(
            channels.unwrap_or_else(|| bytes.checked_div(frames.saturating_mul(column.frame_bytes())).unwrap_or(1)),
        ),
    };
    channels.into_iter().chain([frames]).chain(column.bins).collect()
}

/// What stands before the numbers of `cell`.
pub(super) fn head(column: &FeatureColumn, cell: &Cell, channels: Option<usize>) -> Vec<u8> {
    head_of(column, &shape(column, cell.frames, cell.bytes.len(), channels))
}

fn head_of(column: &FeatureColumn, shape: &[usize]) -> Vec<u8> {
    use std::fmt::Write as _;
    /// The numbers start at a multiple of this.
    const ALIGNED: usize = 64;
    let mut header =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': (", type_name(column.dtype).unwrap_or_default());
    for (place, length) in shape.iter().enumerate() {
        // A string takes every number. One dimension is written with a comma behind it.
        let _ = match (place, shape.len()) {
            (0, 1) => write!(header, "{length},"),
            (0, _) => write!(header, "{length}"),
            _ => write!(header, ", {length}"),
        };
    }
    header.push_str("), }");
    let whole = (HEADER + header.len() + 1).next_multiple_of(ALIGNED);
    let mut head = Vec::with_capacity(whole);
    head.extend(b"\x93NUMPY\x01\x00");
    head.extend(((whole - HEADER) as u16).to_le_bytes());
    head.extend(header.as_bytes());
    head.resize(whole - 1, b' ');
    head.push(b'\n');
    head
}

/// The numbers of a cell of `column` that has `frames` frames, without what stands before them.
///
/// # Errors
///
/// The file is not the one that was written for such a cell.
pub(super) fn numbers(
    mut npy: Vec<u8>,
    column: &FeatureColumn,
    frames: u32,
    channels: Option<usize>,
) -> Result<Vec<u8>, WriteError> {
    let damaged =
        || WriteError::Damaged(format!("a cell of `{}` is no NumPy array of the shape that its row says", column.name));
    let length = npy.get(LENGTH).ok_or_else(damaged)?;
    let head = HEADER + usize::from(u16::from_le_bytes([length[0], length[1]]));
    let bytes = npy.len().checked_sub(head).ok_or_else(damaged)?;
    if !is_head(&npy[..head], column, frames, bytes, channels) {
        return Err(damaged());
    }
    npy.drain(..head);
    Ok(npy)
}

/// Whether `head` is what stands before `bytes` bytes of numbers in so many frames.
fn is_head(head: &[u8], column: &FeatureColumn, frames: u32, bytes: usize, channels: Option<usize>) -> bool {
    let shape = shape(column, frames, bytes, channels);
    let expected = shape.iter().try_fold(column.dtype.bytes(), |bytes, length| bytes.checked_mul(*length));
    expected == Some(bytes) && head == head_of(column, &shape)
}

/// How many bytes stand before the numbers of a cell of `column` in a file of `size` bytes, of which `next` gives the first ones.
/// Where a cell holds all channels, `channels` must say how many they are.
///
/// # Errors
///
/// The file is not the one that was written for any such cell.
pub(super) fn head_bytes(
    size: u64,
    column: &FeatureColumn,
    channels: Option<usize>,
    mut next: impl FnMut(usize) -> Result<Vec<u8>, WriteError>,
) -> Result<u64, WriteError> {
    let damaged = || {
        WriteError::Damaged(format!("a cell of `{}` is no NumPy array of a shape that its row can have", column.name))
    };
    let mut head = if size < HEADER as u64 { return Err(damaged()) } else { next(HEADER)? };
    let length = head.get(LENGTH).ok_or_else(damaged)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let bytes = size.checked_sub((HEADER + length) as u64).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(damaged)?;
    head.extend(next(length)?);
    let cell_channels = match column.channels {
        CellChannels::One => Some(1),
        CellChannels::All => channels,
    };
    let frame_bytes = cell_channels.and_then(|channels| channels.checked_mul(column.frame_bytes()));
    let frames = frame_bytes.and_then(|frame_bytes| bytes.checked_div(frame_bytes)).unwrap_or(0);
    let frames = u32::try_from(frames).map_err(|_| damaged())?;
    if is_head(&head, column, frames, bytes, channels) { Ok(head.len() as u64) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(bins: Option<usize>, dtype: Dtype, channels: CellChannels) -> FeatureColumn {
        FeatureColumn { name: "x".to_owned(), bins, dtype, unit: "dB".to_owned(), channels }
    }

    #[test]
    fn the_head_is_what_numpy_writes_but_for_the_room_to_grow() {
        let cell = Cell { frames: 3, bytes: vec![0; 12], scale: 1.0 };
        let head = head(&column(None, Dtype::F32, CellChannels::One), &cell, None);
        assert_eq!(head.len(), 128);
        assert!(
            head.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }")
        );
        assert!(head.ends_with(b" \n"));
    }

    #[test]
    fn a_cell_comes_back_and_a_damaged_one_is_told() {
        for (bins, dtype, channels, bytes) in [
            (Some(2), Dtype::F16, CellChannels::One, 12),
            (None, Dtype::I8, CellChannels::One, 3),
            (Some(2), Dtype::I16, CellChannels::All, 24),
        ] {
            let column = column(bins, dtype, channels);
            let cell = Cell { frames: 3, bytes: (0..bytes).collect(), scale: 1.0 };
            for declared in [Some(2), None] {
                let npy = [head(&column, &cell, declared), cell.bytes.clone()].concat();
                assert_eq!(numbers(npy.clone(), &column, 3, declared).unwrap(), cell.bytes);
                for length in 0..npy.len() {
                    assert!(numbers(npy[..length].to_vec(), &column, 3, Some(2)).is_err());
                }
                assert!(numbers(npy.clone(), &column, 4, declared).is_err());
                let mut first = npy.as_slice();
                let next = |length| Ok(first.split_off(..length).unwrap().to_vec());
                let told = head_bytes(npy.len() as u64, &column, Some(2), next).unwrap();
                assert_eq!(told as usize, npy.len() - cell.bytes.len());
                let next = |length: usize| Ok(npy[..length].to_vec());
                assert!(head_bytes(npy.len() as u64 + 1, &column, Some(2), next).is_err());
            }
        }
    }
}
