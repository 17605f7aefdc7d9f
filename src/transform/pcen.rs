//! Per-channel energy normalisation (Wang et al., 2017): energies over their own recent past, compressed.
//!
//! M\[t] = (1 − b)·M\[t − 1] + b·E\[t]; y = (E / (eps + M)^gain + bias)^power − bias^power, as in librosa 0.11's `pcen`, whose
//! smoothing b = (√(1 + 4·T²) − 1) / (2·T²) follows from the time constant T in frames. `power: 0` is ln(1 + E / (eps + M)^gain).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Extract, ExtractError, SettingError, Transform};
use crate::audio::Seconds;
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum;

/// Energies over their own recent past, compressed: PCEN.
///
/// Shape `[frames, bins]`, PCEN, of energies or magnitudes such as `mel_spectrogram` makes; numbers below zero count as zero.
/// Names and defaults are those of `librosa.pcen`, which are meant for sound of full scale 2³¹: as sound here has full scale 1,
/// `{ eps: 5.0e-16, initial_state: first_frame }` for magnitudes and `{ eps: 2.0e-25, initial_state: first_frame }` for energies
/// come near to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pcen {
    /// How much of the level is taken away, 0 to 2; 0.98.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub gain: f64,
    /// What is added before the compression, up to a million; 2.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub bias: f64,
    /// The exponent of the compression, 0 to 1; 0.5. 0 is a logarithm.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub power: f64,
    /// The time constant of the smoothing in seconds, 0.001 to 3600; 0.4.
    #[schemars(range(min = 0.001, max = 3600.0))]
    pub time_constant_s: f64,
    /// What is added to the smoothed energies, 1e-30 to a million; 1e-6.
    #[schemars(range(min = 1e-30, max = 1e6))]
    pub eps: f64,
    /// What lies before the first frame: `one` (default), as in librosa, or the `first_frame` again.
    pub initial_state: PcenState,
}

/// What the smoothed energies were before the first frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PcenState {
    /// 1 in each bin, as `librosa.pcen` has it when it is given no state.
    #[default]
    One,
    /// The first frame, as the paper has it: nothing fades in.
    FirstFrame,
}

impl Default for Pcen {
    fn default() -> Self {
        Self { gain: 0.98, bias: 2.0, power: 0.5, time_constant_s: 0.4, eps: 1e-6, initial_state: PcenState::One }
    }
}

impl Member for Pcen {
    const EXAMPLE: &'static str = "pcen: { time_constant_s: 0.4 }";
}

impl Transform for Pcen {
    fn column(&self, before: &Column) -> Result<Column, SettingError> {
        SettingError::unless_within("gain", self.gain, 0.0, 2.0)?;
        SettingError::unless_within("bias", self.bias, 0.0, 1e6)?;
        SettingError::unless_within("power", self.power, 0.0, 1.0)?;
        SettingError::unless_within("time_constant_s", self.time_constant_s, 0.001, 3_600.0)?;
        SettingError::unless_within("eps", self.eps, 1e-30, 1e6)?;
        Ok(Column { unit: "PCEN".to_owned(), dtype: None, ..before.clone() })
    }

    fn prepare(&self, before: &Column, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(before)?;
        let Some(shift) = before.frame_shift.map(Seconds::get).filter(|&shift| shift > 0.0) else {
            let reason = "the time from one frame to the next is not known";
            return Err(SettingError::DoesNotFit { key: "time_constant_s", reason });
        };
        let frames = self.time_constant_s / shift;
        let bins = before.bins.unwrap_or(1);
        Ok(Box::new(Normalising {
            bins,
            // (√(1 + 4·T²) − 1) / (2·T²) without the difference.
            share: 2.0 / ((1.0 + 4.0 * frames * frames).sqrt() + 1.0),
            gain: self.gain as f32,
            eps: self.eps,
            compression: Compression::of(self.bias, self.power),
            initial_state: self.initial_state,
            started: false,
            smoothed: vec![1.0; bins],
            levels: vec![0.0; bins],
        }))
    }
}

struct Normalising {
    bins: usize,
    /// How much of a new frame goes into the smoothed energies.
    share: f64,
    gain: f32,
    eps: f64,
    compression: Compression,
    initial_state: PcenState,
    started: bool,
    smoothed: Vec<f64>,
    levels: Vec<f32>,
}

impl Extract for Normalising {
    fn begin(&mut self, _: Draws<'_>) {
        self.started = false;
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let Self { bins, share, gain, eps, compression, initial_state, ref mut started, .. } = *self;
        let (smoothed, levels) = (&mut self.smoothed, &mut self.levels);
        let start = out.len();
        out.extend(input.iter().map(|energy| energy.max(0.0)));
        for frame in out[start..].chunks_exact_mut(bins) {
            if !*started {
                *started = true;
                match initial_state {
                    PcenState::One => smoothed.fill(1.0),
                    PcenState::FirstFrame => smoothed.iter_mut().zip(&*frame).for_each(|(m, &e)| *m = e.into()),
                }
            }
            for ((smoothed, level), &energy) in smoothed.iter_mut().zip(&mut *levels).zip(&*frame) {
                *smoothed = share * f64::from(energy) + (1.0 - share) * *smoothed;
                *level = ((*smoothed + eps) as f32).min(f32::MAX);
            }
            spectrum::ln_in_place(levels);
            for (energy, &level) in frame.iter_mut().zip(&*levels) {
                *energy = (*energy * exp(-gain * level)).min(f32::MAX);
            }
            compression.apply(frame);
        }
    }

    fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
        Ok(())
    }
}

/// (x + bias)^power − bias^power, in forms that do not cancel.
#[derive(Debug, Clone, Copy)]
enum Compression {
    /// ln(1 + x), where the power is 0.
    Logarithm,
    /// x^power, where the bias is 0.
    Power { power: f32 },
    /// x / (√(x + bias) + √bias), where the power is ½.
    Root { bias: f32 },
    /// bias^power·((1 + x/bias)^power − 1).
    Biased { bias: f32, power: f32, scale: f32 },
}

impl Compression {
    fn of(bias: f64, power: f64) -> Self {
        if power == 0.0 {
            Self::Logarithm
        } else if bias < f64::from(f32::MIN_POSITIVE) {
            Self::Power { power: power as f32 }
        } else if power == 0.5 {
            Self::Root { bias: bias as f32 }
        } else {
            Self::Biased { bias: bias as f32, power: power as f32, scale: bias.powf(power) as f32 }
        }
    }

    fn apply(self, numbers: &mut [f32]) {
        match self {
            Self::Logarithm => {
                for x in numbers {
                    *x = ln_1p(*x);
                }
            }
            Self::Power { power } => {
                for x in numbers {
                    let raised = exp(power * spectrum::ln(x.max(f32::MIN_POSITIVE)));
                    *x = if *x < f32::MIN_POSITIVE { 0.0 } else { raised };
                }
            }
            Self::Root { bias } => {
                let root = bias.sqrt();
                for x in numbers {
                    *x /= (*x + bias).sqrt() + root;
                }
            }
            Self::Biased { bias, power, scale } => {
                for x in numbers {
                    *x = scale * exp_m1(power * ln_1p((*x / bias).min(f32::MAX)));
                }
            }
        }
    }
}

/// eˣ within 2 ulp for x in [-87, 88], and beyond what it is at these ends.
///
/// x = k·ln 2 + r with |r| ≤ ½·ln 2, and eʳ = 1 + r + r²·P(r), where P is the polynomial of `expf.c` in the Cephes library
/// (Moshier, 1992, netlib.org/cephes). Plain arithmetic: the compiler can use vectors, and the bits are the same everywhere.
#[inline]
#[expect(clippy::excessive_precision, reason = "coefficients are written as their source has them")]
fn exp(x: f32) -> f32 {
    const P: [f32; 6] = [
        1.987_569_150_0e-4,
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
    ];
    // ln 2 in two parts, the first with so few bits that its product with k is exact.
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_40e-4;
    // Adding it leaves no bits for fractions: the sum's last bits are the nearest whole number.
    const WHOLE: f32 = 12_582_912.0;
    const MANTISSA_BITS: u32 = 23;
    const BIAS: u32 = 127;

    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + WHOLE;
    let k = rounded - WHOLE;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut p = P[0];
    for &coefficient in &P[1..] {
        p = p * r + coefficient;
    }
    let power = rounded.to_bits().wrapping_sub(WHOLE.to_bits()).wrapping_add(BIAS) << MANTISSA_BITS;
    (p * (r * r) + r + 1.0) * f32::from_bits(power)
}

/// ln(1 + x) of x ≥ 0, near zero too: what 1 + x loses of x, the quotient gives back.
#[inline]
fn ln_1p(x: f32) -> f32 {
    let more = 1.0 + x;
    let difference = more - 1.0;
    if difference == 0.0 { x } else { spectrum::ln(more.min(f32::MAX)) * (x / difference) }
}

/// eˣ − 1 of x ≥ 0, near zero too, in the same way.
#[inline]
fn exp_m1(x: f32) -> f32 {
    let power = exp(x);
    let difference = power - 1.0;
    if difference == 0.0 || power == 1.0 { x } else { difference * (x / spectrum::ln(power)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::testing::transformed;

    /// PCEN of one bin, in double precision, straight from the definition.
    fn defined(settings: &Pcen, energies: &[f32]) -> Vec<f64> {
        let frames = settings.time_constant_s / 0.01;
        let b = ((1.0 + 4.0 * frames * frames).sqrt() - 1.0) / (2.0 * frames * frames);
        let mut m = match settings.initial_state {
            PcenState::One => 1.0,
            PcenState::FirstFrame => f64::from(energies[0]),
        };
        let y = |&energy: &f32| {
            let energy = f64::from(energy);
            m = b * energy + (1.0 - b) * m;
            let x = energy / (settings.eps + m).powf(settings.gain);
            let compressed =
                settings.bias.powf(settings.power) * (settings.power * (x / settings.bias).ln_1p()).exp_m1();
            match (settings.power, settings.bias) {
                (0.0, _) => x.ln_1p(),
                (power, 0.0) => x.powf(power),
                _ => compressed,
            }
        };
        energies.iter().map(y).collect()
    }

    #[test]
    fn every_compression_is_its_definition() {
        let energies: Vec<f32> = (0..300).map(|t| 10_f32.powf((t as f32 * 0.7).sin() * 7.0 - 4.0)).collect();
        for (power, bias) in [(0.5, 2.0), (0.5, 0.0), (0.25, 10.0), (0.0, 2.0), (1.0, 1e-3), (0.3, 0.0), (0.9, 1e6)] {
            for (gain, initial_state) in [(0.98, PcenState::One), (0.5, PcenState::FirstFrame), (0.0, PcenState::One)] {
                let settings = Pcen { gain, bias, power, initial_state, ..Pcen::default() };
                let made = transformed(&settings, 1, &energies).unwrap();
                for (made, expected) in made.iter().zip(defined(&settings, &energies)) {
                    let error = (f64::from(*made) - expected).abs() / expected;
                    assert!(error < 5e-6, "{made} rather than {expected}: {settings:?}");
                }
            }
        }
    }

    #[test]
    fn steady_sound_has_a_steady_level_whatever_its_loudness() {
        let level = |energy: f32| {
            let settings = Pcen { gain: 1.0, initial_state: PcenState::FirstFrame, eps: 1e-20, ..Pcen::default() };
            transformed(&settings, 1, &[energy; 50]).unwrap()
        };
        for level in [level(1e-6), level(1.0), level(1e6)].concat() {
            assert!((level - (3_f32.sqrt() - 2_f32.sqrt())).abs() < 1e-5, "{level}");
        }
    }

    #[test]
    fn silence_is_zero_and_nothing_is_infinite() {
        for (power, bias) in [(0.5, 2.0), (0.5, 0.0), (0.25, 10.0), (0.0, 2.0), (1.0, 1e-30), (0.3, 0.0)] {
            let settings = Pcen { power, bias, eps: 1e-30, gain: 2.0, ..Pcen::default() };
            let made = transformed(&settings, 1, &[0.0, -3.0, f32::MAX, f32::MAX, 1e-45, 0.0]).unwrap();
            assert!(made.iter().all(|value| value.is_finite()), "{made:?}");
            assert_eq!(made[..2], [0.0, 0.0]);
        }
    }

    #[test]
    fn the_exponential_is_close_over_its_range() {
        let mut worst = 0.0;
        for n in -87_000..=88_000 {
            let x = n as f32 / 1_000.0;
            let truth = f64::from(x).exp();
            worst = f64::max(worst, (f64::from(exp(x)) - truth).abs() / truth);
        }
        assert!(worst < 1.5e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn frames_must_have_their_time_and_settings_their_range() {
        let refused = |json: &str, shift: Option<f64>| {
            let settings: Pcen = serde_json::from_str(json).unwrap();
            let before = Column::of(2, "energy", shift.and_then(Seconds::new));
            settings.prepare(&before, "").err().unwrap().key()
        };
        assert_eq!(refused("{}", None), "time_constant_s");
        assert_eq!(refused(r#"{"time_constant_s": 0}"#, Some(0.01)), "time_constant_s");
        assert_eq!(refused(r#"{"eps": 0}"#, Some(0.01)), "eps");
        assert_eq!(refused(r#"{"power": 1.5}"#, Some(0.01)), "power");
        assert_eq!(refused(r#"{"gain": -1}"#, Some(0.01)), "gain");
        assert_eq!(refused(r#"{"bias": -1}"#, Some(0.01)), "bias");
    }
}
