//! Sample rate conversion: sound at the rate of its file in, sound at the pipeline's rate out.
//!
//! The conversion is a linear-phase low-pass filter and a change of rate, both in the frequency domain (rubato's `Fft`:
//! overlap-add, Blackman-Harris-squared window). It is flat to within 0.01 dB up to 0.9 of the lower Nyquist frequency and
//! lets nothing above 1.05 of it through (−100 dB). Output sample `i` stands at time `i / to`, exactly where input sample
//! `i · from / to` stood: the filter's delay is taken off.

mod resampler;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::Hertz;
use crate::family::Member;

pub use resampler::{ResampleError, Resampler};

/// Every utterance is brought to one sample rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// The rate of all later stages, in hertz. Sound that has it already passes untouched.
    pub rate_hz: Hertz,
}

impl Member for Resample {
    const EXAMPLE: &'static str = "resample: { rate_hz: 16000 }";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_read_and_checked() {
        let row: Resample = serde_json::from_str(r#"{"rate_hz": 16000}"#).unwrap();
        assert_eq!(row.rate_hz.get(), 16_000);
        for wrong in ["{}", r#"{"rate_hz": 0}"#, r#"{"rate_hz": 16000, "quality": 1}"#] {
            assert!(serde_json::from_str::<Resample>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_worker_may_hold_a_resampler() {
        fn sendable<T: Send>() {}
        sendable::<Resampler>();
    }
}
