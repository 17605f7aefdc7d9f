//! What the features of samples, of no spectrum, share: the settings by which librosa cuts frames.

use std::num::{NonZeroU32, NonZeroUsize};

use crate::spectrum::{Edges, Framing, PowerSpectrum};
use crate::transform::SettingError;

/// The hop, or where none is given a quarter of the frame, as in librosa's `yin` and `pyin`.
pub(super) fn a_quarter_or(frame_length: NonZeroU32, hop_length: Option<NonZeroU32>) -> NonZeroU32 {
    hop_length.or(NonZeroU32::new(frame_length.get() / 4)).unwrap_or(NonZeroU32::MIN)
}

/// Frames of `frame_length` samples, one every `hop_length`.
pub(super) fn framing(frame_length: NonZeroU32, hop_length: NonZeroU32, edges: Edges) -> Result<Framing, SettingError> {
    let checked = |key, samples: NonZeroU32| {
        SettingError::unless_within(key, f64::from(samples.get()), 1.0, PowerSpectrum::LONGEST as f64)?;
        NonZeroUsize::try_from(samples).map_err(|_| SettingError::DoesNotFit { key, reason: "too many samples" })
    };
    Ok(Framing { length: checked("frame_length", frame_length)?, hop: checked("hop_length", hop_length)?, edges })
}
