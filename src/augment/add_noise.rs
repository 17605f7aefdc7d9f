//! Recordings of noise, music or babble in the background.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bank::{Bank, Source};
use super::level::{active_power_of, amplitude, is_silent, power, power_of};
use super::mix::{add_scaled, factor_of_snr, into_mono};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Seconds, Waveform};
use crate::corpus::Corpus;
use crate::family::Member;
use crate::transform::SettingError;

/// Recorded noise in the background, at a signal-to-noise ratio: drawn from a corpus such as MUSAN.
///
/// For each noise the recording, the place in it and the ratio are drawn. Of a recording longer than the clip a part is taken,
/// each part equally likely; a shorter one is repeated from a place in it that is drawn (`repeat: loop`), or comes once at a place
/// of the clip that is drawn (`repeat: none`). It is resampled to the clip's rate, mixed to mono, and added to all channels alike:
/// `y = x + g * n`, with g such that `10 * log10(P / mean((g * n)^2)) = snr_db`, the mean over the samples of the noise that are
/// used, P the mean of `x^2` over all samples of all channels (`level: rms`) or over its active speech (`level: active_speech`). So
/// the ratio is exact for every clip. With `number` each noise has a ratio of its own to the clip without noise: babble
/// is `number: [3, 7]` from MUSAN's speech. Nothing is clipped.
///
/// Active speech is made of the frames of 20 ms that are at most 15.9 dB below the mean power of the active ones (the margin of
/// ITU-T P.56): with it, pauses in the clip do not make the noise softer.
///
/// A part of a recording that is silent (below -180 dB) adds nothing, and a silent clip gets no noise but with `absolute_db`; the
/// record says `silent`. A recording that cannot be read is warned of, and the next is drawn. Which recording a clip
/// gets changes only if its own is removed, or one is added that it prefers.
///
/// The row's `augmentation` has `noises: [{audio, offset_s, snr_db}]`; `offset_s` is the place in the recording at which the noise
/// begins, `at_s` the place in the clip where `repeat: none` puts it.
///
/// Source: audiomentations 0.43 `AddBackgroundNoise` (mono, doubles short noises after it measured them); the ratio as torchaudio 2.11
/// `add_noise` and lhotse 1.33 `CutMix` define it. SpeechBrain's `AddNoise` makes the speech softer too, which a `gain` does here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNoise {
    /// The recordings, as a corpus: `{audio_folder: {root: \"${NOISE}\"}}`.
    pub from: Corpus,
    /// The ratio of the clip's power to the noise's, in dB, -100 to 200; [3, 30].
    #[serde(default = "AddNoise::snr_db")]
    pub snr_db: Range,
    /// The RMS of the noise in dB of full scale, -200 to 100, in place of `snr_db`; null. audiomentations has -45 to -15.
    #[serde(default)]
    pub absolute_db: Option<Range>,
    /// What is done with recordings that are shorter than the clip.
    #[serde(default)]
    pub repeat: Repeat,
    /// The fewest and the most recordings that are added, 0 to 100; [1, 1].
    #[serde(default = "AddNoise::number")]
    #[schemars(inner(range(min = 0, max = 100)))]
    pub number: [usize; 2],
    /// What the ratio takes for the level of the clip.
    #[serde(default)]
    pub level: Level,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

/// What is done with noise that is shorter than the clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// It is repeated, from a place in it that is drawn, to the end of the clip.
    #[default]
    Loop,
    /// It comes once, at a place of the clip that is drawn.
    None,
}

/// What stands for the level of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The root mean square of all samples of all channels.
    #[default]
    Rms,
    /// The root mean square of the active frames.
    ActiveSpeech,
}

impl Level {
    /// The clip's mean square.
    pub(super) fn power_of(self, sound: &Waveform) -> f64 {
        match self {
            Self::Rms => power_of(sound),
            Self::ActiveSpeech => active_power_of(sound),
        }
    }
}

impl AddNoise {
    /// Noise from a corpus, all else by default.
    #[must_use]
    pub fn new(from: Corpus) -> Self {
        Self {
            from,
            snr_db: Self::snr_db(),
            absolute_db: None,
            repeat: Repeat::default(),
            number: Self::number(),
            level: Level::default(),
            probability: Probability::ALWAYS,
        }
    }

    const fn snr_db() -> Range {
        Range::Uniform([3.0, 30.0])
    }

    const fn number() -> [usize; 2] {
        [1, 1]
    }
}

impl Member for AddNoise {
    const EXAMPLE: &'static str =
        "add_noise: { from: { audio_folder: { root: \"${NOISE}\" } }, snr_db: [3, 30], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &[
        "audiomentations.AddBackgroundNoise",
        "torch_audiomentations.AddBackgroundNoise",
        "torchaudio.AddNoise",
        "lhotse.CutMix",
        "speechbrain.AddNoise",
        "nemo.noise",
        "nemo.noise_norm",
    ];
}

impl Augment for AddNoise {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn source(&self) -> Option<Source<'_>> {
        Some(Source::Corpus(&self.from))
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("snr_db", &self.snr_db, -100.0, 200.0)?;
        if let Some(absolute_db) = &self.absolute_db {
            SettingError::unless_all_within("absolute_db", absolute_db, -200.0, 100.0)?;
        }
        let [fewest, most] = self.number;
        SettingError::unless_within("number", most as f64, 0.0, 100.0)?;
        if fewest > most {
            return Err(SettingError::DoesNotFit { key: "number", reason: "the fewest are more than the most" });
        }
        Ok(())
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AddNoiseAtWork { settings: self.clone(), bank: setup.bank() })
    }
}

struct AddNoiseAtWork {
    settings: AddNoise,
    bank: Arc<Bank>,
}

impl Apply for AddNoiseAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let [fewest, most] = self.settings.number;
        let number = fewest + draw.index(most - fewest + 1);
        let reference = self.settings.level.power_of(sound);
        let mut noises = Vec::with_capacity(number);
        for _ in 0..number {
            noises.push(self.add(sound, reference, draw)?);
        }
        draw.note("noises", noises);
        Ok(())
    }
}

impl AddNoiseAtWork {
    /// Adds one noise and tells of it.
    fn add(&self, sound: &mut Waveform, reference: f64, draw: &mut Draw<'_>) -> Result<Value, AugmentError> {
        let AddNoise { snr_db, absolute_db, repeat, .. } = &self.settings;
        let level = draw.unit();
        let place = draw.unit();
        let rate = sound.sample_rate;
        let len = sound.num_samples();
        let (index, (noise, offset)) = draw.recording(&self.bank, |index| self.bank.part(index, rate, len, place))?;
        let noise = into_mono(noise);
        let seconds = |samples: usize| Seconds::of_samples(samples as u64, rate).get();

        let at = |places: usize| ((place * places as f64) as usize).min(places.saturating_sub(1));
        let short = noise.len() < len;
        let (skipped, delay) = match repeat {
            Repeat::Loop if short => (at(noise.len()), 0),
            Repeat::None if short => (0, at(len - noise.len() + 1)),
            Repeat::Loop | Repeat::None => (0, 0),
        };
        let used = match repeat {
            Repeat::Loop if short && !noise.is_empty() => {
                let mut looped = Vec::with_capacity(len);
                looped.extend_from_slice(&noise[skipped..]);
                while looped.len() < len {
                    let missing = len - looped.len();
                    looped.extend_from_slice(&noise[..missing.min(noise.len())]);
                }
                looped
            }
            Repeat::Loop | Repeat::None => noise,
        };

        let added = power(&used);
        let mut told = json!({ "audio": self.bank.name(index), "offset_s": seconds(offset + skipped) });
        if *repeat == Repeat::None && short {
            told["at_s"] = json!(seconds(delay));
        }
        let factor = if let Some(absolute_db) = absolute_db {
            let absolute_db = absolute_db.at(level);
            told["absolute_db"] = json!(absolute_db);
            (!is_silent(added)).then(|| amplitude(absolute_db) / added.sqrt())
        } else {
            let snr_db = snr_db.at(level);
            told["snr_db"] = json!(snr_db);
            (!is_silent(added) && !is_silent(reference)).then(|| factor_of_snr(reference, added, snr_db))
        };
        if let Some(factor) = factor {
            for channel in &mut sound.channels {
                add_scaled(&mut channel[delay..], &used, factor);
            }
        } else {
            told["silent"] = json!(true);
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::augment::Told;
    use crate::augment::testing::rms;
    use crate::augment::testing::{WHO, folder, hiss, is_uniform, measured_snr_db, mono, opened, sine, write_wav};
    use crate::seed::Draws;

    /// A folder of noises of these numbers of samples at 16 kHz.
    fn noises(lengths: &[(&str, usize)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in lengths {
            write_wav(&folder.path().join(format!("{name}.wav")), &hiss(name, 0.1, 16_000, *length));
        }
        folder
    }

    fn fixed(root: &Path, snr_db: f64) -> AddNoise {
        AddNoise { snr_db: Range::fixed(snr_db), ..AddNoise::new(folder(root)) }
    }

    fn apply(row: AddNoise, sound: &Waveform, id: &str) -> (Waveform, Told) {
        let mut output = sound.clone();
        let told = opened(row, 64).apply(&mut output, Draws { id, ..WHO }).unwrap();
        (output, told)
    }

    fn difference(sound: &Waveform, output: &Waveform, channel: usize) -> Vec<f32> {
        output.channels[channel].iter().zip(&sound.channels[channel]).map(|(y, x)| y - x).collect()
    }

    #[test]
    fn the_ratio_is_exact_whether_the_noise_is_longer_or_shorter() {
        let root = noises(&[("a", 5_000)]);
        for (rate, length, snr_db) in [
            (16_000, 3_000, 3.0),
            (16_000, 5_000, 10.0),
            (16_000, 16_000, 30.0),
            (8_000, 8_000, 20.0),
            (44_100, 1, 5.0),
        ] {
            let mut sound = sine(300.0, 0.2, rate);
            sound.channels[0].rotate_left(7);
            sound.channels[0].truncate(length);
            sound.channels.push(vec![0.0; length]);
            let (output, _) = apply(fixed(root.path(), snr_db), &sound, "utt-1");
            let measured = measured_snr_db(&sound, &output);
            assert!((measured - snr_db).abs() < 0.01, "{measured} dB is not {snr_db} dB");
        }
    }

    #[test]
    fn a_part_of_a_longer_recording_is_that_part_and_places_are_drawn_evenly() {
        let root = noises(&[("a", 20_000)]);
        let whole = hiss("a", 0.1, 16_000, 20_000).channels.remove(0);
        let sound = mono(16_000, vec![0.5; 4_000]);
        let mut augmenter = opened(fixed(root.path(), 0.0), 64);
        let mut offsets = Vec::new();
        for number in 0..2_000 {
            let mut output = sound.clone();
            let told = augmenter.apply(&mut output, Draws { id: &number.to_string(), ..WHO }).unwrap();
            let noise = &told.applied[0]["add_noise"]["noises"][0];
            assert_eq!(noise["audio"], "a.wav");
            let offset = noise["offset_s"].as_f64().unwrap();
            offsets.push(offset);
            let part = &whole[(offset * 16_000.0).round() as usize..][..4_000];
            let factor = 0.5 / rms(part) as f32;
            let added = difference(&sound, &output, 0);
            assert!(added.iter().zip(part).all(|(y, n)| (y - factor * n).abs() < 1e-5));
        }
        assert!(is_uniform(&offsets, 0.0, 1.0));
    }

    #[test]
    fn a_shorter_recording_is_repeated_or_comes_once() {
        let root = noises(&[("a", 1_000)]);
        let whole = hiss("a", 0.1, 16_000, 1_000).channels.remove(0);
        let sound = mono(16_000, vec![0.5; 3_500]);
        let (output, told) = apply(fixed(root.path(), 0.0), &sound, "utt-1");
        let added = difference(&sound, &output, 0);
        let phase =
            (told.applied[0]["add_noise"]["noises"][0]["offset_s"].as_f64().unwrap() * 16_000.0).round() as usize;
        let looped: Vec<f32> = (0..3_500).map(|place| whole[(place + phase) % 1_000]).collect();
        let factor = 0.5 / rms(&looped) as f32;
        assert!(added.iter().zip(&looped).all(|(y, n)| (y - factor * n).abs() < 1e-5));

        let once = AddNoise { repeat: Repeat::None, ..fixed(root.path(), 0.0) };
        let (output, told) = apply(once, &sound, "utt-1");
        let added = difference(&sound, &output, 0);
        let at = (told.applied[0]["add_noise"]["noises"][0]["at_s"].as_f64().unwrap() * 16_000.0).round() as usize;
        let factor = 0.5 / rms(&whole) as f32;
        assert!(added[at..at + 1_000].iter().zip(&whole).all(|(y, n)| (y - factor * n).abs() < 1e-5));
        assert!(added[..at].iter().chain(&added[at + 1_000..]).all(|sample| *sample == 0.0));
    }

    #[test]
    fn several_noises_have_ratios_of_their_own_and_their_powers_add() {
        let root = noises(&[("a", 90_000), ("b", 80_000), ("c", 70_000)]);
        let row = AddNoise { number: [4, 4], ..fixed(root.path(), 20.0) };
        let sound = sine(300.0, 0.2, 16_000);
        let (output, told) = apply(row, &sound, "utt-1");
        assert_eq!(told.applied[0]["add_noise"]["noises"].as_array().unwrap().len(), 4);
        let measured = measured_snr_db(&sound, &output);
        assert!((measured - (20.0 - 10.0 * 4_f64.log10())).abs() < 0.3, "{measured}");

        let row = AddNoise { number: [0, 3], ..AddNoise::new(folder(root.path())) };
        let mut augmenter = opened(row, 64);
        let mut counts = [0; 4];
        let mut ratios = Vec::new();
        for number in 0..2_000 {
            let told = augmenter.apply(&mut mono(16_000, vec![0.1; 50]), Draws { id: &number.to_string(), ..WHO });
            let told = told.unwrap();
            let noises = told.applied[0]["add_noise"]["noises"].as_array().unwrap();
            counts[noises.len()] += 1;
            ratios.extend(noises.iter().map(|noise| noise["snr_db"].as_f64().unwrap()));
        }
        assert!(counts.iter().all(|count| (420..580).contains(count)), "{counts:?}");
        assert!(is_uniform(&ratios, 3.0, 30.0));
    }

    #[test]
    fn the_level_of_active_speech_does_not_count_pauses() {
        let root = noises(&[("a", 90_000)]);
        let mut sound = sine(300.0, 0.2, 16_000);
        sound.channels[0].resize(32_000, 0.0);
        let row = AddNoise { level: Level::ActiveSpeech, ..fixed(root.path(), 10.0) };
        let measured = measured_snr_db(&sound, &apply(row, &sound, "utt-1").0);
        assert!((measured - (10.0 - 10.0 * 2_f64.log10())).abs() < 0.01, "{measured}");
    }

    #[test]
    fn an_absolute_level_is_the_noise_s_whatever_the_clip() {
        let root = noises(&[("a", 90_000)]);
        let sound = mono(16_000, vec![0.0; 8_000]);
        let row = AddNoise { absolute_db: Some(Range::fixed(-26.0)), ..AddNoise::new(folder(root.path())) };
        let (output, _) = apply(row, &sound, "utt-1");
        assert!((20.0 * rms(&output.channels[0]).log10() + 26.0).abs() < 0.01);
    }

    #[test]
    fn silence_adds_nothing_and_gets_nothing() {
        let root = tempfile::tempdir().unwrap();
        write_wav(&root.path().join("quiet.wav"), &mono(16_000, vec![0.0; 900]));
        let sound = sine(300.0, 0.2, 16_000);
        let (same, told) = apply(fixed(root.path(), 0.0), &sound, "utt-1");
        assert_eq!(same, sound);
        assert_eq!(told.applied[0]["add_noise"]["noises"][0]["silent"], true);
        let root = noises(&[("a", 2_000)]);
        let silence = mono(16_000, vec![0.0; 900]);
        assert_eq!(apply(fixed(root.path(), 0.0), &silence, "utt-1").0, silence);
    }

    #[test]
    fn stereo_noise_is_mixed_and_added_to_all_channels_alike() {
        let root = tempfile::tempdir().unwrap();
        let mut noise = hiss("left", 0.1, 16_000, 4_000);
        noise.channels.push(hiss("right", 0.1, 16_000, 4_000).channels.remove(0));
        write_wav(&root.path().join("stereo.wav"), &noise);
        let mut sound = mono(16_000, vec![0.5; 4_000]);
        sound.channels.push(vec![-0.5; 4_000]);
        let (output, _) = apply(fixed(root.path(), 0.0), &sound, "utt-1");
        let mixed = into_mono(noise);
        let factor = 0.5 / rms(&mixed) as f32;
        for channel in 0..2 {
            let added = difference(&sound, &output, channel);
            assert!(added.iter().zip(&mixed).all(|(y, n)| (y - factor * n).abs() < 1e-5));
        }
    }

    #[test]
    fn a_broken_file_is_told_and_the_next_is_drawn() {
        let root = noises(&[("a", 2_000), ("b", 2_000)]);
        std::fs::write(root.path().join("broken.wav"), b"RIFF no more").unwrap();
        let sound = sine(300.0, 0.2, 16_000);
        let mut broken = 0;
        for number in 0..30 {
            let (output, told) = apply(fixed(root.path(), 10.0), &sound, &number.to_string());
            assert!((measured_snr_db(&sound, &output) - 10.0).abs() < 0.01);
            broken += told.unusable.len();
            assert!(told.unusable.iter().all(|(audio, reason)| audio == "broken.wav" && !reason.is_empty()));
        }
        assert!((2..25).contains(&broken), "{broken} of 30 draws");

        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("broken.wav"), b"RIFF no more").unwrap();
        let refused = opened(fixed(root.path(), 10.0), 64).apply(&mut sound.clone(), WHO);
        assert!(matches!(refused, Err(AugmentError::NoRecording { tried: 1, .. })), "{refused:?}");
    }

    #[test]
    fn removing_another_noise_and_the_size_of_the_cache_change_no_bit() {
        let names: Vec<(String, usize)> = (0..10).map(|number| (format!("noise-{number}"), 3_000 + number)).collect();
        let names: Vec<(&str, usize)> = names.iter().map(|(name, length)| (name.as_str(), *length)).collect();
        let (root, fewer) = (noises(&names), noises(&names[1..]));
        let sound = sine(300.0, 0.2, 8_000);
        let mut augmenters = [(&root, 64), (&root, 0), (&fewer, 64)]
            .map(|(root, cache)| opened(AddNoise::new(folder(root.path())), cache));
        let mut changed = 0;
        for number in 0..100 {
            let id = number.to_string();
            let [first, uncached, fewer] = augmenters.each_mut().map(|augmenter| {
                let mut output = sound.clone();
                let told = augmenter.apply(&mut output, Draws { id: &id, ..WHO }).unwrap();
                (output, told)
            });
            assert_eq!(first, uncached);
            if first.1.applied[0]["add_noise"]["noises"][0]["audio"] == "noise-0.wav" {
                changed += 1;
                assert_ne!(first, fewer);
            } else {
                assert_eq!(first, fewer);
            }
        }
        assert!((3..25).contains(&changed), "{changed} of 100 draws took the noise that was removed");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let new = || AddNoise::new(folder(Path::new("musan")));
        assert!(new().check(None).is_ok());
        assert!(AddNoise { number: [2, 1], ..new() }.check(None).is_err());
        assert!(AddNoise { number: [1, 101], ..new() }.check(None).is_err());
        assert!(AddNoise { snr_db: Range::fixed(300.0), ..new() }.check(None).is_err());
        assert!(serde_json::from_str::<AddNoise>("{}").is_err(), "it needs recordings");
    }
}
