//! Recorded rooms.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bank::{Bank, Source};
use super::reverberation::{Normalize, Response, Reverberation, Tail};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::corpus::Corpus;
use crate::family::Member;
use crate::load::LoadError;
use crate::transform::SettingError;

/// Reverberation by recorded impulse responses of rooms, one drawn for each clip.
///
/// `y = x * h`, shifted so that the direct path, the sample of the highest magnitude of `h`, stands at the clip's own sample; as long
/// as the clip and with its mean power, unless `tail` and `normalize` say otherwise. So words stay where they were.
/// Each response is equally likely, and is brought to the clip's sample rate; one that is silent (below -180 dB) or
/// unreadable is told as a warning, and the next is drawn. Recorded: `audio`, the response, and `rir_channel`, where there are
/// several.
///
/// Source: lhotse 1.33 `ReverbWithImpulseResponse`, which takes the highest *signed* sample as the direct path: the two
/// differ where a microphone is wired upside down. audiomentations' and torch-audiomentations' `ApplyImpulseResponse` leave the
/// delay of the direct path in by default, and the first brings every clip to a peak of 0.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reverb {
    /// The corpus of the impulse responses, of up to two minutes each.
    pub from: Corpus,
    /// How much of a response is heard: all of it, or its early part.
    #[serde(default)]
    pub part: Part,
    /// How long the early part goes on after the direct path, in ms, 0 to 1000; 50.
    #[serde(default = "early_ms")]
    pub early_ms: f64,
    /// Which channel of a response is heard.
    #[serde(default)]
    pub rir_channel: RirChannel,
    /// The level: the clip's mean power, or what the response makes of it.
    #[serde(default)]
    pub normalize: Normalize,
    /// Whether the reverberation behind the clip's end is cut off or kept.
    #[serde(default)]
    pub tail: Tail,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

const fn early_ms() -> f64 {
    50.0
}

/// How much of an impulse response is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All.
    #[default]
    All,
    /// The direct path and the reflections shortly after it, which carry the words and not the reverberation: a target for
    /// dereverberation.
    Early,
}

/// Which channel of an impulse response of several is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RirChannel {
    /// The first, by all channels of the clip.
    #[default]
    First,
    /// The one with this number, from 0, by all channels of the clip.
    Index(u16),
    /// One that is drawn, by all channels of the clip.
    Random,
    /// Each channel of the clip has the response's channel of its own number, all shifted by the direct path of the first and
    /// scaled alike, so that the differences between microphones stay. A response of fewer channels than the clip is not used.
    Each,
}

impl Member for Reverb {
    const EXAMPLE: &'static str =
        "reverb: { from: { audio_folder: { root: \"${RIR}\" } }, part: all, rir_channel: first, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &[
        "audiomentations.ApplyImpulseResponse",
        "torch_audiomentations.ApplyImpulseResponse",
        "lhotse.ReverbWithImpulseResponse",
        "speechbrain.AddReverb",
        "nemo.impulse",
    ];
}

impl Augment for Reverb {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("early_ms", self.early_ms, 0.0, 1_000.0).map(|_| ())
    }

    fn source(&self) -> Option<Source<'_>> {
        Some(Source::Corpus(&self.from))
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(ReverbAtWork {
            bank: setup.bank(),
            part: self.part,
            early_ms: self.early_ms,
            rir_channel: self.rir_channel,
            reverberation: Reverberation::new(self.normalize, self.tail),
        })
    }
}

struct ReverbAtWork {
    bank: Arc<Bank>,
    part: Part,
    early_ms: f64,
    rir_channel: RirChannel,
    reverberation: Reverberation,
}

/// A response in use: the numbers of the channels that are heard and the sample of the direct path.
struct Heard {
    rir: Arc<Waveform>,
    channels: std::ops::Range<usize>,
    direct: usize,
}

impl Apply for ReverbAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let rate = sound.sample_rate;
        let unit = draw.unit();
        let (bank, rir_channel, num_channels) = (&self.bank, self.rir_channel, sound.channels.len());
        let (index, heard) =
            draw.recording(bank, |index| heard(bank.whole(index, rate)?, rir_channel, unit, num_channels))?;
        draw.note("audio", bank.name(index));
        if heard.rir.channels.len() > 1 && rir_channel != RirChannel::Each {
            draw.note("rir_channel", heard.channels.start);
        }
        let early = (self.early_ms / 1e3 * f64::from(rate.get())).round() as usize;
        let end = match self.part {
            Part::All => usize::MAX,
            Part::Early => heard.direct + early.max(1),
        };
        let responses = heard.channels.clone().map(|channel| {
            let taps = &heard.rir.channels[channel];
            let taps = &taps[..end.min(taps.len())];
            // Silence at both ends is no work.
            let first = taps.iter().position(|tap| *tap != 0.0).unwrap_or(0);
            let last = taps.iter().rposition(|tap| *tap != 0.0).unwrap_or(0);
            Response {
                taps: &taps[first..=last],
                direct: heard.direct as isize - first as isize,
                key: Some((index, rate, channel)),
            }
        });
        let responses: Vec<Response<'_>> = responses.collect();
        self.reverberation.apply(sound, &responses);
        Ok(())
    }
}

/// What is heard of a recording; an error where it is of no use.
fn heard(rir: Arc<Waveform>, rir_channel: RirChannel, unit: f64, num_channels: usize) -> Result<Heard, LoadError> {
    /// Below -180 dB there is nothing but the rounding of a silent file.
    const SILENCE: f32 = 1e-9;
    let there = rir.channels.len();
    let first = match rir_channel {
        RirChannel::First | RirChannel::Each => 0,
        RirChannel::Index(channel) => usize::from(channel),
        RirChannel::Random => (unit * there as f64) as usize,
    };
    let channels = first..first + if rir_channel == RirChannel::Each { num_channels } else { 1 };
    let Some(used) = rir.channels.get(channels.clone()) else {
        let missing = u16::try_from(channels.end - 1).unwrap_or(u16::MAX);
        return Err(LoadError::NoSuchChannel { channel: missing, channels: u16::try_from(there).unwrap_or(u16::MAX) });
    };
    let mut direct = 0;
    for (number, taps) in used.iter().enumerate() {
        let mut peak = (0, SILENCE);
        for (place, tap) in taps.iter().enumerate() {
            if tap.abs() > peak.1 {
                peak = (place, tap.abs());
            }
        }
        if peak.1 <= SILENCE {
            return Err(LoadError::UnsupportedFormat { feature: "an impulse response without sound" });
        }
        if number == 0 {
            direct = peak.0;
        }
    }
    Ok(Heard { rir, channels, direct })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::level::{power, power_of};
    use crate::augment::testing::{WHO, mono, sine};
    use crate::augment::{Chain, Told};
    use crate::variables::Variables;

    /// A WAVE file of 32-bit floats.
    fn wav(rate: u32, channels: &[Vec<f32>]) -> Vec<u8> {
        let (count, len) = (channels.len() as u16, channels[0].len());
        let size = (len * channels.len() * 4) as u32;
        let mut bytes = [b"RIFF".as_slice(), &(36 + size).to_le_bytes(), b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
        bytes.extend([3_u16.to_le_bytes(), count.to_le_bytes()].concat());
        bytes.extend([rate.to_le_bytes(), (rate * u32::from(count) * 4).to_le_bytes()].concat());
        bytes.extend([(count * 4).to_le_bytes(), 32_u16.to_le_bytes()].concat());
        bytes.extend([b"data".as_slice(), &size.to_le_bytes()].concat());
        for place in 0..len {
            for channel in channels {
                bytes.extend(channel[place].to_le_bytes());
            }
        }
        bytes
    }

    /// A response: a direct path of this height at sample 40, and reverberation up to sample 400.
    fn rir(height: f32) -> Vec<f32> {
        let tap = |n: usize| match n {
            40 => height,
            n if n < 40 => 0.0,
            n => 0.5 * (-(n as f32) / 60.0).exp() * (n as f32 * n as f32).sin(),
        };
        (0..400).map(tap).collect()
    }

    /// What became of a clip by responses in a folder, with settings in the row's own words.
    fn by(files: &[(&str, u32, &[Vec<f32>])], settings: &str, sound: &Waveform, id: &str) -> (Waveform, Told) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, rate, channels) in files {
            std::fs::write(folder.path().join(name), wav(*rate, channels)).expect("a file");
        }
        let root = folder.path().to_str().expect("a path");
        let row = format!(r#"{{ "from": {{ "audio_folder": {{ "root": "{root}" }} }} {settings} }}"#);
        let row: Reverb = serde_json::from_str(&row).expect("a row");
        row.check(None).expect("settings that fit");
        let mut augmenter = Chain::of([row.into()]).open(&Variables::default()).expect("a corpus");
        let mut sound = sound.clone();
        let told = augmenter.apply(&mut sound, crate::seed::Draws { id, ..WHO }).expect("a clip");
        (sound, told)
    }

    fn click(rate: u32, place: usize) -> Waveform {
        mono(rate, (0..4_000).map(|n| f32::from(u8::from(n == place))).collect())
    }

    fn highest(samples: &[f32]) -> usize {
        (0..samples.len()).max_by(|a, b| samples[*a].abs().total_cmp(&samples[*b].abs())).expect("samples")
    }

    #[test]
    fn the_clip_is_convolved_aligned_and_as_long_and_powerful_as_before() {
        for height in [1.0, -1.0] {
            let rir = rir(height);
            let sound = click(16_000, 1_000);
            let (wet, _) = by(&[("a.wav", 16_000, std::slice::from_ref(&rir))], "", &sound, "utt");
            let samples = &wet.channels[0];
            assert_eq!((wet.num_samples(), highest(samples)), (4_000, 1_000));
            assert!((10.0 * (power_of(&wet) / power_of(&sound)).log10()).abs() < 0.01);
            let gain = samples[1_000] / height;
            let same = |n: usize| (samples[960 + n] - gain * rir[n]).abs() < 1e-6;
            assert!((0..400).all(same) && samples[1_400..].iter().all(|y| y.abs() < 1e-6));
        }
    }

    #[test]
    fn power_and_place_stay_at_every_rate_whatever_the_rate_of_the_response() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let sound = sine(440.0, 0.1, rate);
            let (wet, _) = by(&[("a.wav", 16_000, &[rir(1.0)])], "", &sound, "utt");
            assert!((10.0 * (power_of(&wet) / power_of(&sound)).log10()).abs() < 0.01);
            let (wet, _) = by(&[("a.wav", 16_000, &[rir(1.0)])], "", &click(rate, 2_000), "utt");
            assert_eq!(highest(&wet.channels[0]), 2_000, "at {rate}");
        }
    }

    #[test]
    fn the_early_part_ends_after_its_time() {
        let files: &[(&str, u32, &[Vec<f32>])] = &[("a.wav", 16_000, &[rir(1.0)])];
        let (wet, _) = by(files, r#", "part": "early", "early_ms": 5"#, &click(16_000, 1_000), "utt");
        let samples = &wet.channels[0];
        assert!(samples[1_000 + 79].abs() > 1e-4 && samples[1_000 + 80..].iter().all(|y| y.abs() < 1e-6));
    }

    #[test]
    fn without_normalisation_the_response_is_as_loud_as_recorded_and_its_tail_may_be_kept() {
        let files: &[(&str, u32, &[Vec<f32>])] = &[("a.wav", 16_000, &[rir(0.8)])];
        let (wet, _) = by(files, r#", "normalize": "none", "tail": "keep""#, &click(16_000, 3_999), "utt");
        assert_eq!(wet.num_samples(), 4_000 + 400 - 1 - 40);
        assert!((wet.channels[0][3_999] - 0.8).abs() < 1e-6);
        let due = power(&rir(0.8)) * 400.0;
        assert!((power(&wet.channels[0]) * wet.num_samples() as f64 / due - 1.0).abs() < 1e-5);
    }

    #[test]
    fn each_channel_has_its_own_response_and_the_delays_between_them_stay() {
        let later: Vec<f32> = [vec![0.0; 3], rir(0.5)].concat();
        let first: Vec<f32> = [rir(1.0), vec![0.0; 3]].concat();
        let files: &[(&str, u32, &[Vec<f32>])] = &[("a.wav", 16_000, &[first, later])];
        let mut sound = click(16_000, 1_000);
        let (one, told) = by(files, r#", "rir_channel": { "index": 1 }"#, &sound, "utt");
        assert_eq!((highest(&one.channels[0]), &told.applied[0]["reverb"]["rir_channel"]), (1_000, &1.into()));
        sound.channels.push(sound.channels[0].clone());
        let (both, _) = by(files, r#", "rir_channel": "each""#, &sound, "utt");
        assert_eq!([highest(&both.channels[0]), highest(&both.channels[1])], [1_000, 1_003]);
        let ratio = both.channels[1][1_003] / both.channels[0][1_000];
        assert!((ratio - 0.5).abs() < 1e-5, "{ratio}");
        assert!((10.0 * (power_of(&both) / power_of(&sound)).log10()).abs() < 0.01);
    }

    #[test]
    fn a_response_that_is_silent_or_lacks_the_channel_is_passed_by_and_told() {
        let files: &[(&str, u32, &[Vec<f32>])] = &[
            ("good.wav", 16_000, &[rir(1.0), rir(1.0)]),
            ("one.wav", 16_000, &[rir(1.0)]),
            ("silent.wav", 16_000, &[vec![0.0; 50]]),
        ];
        let mut unusable = std::collections::BTreeSet::new();
        for number in 0..40 {
            let row = r#", "rir_channel": { "index": 1 }"#;
            let (_, told) = by(files, row, &click(16_000, 10), &format!("utt-{number}"));
            assert_eq!(told.applied[0]["reverb"]["audio"], "good.wav");
            unusable.extend(told.unusable.into_iter().map(|(name, _)| name));
        }
        assert_eq!(unusable.into_iter().collect::<Vec<_>>(), ["one.wav", "silent.wav"]);
        let (wet, told) = by(&files[..1], r#", "rir_channel": "random""#, &mono(8_000, vec![0.25]), "utt");
        assert!((wet.channels[0][0].abs() - 0.25).abs() < 1e-6 && told.unusable.is_empty());
        let (wet, _) = by(&files[..1], "", &mono(8_000, vec![0.0; 30]), "utt");
        assert_eq!(wet.channels[0], vec![0.0; 30]);
    }
}
