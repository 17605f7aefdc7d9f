//! The numbers of a feature cell as bytes, little-endian, and back.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::contract::FeatureColumn;
use crate::manifest::Dtype;

/// Full scale of a 16-bit sample.
const I16_SCALE: f32 = 32768.0;

/// Appends `values` to `bytes` as `dtype`.
pub fn encode(values: &[f32], dtype: Dtype, bytes: &mut Vec<u8>) {
    bytes.reserve(values.len() * dtype.bytes());
    match dtype {
        Dtype::F32 if cfg!(target_endian = "little") => bytes.extend_from_slice(bytemuck::cast_slice(values)),
        Dtype::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        Dtype::F16 => {
            in_blocks(
                values,
                bytes,
                |block, halves: &mut [f16]| halves.convert_from_f32_slice(block),
                f16::to_le_bytes,
            );
        }
        Dtype::Bf16 => in_blocks(
            values,
            bytes,
            |block, halves: &mut [bf16]| halves.convert_from_f32_slice(block),
            bf16::to_le_bytes,
        ),
        // A float that does not fit an integer is cut to the nearest one that does: this clips.
        Dtype::I16 => {
            bytes.extend(values.iter().flat_map(|value| ((value * I16_SCALE).round_ties_even() as i16).to_le_bytes()));
        }
        Dtype::I8 => bytes.extend(values.iter().map(|value| (value.round_ties_even() as i8).to_le_bytes()[0])),
    }
}

/// Appends `values` to `bytes` as integers of one scale, which it gives: the largest of them becomes the largest integer.
pub fn encode_scaled(values: &[f32], dtype: Dtype, bytes: &mut Vec<u8>) -> f32 {
    let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / scaled_most(dtype);
    // Of nothing but zeros, or of numbers so small that their scale is none, every integer is zero.
    let scale = if scale.is_normal() { scale } else { 1.0 };
    bytes.reserve(values.len() * dtype.bytes());
    match dtype {
        Dtype::I8 => {
            bytes.extend(values.iter().map(|value| ((value / scale).round_ties_even() as i8).to_le_bytes()[0]));
        }
        _ => {
            bytes.extend(values.iter().flat_map(|value| ((value / scale).round_ties_even() as i16).to_le_bytes()));
        }
    }
    scale
}

/// The largest integer of a scaled cell.
const fn scaled_most(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::I8 => 127.0,
        _ => 32_767.0,
    }
}

/// The numbers of a cell of `column`.
#[must_use]
pub fn decode_cell(bytes: &[u8], scale: f32, column: &FeatureColumn) -> Vec<f32> {
    let mut values = Vec::new();
    decode_into(bytes, scale, column, &mut values);
    values
}

/// Appends the numbers of a cell of `column` to `values`.
pub fn decode_into(bytes: &[u8], scale: f32, column: &FeatureColumn, values: &mut Vec<f32>) {
    let before = values.len();
    append(bytes, column.dtype, values);
    if column.is_scaled() {
        // Of 16 bits, they are parts of full scale.
        let scale = if column.dtype == Dtype::I16 { scale * I16_SCALE } else { scale };
        for value in &mut values[before..] {
            *value *= scale;
        }
    }
}

/// Converts a block at a time on the stack, where `half` can use the processor's own instruction.
fn in_blocks<T: Copy + Default>(
    values: &[f32],
    bytes: &mut Vec<u8>,
    convert: impl Fn(&[f32], &mut [T]),
    to_bytes: impl Fn(T) -> [u8; 2],
) {
    const BLOCK: usize = 256;
    let mut halves = [T::default(); BLOCK];
    for block in values.chunks(BLOCK) {
        let halves = &mut halves[..block.len()];
        convert(block, halves);
        bytes.extend(halves.iter().flat_map(|half| to_bytes(*half)));
    }
}

/// The numbers that `bytes` hold as `dtype`; bytes that make no whole number at the end are left out.
#[must_use]
pub fn decode(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    let mut values = Vec::new();
    append(bytes, dtype, &mut values);
    values
}

fn append(bytes: &[u8], dtype: Dtype, values: &mut Vec<f32>) {
    values.reserve(bytes.len() / dtype.bytes());
    match dtype {
        Dtype::F32 => values.extend(bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number))),
        Dtype::F16 => out_of_blocks(bytes, values, f16::from_le_bytes, |halves: &[f16], block| {
            halves.convert_to_f32_slice(block);
        }),
        Dtype::Bf16 => out_of_blocks(bytes, values, bf16::from_le_bytes, |halves: &[bf16], block| {
            halves.convert_to_f32_slice(block);
        }),
        Dtype::I16 => {
            let numbers = bytes.as_chunks().0.iter();
            values.extend(numbers.map(|number| f32::from(i16::from_le_bytes(*number)) / I16_SCALE));
        }
        Dtype::I8 => values.extend(bytes.iter().map(|byte| f32::from(i8::from_le_bytes([*byte])))),
    }
}

/// The way back of [`in_blocks`].
fn out_of_blocks<T: Copy + Default>(
    bytes: &[u8],
    values: &mut Vec<f32>,
    of_bytes: impl Fn([u8; 2]) -> T,
    convert: impl Fn(&[T], &mut [f32]),
) {
    const BLOCK: usize = 256;
    let (mut halves, mut numbers) = ([T::default(); BLOCK], [0.0; BLOCK]);
    for block in bytes.as_chunks::<2>().0.chunks(BLOCK) {
        let (halves, numbers) = (&mut halves[..block.len()], &mut numbers[..block.len()]);
        for (half, bytes) in halves.iter_mut().zip(block) {
            *half = of_bytes(*bytes);
        }
        convert(halves, numbers);
        values.extend_from_slice(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::CellChannels;

    fn round_trip(values: &[f32], dtype: Dtype) -> Vec<f32> {
        let mut bytes = Vec::new();
        encode(values, dtype, &mut bytes);
        assert_eq!(bytes.len(), values.len() * dtype.bytes());
        decode(&bytes, dtype)
    }

    #[test]
    fn every_type_keeps_what_it_can_hold() {
        let values: Vec<f32> = (-600..600).map(|step| step as f32 / 601.0).collect();
        assert_eq!(round_trip(&values, Dtype::F32), values);
        for (dtype, error) in [(Dtype::F16, 2.5e-4), (Dtype::Bf16, 2e-3), (Dtype::I16, 1.6e-5)] {
            for (value, back) in values.iter().zip(round_trip(&values, dtype)) {
                assert!((value - back).abs() <= error, "{dtype:?}: {value} came back as {back}");
            }
        }
    }

    #[test]
    fn integers_of_a_scale_keep_a_cell_within_half_a_step() {
        let values: Vec<f32> = (-600..600).map(|step| step as f32 / 37.0 + 3.0).collect();
        for dtype in [Dtype::I8, Dtype::I16] {
            let (name, unit, channels) = ("x".to_owned(), "dB".to_owned(), CellChannels::One);
            let column = FeatureColumn { name, bins: None, dtype, unit, channels };
            let mut bytes = Vec::new();
            let scale = encode_scaled(&values, dtype, &mut bytes);
            assert_eq!(bytes.len(), values.len() * dtype.bytes());
            for (value, back) in values.iter().zip(decode_cell(&bytes, scale, &column)) {
                assert!((value - back).abs() <= 0.501 * scale, "{dtype:?}: {value} came back as {back}");
            }
        }
        assert_eq!(encode_scaled(&[0.0, 1e-42], Dtype::I8, &mut Vec::new()), 1.0);
    }

    #[test]
    fn integers_clip_at_full_scale() {
        assert_eq!(round_trip(&[1.0, -1.0, 7.0, -7.0], Dtype::I16), [32767.0 / 32768.0, -1.0, 32767.0 / 32768.0, -1.0]);
    }
}
