//! SpecAugment in one row (Park et al., 2019): time warped, bins and frames hidden, in the ways and with the numbers of the
//! toolkits.
//!
//! Sources: torchaudio 2.11's `transforms.SpecAugment`; lhotse 1.33's `SpecAugment` with its defaults, which icefall's recipes
//! use; NeMo's `SpectrogramAugmentation` (vectorised) with the numbers of its FastConformer recipes; table 1 of the paper.
//! How each draws its masks is in `masking.rs`, how time is warped in `warping.rs`. Drawn once for each utterance and copy,
//! the same for all channels of a recording.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::masking::{Augment, Fill, Masks, Way};
use super::warping::Warp;
use super::{Column, Extract, SettingError, Transform};
use crate::family::Member;

/// Whose SpecAugment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// lhotse's, as icefall trains with it.
    #[default]
    Lhotse,
    /// NeMo's, as its FastConformer recipes have it.
    Nemo,
    /// torchaudio's, which has no numbers of its own: those of `ld`.
    Torchaudio,
    /// The paper's LibriSpeech basic.
    Lb,
    /// The paper's LibriSpeech double.
    Ld,
    /// The paper's Switchboard mild.
    Sm,
    /// The paper's Switchboard strong.
    Ss,
}

/// SpecAugment: time warped, then bins and frames in a row hidden, all at random.
///
/// Shape and unit stay. A setting that is null is the policy's:
///
/// | | `lhotse` | `nemo` | `torchaudio` | `lb` | `ld` | `sm` | `ss` |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | `probability` | 0.9 | 1 | 1 | 1 | 1 | 1 | 1 |
/// | `time_warp_factor` | 80 | 0 | 0 | 80 | 80 | 40 | 40 |
/// | `num_freq_masks` | 2 | 2 | 2 | 1 | 2 | 2 | 2 |
/// | `max_freq_width_bins` | 27 | 27 | 27 | 27 | 27 | 15 | 27 |
/// | `num_time_masks` | 10 | 10 | 2 | 1 | 2 | 2 | 2 |
/// | `max_time_width_frames` | 100 | - | 100 | 100 | 100 | 70 | 70 |
/// | `max_time_fraction` | 0.15 | 0.05 | 1 | 1 | 1 | 0.2 | 0.2 |
/// | `fill` | mean | zero | mean | mean | mean | mean | mean |
///
/// In the paper's policies the widest mask is as wide as its bound, elsewhere less wide. A mask is never as wide as there are
/// frames or bins. `lhotse` hides `max_time_fraction` of the frames with all masks together, the others with each (torchaudio bounds masks of bins by it too); it gives
/// short utterances fewer masks, and those of up to 13 frames none. NeMo's policy expects normalised features, whose mean is
/// zero; lhotse's mean is that of an utterance here, and of a padded batch in training. Drawn once for each utterance and copy:
/// the channels of a recording are warped alike and have the same masks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpecAugment {
    /// Whose numbers and ways: `lhotse` (default), `nemo`, `torchaudio`, or the paper's `lb`, `ld`, `sm` or `ss`.
    pub policy: Policy,
    /// The share of the utterances that are warped, and, drawn apart from it, of those that have masks, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: Option<f64>,
    /// How far a frame is moved by `time_warp`, in frames; 0 warps nothing.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub time_warp_factor: Option<u32>,
    /// How many masks of bins there are, 0 to 1000.
    #[schemars(range(min = 0, max = 1_000))]
    pub num_freq_masks: Option<u32>,
    /// The bound of their width in bins.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_freq_width_bins: Option<u32>,
    /// How many masks of frames there are, 0 to 1000.
    #[schemars(range(min = 0, max = 1_000))]
    pub num_time_masks: Option<u32>,
    /// The bound of their width in frames; NeMo's policy has none.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_time_width_frames: Option<u32>,
    /// The share of the frames that each of them may hide, or all of them in lhotse's policy, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_time_fraction: Option<f64>,
    /// What stands in hidden places: the utterance's `mean` after the warp, or `zero`.
    pub fill: Option<Fill>,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Numbers {
    probability: f64,
    warp: u32,
    freq: Masks,
    time: Masks,
    fill: Fill,
}

impl Policy {
    const fn numbers(self) -> Numbers {
        match self {
            Self::Lhotse => Numbers {
                probability: 0.9,
                warp: 80,
                freq: masks(Way::Nemo, 2, Some(27), 1.0),
                time: masks(Way::Lhotse, 10, Some(100), 0.15),
                fill: Fill::Mean,
            },
            Self::Nemo => Numbers {
                probability: 1.0,
                warp: 0,
                freq: masks(Way::Nemo, 2, Some(27), 1.0),
                time: masks(Way::Nemo, 10, None, 0.05),
                fill: Fill::Zero,
            },
            Self::Torchaudio => Numbers {
                probability: 1.0,
                warp: 0,
                freq: masks(Way::Torchaudio, 2, Some(27), 1.0),
                time: masks(Way::Torchaudio, 2, Some(100), 1.0),
                fill: Fill::Mean,
            },
            Self::Lb => paper(80, [1, 27], [1, 100], 1.0),
            Self::Ld => paper(80, [2, 27], [2, 100], 1.0),
            Self::Sm => paper(40, [2, 15], [2, 70], 0.2),
            Self::Ss => paper(40, [2, 27], [2, 70], 0.2),
        }
    }
}

const fn masks(way: Way, count: u32, max_width: Option<u32>, max_fraction: f64) -> Masks {
    Masks { way, count, max_width, max_fraction }
}

/// A row of the paper's table: W, the masks and F, the masks and T, p.
const fn paper(warp: u32, [freq_masks, freq]: [u32; 2], [time_masks, time]: [u32; 2], fraction: f64) -> Numbers {
    Numbers {
        probability: 1.0,
        warp,
        freq: masks(Way::Paper, freq_masks, Some(freq), 1.0),
        time: masks(Way::Paper, time_masks, Some(time), fraction),
        fill: Fill::Mean,
    }
}

impl Member for SpecAugment {
    const EXAMPLE: &'static str = "spec_augment: { policy: lhotse, max_freq_width_bins: 10 }";
}

impl SpecAugment {
    /// What the policy says, but for what the row says itself; checked.
    fn numbers(&self) -> Result<Numbers, SettingError> {
        let policy = self.policy.numbers();
        let numbers = Numbers {
            probability: self.probability.unwrap_or(policy.probability),
            warp: self.time_warp_factor.unwrap_or(policy.warp),
            freq: Masks {
                count: self.num_freq_masks.unwrap_or(policy.freq.count),
                max_width: self.max_freq_width_bins.or(policy.freq.max_width),
                ..policy.freq
            },
            time: Masks {
                count: self.num_time_masks.unwrap_or(policy.time.count),
                max_width: self.max_time_width_frames.or(policy.time.max_width),
                max_fraction: self.max_time_fraction.unwrap_or(policy.time.max_fraction),
                ..policy.time
            },
            fill: self.fill.unwrap_or(policy.fill),
        };
        SettingError::unless_within("probability", numbers.probability, 0.0, 1.0)?;
        numbers.freq.checked(["num_freq_masks", "max_freq_width_bins", "max_freq_width_bins"])?;
        numbers.time.checked(["num_time_masks", "max_time_width_frames", "max_time_fraction"])?;
        Ok(numbers)
    }

    fn augment(&self, before: &Column, path: &str) -> Result<Augment, SettingError> {
        let Numbers { probability, warp, freq, time, fill } = self.numbers()?;
        if before.bins.is_none() && freq.count > 0 {
            return Err(SettingError::DoesNotFit {
                key: "num_freq_masks",
                reason: "a column of single numbers has no bins to hide: `num_freq_masks: 0` hides frames alone",
            });
        }
        let warp = if warp > 0 { Some(Warp::new("time_warp_factor", warp)?) } else { None };
        let (path, bins) = (path.to_owned(), before.bins.unwrap_or(1));
        Ok(Augment { path, bins, probability, warp, time, freq, fill })
    }
}

impl Transform for SpecAugment {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        self.augment(before, "")?;
        Ok(Column { dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        Ok(self.augment(before, path)?.at_work())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Draws;
    use crate::transform::masking::drawing::{PATH, assert_as_likely, for_10_000_utterances, starts, zeros};
    use crate::transform::testing::{transformed, transformed_for};

    const ONE: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

    fn settings(json: &str) -> SpecAugment {
        serde_json::from_str(json).unwrap()
    }

    /// Frames of numbers above zero, none like another.
    fn frames(length: usize, bins: usize) -> Vec<f32> {
        (1..=length * bins).map(|number| (number as f32).sqrt()).collect()
    }

    /// How many frames are zero altogether.
    fn hidden_frames(out: &[f32], bins: usize) -> usize {
        out.chunks(bins).filter(|frame| frame.iter().all(|&value| value == 0.0)).count()
    }

    #[test]
    fn what_the_row_says_goes_before_what_the_policy_says() {
        let lhotse = settings("{}").numbers().unwrap();
        assert_eq!(lhotse, Policy::Lhotse.numbers());
        assert_eq!((lhotse.probability, lhotse.warp, lhotse.fill), (0.9, 80, Fill::Mean));
        let nemo = settings(
            r#"{"policy": "nemo", "probability": 0.5, "time_warp_factor": 5, "num_freq_masks": 1, "max_freq_width_bins": 3,
                "num_time_masks": 4, "max_time_width_frames": 20, "max_time_fraction": 0.1, "fill": "mean"}"#,
        );
        let expected = Numbers {
            probability: 0.5,
            warp: 5,
            freq: masks(Way::Nemo, 1, Some(3), 1.0),
            time: masks(Way::Nemo, 4, Some(20), 0.1),
            fill: Fill::Mean,
        };
        assert_eq!(nemo.numbers().unwrap(), expected);
        assert_eq!(settings(r#"{"policy": "ld"}"#).numbers().unwrap(), paper(80, [2, 27], [2, 100], 1.0));
    }

    /// The draw of the row, computed by the peers' formulas from the same numbers.
    #[test]
    fn one_draw_is_the_policys_formula() {
        let before = frames(500, 80);
        for policy in ["lhotse", "nemo", "torchaudio", "ld"] {
            let row = settings(&format!(
                r#"{{"policy": "{policy}", "time_warp_factor": 0, "probability": 1, "fill": "zero"}}"#
            ));
            let out = transformed(&row, 80, &before).unwrap();
            let mut generator = ONE.stage(PATH);
            // The warp's three and whether there are masks at all.
            let [_, _, _, _] = std::array::from_fn(|_| generator.unit());
            let mut expected = before.clone();
            let mut place = |length: f64, bound: f64| {
                let (width, start) = (generator.unit() * bound, generator.unit());
                let room = length - if policy == "torchaudio" { width } else { width.floor() };
                (start * room) as usize..(start * room) as usize + width as usize
            };
            let (bins, masks, time) = match policy {
                "lhotse" => (27.0, 1, 75.0),
                "nemo" => (27.0, 10, 0.05 * 500.0),
                "torchaudio" => (27.0, 2, 100.0),
                _ => (28.0, 2, 101.0),
            };
            for mask in [place(80.0, bins), place(80.0, bins)] {
                expected.chunks_mut(80).for_each(|frame| frame[mask.clone()].fill(0.0));
            }
            for _ in 0..masks {
                let mask = place(500.0, time);
                expected[80 * mask.start..80 * mask.end].fill(0.0);
            }
            assert_eq!(out, expected, "{policy}");
            assert!(hidden_frames(&out, 80) > 3, "{policy}: a draw that shows something");
        }
    }

    #[test]
    fn the_fill_is_the_mean_after_the_warp_and_the_warp_moves_no_mask() {
        let before = frames(300, 40);
        let of = |json: &str| transformed(&settings(json), 40, &before).unwrap();
        let warped = of(r#"{"policy": "ld", "num_freq_masks": 0, "num_time_masks": 0}"#);
        let mean = (warped.iter().map(|&value| f64::from(value)).sum::<f64>() / warped.len() as f64) as f32;
        let (all, zero, straight) = (
            of(r#"{"policy": "ld"}"#),
            of(r#"{"policy": "ld", "fill": "zero"}"#),
            of(r#"{"policy": "ld", "fill": "zero", "time_warp_factor": 0}"#),
        );
        assert_ne!(warped, before);
        for (number, warped) in warped.iter().enumerate() {
            assert_eq!(zero[number] == 0.0, straight[number] == 0.0, "{number}");
            let is_hidden = zero[number] == 0.0;
            assert_eq!(all[number].to_bits(), if is_hidden { mean } else { *warped }.to_bits(), "{number}");
            assert!(is_hidden || straight[number].to_bits() == before[number].to_bits(), "{number}");
        }
    }

    #[test]
    fn an_utterance_has_its_draw_and_another_has_others() {
        let of = |draws| transformed_for(&settings("{}"), 40, &frames(300, 40), draws).unwrap();
        assert_eq!(of(ONE), of(ONE));
        assert_eq!(of(ONE), of(Draws { channel: 1, ..ONE }), "channels share their draw");
        assert_ne!(of(ONE), of(Draws { id: "utterance-2", ..ONE }));
        assert_ne!(of(ONE), of(Draws { copy: 1, ..ONE }));
    }

    #[test]
    fn lhotses_masks_together_hide_their_share_at_most() {
        for length in [1, 6, 7, 13, 14, 100, 666, 667, 1_400] {
            let row = settings(r#"{"time_warp_factor": 0, "num_freq_masks": 0, "fill": "zero", "probability": 1}"#);
            let mut most = 0;
            let before = frames(length, 1);
            for number in 0..300 {
                let id = format!("utterance-{number}");
                let out = transformed_for(&row, 1, &before, Draws { id: &id, ..ONE }).unwrap();
                most = most.max(hidden_frames(&out, 1));
            }
            assert!(most as f64 <= 0.15 * length as f64, "{most} of {length}");
            assert_eq!(most == 0, length < 14, "{most} of {length}");
        }
    }

    #[test]
    fn widths_and_starts_are_as_likely_as_in_nemo_and_in_the_paper() {
        let one_mask = r#""num_time_masks": 1, "num_freq_masks": 0, "time_warp_factor": 0, "fill": "zero""#;
        // NeMo: ⌊U·0.05·150⌋, so that 7 is half as likely as the others. The paper: 7 at most, as likely as the others.
        let expected = [[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5], [1.0; 8]];
        for (policy, likely) in
            [r#""policy": "nemo""#, r#""policy": "ld", "max_time_fraction": 0.05"#].iter().zip(expected)
        {
            let (mut widths, mut at) = (vec![0; 8], vec![0; 150]);
            for_10_000_utterances(&settings(&format!("{{{policy}, {one_mask}}}")), 1, &frames(150, 1), |out| {
                let (start, width) = zeros(out.iter().copied()).unwrap_or_default();
                widths[width] += 1;
                if width > 0 {
                    at[start] += 1;
                }
            });
            assert_as_likely(&format!("{policy}, widths"), &widths, &likely);
            // Twice each width, once the seven of NeMo.
            let halves =
                (2..8).flat_map(|width| vec![width - 1; 2]).chain(vec![7; if likely[7] < 1.0 { 1 } else { 2 }]);
            assert_as_likely(&format!("{policy}, starts"), &at, &starts(150, halves.map(f64::from)));
        }
    }

    #[test]
    fn warp_and_masks_are_as_frequent_as_they_should_be_and_drawn_apart() {
        let before: Vec<f32> = (0..40).map(|t| 1.0 + t as f32).collect();
        let row = settings(
            r#"{"time_warp_factor": 5, "num_freq_masks": 0, "num_time_masks": 1, "max_time_fraction": 0.5,
            "fill": "zero", "probability": 0.6}"#,
        );
        // [whether warped][whether there are masks]
        let mut counts = vec![0; 4];
        for_10_000_utterances(&row, 1, &before, |out| {
            let warped = out.iter().zip(&before).any(|(&after, &before)| after != 0.0 && after != before);
            let hidden = out.contains(&0.0);
            counts[2 * usize::from(warped) + usize::from(hidden)] += 1;
        });
        // One warp in 11 moves nothing; one mask in 20 hides nothing.
        let (warped, hidden) = (0.6 * 10.0 / 11.0, 0.6 * 0.95);
        let likely =
            [(1.0 - warped) * (1.0 - hidden), (1.0 - warped) * hidden, warped * (1.0 - hidden), warped * hidden];
        assert_as_likely("neither, masks, warp, both", &counts, &likely);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let refused = |json: &str| settings(json).column(&Column::of(3, "", None)).unwrap_err().key();
        assert_eq!(refused(r#"{"probability": 1.5}"#), "probability");
        assert_eq!(refused(r#"{"time_warp_factor": 1000001}"#), "time_warp_factor");
        assert_eq!(refused(r#"{"num_freq_masks": 1001}"#), "num_freq_masks");
        assert_eq!(refused(r#"{"max_freq_width_bins": 0}"#), "max_freq_width_bins");
        assert_eq!(refused(r#"{"num_time_masks": 1001}"#), "num_time_masks");
        assert_eq!(refused(r#"{"max_time_width_frames": 0}"#), "max_time_width_frames");
        assert_eq!(refused(r#"{"max_time_fraction": -1}"#), "max_time_fraction");
        let single = Column { bins: None, ..Column::of(1, "", None) };
        assert_eq!(settings("{}").column(&single).unwrap_err().key(), "num_freq_masks");
        assert!(settings(r#"{"num_freq_masks": 0}"#).column(&single).is_ok());
        assert!(serde_json::from_str::<SpecAugment>(r#"{"policy": "espnet"}"#).is_err());
    }
}
