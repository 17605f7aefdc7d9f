//! To a loudness.

use ebur128::{Channel, EbuR128, Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::{amplitude, scale};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// So loud to the ear as `loudness_lufs` says, by ITU-R BS.1770-4.
///
/// `y = x · 10^((loudness_lufs - L) / 20)`, where `L` is the integrated loudness of the clip: the mean square of the
/// K-weighted channels' sum, of windows of 400 ms every 100 ms that are above -70 LUFS and within 10 LU of their mean.
/// Every channel counts alike: in recordings of speech they are microphones, not surround speakers. A clip of less than
/// 400 ms is one window of its own length. What has no window above -70 LUFS stays as it is, as silence does. Nothing
/// is clipped. Drawn: `loudness_lufs`; the clip's own loudness is recorded as `loudness_before_lufs`, null where there
/// is none. The filter is defined for sound at 4 kHz to 2.8 MHz; a clip at another rate is refused.
///
/// Source: audiomentations 0.43.1 `LoudnessNormalization`; lhotse 1.33's, for windows shorter than 400 ms. The same as
/// pyloudnorm 0.2 with its filters `DeMan`, which are the standard's; its default filters, which lhotse uses, read
/// less: by 0.22 LU at 8 kHz, 0.12 at 16 kHz and 0.04 at 48 kHz. `featurize`'s `loudness` reads as this does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeLoudness {
    /// The loudness in LUFS, -100 to 20; [-31, -13].
    pub loudness_lufs: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for NormalizeLoudness {
    fn default() -> Self {
        Self { loudness_lufs: Range::Uniform([-31.0, -13.0]), probability: Probability::ALWAYS }
    }
}

impl Member for NormalizeLoudness {
    const EXAMPLE: &'static str = "normalize_loudness: { loudness_lufs: [-31, -13] }";
    const PEERS: &'static [&'static str] = &["audiomentations.LoudnessNormalization", "lhotse.LoudnessNormalization"];
}

/// The filter's shelf lies at 1.7 kHz, which must be below half of the rate; `ebur128` takes no more than DSD's rate.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=2_822_400;

/// The most channels that `ebur128` measures.
const MOST_CHANNELS: usize = 64;

impl Augment for NormalizeLoudness {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, rate: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("loudness_lufs", &self.loudness_lufs, -100.0, 20.0)?;
        match rate {
            Some(rate) if !RATES.contains(&rate.get()) => Err(NO_METER),
            _ => Ok(()),
        }
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(LoudnessAtWork { settings: self.clone(), meter: None })
    }
}

const NO_METER: SettingError =
    SettingError::DoesNotFit { key: "", reason: "loudness is defined for 1 to 64 channels at 4000 Hz to 2822400 Hz" };

struct LoudnessAtWork {
    settings: NormalizeLoudness,
    /// The meter of the last clip.
    meter: Option<EbuR128>,
}

impl Apply for LoudnessAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let target = draw.number("loudness_lufs", &self.settings.loudness_lufs);
        let before = self.measure(sound)?;
        draw.note("loudness_before_lufs", before);
        if let Some(before) = before {
            scale(sound, amplitude(target - before));
        }
        Ok(())
    }
}

impl LoudnessAtWork {
    /// The integrated loudness in LUFS; none of silence.
    fn measure(&mut self, sound: &Waveform) -> Result<Option<f64>, SettingError> {
        let rate = sound.sample_rate.get();
        let num_channels = sound.channels.len();
        if !RATES.contains(&rate) || num_channels > MOST_CHANNELS {
            return Err(NO_METER);
        }
        let fits = |meter: &EbuR128| meter.rate() == rate && meter.channels() as usize == num_channels;
        let meter = if let Some(mut meter) = self.meter.take().filter(fits) {
            meter.reset();
            meter
        } else {
            let mut meter = EbuR128::new(num_channels as u32, rate, Mode::I).map_err(|_| NO_METER)?;
            meter.set_channel_map(&vec![Channel::Left; num_channels]).map_err(|_| NO_METER)?;
            meter
        };
        let meter = self.meter.insert(meter);
        let channels: Vec<&[f32]> = sound.channels.iter().map(Vec::as_slice).collect();
        meter.add_frames_planar_f32(&channels).map_err(|_| NO_METER)?;

        // As `ebur128` rounds.
        let window = (rate as usize + 5) / 10 * 4;
        let lufs = if sound.num_samples() < window {
            // The meter's window is longer than the clip, and silent before it.
            let share = sound.num_samples() as f64 / window as f64;
            meter.loudness_momentary().map(|lufs| lufs - 10.0 * share.log10())
        } else {
            meter.loudness_global()
        };
        Ok(lufs.ok().filter(|lufs| *lufs >= -70.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::WHO;
    use crate::augment::testing::{augmenter, mono, sine, told, varied};

    fn to(lufs: f64) -> NormalizeLoudness {
        NormalizeLoudness { loudness_lufs: Range::fixed(lufs), ..NormalizeLoudness::default() }
    }

    fn before(sound: &Waveform) -> f64 {
        told(to(-20.0), sound).1.applied[0]["normalize_loudness"]["loudness_before_lufs"].as_f64().expect("a loudness")
    }

    #[test]
    fn loudness_is_that_of_pyloudnorm() {
        // One row of each signal: as it is, its first 0.1 s, in two channels of which one is 6 dB lower and backwards.
        let (_, expected) = golden("augment/normalize_loudness-pyloudnorm-0.2.0");
        let signals = [
            ("voiced", 8_000),
            ("chirp", 8_000),
            ("voiced", 16_000),
            ("chirp", 16_000),
            ("voiced", 22_050),
            ("chirp", 44_100),
            ("voiced", 48_000),
        ];
        assert_eq!(expected.len(), 3 * signals.len());
        for ((name, rate), expected) in signals.into_iter().zip(expected.chunks(3)) {
            let (_, samples) = golden(&format!("signal-{name}-{rate}"));
            let sound = mono(rate, samples.repeat(3));
            let short = mono(rate, samples[rate as usize / 20..][..rate as usize / 10].to_vec());
            let mut two = sound.clone();
            two.channels.push(sound.channels[0].iter().rev().map(|sample| 0.5 * sample).collect());
            for (sound, expected) in [sound, short, two].iter().zip(expected) {
                let found = before(sound);
                assert!((found - f64::from(*expected)).abs() < 0.02, "{name} {rate}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_clip_has_the_loudness_asked_for() {
        for rate in [8_000, 16_000, 48_000] {
            let found = varied(to(-23.0), &sine(997.0, 0.02, rate));
            assert!((before(&found) + 23.0).abs() < 1e-4, "{rate}");
        }
        let short = varied(to(-23.0), &mono(16_000, sine(997.0, 0.02, 16_000).channels[0][..100].to_vec()));
        assert!((before(&short) + 23.0).abs() < 1e-4);
    }

    #[test]
    fn silence_is_left_alone_and_a_single_sample_is_measured() {
        for sound in [mono(16_000, vec![0.0; 16_000]), mono(16_000, vec![0.0]), mono(16_000, vec![1e-5; 9_000])] {
            assert_eq!(varied(to(-10.0), &sound), sound);
        }
        assert!((before(&varied(to(-23.0), &mono(16_000, vec![0.5]))) + 23.0).abs() < 1e-4);
    }

    #[test]
    fn clips_before_change_no_bit() {
        let mut augmenter = augmenter(to(-23.0));
        let sound = sine(440.0, 0.3, 16_000);
        let mut once = sound.clone();
        augmenter.apply(&mut once, WHO).unwrap();
        augmenter.apply(&mut sine(100.0, 0.9, 16_000), WHO).unwrap();
        augmenter.apply(&mut sine(100.0, 0.9, 8_000), WHO).unwrap();
        let mut again = sound.clone();
        augmenter.apply(&mut again, WHO).unwrap();
        assert_eq!(once, again);
    }

    #[test]
    fn rates_without_a_filter_are_refused() {
        assert!(to(-23.0).check(Hertz::new(1_000)).is_err());
        let refused = augmenter(to(-23.0)).apply(&mut sine(100.0, 0.5, 1_000), WHO);
        assert!(matches!(refused, Err(AugmentError::Setting { .. })));
    }
}
