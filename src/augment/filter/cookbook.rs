//! Shelves and peaks: the Audio EQ Cookbook (Bristow-Johnson; W3C Note, 2021).

use std::f64::consts::TAU;

use super::{Filter, Section, within};
use crate::audio::{Hertz, Range, Waveform};
use crate::augment::{Apply, AugmentError, Draw};
use crate::transform::SettingError;

/// What is raised or lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::augment) enum Shape {
    /// All below the frequency.
    LowShelf,
    /// All above it.
    HighShelf,
    /// What is around it.
    Peak,
}

impl Shape {
    /// The section of this shape, with `A = 10^(gain_db / 40)`, `w = 2π f / rate` and `α = sin(w) / 2Q`. A frequency
    /// that the rate cannot carry is taken down to what it can.
    pub(in crate::augment) fn section(self, centre_hz: f64, gain_db: f64, q: f64, rate: Hertz) -> Section {
        let amplitude = 10_f64.powf(gain_db / 40.0);
        let (sin, cos) = (TAU * within(centre_hz, rate) / f64::from(rate.get())).sin_cos();
        let alpha = sin / (2.0 * q);
        // A high shelf is a low shelf with the spectrum turned round.
        let mirror = match self {
            Self::Peak => {
                let section = |by: f64| [1.0 + alpha * by, -2.0 * cos, 1.0 - alpha * by];
                return Section::new(section(amplitude), section(1.0 / amplitude), 1.0);
            }
            Self::LowShelf => 1.0,
            Self::HighShelf => -1.0,
        };
        let (sum, difference, cos) = (amplitude + 1.0, amplitude - 1.0, mirror * cos);
        let slope = 2.0 * amplitude.sqrt() * alpha;
        let numerator = [
            amplitude * (sum - difference * cos + slope),
            2.0 * mirror * amplitude * (difference - sum * cos),
            amplitude * (sum - difference * cos - slope),
        ];
        let denominator =
            [sum + difference * cos + slope, -2.0 * mirror * (difference + sum * cos), sum + difference * cos - slope];
        let gain_at_zero = if self == Self::LowShelf { amplitude * amplitude } else { 1.0 };
        Section::new(numerator, denominator, gain_at_zero)
    }
}

/// One shelf or peak.
#[derive(Debug)]
pub(in crate::augment) struct Equalizer {
    pub(in crate::augment) shape: Shape,
    pub(in crate::augment) centre_hz: Range,
    pub(in crate::augment) gain_db: Range,
    pub(in crate::augment) q: Range,
    pub(in crate::augment) filter: Filter,
}

impl Equalizer {
    /// Checks settings of these names.
    pub(in crate::augment) fn check(centre_hz: &Range, gain_db: &Range, q: &Range) -> Result<(), SettingError> {
        SettingError::unless_all_within("centre_hz", centre_hz, 1.0, 384_000.0)?;
        SettingError::unless_all_within("gain_db", gain_db, -96.0, 96.0)?;
        SettingError::unless_all_within("q", q, 0.01, 100.0)
    }
}

impl Apply for Equalizer {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let centre_hz = draw.mel_number("centre_hz", &self.centre_hz);
        let gain_db = draw.number("gain_db", &self.gain_db);
        let q = draw.number("q", &self.q);
        self.filter.sections.clear();
        self.filter.sections.push(self.shape.section(centre_hz, gain_db, q, sound.sample_rate));
        self.filter.run(sound);
        Ok(())
    }
}
