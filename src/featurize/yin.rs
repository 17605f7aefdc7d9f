//! The pitch of each frame by itself: the period after which the sound repeats best.
//!
//! De Cheveigné and Kawahara's YIN (JASA 111, 2002) as librosa 0.11.0's `yin` computes it: of the troughs of the difference
//! function below a threshold the one of the shortest period, or its lowest point where there is none, moved to the vertex of
//! a parabola. Frames without a pitch get one all the same; `pyin` tells them apart.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frames::{a_quarter_or, framing};
use super::yin_difference::{Periods, YinDifference, is_trough, vertex};
use super::{Extractor, PadMode};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{FrameFeatures, Framing, Rows};
use crate::transform::{Column, Extract, SettingError};

/// The pitch of each frame in hertz, found by YIN.
///
/// Shape `[frames, 1]`, unit Hz, as librosa's `yin`. A frame without a pitch, noise or silence, gets some number between the
/// bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Yin {
    /// The lowest pitch in hertz; 65 (default) is below most speakers. A frame must hold more than one period of it, and
    /// should hold two.
    #[schemars(range(min = 1.0, max = 100_000.0))]
    pub fmin_hz: f64,
    /// The highest pitch in hertz, up to half of the sample rate; 400 (default) is above most speakers, 2093 the highest
    /// note of singers.
    #[schemars(range(min = 1.0, max = 100_000.0))]
    pub fmax_hz: f64,
    /// The samples in a frame; 2048.
    #[schemars(range(min = 4, max = 1_048_576))]
    pub frame_length: NonZeroU32,
    /// The samples from one frame to the next; null is a quarter of `frame_length`.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: Option<NonZeroU32>,
    /// How much a period may differ from the one before it, as a share of what shorter ones do, to be taken at once; 0.1.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub trough_threshold: f64,
    /// Whether frame `t` is centred on sample t·hop, the sound padded at its ends, rather than starting there.
    pub center: bool,
    /// What `center` pads with: `constant` (silence, default), `reflect` or `replicate`.
    pub pad_mode: PadMode,
}

impl Default for Yin {
    fn default() -> Self {
        Self {
            fmin_hz: 65.0,
            fmax_hz: 400.0,
            frame_length: const { NonZeroU32::new(2_048).unwrap() },
            hop_length: None,
            trough_threshold: 0.1,
            center: true,
            pad_mode: PadMode::Constant,
        }
    }
}

impl Member for Yin {
    const EXAMPLE: &'static str = "yin: { fmin_hz: 60, fmax_hz: 500, frame_length: 1024, hop_length: 160 }";
}

impl Extractor for Yin {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "Hz", self.frame_shift(rate)))
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        framing(self.frame_length, a_quarter_or(self.frame_length, self.hop_length), self.pad_mode.edges(self.center))
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let periods = Periods::between(self.fmin_hz, self.fmax_hz, rate, framing.length.get())?;
        let threshold = SettingError::unless_within("trough_threshold", self.trough_threshold, 0.0, 10.0)?;
        let difference = YinDifference::new(periods, framing.length.get());
        let pitch = Pitch { difference, shortest: periods.min, threshold, rate: f64::from(rate.get()) };
        Ok(Box::new(Rows::new(framing, pitch)))
    }
}

/// One frame's way to its pitch.
struct Pitch {
    difference: YinDifference,
    /// The period of the difference's first value.
    shortest: usize,
    threshold: f64,
    rate: f64,
}

impl FrameFeatures for Pitch {
    fn num_bins(&self) -> usize {
        1
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let Some(values) = self.difference.of(samples) else {
            return false;
        };
        let first = (0..values.len()).find(|&number| values[number] < self.threshold && is_trough(values, number));
        let number = first.unwrap_or_else(|| lowest(values));
        let period = (self.shortest + number) as f64 + vertex(values, number);
        row[0] = (self.rate / period) as f32;
        true
    }
}

/// The number of the first of the lowest values.
fn lowest(values: &[f64]) -> usize {
    let mut lowest = 0;
    for (number, value) in values.iter().enumerate() {
        if *value < values[lowest] {
            lowest = number;
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};
    use crate::transform::ExtractError;

    #[test]
    fn a_buzz_has_the_pitch_of_its_period_and_not_of_its_harmonics() {
        for hertz in [80.0_f64, 123.4, 390.0] {
            let sound: Vec<f32> = (0..16_000)
                .map(|n| {
                    let phase = std::f64::consts::TAU * hertz * f64::from(n) / 16_000.0;
                    (1..6).map(|harmonic| (phase * f64::from(harmonic)).sin() / 8.0).sum::<f64>() as f32
                })
                .collect();
            let pitch = extract(&Yin { center: false, ..Yin::default() }, &sound, rate(16_000)).unwrap();
            assert_eq!(pitch.len(), 28);
            assert!(pitch.iter().all(|&found| (f64::from(found) / hertz - 1.0).abs() < 2e-3), "{hertz}: {pitch:?}");
        }
    }

    #[test]
    fn silence_has_the_shortest_period_and_broken_sound_none() {
        assert_eq!(extract(&Yin::default(), &[0.0; 600], rate(16_000)).unwrap(), [400.0, 400.0]);
        let mut sound = [0.1; 4_000];
        sound[1_800] = f32::NAN;
        assert_eq!(extract(&Yin::default(), &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str, hertz| match settings::<Yin>(json).prepare(rate(hertz), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        assert_eq!(refused(r#"{"fmax_hz": 4001}"#, 8_000), "fmax_hz");
        assert_eq!(refused(r#"{"fmin_hz": 400}"#, 8_000), "fmin_hz");
        assert_eq!(refused(r#"{"fmin_hz": 0}"#, 8_000), "fmin_hz");
        assert_eq!(refused(r#"{"frame_length": 200}"#, 16_000), "frame_length");
        assert_eq!(refused(r#"{"frame_length": 4000000000}"#, 16_000), "frame_length");
        assert_eq!(refused(r#"{"hop_length": 4000000000}"#, 16_000), "hop_length");
        assert_eq!(refused(r#"{"trough_threshold": -1}"#, 16_000), "trough_threshold");
    }
}
