//! lhotse's log mel filter banks, the input of icefall's models, under the names of its `FbankConfig`.
//!
//! This is `kaldi_fbank` with other defaults; lhotse 1.33 is matched to within 5e-3 in ln(energy), one number in a thousand
//! above 1e-3. `lhotse/features/kaldi/layers.py` is the source of what differs.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kaldi::WithEnergy;
use super::{EmptyFilters, Extractor, KaldiFbank, SampleScale};
use crate::audio::Hertz;
use crate::family::Member;
use crate::spectrum::{Framing, Window};
use crate::transform::{Column, Extract, SettingError};

/// lhotse's log mel filter banks, as icefall's models are trained on them.
///
/// Shape `[frames, num_filters]`, one more with `use_energy`; ln(energy) of sound at ±1. Parameters, names and defaults are
/// those of lhotse's `FbankConfig`. Where of the frame and the hop in samples one is odd and the other even (44.1 kHz),
/// lhotse's frames start one sample later than Kaldi's and these; its `dither` is of the sound, this one of each frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "names and values carry over from lhotse")]
pub struct LhotseFbank {
    /// The length of a frame in seconds, up to a minute; 0.025.
    #[schemars(range(min = 0.0, max = 60.0))]
    pub frame_length_s: f64,
    /// The time from one frame to the next in seconds, up to a minute; 0.01.
    #[schemars(range(min = 0.0, max = 60.0))]
    pub frame_shift_s: f64,
    /// Whether the FFT's length is the next power of two rather than the frame's; true.
    pub round_to_power_of_two: bool,
    /// Whether each frame's mean is taken away; true.
    pub remove_dc_offset: bool,
    /// How much of each sample is taken away from the next, 0 to 1; 0.97.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub preemph_coeff: f64,
    /// The window, symmetric as Kaldi's: `povey` (default), `hann`, `hamming` or `rectangular`; lhotse's `blackman` is
    /// another window than Kaldi's and is refused.
    pub window_type: Window,
    /// How much white Gaussian noise is added to each frame: its standard deviation; 0.
    #[schemars(range(min = 0.0))]
    pub dither: f64,
    /// Whether only frames that fit are taken; otherwise (default) the sound is mirrored at its ends and frames are centred.
    pub snip_edges: bool,
    /// The least energy that `use_energy` reports; 1e-10.
    #[schemars(range(min = 0.0))]
    pub energy_floor: f64,
    /// Whether `use_energy` measures before pre-emphasis and window rather than after; true.
    pub raw_energy: bool,
    /// Whether the frame's ln(energy) is the first column; false.
    pub use_energy: bool,
    /// Whether filters add up magnitude |X| rather than power |X|²; false.
    pub use_fft_mag: bool,
    /// The lower end of the filters in hertz; 20.
    #[schemars(range(min = 0.0))]
    pub low_freq_hz: f64,
    /// The upper end of the filters in hertz; zero or less is counted from the Nyquist frequency; -400.
    pub high_freq_hz: f64,
    /// The number of mel filters; 80.
    #[schemars(range(max = 4096))]
    pub num_filters: NonZeroU32,
}

impl Default for LhotseFbank {
    fn default() -> Self {
        Self {
            frame_length_s: 0.025,
            frame_shift_s: 0.01,
            round_to_power_of_two: true,
            remove_dc_offset: true,
            preemph_coeff: 0.97,
            window_type: Window::Povey,
            dither: 0.0,
            snip_edges: false,
            energy_floor: 1e-10,
            raw_energy: true,
            use_energy: false,
            use_fft_mag: false,
            low_freq_hz: 20.0,
            high_freq_hz: -400.0,
            num_filters: const { NonZeroU32::new(80).unwrap() },
        }
    }
}

impl Member for LhotseFbank {
    const EXAMPLE: &'static str = "lhotse_fbank: { num_filters: 80 }";
}

/// What lhotse adds to energies before it takes their logarithm and the floor.
const LEAST_ENERGY: f32 = 1e-15;

impl LhotseFbank {
    fn kaldi(&self) -> KaldiFbank {
        KaldiFbank {
            dither: self.dither,
            // lhotse keeps a filter that is always silent.
            empty_filters: EmptyFilters::Keep,
            energy_floor: self.energy_floor,
            frame_length_ms: 1_000.0 * self.frame_length_s,
            frame_shift_ms: 1_000.0 * self.frame_shift_s,
            high_freq_hz: self.high_freq_hz,
            low_freq_hz: self.low_freq_hz,
            num_mel_bins: self.num_filters,
            preemphasis_coefficient: self.preemph_coeff,
            raw_energy: self.raw_energy,
            remove_dc_offset: self.remove_dc_offset,
            round_to_power_of_two: self.round_to_power_of_two,
            sample_scale: SampleScale::Unit,
            snip_edges: self.snip_edges,
            use_energy: self.use_energy,
            use_power: !self.use_fft_mag,
            window_type: self.window_type,
            ..KaldiFbank::default()
        }
    }
}

impl Extractor for LhotseFbank {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        if self.window_type == Window::Blackman {
            let reason = "lhotse's Blackman window is periodic, which Kaldi's windows are not";
            return Err(SettingError::DoesNotFit { key: "window_type", reason });
        }
        self.kaldi().column(rate).map_err(named_as_in_lhotse)
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.kaldi().framing(rate).map_err(named_as_in_lhotse)
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        let energy = if self.use_energy { WithEnergy::OfAtLeast(LEAST_ENERGY) } else { WithEnergy::No };
        self.kaldi().prepare_with(rate, path, energy).map_err(named_as_in_lhotse)
    }
}

/// The error under the names and in the units of the settings here.
fn named_as_in_lhotse(mut error: SettingError) -> SettingError {
    if let SettingError::OutOfRange { key: "frame_length_ms" | "frame_shift_ms", value, low, high } = &mut error {
        for ms in [value, low, high] {
            *ms /= 1_000.0;
        }
    }
    if let SettingError::OutOfRange { key, .. }
    | SettingError::Window { key, .. }
    | SettingError::NoHop { key, .. }
    | SettingError::EmptyFilters { key, .. } = &mut error
    {
        *key = match *key {
            "frame_length_ms" => "frame_length_s",
            "frame_shift_ms" => "frame_shift_s",
            "num_mel_bins" => "num_filters",
            "preemphasis_coefficient" => "preemph_coeff",
            key => key,
        };
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, golden, rate, settings};

    #[test]
    fn it_is_kaldis_with_other_defaults() {
        let (_, sound) = golden("signal-voiced-16000");
        let kaldi = r#"{"num_mel_bins": 80, "sample_scale": "unit", "snip_edges": false, "high_freq_hz": -400}"#;
        let kaldi = extract(&settings::<KaldiFbank>(kaldi), &sound, rate(16_000)).unwrap();
        assert_eq!(extract(&LhotseFbank::default(), &sound, rate(16_000)).unwrap(), kaldi);
    }

    #[test]
    fn silence_has_the_energy_of_the_floor() {
        let loud = settings::<LhotseFbank>(r#"{"use_energy": true, "num_filters": 40}"#);
        for row in extract(&loud, &[0.0; 1_600], rate(16_000)).unwrap().chunks(41) {
            assert!((row[0] - 1e-10_f32.ln()).abs() < 1e-5 && (row[1] - f32::EPSILON.ln()).abs() < 1e-5);
        }
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<LhotseFbank>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error,
        };
        assert_eq!(
            refused(r#"{"frame_length_s": 61}"#),
            SettingError::OutOfRange { key: "frame_length_s", value: 61.0, low: 0.0, high: 60.0 }
        );
        assert_eq!(refused(r#"{"frame_shift_s": 0}"#).key(), "frame_shift_s");
        assert_eq!(refused(r#"{"frame_length_s": 0.0001}"#).key(), "frame_length_s");
        assert_eq!(refused(r#"{"num_filters": 5000}"#).key(), "num_filters");
        assert_eq!(refused(r#"{"preemph_coeff": 2}"#).key(), "preemph_coeff");
        assert_eq!(refused(r#"{"high_freq_hz": 9000}"#).key(), "high_freq_hz");
        assert_eq!(refused(r#"{"low_freq_hz": 9000}"#).key(), "low_freq_hz");
    }
}
