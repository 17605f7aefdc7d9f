//! Decibels of a spectrum of powers or magnitudes, as torchaudio 2.11's `AmplitudeToDB` and librosa 0.11's `power_to_db` and
//! `amplitude_to_db` have them.
//!
//! dB = 10·log₁₀ max(x, amin) of a power, 20·log₁₀ max(x, amin) of a magnitude; with `ref: max` less that of the utterance's
//! highest number; with `top_db` no lower than so far below the utterance's highest.

use std::f64::consts::LOG10_E;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{self, Logarithm};

/// Decibels of powers or magnitudes, as torchaudio and librosa take them.
///
/// Shape `[frames, bins]`, dB. Names and defaults are those of `torchaudio.transforms.AmplitudeToDB`. librosa's `power_to_db` is
/// `{ top_db: 80 }`, its `amplitude_to_db` `{ stype: magnitude, amin: 1.0e-5, top_db: 80 }`, both with `ref: max` where it is
/// called with `ref=np.max`. With `ref: max` or `top_db` the result depends on the utterance's ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AmplitudeToDb {
    /// What the numbers are: `power` (default) or `magnitude`.
    pub stype: SpectrumType,
    /// The least number whose logarithm is taken, above 1.2e-38; 1e-10.
    #[schemars(range(min = 1.2e-38, max = 1e30))]
    pub amin: f64,
    /// What is 0 dB: `one` (default), or the utterance's highest number, `max`.
    #[serde(rename = "ref")]
    pub reference: DbReference,
    /// How far below the utterance's highest value the lowest may lie, in dB; null (default) sets no limit.
    #[schemars(range(min = 0.0, max = 1e30))]
    pub top_db: Option<f64>,
}

/// What the numbers of a spectrum are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpectrumType {
    /// |X|², or mel energies of it.
    #[default]
    Power,
    /// |X|, or mel filters over it.
    Magnitude,
}

/// What is 0 dB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DbReference {
    /// The number 1.
    #[default]
    One,
    /// The utterance's highest number.
    Max,
}

impl Default for AmplitudeToDb {
    fn default() -> Self {
        Self { stype: SpectrumType::Power, amin: 1e-10, reference: DbReference::One, top_db: None }
    }
}

impl Member for AmplitudeToDb {
    const EXAMPLE: &'static str = "amplitude_to_db: { top_db: 80 }";
}

impl Transform for AmplitudeToDb {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("amin", self.amin, 1.2e-38, 1e30)?;
        self.top_db.map(|top_db| SettingError::unless_within("top_db", top_db, 0.0, 1e30)).transpose()?;
        Ok(Column { unit: "dB".to_owned(), dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let decade = match self.stype {
            SpectrumType::Power => 10.0,
            SpectrumType::Magnitude => 20.0,
        };
        Ok(Box::new(Decibels {
            amin: self.amin as f32,
            scale: (decade * LOG10_E) as f32,
            reference: self.reference,
            top_db: self.top_db.map(|top_db| top_db as f32),
            count: 0,
            highest: f32::NEG_INFINITY,
        }))
    }
}

/// scale · ln(max(x, amin)) at once, the rest once the highest is known.
struct Decibels {
    amin: f32,
    scale: f32,
    reference: DbReference,
    top_db: Option<f32>,
    /// Values of this utterance, and the highest of them.
    count: usize,
    highest: f32,
}

impl Extract for Decibels {
    fn begin(&mut self, _: Draws<'_>) {
        (self.count, self.highest) = (0, f32::NEG_INFINITY);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let Self { amin, scale, .. } = *self;
        let start = out.len();
        out.extend_from_slice(input);
        Logarithm { offset: 0.0, floor: amin, scale }.take(&mut out[start..]);
        if self.needs_all() {
            self.count += input.len();
            self.highest = self.highest.max(spectrum::highest(&out[start..]));
        }
    }

    fn needs_all(&self) -> bool {
        self.reference == DbReference::Max || self.top_db.is_some()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let reference = match self.reference {
            DbReference::One => 0.0,
            DbReference::Max => self.highest,
        };
        let lowest = self.top_db.map_or(f32::NEG_INFINITY, |top_db| self.highest - reference - top_db);
        let start = out.len().saturating_sub(self.count);
        for value in &mut out[start..] {
            *value = (*value - reference).max(lowest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    #[track_caller]
    fn expect(settings: &AmplitudeToDb, numbers: &[f32], expected: &[f32]) {
        let made = transformed(settings, 2, numbers).unwrap();
        assert_eq!(made.len(), expected.len());
        for (made, expected) in made.iter().zip(expected) {
            assert!((made - expected).abs() < 1e-4, "{made} rather than {expected}");
        }
    }

    #[test]
    fn powers_and_magnitudes_have_their_decibels() {
        let numbers = [1.0, 100.0, 1e-3, 0.0];
        expect(&AmplitudeToDb::default(), &numbers, &[0.0, 20.0, -30.0, -100.0]);
        let magnitude = AmplitudeToDb { stype: SpectrumType::Magnitude, amin: 1e-5, ..AmplitudeToDb::default() };
        expect(&magnitude, &numbers, &[0.0, 40.0, -60.0, -100.0]);
    }

    #[test]
    fn the_highest_is_zero_or_the_lowest_is_raised() {
        let numbers = [1.0, 100.0, 1e-3, 0.0];
        let max = AmplitudeToDb { reference: DbReference::Max, ..AmplitudeToDb::default() };
        expect(&max, &numbers, &[-20.0, 0.0, -50.0, -120.0]);
        let top = AmplitudeToDb { top_db: Some(45.0), ..AmplitudeToDb::default() };
        expect(&top, &numbers, &[0.0, 20.0, -25.0, -25.0]);
        expect(&AmplitudeToDb { top_db: Some(45.0), ..max }, &numbers, &[-20.0, 0.0, -45.0, -45.0]);
        expect(&top, &[0.0; 4], &[-100.0; 4]);
        expect(&top, &[], &[]);
    }

    #[test]
    fn only_the_utterance_s_highest_must_be_waited_for() {
        let before = Column::of(2, "energy", None);
        let needs_all = |settings: AmplitudeToDb| settings.prepare(&before, "").unwrap().needs_all();
        assert!(!needs_all(AmplitudeToDb::default()));
        assert!(needs_all(AmplitudeToDb { top_db: Some(80.0), ..AmplitudeToDb::default() }));
        assert!(needs_all(AmplitudeToDb { reference: DbReference::Max, ..AmplitudeToDb::default() }));
        let refused = |settings: AmplitudeToDb| settings.column(&before).unwrap_err().key();
        assert_eq!(refused(AmplitudeToDb { amin: 0.0, ..AmplitudeToDb::default() }), "amin");
        assert_eq!(refused(AmplitudeToDb { top_db: Some(-1.0), ..AmplitudeToDb::default() }), "top_db");
    }
}
