//! Bins in a row hidden through the utterance, at random places: torchaudio 2.11's `FrequencyMasking`.
//!
//! Width ⌊U·`max_width_bins`⌋, the bound not above ⌊`max_fraction`·bins⌋; start ⌊U·(bins − width)⌋. Drawn once for each
//! utterance and copy, the same for all channels of a recording.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masking::{Augment, Fill, Masks, Way};
use super::{Column, Extract, SettingError, Transform};
use crate::family::Member;

/// Bins in a row hidden through the utterance, at random places.
///
/// Shape and unit stay. As `torchaudio.transforms.FrequencyMasking`, so many times. A mask is less wide than the least of its
/// bounds, and sometimes no bin wide; the last bin is never hidden. Drawn once for each utterance and copy: the channels of a
/// recording have the same masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FreqMask {
    /// How many masks there are, 1 (default) to 1000. They may overlap.
    #[schemars(range(min = 1, max = 1_000))]
    pub num_masks: u32,
    /// The bound of a mask's width in bins, itself not reached; 27. Null leaves it to `max_fraction`. (`freq_mask_param` in
    /// torchaudio.)
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_width_bins: Option<u32>,
    /// The share of the bins that bounds each mask's width too, 0 to 1 (default). (`p` in torchaudio.)
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_fraction: f64,
    /// What stands in hidden bins: the utterance's `mean` (default) or `zero` (torchaudio's default).
    pub fill: Fill,
    /// The share of the utterances that have masks, 0 to 1 (default).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
}

impl Default for FreqMask {
    fn default() -> Self {
        Self { num_masks: 1, max_width_bins: Some(27), max_fraction: 1.0, fill: Fill::Mean, probability: 1.0 }
    }
}

impl Member for FreqMask {
    const EXAMPLE: &'static str = "freq_mask: { num_masks: 2, max_width_bins: 10 }";
}

impl FreqMask {
    fn masks(&self, before: &Column) -> Result<Masks, SettingError> {
        let Self { num_masks: count, max_width_bins: max_width, max_fraction, .. } = *self;
        SettingError::unless_within("num_masks", f64::from(count), 1.0, 1_000.0)?;
        SettingError::unless_within("probability", self.probability, 0.0, 1.0)?;
        if before.bins.is_none() {
            return Err(SettingError::DoesNotFit {
                key: "max_width_bins",
                reason: "a column of single numbers has no bins to hide",
            });
        }
        Masks { way: Way::Torchaudio, count, max_width, max_fraction }.checked([
            "num_masks",
            "max_width_bins",
            "max_fraction",
        ])
    }
}

impl Transform for FreqMask {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        self.masks(before)?;
        Ok(before.clone())
    }

    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        let augment = Augment {
            path: path.to_owned(),
            bins: before.bins.unwrap_or(1),
            probability: self.probability,
            warp: None,
            time: Masks::NONE,
            freq: self.masks(before)?,
            fill: self.fill,
        };
        Ok(augment.at_work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::masking::drawing::{PATH, assert_as_likely, for_10_000_utterances, starts, zeros};
    use crate::transform::testing::{transformed, transformed_for};

    const ONE: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

    /// One mask of zeros.
    fn zero(max_width_bins: Option<u32>) -> FreqMask {
        FreqMask { max_width_bins, fill: Fill::Zero, ..FreqMask::default() }
    }

    /// Two frames, no number zero, none like another.
    fn frames(bins: usize) -> Vec<f32> {
        (1..=2 * bins).map(|number| (number as f32).sqrt()).collect()
    }

    /// The bins that are hidden.
    fn hidden(out: &[f32]) -> Option<(usize, usize)> {
        let (first, second) = out.split_at(out.len() / 2);
        assert!(first.iter().zip(second).all(|(&one, &other)| (one == 0.0) == (other == 0.0)), "in all frames");
        zeros(first.iter().copied())
    }

    #[test]
    fn a_draw_is_torchaudios_formula_and_all_else_is_untouched() {
        let before = frames(80);
        let mean = (before.iter().map(|&value| f64::from(value)).sum::<f64>() / 160.0) as f32;
        let mut hidden = 0;
        for id in ["one", "two", "three", "four", "five"] {
            let mut generator = Draws { id, ..ONE }.stage(PATH);
            // The warp's three and whether there are masks at all.
            let [_, _, _, _, first, second] = std::array::from_fn(|_| generator.unit());
            let width = first * 27.0;
            let start = (second * (80.0 - width)) as usize;
            let mask = start..start + width as usize;
            hidden += mask.len();
            for (fill, value) in [(Fill::Zero, 0.0), (Fill::Mean, mean)] {
                let row = FreqMask { fill, ..zero(Some(27)) };
                let out = transformed_for(&row, 80, &before, Draws { id, ..ONE }).unwrap();
                for (number, (after, before)) in out.iter().zip(&before).enumerate() {
                    let expected = if mask.contains(&(number % 80)) { value } else { *before };
                    assert_eq!(after.to_bits(), expected.to_bits(), "{id}: {number}");
                }
            }
        }
        assert!(hidden > 20, "draws that show something: {hidden} bins");
    }

    #[test]
    fn an_utterance_has_its_masks_and_another_has_others() {
        let of = |draws| transformed_for(&zero(Some(27)), 80, &frames(80), draws).unwrap();
        assert_eq!(of(ONE), of(ONE));
        assert_eq!(of(ONE), of(Draws { channel: 1, ..ONE }), "channels share their masks");
        assert_ne!(of(ONE), of(Draws { id: "utterance-2", ..ONE }));
    }

    #[test]
    fn widths_and_starts_are_as_likely_as_in_torchaudio() {
        let (mut widths, mut at) = (vec![0; 27], vec![0; 80]);
        for_10_000_utterances(&zero(Some(27)), 80, &frames(80), |out| {
            let (start, width) = hidden(out).unwrap_or_default();
            widths[width] += 1;
            if width > 0 {
                at[start] += 1;
            }
        });
        assert_as_likely("widths", &widths, &[1.0; 27]);
        assert_as_likely("starts", &at, &starts(80, (1_000..27_000).map(|width| (f64::from(width) + 0.5) / 1_000.0)));
    }

    #[test]
    fn a_mask_leaves_some_bins_however_few_there_are() {
        let mut widths = vec![0; 23];
        for_10_000_utterances(&zero(Some(27)), 23, &frames(23), |out| {
            widths[hidden(out).map_or(0, |(_, width)| width)] += 1;
        });
        assert_as_likely("widths", &widths, &[1.0; 23]);
        let mut widths = vec![0; 4];
        let mask = FreqMask { max_fraction: 0.2, ..zero(None) };
        for_10_000_utterances(&mask, 23, &frames(23), |out| widths[hidden(out).map_or(0, |(_, width)| width)] += 1);
        assert_as_likely("widths below 4.6 bins", &widths, &[1.0; 4]);
    }

    #[test]
    fn where_there_is_nothing_to_hide_nothing_is_hidden() {
        assert_eq!(transformed(&zero(Some(27)), 1, &frames(1)).unwrap(), frames(1));
        assert_eq!(transformed(&zero(Some(1)), 23, &frames(23)).unwrap(), frames(23));
        assert!(transformed(&zero(Some(27)), 23, &[]).unwrap().is_empty());
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let refused = |mask: FreqMask| mask.column(&Column::of(3, "", None)).unwrap_err().key();
        assert_eq!(refused(FreqMask { num_masks: 1_001, ..FreqMask::default() }), "num_masks");
        assert_eq!(refused(zero(Some(0))), "max_width_bins");
        assert_eq!(refused(FreqMask { max_fraction: -0.1, ..FreqMask::default() }), "max_fraction");
        assert_eq!(refused(FreqMask { probability: 2.0, ..FreqMask::default() }), "probability");
        let single = Column { bins: None, ..Column::of(1, "", None) };
        assert_eq!(FreqMask::default().column(&single).unwrap_err().key(), "max_width_bins");
    }
}
