//! Samples as little-endian numbers, the channels interleaved: the data of a WAV, and what the MD5 of a FLAC is taken of.

use multiversion::multiversion;

use super::Bits;

/// Samples that are converted at once: they stay in the nearest cache.
const CHUNK: usize = 1_024;

/// Appends a block, whose channels have one length.
pub(super) fn append(block: &[&[f32]], bits: Bits, bytes: &mut Vec<u8>) {
    let (len, step) = (block.first().map_or(0, |channel| channel.len()), block.len());
    let start = bytes.len();
    bytes.resize(start + len * step * bits.width(), 0);
    for (channel, samples) in block.iter().enumerate() {
        let places = bytes.get_mut(start + channel * bits.width()..).unwrap_or_default();
        match bits {
            Bits::Integer16 => integers::<2>(samples, places, step),
            Bits::Integer24 => integers::<3>(samples, places, step),
            Bits::Float32 => scatter(samples.iter().map(|sample| sample.to_le_bytes()), places, step),
        }
    }
}

/// One channel as integers of `WIDTH` bytes, each `step` places after the one before.
fn integers<const WIDTH: usize>(samples: &[f32], bytes: &mut [u8], step: usize) {
    let mut levels = [0; CHUNK];
    for (samples, bytes) in samples.chunks(CHUNK).zip(bytes.chunks_mut(CHUNK * step * WIDTH)) {
        let levels = &mut levels[..samples.len()];
        to_levels(samples, WIDTH, levels);
        put_levels::<WIDTH>(levels, bytes, step);
    }
}

/// The lowest `WIDTH` bytes of each level.
fn put_levels<const WIDTH: usize>(levels: &[i32], bytes: &mut [u8], step: usize) {
    let low = |level: &i32| {
        let [a, b, c, _] = level.to_le_bytes();
        std::array::from_fn(|byte| [a, b, c][byte])
    };
    scatter::<WIDTH>(levels.iter().map(low), bytes, step);
}

/// The nearest level of `width` bytes to each sample, halves to the even one, clipped at full scale.
fn to_levels(samples: &[f32], width: usize, levels: &mut [i32]) {
    round(samples, (1_i32 << (8 * width - 1)) as f32, levels);
}

#[multiversion(targets("x86_64+avx2"))]
fn round(samples: &[f32], full_scale: f32, levels: &mut [i32]) {
    for (level, sample) in levels.iter_mut().zip(samples) {
        *level = (sample * full_scale).round_ties_even().clamp(-full_scale, full_scale - 1.0) as i32;
    }
}

/// Puts one value in every `step`th place.
fn scatter<const WIDTH: usize>(values: impl Iterator<Item = [u8; WIDTH]>, bytes: &mut [u8], step: usize) {
    if step == 1 {
        // The same as below, but in places next to each other.
        for (place, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
            *place = value;
        }
        return;
    }
    for (frame, value) in bytes.chunks_mut(step * WIDTH).zip(values) {
        if let Some(place) = frame.first_chunk_mut() {
            *place = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(block: &[&[f32]], bits: Bits) -> Vec<u8> {
        let mut bytes = vec![7];
        append(block, bits, &mut bytes);
        assert_eq!(bytes.remove(0), 7);
        bytes
    }

    #[test]
    fn samples_round_to_the_nearest_level_and_halves_to_the_even_one() {
        let step = 1.0 / 32_768.0;
        let samples = [0.0, 0.5 * step, 1.5 * step, -0.5 * step, -2.5 * step, 0.500_01 * step, 1.0, -1.0, 2.0, -9.0];
        let expected: [i16; 10] = [0, 0, 2, 0, -2, 1, 32_767, -32_768, 32_767, -32_768];
        assert_eq!(bytes(&[&samples], Bits::Integer16), expected.map(i16::to_le_bytes).concat());
        let finest = [1.0 / 8_388_608.0, -1.0 / 8_388_608.0, 1.0, -1.0];
        let expected = [1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0x80];
        assert_eq!(bytes(&[&finest], Bits::Integer24), expected);
    }

    #[test]
    fn channels_are_interleaved() {
        let (left, right): (Vec<f32>, Vec<f32>) = (0..3_000).map(|at| (at as f32, -(at as f32))).unzip();
        let scaled = |samples: &[f32]| -> Vec<f32> { samples.iter().map(|sample| sample / 32_768.0).collect() };
        let expected = left.iter().flat_map(|at| [*at as i16, -(*at as i16)]).flat_map(i16::to_le_bytes);
        assert!(bytes(&[&scaled(&left), &scaled(&right)], Bits::Integer16).into_iter().eq(expected));
        let expected = left.iter().flat_map(|at| [*at, -*at]).flat_map(f32::to_le_bytes);
        assert!(bytes(&[&left, &right], Bits::Float32).into_iter().eq(expected));
        assert!(bytes(&[&[], &[]], Bits::Integer24).is_empty());
    }
}
