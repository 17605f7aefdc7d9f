//! For the transforms' tests: a transform in one call, whichever way its frames come in.

use super::{Column, Extract, ExtractError, Finite, Transform};
use crate::audio::Seconds;
use crate::seed::Draws;

/// The frames, 10 ms apart, that a transform makes of `frames` of `bins` numbers. They are pushed at once and in pieces, into
/// a transform that was at work before, and must come out the same, as many as foretold.
pub(crate) fn transformed(transform: &dyn Transform, bins: usize, frames: &[f32]) -> Result<Vec<f32>, ExtractError> {
    let draws = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };
    transformed_for(transform, bins, frames, draws)
}

/// [`transformed`], for the utterance that draws.
pub(crate) fn transformed_for(
    transform: &dyn Transform,
    bins: usize,
    frames: &[f32],
    draws: Draws<'_>,
) -> Result<Vec<f32>, ExtractError> {
    let before = Column::of(bins, "dB", Seconds::new(0.01));
    let after = transform.column(&before).expect("a column that the transform takes");
    let at_work = transform.prepare(&before, "featurize.features.1").expect("settings that fit");
    let mut at_work = Finite::new(at_work, after.bins.unwrap_or(1));
    let mut one_way = |piece: usize| {
        at_work.begin(Draws { id: "before", ..draws });
        at_work.push(&vec![5.0; 70 * bins], &mut Vec::new());
        let mut out = vec![7.0; 5];
        at_work.begin(draws);
        for frames in frames.chunks(piece * bins) {
            at_work.push(frames, &mut out);
        }
        match at_work.finish(&mut out) {
            // No frames at all, which a column refuses: a transform alone makes none of them.
            Err(ExtractError::TooFewFrames { frames: 0, .. }) => {}
            finished => finished?,
        }
        assert_eq!(out[..5], [7.0; 5], "what was in the vector stays there");
        Ok(out.split_off(5))
    };
    let whole: Result<Vec<f32>, ExtractError> = one_way(usize::MAX / bins);
    for piece in [1, 3, 64] {
        assert!(whole == one_way(piece), "in pieces of {piece} frames");
    }
    if let Ok(whole) = &whole {
        let frames = (frames.len() / bins) as u64;
        let foretold = if frames == 0 { 0 } else { transform.num_frames(frames) as usize };
        assert_eq!(whole.len(), foretold * after.bins.unwrap_or(1), "as many frames as foretold");
    }
    whole
}
