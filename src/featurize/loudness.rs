//! How loud the sound is to the ear: ITU-R BS.1770-4 as EBU R128 and EBU Tech 3341 use it, measured by the crate `ebur128`.
//!
//! The sound goes through a filter that is to the ear what A-weighting is to a sound level meter ("K-weighting": +4 dB above
//! 1.7 kHz, nothing below 40 Hz), and the mean square of 400 ms, of 3 s or of the louder parts of everything is taken, every
//! 100 ms. Channels are measured each by itself, as a mono programme.

use std::num::NonZeroUsize;

use ebur128::{EbuR128, Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extractor;
use crate::audio::{Hertz, Seconds};
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{Edges, Framing};
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The loudness by ITU-R BS.1770 and EBU R128, every 100 ms or of the whole utterance.
///
/// Shape `[frames, 1]`, unit LUFS: a sine of 1 kHz at full scale has −3. Frame `t` covers 400 ms (or 3 s) from sample
/// t · 100 ms on; a last part of less than 100 ms is left out. The filter is defined for sound at 4 kHz to 2.8 MHz.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Loudness {
    /// What a frame covers: `momentary` (400 ms, default), `short_term` (3 s) or `integrated` (the utterance without its
    /// pauses, one frame).
    pub window: LoudnessWindow,
    /// The loudness of silence, and the least there is, in LUFS; -70, below which BS.1770 counts nothing.
    #[schemars(range(min = -200.0, max = 0.0))]
    pub floor_lufs: f64,
}

/// What a loudness is measured of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoudnessWindow {
    /// 400 ms, every 100 ms.
    #[default]
    Momentary,
    /// 3 s, every 100 ms.
    ShortTerm,
    /// The utterance: of its windows of 400 ms those above −70 LUFS, and of these those no more than 10 LU below their mean.
    Integrated,
}

impl LoudnessWindow {
    /// How many steps of 100 ms the first frame needs.
    const fn steps(self) -> NonZeroUsize {
        match self {
            Self::Momentary | Self::Integrated => const { NonZeroUsize::new(4).unwrap() },
            Self::ShortTerm => const { NonZeroUsize::new(30).unwrap() },
        }
    }
}

impl Default for Loudness {
    fn default() -> Self {
        Self { window: LoudnessWindow::Momentary, floor_lufs: -70.0 }
    }
}

impl Member for Loudness {
    const EXAMPLE: &'static str = "loudness: { window: integrated }";
}

impl Extractor for Loudness {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(1, "LUFS", self.frame_shift(rate)))
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        /// The filter's shelf lies at 1.7 kHz, which must be below half of the rate; `ebur128` takes no more than DSD's rate.
        const RATES: std::ops::RangeInclusive<u32> = 4_000..=2_822_400;
        // As `ebur128` rounds.
        let step = NonZeroUsize::new((rate.get() as usize + 5) / 10).filter(|_| RATES.contains(&rate.get()));
        let step = step.ok_or(SettingError::DoesNotFit {
            key: "",
            reason: "loudness is defined for sound at 4000 Hz to 2822400 Hz",
        })?;
        Ok(Framing {
            length: step.saturating_mul(self.window.steps()),
            hop: if self.window == LoudnessWindow::Integrated { NonZeroUsize::MAX } else { step },
            edges: Edges::Snip,
        })
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let floor = SettingError::unless_within("floor_lufs", self.floor_lufs, -200.0, 0.0)?;
        let mode = match self.window {
            LoudnessWindow::Momentary => Mode::M,
            LoudnessWindow::ShortTerm => Mode::S,
            LoudnessWindow::Integrated => Mode::I,
        };
        let meter = EbuR128::new(1, rate.get(), mode);
        let meter = meter.map_err(|_| SettingError::DoesNotFit { key: "", reason: "no meter for this sample rate" })?;
        let steps = self.window.steps().get();
        Ok(Box::new(Measured {
            meter,
            window: self.window,
            floor,
            steps_needed: steps as u64,
            step: framing.length.get() / steps,
            pending: Vec::new(),
            num_steps: 0,
            not_finite: None,
        }))
    }

    fn frame_shift(&self, rate: Option<Hertz>) -> Option<Seconds> {
        let rate = rate.filter(|_| self.window != LoudnessWindow::Integrated)?;
        Some(Seconds::of_samples(self.framing(rate).ok()?.hop.get() as u64, rate))
    }
}

/// The extractor at work.
struct Measured {
    meter: EbuR128,
    window: LoudnessWindow,
    floor: f64,
    /// Steps that the first frame needs.
    steps_needed: u64,
    /// Samples in a step of 100 ms.
    step: usize,
    /// Samples of a step that is not whole yet. The meter is given whole steps alone, so that how the sound is cut changes no
    /// bit.
    pending: Vec<f32>,
    num_steps: u64,
    /// The first step that holds a sample that is not finite.
    not_finite: Option<u64>,
}

impl Extract for Measured {
    fn begin(&mut self, _: Draws<'_>) {
        self.meter.reset();
        self.pending.clear();
        (self.num_steps, self.not_finite) = (0, None);
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let (first, rest) = samples.split_at(samples.len().min(self.step - self.pending.len()));
        self.pending.extend_from_slice(first);
        if self.pending.len() < self.step {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        self.take(&pending, out);
        let whole = rest.chunks_exact(self.step);
        pending.clear();
        pending.extend_from_slice(whole.remainder());
        whole.for_each(|step| self.take(step, out));
        self.pending = pending;
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        if self.num_steps < self.steps_needed {
            return Err(ExtractError::TooShort {
                num_samples: self.num_steps * self.step as u64 + self.pending.len() as u64,
                needed: self.steps_needed * self.step as u64,
            });
        }
        if let Some(step) = self.not_finite {
            let frame = match self.window {
                LoudnessWindow::Integrated => 0,
                _ => step.saturating_sub(self.steps_needed - 1),
            };
            return Err(ExtractError::NotFinite { frame });
        }
        if self.window == LoudnessWindow::Integrated {
            self.measure(out);
        }
        Ok(())
    }
}

impl Measured {
    /// Takes a step of 100 ms and appends the frame that ends with it.
    fn take(&mut self, step: &[f32], out: &mut Vec<f32>) {
        if self.not_finite.is_none() && !step.iter().fold(true, |finite, sample| finite & sample.is_finite()) {
            self.not_finite = Some(self.num_steps);
        }
        self.num_steps += 1;
        let taken = self.meter.add_frames_f32(step);
        debug_assert!(taken.is_ok(), "the meter has one channel");
        if self.window != LoudnessWindow::Integrated && self.num_steps >= self.steps_needed {
            self.measure(out);
        }
    }

    fn measure(&self, out: &mut Vec<f32>) {
        let measured = match self.window {
            LoudnessWindow::Momentary => self.meter.loudness_momentary(),
            LoudnessWindow::ShortTerm => self.meter.loudness_shortterm(),
            LoudnessWindow::Integrated => self.meter.loudness_global(),
        };
        debug_assert!(measured.is_ok(), "the meter measures what it was made for");
        out.push(measured.map_or(self.floor, |lufs| lufs.max(self.floor)) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, extract_in_blocks, golden, rate, settings};

    fn loudness(window: LoudnessWindow) -> Loudness {
        Loudness { window, ..Loudness::default() }
    }

    fn sine(hertz: f64, sample_rate: u32, seconds: u32) -> Vec<f32> {
        let turn = std::f64::consts::TAU * hertz / f64::from(sample_rate);
        (0..sample_rate * seconds).map(|n| (turn * f64::from(n)).sin() as f32).collect()
    }

    #[test]
    fn a_full_scale_sine_has_the_loudness_of_the_standard() {
        // BS.1770-4: 0 dB FS at 997 Hz in one channel reads -3.01 LKFS.
        for sample_rate in [8_000, 16_000, 22_050, 44_100, 48_000] {
            for window in [LoudnessWindow::Momentary, LoudnessWindow::ShortTerm, LoudnessWindow::Integrated] {
                let found = extract(&loudness(window), &sine(997.0, sample_rate, 4), rate(sample_rate)).unwrap();
                let frames = match window {
                    LoudnessWindow::Momentary => 37,
                    LoudnessWindow::ShortTerm => 11,
                    LoudnessWindow::Integrated => 1,
                };
                assert_eq!(found.len(), frames);
                // The high-pass keeps the numerator that it has at 48 kHz, whose gain depends on the rate.
                let within = if sample_rate < 44_100 { 0.05 } else { 0.005 };
                assert!(found.iter().all(|lufs| (lufs + 3.01).abs() < within), "{sample_rate} {window:?}: {found:?}");
            }
        }
    }

    #[test]
    fn longer_signals_have_the_loudness_that_scipy_finds() {
        // `integrated` of fixtures/golden/features/measures.py, by scipy 1.17.1, of each signal three times over.
        for (signal, sample_rate, lufs) in SCIPY {
            let (_, sound) = golden(&format!("signal-{signal}-{sample_rate}"));
            let found = extract(&loudness(LoudnessWindow::Integrated), &sound.repeat(3), rate(sample_rate)).unwrap();
            assert!((f64::from(found[0]) - lufs).abs() < 0.02, "{signal} {sample_rate}: {found:?} {lufs}");
        }
    }

    const SCIPY: [(&str, u32, f64); 3] =
        [("voiced", 22_050, -16.2260), ("chirp", 44_100, -10.3500), ("voiced", 48_000, -16.2910)];

    #[test]
    fn how_the_sound_is_cut_changes_no_bit() {
        let (_, sound) = golden("signal-voiced-16000");
        for window in [LoudnessWindow::Momentary, LoudnessWindow::Integrated] {
            let whole = extract(&loudness(window), &sound, rate(16_000)).unwrap();
            for cuts in [vec![1, 2, 1_599, 1_600, 1_601, 12_000], (0..12_800).step_by(37).collect(), vec![6_400; 3]] {
                assert_eq!(extract_in_blocks(&loudness(window), &sound, &cuts, rate(16_000)).unwrap(), whole);
            }
        }
    }

    #[test]
    fn silence_has_the_floor_and_pauses_do_not_count() {
        let silence = vec![0.0; 8_000];
        for window in [LoudnessWindow::Momentary, LoudnessWindow::Integrated] {
            let floor = |json: &str| -> f32 {
                let loudness = Loudness { window, ..settings(json) };
                extract(&loudness, &silence, rate(16_000)).unwrap()[0]
            };
            assert_eq!((floor("{}"), floor(r#"{"floor_lufs": -100}"#)), (-70.0, -100.0));
        }
        let mut sound = sine(997.0, 16_000, 2);
        sound.resize(16_000 * 20, 0.0);
        let found = extract(&loudness(LoudnessWindow::Integrated), &sound, rate(16_000)).unwrap();
        assert!((found[0] + 3.01).abs() < 0.4, "{found:?}");
    }

    #[test]
    fn too_little_sound_broken_sound_and_odd_rates_are_refused() {
        let refused = |window, sound: &[f32]| extract(&loudness(window), sound, rate(16_000)).unwrap_err();
        let short = |needed| ExtractError::TooShort { num_samples: 6_399, needed };
        assert_eq!(refused(LoudnessWindow::Momentary, &vec![0.1; 6_399]), short(6_400));
        assert_eq!(refused(LoudnessWindow::ShortTerm, &vec![0.1; 6_399]), short(48_000));
        assert_eq!(refused(LoudnessWindow::Integrated, &vec![0.1; 6_399]), short(6_400));
        let mut sound = vec![0.1; 16_000];
        sound[8_100] = f32::NAN;
        assert_eq!(refused(LoudnessWindow::Momentary, &sound), ExtractError::NotFinite { frame: 2 });
        assert_eq!(refused(LoudnessWindow::Integrated, &sound), ExtractError::NotFinite { frame: 0 });
        for hertz in [100, 3_999, 3_000_000] {
            assert!(Loudness::default().prepare(rate(hertz), "").is_err(), "{hertz}");
        }
        let loud = Loudness { floor_lufs: 1.0, ..Loudness::default() };
        assert_eq!(loud.prepare(rate(16_000), "").err().map(|error| error.key()), Some("floor_lufs"));
    }
}
