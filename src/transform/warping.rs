//! Time warped: a frame is drawn and moved, what is before it stretched or squeezed, what is behind it the other way.

use super::chain::KEPT;
use super::{ExtractError, SettingError};

/// How the cubic's weights fall off: -0.75, as in torch's `interpolate(mode="bicubic")` (Keys, 1981, has -0.5).
const SHARPNESS: f64 = -0.75;

/// A warp of the frames of an utterance, at work.
#[derive(Debug, Clone)]
pub(super) struct Warp {
    /// How many frames the drawn one is moved at most.
    factor: usize,
    /// The frames before they were warped.
    before: Vec<f32>,
}

impl Warp {
    /// A warp by at most `factor` frames, a setting under `key`.
    pub(super) fn new(key: &'static str, factor: u32) -> Result<Self, SettingError> {
        SettingError::unless_within(key, f64::from(factor), 1.0, 1_000_000.0)?;
        Ok(Self { factor: factor as usize, before: Vec::new() })
    }

    /// Starts an utterance.
    pub(super) fn begin(&mut self) {
        self.before.clear();
        self.before.shrink_to(KEPT);
    }

    /// Warps `frames` of `bins` numbers, from the two numbers in [0, 1) drawn for it.
    pub(super) fn edit(&mut self, frames: &mut [f32], bins: usize, numbers: [f64; 2]) -> Result<(), ExtractError> {
        let Some((center, moved)) = self.place(frames.len() / bins, numbers) else { return Ok(()) };
        self.before.extend_from_slice(frames);
        let (left, right) = self.before.split_at(center * bins);
        let (warped_left, warped_right) = frames.split_at_mut(moved * bins);
        stretch(left, warped_left, bins);
        stretch(right, warped_right, bins);
        match frames.iter().position(|number| !number.is_finite()) {
            Some(number) => Err(ExtractError::NotFinite { frame: (number / bins) as u64 }),
            None => Ok(()),
        }
    }

    /// The frame that is moved and where to; none where it stays or there are too few frames.
    fn place(&self, length: usize, [center, moved]: [f64; 2]) -> Option<(usize, usize)> {
        let factor = self.factor;
        let room = length.saturating_sub(2 * factor + 1);
        let center = factor + 1 + (center * room as f64) as usize;
        let moved = center - factor + (moved * (2 * factor + 1) as f64) as usize;
        (room > 0 && moved != center).then_some((center, moved))
    }
}

/// Fills `to` with as many frames as it has room for, between those of `from`: bicubic along time, ends held, frames' edges
/// aligned rather than their centres (`align_corners=False`).
fn stretch(from: &[f32], to: &mut [f32], bins: usize) {
    let last = (from.len() / bins).saturating_sub(1);
    let step = from.len() as f64 / to.len() as f64;
    for (number, row) in to.chunks_exact_mut(bins).enumerate() {
        let place = step * (number as f64 + 0.5) - 0.5;
        let (base, offset) = (place.floor(), place - place.floor());
        let near = |distance: f64| ((SHARPNESS + 2.0) * distance - (SHARPNESS + 3.0)) * distance * distance + 1.0;
        let far = |distance: f64| ((SHARPNESS * distance - 5.0 * SHARPNESS) * distance + 8.0 * SHARPNESS) * distance;
        let weights = [far(1.0 + offset) - 4.0 * SHARPNESS, near(1.0 - offset), far(2.0 - offset) - 4.0 * SHARPNESS];
        let [before, after, beyond] = weights.map(|weight| weight as f32);
        let frame = |offset: f64| &from[((base + offset).max(0.0) as usize).min(last) * bins..][..bins];
        let around = frame(-1.0).iter().zip(frame(0.0)).zip(frame(1.0)).zip(frame(2.0));
        // The four weights add up to one. Written as differences, what is constant stays so to the last bit.
        for (value, (((&first, &second), &third), &fourth)) in row.iter_mut().zip(around) {
            *value = second + ((first - second) * before + (third - second) * after + (fourth - second) * beyond);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::masking::drawing::assert_as_likely;

    /// `torch.nn.functional.interpolate(x.view(1, 1, 7, 1), size=(n, 1), mode="bicubic")` of torch 2.11.0 in double precision,
    /// x = [3, -1, 4, 1, -5, 9, 2].
    const TORCH: [&[f32]; 3] = [
        &[1.229_003_9, 4.106_933_6, -5.408_691_4, 5.445_312_5],
        &[
            3.365_139,
            0.781_743_05,
            -0.838_467_3,
            2.911_345,
            3.887_302_8,
            1.0,
            -4.648_384_7,
            -1.862_509_4,
            8.324_568,
            6.325_695,
            1.361_006_8,
        ],
        &[
            3.409_649_5,
            1.605_371,
            -0.887_801_5,
            0.622_667_3,
            3.821_574_8,
            3.647_701_4,
            1.0,
            -3.922_621_8,
            -4.399_636,
            4.161_584,
            9.237_369,
            4.698_68,
            1.283_113_3,
        ],
    ];

    #[test]
    fn frames_are_interpolated_as_in_torch() {
        let frames = [3.0_f32, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0];
        let two_bins: Vec<f32> = frames.iter().flat_map(|&value| [value, -2.0 * value]).collect();
        for expected in TORCH {
            let mut warped = vec![f32::NAN; 2 * expected.len()];
            stretch(&two_bins, &mut warped, 2);
            for (frame, expected) in warped.chunks(2).zip(expected) {
                assert!((frame[0] - expected).abs() < 2e-6 && frame[1] == -2.0 * frame[0], "{frame:?}, {expected}");
            }
        }
        let mut same = vec![f32::NAN; 7];
        stretch(&frames, &mut same, 1);
        assert_eq!(same, frames, "as many frames are the same frames");
        let mut held = [f32::NAN; 3];
        stretch(&[3.0], &mut held, 1);
        assert_eq!(held, [3.0; 3]);
    }

    #[test]
    fn a_frame_that_can_be_moved_either_way_is_drawn() {
        let place = |length, numbers| Warp::new("factor", 5).unwrap().place(length, numbers);
        let most = 1.0 - 2.0_f64.powi(-53);
        assert_eq!(place(11, [0.5, 0.0]), None, "too short");
        assert_eq!(place(12, [0.0, 0.0]), Some((6, 1)));
        assert_eq!(place(12, [most, most]), Some((6, 11)));
        assert_eq!(place(100, [0.0, 0.0]), Some((6, 1)));
        assert_eq!(place(100, [most, most]), Some((94, 99)));
        assert_eq!(place(100, [0.5, 0.5]), None, "moved by nothing");
        assert_eq!(place(0, [0.0, 0.0]), None);
    }

    #[test]
    fn centres_and_moves_are_equally_likely() {
        let warp = Warp::new("factor", 5).unwrap();
        let (mut centers, mut moves) = (vec![0; 40], vec![0; 11]);
        for number in 0..10_000 {
            let draws = Draws { seed: 17, id: &format!("utterance-{number}"), copy: 0, channel: 0, segment: None };
            let mut generator = draws.stage("featurize.features.1");
            let numbers = [generator.unit(), generator.unit()];
            if let Some((center, moved)) = warp.place(40, numbers) {
                centers[center] += 1;
                moves[moved + 5 - center] += 1;
            }
        }
        // A move of nothing is left alone, once in eleven times.
        let left_alone = 10_000 - moves.iter().sum::<usize>();
        assert!((left_alone as f64 - 909.0).abs() < 3.9 * 28.7, "{left_alone}");
        let possible = |range: std::ops::RangeInclusive<usize>, cell| if range.contains(&cell) { 1.0 } else { 0.0 };
        let expected: Vec<f64> = (0..40).map(|center| possible(6..=34, center)).collect();
        assert_as_likely("centres", &centers, &expected);
        moves.remove(5);
        assert_as_likely("moves", &moves, &[1.0; 10]);
    }
}
