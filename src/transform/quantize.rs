//! Numbers as levels, counted from 0: of equal steps, or of the mu-law's, which are finer near the middle.
//!
//! level = ⌊(c(u) + 1) / 2·(levels − 1) + ½⌋, where u runs from −1 at `low` to 1 at `high`; c(u) = u, or for the mu-law
//! sign(u)·ln(1 + μ|u|) / ln(1 + μ) with μ = levels − 1, as in torchaudio 2.11's `MuLawEncoding`. What lies outside has the
//! outermost levels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, EachFrame, Extract, FrameToRow, SettingError, Transform};
use crate::family::Member;
use crate::manifest::Dtype;
use crate::spectrum;

/// Each number as the nearest of so many levels.
///
/// Shape `[frames, bins]`, levels from 0 to `levels` − 1. `{ scale: mu_law }` after `waveform` is `torchaudio.transforms.MuLawEncoding`.
/// Equal steps are undone by `low` + level · (`high` − `low`) / (`levels` − 1). Up to 256 levels, any `dtype` but integers holds
/// them; more insist on `f32`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quantize {
    /// How the levels lie: `linear` (default) or `mu_law`.
    pub scale: LevelScale,
    /// What has level 0, with all below it, -1e30 to 1e30; -1.
    #[schemars(range(min = -1e30, max = 1e30))]
    pub low: f64,
    /// What has the highest level, with all above it, -1e30 to 1e30; 1.
    #[schemars(range(min = -1e30, max = 1e30))]
    pub high: f64,
    /// The number of levels, 2 to 65536; 256. (`quantization_channels` in torchaudio.)
    #[schemars(range(min = 2, max = 65_536))]
    pub levels: u32,
}

/// How levels lie between the lowest and the highest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LevelScale {
    /// In equal steps.
    #[default]
    Linear,
    /// In steps that grow from the middle outwards, as in telephony (ITU-T G.711).
    MuLaw,
}

impl Default for Quantize {
    fn default() -> Self {
        Self { scale: LevelScale::Linear, low: -1.0, high: 1.0, levels: 256 }
    }
}

impl Member for Quantize {
    const EXAMPLE: &'static str = "quantize: { low: 0, high: 25, levels: 256 }";
}

/// Levels whose numbers every type of a column holds exactly: bfloat16 has 8 bits.
const LEVELS_OF_ANY_DTYPE: u32 = 256;

impl Transform for Quantize {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        let low = SettingError::unless_within("low", self.low, -1e30, 1e30)?;
        let high = SettingError::unless_within("high", self.high, -1e30, 1e30)?;
        SettingError::unless_within("levels", f64::from(self.levels), 2.0, 65_536.0)?;
        if low >= high {
            return Err(SettingError::DoesNotFit { key: "high", reason: "`high` must lie above `low`" });
        }
        let dtype = (self.levels > LEVELS_OF_ANY_DTYPE).then_some(Dtype::F32);
        Ok(Column { unit: format!("level from 0 to {}", self.levels - 1), dtype, ..before.clone() })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let bins = before.bins.unwrap_or(1);
        let Self { low, high, .. } = *self;
        let highest = f64::from(self.levels - 1);
        Ok(match self.scale {
            LevelScale::Linear => Box::new(EachFrame(EqualSteps { bins, low, high, highest })),
            LevelScale::MuLaw => Box::new(EachFrame(MuLaw::new(bins, low, high, highest))),
        })
    }
}

struct EqualSteps {
    bins: usize,
    low: f64,
    high: f64,
    highest: f64,
}

impl FrameToRow for EqualSteps {
    fn bins_in(&self) -> usize {
        self.bins
    }

    fn bins_out(&self) -> usize {
        self.bins
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        let Self { low, high, highest, .. } = *self;
        for (level, &number) in row.iter_mut().zip(frame) {
            let at = (f64::from(number) - low) / (high - low) * highest;
            *level = (at.clamp(0.0, highest) + 0.5) as i32 as f32;
        }
    }
}

/// Levels by their lower ends, which are found in double precision once; a logarithm in single precision is never further from
/// the level than the next one.
struct MuLaw {
    bins: usize,
    low: f64,
    high: f64,
    mu: f32,
    /// The least number of each level but the lowest.
    ends: Vec<f32>,
}

impl MuLaw {
    fn new(bins: usize, low: f64, high: f64, mu: f64) -> Self {
        let end = |level: u32| {
            let c = (f64::from(level) - 0.5) / mu * 2.0 - 1.0;
            let u = ((c.abs() * mu.ln_1p()).exp_m1() / mu).copysign(c);
            at_least(low.midpoint(high) + u * (high.midpoint(-low)))
        };
        Self { bins, low, high, mu: mu as f32, ends: (1..=mu as u32).map(end).collect() }
    }
}

/// The least number in single precision that is no less than `bound`.
fn at_least(bound: f64) -> f32 {
    let nearest = bound as f32;
    if f64::from(nearest) < bound { nearest.next_up() } else { nearest }
}

impl FrameToRow for MuLaw {
    fn bins_in(&self) -> usize {
        self.bins
    }

    fn bins_out(&self) -> usize {
        self.bins
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        let Self { low, high, mu, ref ends, .. } = *self;
        let half_of_mu_over_ln = 0.5 * mu / spectrum::ln(1.0 + mu);
        for (guess, &number) in row.iter_mut().zip(frame) {
            let u = ((2.0 * f64::from(number) - (low + high)) / (high - low)).clamp(-1.0, 1.0) as f32;
            let from_middle = half_of_mu_over_ln * spectrum::ln(1.0 + mu * u.abs());
            *guess = 0.5 * mu + from_middle.copysign(u) + 0.5;
        }
        for (level, &number) in row.iter_mut().zip(frame) {
            let mut at = (*level as usize).min(ends.len());
            while ends[..at].last().is_some_and(|&end| number < end) {
                at -= 1;
            }
            while ends.get(at).is_some_and(|&end| number >= end) {
                at += 1;
            }
            *level = at as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    #[test]
    fn a_number_has_the_nearest_level_and_no_more_than_there_are() {
        let five = Quantize { low: -10.0, high: 10.0, levels: 5, ..Quantize::default() };
        let numbers = [-1e9, -10.0, -7.6, -7.5, -2.6, 0.0, 2.4, 2.5, 9.9, 10.0, f32::MAX];
        assert_eq!(transformed(&five, 11, &numbers).unwrap(), [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0]);
    }

    #[test]
    fn mu_law_levels_are_those_of_its_formula_at_every_end() {
        for levels in [2, 3, 256, 4_096, 65_536] {
            let mu = f64::from(levels - 1);
            let formula = |number: f32| {
                let u = f64::from(number).clamp(-1.0, 1.0);
                let c = (mu * u.abs()).ln_1p().copysign(u) / mu.ln_1p();
                (c.midpoint(1.0) * mu + 0.5).floor() as f32
            };
            let sine = (0..5_000).map(|n| (f64::from(n) * 0.37).sin() as f32 * 1.1);
            let mut numbers: Vec<f32> = sine.chain([0.0, 1.0, -1.0, 1e-5, -1e-5, 3e38, -3e38]).collect();
            // Beside each end, where the formula's own rounding cannot matter.
            for end in MuLaw::new(1, -1.0, 1.0, mu).ends {
                numbers.extend([end * (1.0 + 1e-6), end * (1.0 - 1e-6)]);
            }
            let settings = Quantize { scale: LevelScale::MuLaw, levels, ..Quantize::default() };
            let made = transformed(&settings, 1, &numbers).unwrap();
            for (level, number) in made.iter().zip(numbers) {
                assert_eq!(*level, formula(number), "{number} of {levels}");
            }
        }
    }

    #[test]
    fn the_column_says_what_it_holds_and_in_what() {
        let before = Column { bins: None, ..Column::of(1, "amplitude", None) };
        let after = Quantize::default().column(&before).unwrap();
        assert_eq!((after.bins, after.unit.as_str(), after.dtype), (None, "level from 0 to 255", None));
        let many = Quantize { levels: 1_000, ..Quantize::default() };
        assert_eq!(many.column(&before).unwrap().dtype, Some(Dtype::F32));
        let refused = |settings: Quantize| settings.column(&before).unwrap_err().key();
        assert_eq!(refused(Quantize { low: 1.0, ..Quantize::default() }), "high");
        assert_eq!(refused(Quantize { levels: 1, ..Quantize::default() }), "levels");
        assert_eq!(refused(Quantize { high: f64::INFINITY, ..Quantize::default() }), "high");
    }
}
