//! The bandwidth of a lower sample rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::round_trip::RoundTrip;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// The bandwidth of a lower sample rate: down to twice the cutoff and back.
///
/// The cutoff's logarithm is uniform. The lower rate is twice the cutoff, to the nearest multiple of 100 Hz, so that
/// filters are designed for a few rates and not for each clip; half of it is recorded as `cutoff_hz`. Both ways the
/// `high` filter of `resample` is used: flat
/// to 0.94 of the cutoff, nothing above it, no delay; the length stays. A clip whose rate is not above the lower one
/// stays as it is, and the record says `narrow`.
///
/// Source: lhotse 1.33 `LowpassUsingResampling`, which uses torchaudio's softer filter and whole hertz, and refuses
/// clips of a rate below twice the highest cutoff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResampleLowpass {
    /// Half of the lower rate, in hertz, 500 to 384000; [3500, 8000].
    pub cutoff_hz: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for ResampleLowpass {
    fn default() -> Self {
        Self { cutoff_hz: Range::Uniform([3_500.0, 8_000.0]), probability: Probability::ALWAYS }
    }
}

/// What lower rates are multiples of, in hertz.
const STEP_HZ: f64 = 100.0;

impl Member for ResampleLowpass {
    const EXAMPLE: &'static str = "resample_lowpass: { cutoff_hz: [3500, 8000], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["lhotse.LowpassUsingResampling"];
}

impl Augment for ResampleLowpass {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("cutoff_hz", &self.cutoff_hz, 500.0, 384_000.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(ResampleLowpassAtWork { cutoff_hz: self.cutoff_hz.clone(), round_trip: RoundTrip::default() })
    }
}

struct ResampleLowpassAtWork {
    cutoff_hz: Range,
    round_trip: RoundTrip,
}

impl Apply for ResampleLowpassAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let cutoff_hz = draw.log_number("cutoff_hz", &self.cutoff_hz);
        let low = (2.0 * cutoff_hz / STEP_HZ).round() * STEP_HZ;
        match Hertz::new(low as u32) {
            Some(low) if low < sound.sample_rate => {
                draw.note("cutoff_hz", f64::from(low.get()) / 2.0);
                self.round_trip.apply(sound, low, |_| ())
            }
            _ => {
                draw.note("narrow", true);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{drawn, is_uniform, mono, sine, told, varied};

    fn at(cutoff_hz: f64) -> ResampleLowpass {
        ResampleLowpass { cutoff_hz: Range::fixed(cutoff_hz), ..ResampleLowpass::default() }
    }

    #[test]
    fn what_is_below_stays_in_place_and_what_is_above_goes() {
        for rate in [16_000, 44_100, 48_000] {
            for cutoff_hz in [3_500.0, 4_321.0, 6_000.0] {
                let low = sine(0.9 * cutoff_hz, 0.3, rate);
                let kept = varied(at(cutoff_hz), &low);
                assert_eq!(kept.num_samples(), low.num_samples());
                for (y, x) in kept.channels[0].iter().zip(&low.channels[0]).skip(2_000).take(12_000) {
                    assert!((y - x).abs() < 2e-5, "{rate} {cutoff_hz}: {y} {x}");
                }
                let high = varied(at(cutoff_hz), &sine(1.05 * cutoff_hz, 0.3, rate));
                assert!(high.channels[0].iter().skip(2_000).take(12_000).all(|sample| sample.abs() < 1e-5));
            }
        }
    }

    #[test]
    fn a_clip_that_is_as_narrow_stays_as_it_is() {
        let clip = sine(440.0, 0.1, 8_000);
        assert_eq!(varied(at(4_000.0), &clip), clip);
        assert_eq!(varied(at(384_000.0), &clip), clip);
        for len in [1, 2, 7] {
            assert_eq!(varied(at(4_000.0), &mono(16_000, vec![0.0; len])).num_samples(), len);
        }
    }

    #[test]
    fn the_cutoff_that_is_applied_is_recorded() {
        let (_, applied) = told(at(3_333.3), &sine(440.0, 0.1, 16_000));
        assert_eq!(applied.applied[0]["resample_lowpass"], serde_json::json!({ "cutoff_hz": 3_350.0 }));
        let (_, stayed) = told(at(4_000.0), &sine(440.0, 0.1, 8_000));
        assert_eq!(stayed.applied[0]["resample_lowpass"]["narrow"], true);
    }

    #[test]
    fn cutoffs_are_even_in_their_logarithm() {
        // Of cutoffs that the clip is too narrow for, which are recorded as they were drawn.
        let row = ResampleLowpass { cutoff_hz: Range::Uniform([4_500.0, 8_000.0]), ..ResampleLowpass::default() };
        let logs: Vec<f64> = drawn(row, "cutoff_hz", 10_000).into_iter().map(f64::ln).collect();
        assert!(is_uniform(&logs, 4_500_f64.ln(), 8_000_f64.ln()));
    }
}
