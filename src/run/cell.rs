//! One feature of one channel on its way into a row: frames in single precision, a few at a time, become the bytes that are
//! stored, so that a long recording is in memory once and not three times.

use crate::manifest::{Dtype, Moments};
use crate::transform::{Extract, ExtractError};
use crate::write::{Cell, FeatureColumn, encode, encode_scaled};

/// The most that a cell can hold of all its channels, in bytes: well below what Parquet and its readers count in 32 bits.
pub(super) const CELL_BYTES: usize = 1 << 30;

/// Frames that become bytes at once: 41 s at 100 a second, so that most utterances are one piece. Always as many, however the
/// sound is cut into blocks, because the moments of two pieces and of one differ in their last bits.
const PIECE_FRAMES: usize = 4_096;

/// A cell of one channel, being made.
#[derive(Debug)]
pub(super) struct CellInWork {
    bins: usize,
    dtype: Dtype,
    /// Whether its numbers are integers of a scale, which only all of them tell.
    scaled: bool,
    /// Frames that are no bytes yet; at most a piece of them, if the extractor is done with them.
    values: Vec<f32>,
    bytes: Vec<u8>,
    frames: usize,
    moments: Moments,
    /// Bytes that it may take.
    most: usize,
}

impl CellInWork {
    pub(super) fn new(column: &FeatureColumn) -> Self {
        let bins = column.bins.unwrap_or(1);
        let moments = Moments::empty(bins);
        Self {
            bins,
            dtype: column.dtype,
            scaled: column.is_scaled(),
            values: Vec::new(),
            bytes: Vec::new(),
            frames: 0,
            moments,
            most: CELL_BYTES,
        }
    }

    /// Starts a cell of at most `most` bytes and forgets the one before, finished or not.
    pub(super) fn begin(&mut self, most: usize) {
        self.most = most;
        self.values.clear();
        // One endless recording must not hold its memory for the rest of the run.
        self.values.shrink_to(2 * PIECE_FRAMES * self.bins);
        self.bytes = Vec::new();
        self.frames = 0;
        self.moments = Moments::empty(self.bins);
    }

    /// Takes the features of the next samples.
    pub(super) fn push(&mut self, extractor: &mut dyn Extract, samples: &[f32]) -> Result<(), ExtractError> {
        extractor.push(samples, &mut self.values);
        if !extractor.needs_all() && !self.scaled {
            let piece = PIECE_FRAMES * self.bins;
            let whole = self.values.len() / piece * piece;
            for at in (0..whole).step_by(piece) {
                self.store(at..at + piece)?;
            }
            self.values.drain(..whole);
        }
        self.check_length()
    }

    fn check_length(&mut self) -> Result<(), ExtractError> {
        // What waits for its scale is in memory in single precision.
        let number = if self.scaled { size_of::<f32>() } else { self.dtype.bytes() };
        if self.bytes.len() + self.values.len() * number > self.most {
            self.begin(self.most);
            return Err(ExtractError::TooLong { most: self.most });
        }
        Ok(())
    }

    /// Ends the cell: what is stored, and the moments of its frames.
    pub(super) fn finish(&mut self, extractor: &mut dyn Extract) -> Result<(Cell, Moments), ExtractError> {
        extractor.finish(&mut self.values)?;
        self.check_length()?;
        let mut scale = 1.0;
        if self.scaled {
            scale = encode_scaled(&self.values, self.dtype, &mut self.bytes);
            self.moments = Moments::of(&self.values, self.bins);
            self.frames = self.values.len() / self.bins;
        } else {
            self.store(0..self.values.len())?;
        }
        self.values.clear();
        let moments = std::mem::replace(&mut self.moments, Moments::empty(self.bins));
        let bytes = std::mem::take(&mut self.bytes);
        Ok((Cell { frames: self.frames as u32, bytes, scale }, moments))
    }

    fn store(&mut self, range: std::ops::Range<usize>) -> Result<(), ExtractError> {
        let values = &self.values[range];
        if let Some(index) = too_large(values, self.dtype) {
            let (frame, value) = ((self.frames + index / self.bins) as u64, values[index]);
            return Err(ExtractError::OutOfRange { frame, value, dtype: self.dtype });
        }
        encode(values, self.dtype, &mut self.bytes);
        let moments = Moments::of(values, self.bins);
        if self.frames == 0 {
            self.moments = moments;
        } else {
            self.moments.merge(&moments);
        }
        self.frames += values.len() / self.bins;
        Ok(())
    }
}

/// Where the first value stands that half precision would make infinite.
fn too_large(values: &[f32], dtype: Dtype) -> Option<usize> {
    /// From here on, rounding to nearest gives infinity.
    const HALF: f32 = 65_520.0;
    if dtype == Dtype::F16 { values.iter().position(|value| value.abs() >= HALF) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::write::CellChannels;

    /// Hands samples on; if it needs all of them, it adds their number to each at the end.
    struct Frames {
        needs_all: bool,
    }

    impl Extract for Frames {
        fn begin(&mut self, _: Draws<'_>) {}

        fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
            out.extend_from_slice(samples);
        }

        fn needs_all(&self) -> bool {
            self.needs_all
        }

        fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
            if self.needs_all {
                let count = out.len() as f32;
                for value in out {
                    *value += count;
                }
            }
            Ok(())
        }
    }

    fn cell(dtype: Dtype) -> CellInWork {
        let (name, unit, channels) = ("features".to_owned(), String::new(), CellChannels::One);
        CellInWork::new(&FeatureColumn { name, bins: Some(2), dtype, unit, channels })
    }

    fn made(cell: &mut CellInWork, needs_all: bool, sound: &[f32], block: usize) -> (Cell, Moments) {
        let mut frames = Frames { needs_all };
        cell.begin(CELL_BYTES);
        for samples in sound.chunks(block) {
            cell.push(&mut frames, samples).unwrap();
        }
        cell.finish(&mut frames).unwrap()
    }

    #[test]
    fn a_long_cell_is_the_same_however_its_sound_came() {
        let sound: Vec<f32> = (0..50_000_u16).map(|i| f32::from(i % 977) / 31.0).collect();
        let mut bytes = Vec::new();
        encode(&sound, Dtype::F32, &mut bytes);
        let mut cell = cell(Dtype::F32);
        let whole = made(&mut cell, false, &sound, sound.len());
        assert!(whole.0.frames == 25_000 && whole.0.bytes == bytes && whole.1.count == 25_000);
        for block in [2, 1_234, 8_192, 8_194, 30_000] {
            assert!(made(&mut cell, false, &sound, block) == whole, "in blocks of {block}");
        }
        assert!((whole.1.mean[0] - Moments::of(&sound, 2).mean[0]).abs() < 1e-9);
    }

    #[test]
    fn a_cell_that_only_its_end_makes_too_large_is_refused_too() {
        /// Frames that all come at the end.
        struct AtTheEnd;

        impl Extract for AtTheEnd {
            fn begin(&mut self, _: Draws<'_>) {}

            fn push(&mut self, _: &[f32], _: &mut Vec<f32>) {}

            fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
                out.resize(1_000, 0.0);
                Ok(())
            }
        }

        let mut cell = cell(Dtype::F32);
        cell.begin(3_999);
        assert_eq!(cell.finish(&mut AtTheEnd), Err(ExtractError::TooLong { most: 3_999 }));
        cell.begin(4_000);
        assert_eq!(cell.finish(&mut AtTheEnd).unwrap().0.frames, 500);
    }

    #[test]
    fn an_extractor_that_needs_all_frames_has_them_at_the_end() {
        let (Cell { frames, bytes, .. }, _) = made(&mut cell(Dtype::F32), true, &vec![1.0; 20_000], 500);
        assert_eq!((frames, bytes.len()), (10_000, 80_000));
        assert!(bytes.chunks_exact(4).all(|value| value == 20_001_f32.to_le_bytes()));
    }

    #[test]
    fn a_number_too_large_for_its_type_is_named_with_its_frame() {
        let mut cell = cell(Dtype::F16);
        let mut sound = vec![0.0; 20_000];
        sound[10_001] = -70_000.0;
        let refused = cell.push(&mut Frames { needs_all: false }, &sound).unwrap_err();
        assert_eq!(refused, ExtractError::OutOfRange { frame: 5_000, value: -70_000.0, dtype: Dtype::F16 });
    }
}
