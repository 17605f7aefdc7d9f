//! What `time_mask`, `freq_mask`, `time_warp` and `spec_augment` are made of: masks, how the peers draw them, and one
//! transform that warps and hides.
//!
//! A mask's width is drawn below a bound, then its start: w = ⌊U·bound⌋, s = ⌊U·(length − w)⌋, U uniform in [0, 1). So a
//! width is always less than its bound, and the last frame and the last bin are never hidden: in the peers neither. Where the
//! peers' bound would be more than there is to hide, it is the length: torchaudio and NeMo then hide everything from time to
//! time, and lhotse 1.33 counts from the wrong end.
//!
//! Everything is drawn once for each utterance and copy, and is the same for all channels of a recording.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::warping::Warp;
use super::{EditWhole, Extract, ExtractError, SettingError, Whole};
use crate::seed::{Draws, Generator};

/// What stands where a mask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// 0, which is the mean of normalised features, but loud among logarithms that are not.
    Zero,
    /// The mean of all numbers of the utterance, as they are before they are hidden.
    Mean,
}

/// Whose way of drawing masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// torchaudio 2.11's `mask_along_axis`: the fraction of the length is rounded down; the width is rounded after the start
    /// was drawn, s = ⌊U·(length − U′·bound)⌋.
    Torchaudio,
    /// lhotse 1.33's masks of frames: the fraction bounds what all masks hide together, and there are fewer of them in a
    /// short utterance.
    Lhotse,
    /// NeMo's masks, its vectorised code: the fraction of the length is not rounded. Also lhotse's masks of bins.
    Nemo,
    /// The paper's (Park et al., 2019): the widest mask is as wide as the bound.
    Paper,
}

/// The masks of one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Masks {
    pub(super) way: Way,
    pub(super) count: u32,
    /// The bound of a width; none where only the fraction bounds it.
    pub(super) max_width: Option<u32>,
    /// The share of the length that a mask may hide.
    pub(super) max_fraction: f64,
}

impl Masks {
    /// No masks.
    pub(super) const NONE: Self = Self { way: Way::Nemo, count: 0, max_width: None, max_fraction: 1.0 };

    /// The masks, if their settings, under the keys given, make sense.
    pub(super) fn checked(self, [count, max_width, max_fraction]: [&'static str; 3]) -> Result<Self, SettingError> {
        SettingError::unless_within(count, f64::from(self.count), 0.0, 1_000.0)?;
        SettingError::unless_within(max_width, f64::from(self.max_width.unwrap_or(1)), 1.0, 1_000_000.0)?;
        SettingError::unless_within(max_fraction, self.max_fraction, 0.0, 1.0)?;
        Ok(self)
    }

    /// How many masks an axis of `length` gets, and the bound of their widths.
    fn bounds(&self, length: usize) -> (u32, f64) {
        let (length, count) = (length as f64, self.count);
        let share = self.max_fraction * length;
        let width = self.max_width.map_or(length, f64::from);
        let (count, bound) = match self.way {
            Way::Torchaudio => (count, width.min(share.floor())),
            Way::Lhotse => {
                let count = count.min((share / width).ceil() as u32);
                (count, width.min((share / f64::from(count.max(1))).floor()))
            }
            Way::Nemo => (count, width.min(share)),
            Way::Paper => (count, width.min(share.floor()) + 1.0),
        };
        (count, bound.min(length))
    }

    /// The part of an axis of `length` that a mask hides, from the two numbers in [0, 1) drawn for it.
    fn place(&self, length: usize, bound: f64, [width, start]: [f64; 2]) -> Range<usize> {
        let drawn = width * bound;
        let width = if self.way == Way::Torchaudio { drawn } else { drawn.floor() };
        let start = (start * (length as f64 - width)) as usize;
        start..start + width as usize
    }

    /// The parts of an axis of `length` that are hidden; they may overlap or be empty.
    fn draw(self, length: usize, generator: &mut Generator) -> impl Iterator<Item = Range<usize>> {
        let (count, bound) = self.bounds(length);
        (0..count).map(move |_| self.place(length, bound, [generator.unit(), generator.unit()]))
    }
}

/// Frames warped, then hidden: one transform.
#[derive(Debug, Clone)]
pub(super) struct Augment {
    /// The row's place in the pipeline file.
    pub(super) path: String,
    /// Numbers in a frame.
    pub(super) bins: usize,
    /// How often an utterance is warped, and, drawn apart, how often it is hidden.
    pub(super) probability: f64,
    pub(super) warp: Option<Warp>,
    pub(super) time: Masks,
    pub(super) freq: Masks,
    pub(super) fill: Fill,
}

impl Augment {
    /// The transform at the start of an utterance.
    pub(super) fn at_work(self) -> Box<dyn Extract> {
        Box::new(Whole::new(AtWork { augment: self, generator: None }))
    }
}

struct AtWork {
    augment: Augment,
    /// The utterance's, from its start to its end.
    generator: Option<Generator>,
}

impl EditWhole for AtWork {
    fn begin(&mut self, draws: Draws<'_>) {
        self.generator = Some(draws.stage(&self.augment.path));
        if let Some(warp) = &mut self.augment.warp {
            warp.begin();
        }
    }

    fn edit(&mut self, frames: &mut [f32]) -> Result<(), ExtractError> {
        let Some(mut generator) = self.generator.take() else { return Ok(()) };
        let Augment { bins, probability, warp, time, freq, fill, .. } = &mut self.augment;
        let (bins, probability) = (*bins, *probability);
        let length = frames.len() / bins;
        // Drawn whether there is a warp or not, so that the masks are the same with it and without.
        let (is_warped, places) = (generator.unit() < probability, [generator.unit(), generator.unit()]);
        if let Some(warp) = warp
            && is_warped
        {
            warp.edit(frames, bins, places)?;
        }
        if generator.unit() >= probability || frames.is_empty() {
            return Ok(());
        }
        let hidden = match fill {
            Fill::Zero => 0.0,
            Fill::Mean => mean(frames),
        };
        for mask in freq.draw(bins, &mut generator) {
            for frame in frames.chunks_exact_mut(bins) {
                frame[mask.clone()].fill(hidden);
            }
        }
        for mask in time.draw(length, &mut generator) {
            frames[mask.start * bins..mask.end * bins].fill(hidden);
        }
        Ok(())
    }
}

/// The mean of numbers, of which there is at least one, in double precision and in a fixed order.
fn mean(numbers: &[f32]) -> f32 {
    let mut sums = [0.0_f64; 8];
    for group in numbers.chunks(sums.len()) {
        for (sum, &number) in sums.iter_mut().zip(group) {
            *sum += f64::from(number);
        }
    }
    (sums.iter().sum::<f64>() / numbers.len() as f64) as f32
}

/// For the tests of what draws: many utterances, and how likely what was drawn is.
#[cfg(test)]
pub(super) mod drawing {
    use crate::audio::Seconds;
    use crate::seed::Draws;
    use crate::transform::{Column, Transform};

    /// The place in the pipeline file of the transforms under test.
    pub(crate) const PATH: &str = "featurize.features.1";

    /// Shows what the transform makes of `frames` for each of 10,000 utterances at a fixed seed.
    pub(crate) fn for_10_000_utterances(
        transform: &dyn Transform,
        bins: usize,
        frames: &[f32],
        mut see: impl FnMut(&[f32]),
    ) {
        let before = Column::of(bins, "dB", Seconds::new(0.01));
        let mut at_work = transform.prepare(&before, PATH).expect("settings that fit");
        let mut out = Vec::new();
        for number in 0..10_000 {
            out.clear();
            at_work.begin(Draws { seed: 17, id: &format!("utterance-{number}"), copy: 0, channel: 0, segment: None });
            at_work.push(frames, &mut out);
            at_work.finish(&mut out).expect("frames");
            see(&out);
        }
    }

    /// The first run of zeros: where it starts and how long it is.
    pub(crate) fn zeros(numbers: impl IntoIterator<Item = f32>) -> Option<(usize, usize)> {
        let numbers: Vec<f32> = numbers.into_iter().collect();
        let start = numbers.iter().position(|&number| number == 0.0)?;
        let width = numbers[start..].iter().take_while(|&&number| number == 0.0).count();
        assert!(numbers[start + width..].iter().all(|&number| number != 0.0), "one run of zeros");
        Some((start, width))
    }

    /// Holds counts against what they should be: Pearson's chi-square is below what 1 in 10,000 would exceed if they were
    /// drawn as they should. Cells of which fewer than five are expected count with the next.
    pub(crate) fn assert_as_likely(what: &str, counts: &[usize], probabilities: &[f64]) {
        assert_eq!(counts.len(), probabilities.len(), "{what}");
        let drawn: usize = counts.iter().sum();
        let total: f64 = probabilities.iter().sum();
        let (mut statistic, mut cells, mut counted, mut expected) = (0.0, 0.0_f64, 0.0, 0.0);
        for (number, (&count, &probability)) in counts.iter().zip(probabilities).enumerate() {
            assert!(count == 0 || probability > 0.0, "{what}: {number} cannot be drawn");
            counted += count as f64;
            expected += probability / total * drawn as f64;
            let rest = probabilities[number + 1..].iter().sum::<f64>() / total * drawn as f64;
            if expected >= 5.0 && (rest >= 5.0 || rest == 0.0) {
                statistic += (counted - expected).powi(2) / expected;
                (cells, counted, expected) = (cells + 1.0, 0.0, 0.0);
            }
        }
        assert!(cells >= 2.0 && counted == 0.0, "{what}: {cells} cells, {counted} left");
        // Wilson and Hilferty's approximation of the quantile; 3.719 is the normal distribution's.
        let freedom = cells - 1.0;
        let spread = 2.0 / (9.0 * freedom);
        let bound = freedom * (1.0 - spread + 3.719 * spread.sqrt()).powi(3);
        println!("{what}: chi-square {statistic:.1} of {freedom} degrees, at most {bound:.1}");
        assert!(statistic < bound, "{what}: chi-square {statistic} of {freedom} degrees, at most {bound}");
    }

    /// How likely each start is on an axis of `length`, where the widths are equally likely.
    pub(crate) fn starts(length: usize, widths: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut probabilities = vec![0.0; length];
        for width in widths {
            let room = length as f64 - width;
            for (start, probability) in probabilities.iter_mut().enumerate() {
                *probability += (room - start as f64).clamp(0.0, 1.0) / room;
            }
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masks(way: Way, count: u32, max_width: Option<u32>, max_fraction: f64) -> Masks {
        Masks { way, count, max_width, max_fraction }
    }

    #[test]
    fn each_peer_has_its_bound() {
        let bounds = |way, count, width, fraction, length| masks(way, count, width, fraction).bounds(length);
        assert_eq!(bounds(Way::Torchaudio, 2, Some(100), 1.0, 1_000), (2, 100.0));
        assert_eq!(bounds(Way::Torchaudio, 2, Some(100), 0.05, 1_019), (2, 50.0), "int(length · p)");
        assert_eq!(bounds(Way::Torchaudio, 2, Some(100), 0.05, 19), (2, 0.0), "less than one frame");
        assert_eq!(bounds(Way::Nemo, 10, None, 0.05, 1_019), (10, 0.05 * 1_019.0), "not rounded");
        assert_eq!(bounds(Way::Nemo, 2, Some(27), 1.0, 80), (2, 27.0));
        assert_eq!(bounds(Way::Paper, 2, Some(27), 1.0, 80), (2, 28.0), "27 is the widest");
        assert_eq!(bounds(Way::Paper, 2, Some(70), 0.2, 104), (2, 21.0));
        // lhotse: min(10, ⌈0.15·T / 100⌉) masks, each of less than min(100, ⌊0.15·T / masks⌋) frames.
        assert_eq!(bounds(Way::Lhotse, 10, Some(100), 0.15, 400), (1, 60.0));
        assert_eq!(bounds(Way::Lhotse, 10, Some(100), 0.15, 1_000), (2, 75.0));
        assert_eq!(bounds(Way::Lhotse, 10, Some(100), 0.15, 20_000), (10, 100.0));
        assert_eq!(bounds(Way::Lhotse, 10, Some(100), 0.15, 6), (1, 0.0), "where lhotse itself fails");
        assert_eq!(bounds(Way::Lhotse, 10, Some(100), 0.0, 1_000), (0, 0.0));
        for way in [Way::Torchaudio, Way::Nemo, Way::Paper] {
            assert_eq!(bounds(way, 2, Some(27), 1.0, 23), (2, 23.0), "never more than there is");
        }
    }

    #[test]
    fn a_mask_is_placed_by_two_numbers() {
        let place = |way, numbers| masks(way, 1, None, 1.0).place(80, 27.0, numbers);
        for way in [Way::Torchaudio, Way::Lhotse, Way::Nemo, Way::Paper] {
            assert_eq!(place(way, [0.0, 0.5]), 40..40);
            assert_eq!(place(way, [0.5, 0.0]), 0..13);
            assert_eq!(place(way, [0.5, 0.5]), 33..46);
        }
        // ⌊0.99·(80 − 13.5)⌋ and ⌊0.99·(80 − 13)⌋.
        assert_eq!(place(Way::Torchaudio, [0.5, 0.99]), 65..78);
        assert_eq!(place(Way::Nemo, [0.5, 0.99]), 66..79);
    }

    #[test]
    fn the_mean_is_that_of_all_numbers() {
        for length in 1..40_u16 {
            let numbers: Vec<f32> = (1..=length).map(f32::from).collect();
            assert_eq!(mean(&numbers), f32::from(length + 1) / 2.0);
        }
        assert_eq!(mean(&[f32::MAX; 9]), f32::MAX);
    }

    proptest! {
        #[test]
        fn no_mask_leaves_its_axis_or_is_as_wide_as_its_bound(
            way in prop::sample::select(vec![Way::Torchaudio, Way::Lhotse, Way::Nemo, Way::Paper]),
            count in 0..20_u32,
            width in prop::option::of(1..200_u32),
            fraction in 0.0..=1.0_f64,
            length in 1..300_usize,
            numbers: [u64; 2],
        ) {
            let masks = masks(way, count, width, fraction);
            let (count, bound) = masks.bounds(length);
            let numbers = numbers.map(|bits| (bits >> 11) as f64 * 2.0_f64.powi(-53));
            for numbers in [numbers, [numbers[0], 1.0 - 2.0_f64.powi(-53)], [1.0 - 2.0_f64.powi(-53), numbers[1]]] {
                let mask = masks.place(length, bound, numbers);
                prop_assert!(mask.end < length || mask.is_empty(), "{mask:?} of {length}");
                prop_assert!((mask.len() as f64) < bound.max(1.0), "{mask:?} of {bound}");
                let most = fraction * length as f64;
                let hidden = mask.len() * if way == Way::Lhotse { count as usize } else { 1 };
                prop_assert!(hidden as f64 <= most, "{hidden} of {most}");
                prop_assert!(width.is_none_or(|width| mask.len() <= width as usize));
            }
        }
    }
}
