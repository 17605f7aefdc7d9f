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
    let mut values = decode(bytes, column.dtype);
    if column.is_scaled() {
        // Of 16 bits, `decode` gives parts of full scale.
        let scale = if column.dtype == Dtype::I16 { scale * I16_SCALE } else { scale };
        for value in &mut values {
            *value *= scale;
        }
    }
    values
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
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match dtype {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
        }
        Dtype::F16 => pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::Bf16 => pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::I16 => pairs().map(|pair| f32::from(i16::from_le_bytes(pair)) / I16_SCALE).collect(),
        Dtype::I8 => bytes.iter().map(|byte| f32::from(i8::from_le_bytes([*byte]))).collect(),
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
