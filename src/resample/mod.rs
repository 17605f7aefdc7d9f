//! Sample rate conversion: sound at the rate of its file in, sound at the pipeline's rate out.
//!
//! Output sample `i` stands at time `i / to`, exactly where input sample `i · from / to` stood: nothing is delayed. `n`
//! samples become `⌈n · to / from⌉`, and silence is assumed before and after.
//!
//! ```text
//! Resampler           one pair of rates, made ready once; pieces in, pieces out
//!   FftResampler      quality: a linear-phase low-pass filter and the change of rate, both in the frequency domain
//!   SincResampler     kernel: torchaudio's sum over neighbouring samples
//!   RubatoResampler   kernel: rubato's `Fft`
//! ```

mod error;
mod fft;
mod method;
mod ratio;
mod resampler;
mod rubato;
#[cfg(test)]
mod table;
mod torchaudio;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::audio::Hertz;
use crate::family::Member;

pub use error::ResampleError;
pub(crate) use fft::bessel_i0;
pub use method::{Kernel, Method, Quality};
pub use resampler::Resampler;
pub use torchaudio::{ResamplingMethod, Torchaudio};

/// Every utterance is brought to one sample rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct Resample {
    /// The rate of all later stages.
    pub rate_hz: Hertz,
    /// What decides the filter.
    pub method: Method,
}

/// Every utterance is brought to one sample rate.
///
/// `quality: high` is for all new work: flat to 0.94 of the lower of the two Nyquist frequencies, nothing from beyond it
/// comes through above −120 dB. `quality: fast` is flat to 0.85 and lets nothing through above −80 dB. It is up to a tenth
/// faster, a quarter for utterances below a second, and its filter rings a quarter as long. [What both do to each pair of rates, beside soxr
/// and torchaudio](resample.md).
///
/// `kernel: rubato` is the FFT resampler of that library, flat to 0.94 and twice as slow as `high`: for sound that belongs beside what
/// other programs resampled with it.
///
/// `kernel: torchaudio` gives the samples of `torchaudio.transforms.Resample`, for models whose training data went through
/// that. Its default is a soft filter: it loses 2.4 dB at 0.9 of the Nyquist frequency and lets aliases through at −10 dB. It takes the
/// settings of torchaudio: `lowpass_filter_width` (zero crossings of the sinc to either side, 1 to 1024, default 6), `rolloff` (a share
/// of the lower Nyquist frequency, 0.01 to 1, default 0.99), `resampling_method` (`sinc_interp_hann` or
/// `sinc_interp_kaiser`, default `sinc_interp_hann`) and `beta` (the shape of Kaiser's window, 0 to 100, default
/// 14.769656459379492):
///
/// ```yaml
/// resample: { rate_hz: 16000, kernel: { torchaudio: { lowpass_filter_width: 64, rolloff: 0.9475937167399596 } } }
/// ```
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The rate of all later stages, in hertz. Sound that has it already passes untouched.
    rate_hz: Hertz,
    /// How good the filter is. Not beside `kernel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "high"))]
    quality: Option<Quality>,
    /// The filter of a peer instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel: Option<Kernel>,
}

/// A row that contradicts itself.
#[derive(Debug, Error)]
#[error("`quality` and `kernel` each decide the filter: remove one of them")]
struct TwoFilters;

impl TryFrom<Row> for Resample {
    type Error = TwoFilters;

    fn try_from(row: Row) -> Result<Self, TwoFilters> {
        let method = match (row.quality, row.kernel) {
            (Some(_), Some(_)) => return Err(TwoFilters),
            (quality, None) => Method::Quality(quality.unwrap_or_default()),
            (None, Some(kernel)) => Method::Kernel(kernel),
        };
        Ok(Self { rate_hz: row.rate_hz, method })
    }
}

impl From<Resample> for Row {
    fn from(resample: Resample) -> Self {
        let (quality, kernel) = match resample.method {
            Method::Quality(quality) => (Some(quality), None),
            Method::Kernel(kernel) => (None, Some(kernel)),
        };
        Self { rate_hz: resample.rate_hz, quality, kernel }
    }
}

impl JsonSchema for Resample {
    fn schema_name() -> Cow<'static, str> {
        "Resample".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Row::json_schema(generator)
    }
}

impl Member for Resample {
    const EXAMPLE: &'static str = "resample: { rate_hz: 16000, quality: high }";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Resample, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_row_is_read_and_checked() {
        let row = read(r#"{"rate_hz": 16000}"#).unwrap();
        assert_eq!((row.rate_hz.get(), row.method), (16_000, Method::default()));
        let row = read(r#"{"rate_hz": 16000, "quality": "fast"}"#).unwrap();
        assert_eq!(row.method, Method::Quality(Quality::Fast));
        let row = read(r#"{"rate_hz": 16000, "kernel": "torchaudio"}"#).unwrap();
        assert_eq!(row.method, Method::Kernel(Kernel::Torchaudio(Torchaudio::default())));
        for (wrong, says) in [
            ("{}", "rate_hz"),
            (r#"{"rate_hz": 0}"#, "nonzero"),
            (r#"{"rate_hz": 16000, "quality": 1}"#, "line 1"),
            (r#"{"rate_hz": 16000, "quality": "best"}"#, "`high` or `fast`"),
            (r#"{"rate_hz": 16000, "quality": "high", "kernel": "torchaudio"}"#, "remove one"),
            (r#"{"rate_hz": 16000, "filter": 1}"#, "`quality`"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_recorded_names_every_parameter_and_is_read_back() {
        for (json, recorded) in [
            (r#"{"rate_hz": 16000}"#, r#"{"rate_hz":16000,"quality":"high"}"#),
            (
                r#"{"rate_hz": 8000, "kernel": "torchaudio"}"#,
                r#"{"rate_hz":8000,"kernel":{"torchaudio":{"lowpass_filter_width":6,"rolloff":0.99,"resampling_method":"sinc_interp_hann","beta":14.769656459379492}}}"#,
            ),
        ] {
            let row = read(json).unwrap();
            assert_eq!(serde_json::to_string(&row).unwrap(), recorded);
            assert_eq!(read(recorded).unwrap(), row);
        }
    }

    #[test]
    fn a_worker_may_hold_a_resampler() {
        fn sendable<T: Send>() {}
        sendable::<Resampler>();
    }
}
