//! The numbers of a feature cell as bytes, little-endian, and back.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

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
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    match dtype {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
        }
        Dtype::F16 => pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::Bf16 => pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::I16 => pairs().map(|pair| f32::from(i16::from_le_bytes(pair)) / I16_SCALE).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn integers_clip_at_full_scale() {
        assert_eq!(round_trip(&[1.0, -1.0, 7.0, -7.0], Dtype::I16), [32767.0 / 32768.0, -1.0, 32767.0 / 32768.0, -1.0]);
    }
}
