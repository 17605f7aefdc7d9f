//! Short noises now and then: keyboards, coughs, doors.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bank::{Bank, Source};
use super::level::{amplitude, is_silent, power, power_of};
use super::mix::{add_scaled, factor_of_snr, mono_of};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Seconds, Waveform};
use crate::corpus::Corpus;
use crate::family::Member;
use crate::transform::SettingError;

/// Short recorded noises with pauses between them, some in bursts that overlap: keyboards, coughs, doors.
///
/// The first noise begins at a time that is uniform between minus and plus the longest of `time_between_sounds_s`, so that one may be
/// under way when the clip begins. After each noise follows, with `burst_probability`, another that begins `pause_factor_during_burst`
/// times the first one's length after its beginning (below 1 they overlap), and so on; else, when it has ended, a pause
/// of `time_between_sounds_s`, and the next. Each noise is a whole recording, resampled to the clip's rate and mixed to mono, with
/// linear fades at both its ends (the lower of the two where they meet), cut where the clip begins and ends, and scaled so that
/// `10 * log10(P / mean(noise^2)) = snr_db`: the mean over what is left of the noise, P the mean square of the clip
/// (`snr_over: clip`) or of that stretch of it (`snr_over: sound`). It is added to all channels alike.
///
/// With `signal_gain_during_noise_db` the clip is softer (or louder) meanwhile, by so many dB times the noise's fades; the ratios are
/// those to the clip before. At -100 the noises take the clip's place; its `text` stays, for the words are still meant.
///
/// Recordings are up to two minutes long; longer and broken ones are warned of, and the next is drawn. Silent noises and silent clips
/// (below -180 dB) are left as they are, but for `absolute_db`. The row's `augmentation` has `sounds: [{audio, at_s,
/// snr_db}]`, of those that touch the clip; `at_s` is negative for one that was under way.
///
/// Source: audiomentations 0.43 `AddShortNoises` (mono only; without its `include_silence_in_noise_rms_estimation` and
/// `noise_transform`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddShortNoises {
    /// The recordings, as a corpus: `{audio_folder: {root: \"${NOISE}\"}}`.
    pub from: Corpus,
    /// The ratio of the clip's power to a noise's, in dB, -100 to 200; [-6, 18].
    #[serde(default = "AddShortNoises::snr_db")]
    pub snr_db: Range,
    /// The RMS of a noise in dB of full scale, -200 to 100, in place of `snr_db`; null. audiomentations has -50 to -20.
    #[serde(default)]
    pub absolute_db: Option<Range>,
    /// Over what of the clip the ratio is.
    #[serde(default)]
    pub snr_over: SnrOver,
    /// Whether the noises of one clip have levels of their own.
    #[serde(default)]
    pub levels: NoiseLevels,
    /// The pause after a noise in seconds, 0.05 to 3600; [2, 8].
    #[serde(default = "AddShortNoises::time_between_sounds_s")]
    pub time_between_sounds_s: Range,
    /// How likely another noise comes soon after one, 0 to 0.95; 0.22.
    #[serde(default = "AddShortNoises::burst_probability")]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub burst_probability: f64,
    /// How far into a noise the next one of a burst begins, as a share of its length, 0.01 to 10; [0.1, 1.1].
    #[serde(default = "AddShortNoises::pause_factor_during_burst")]
    pub pause_factor_during_burst: Range,
    /// How long a noise takes to come in, in seconds, 0 to 60; [0.005, 0.08].
    #[serde(default = "AddShortNoises::fade_in_s")]
    pub fade_in_s: Range,
    /// How long a noise takes to go, in seconds, 0 to 60; [0.01, 0.1].
    #[serde(default = "AddShortNoises::fade_out_s")]
    pub fade_out_s: Range,
    /// The gain of the clip during a noise in dB, drawn once for a clip, -200 to 100; 0.
    #[serde(default = "AddShortNoises::signal_gain_during_noise_db")]
    pub signal_gain_during_noise_db: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

/// What of a clip the ratio to a short noise is measured over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnrOver {
    /// All of it (audiomentations' `relative_to_whole_input`).
    #[default]
    Clip,
    /// The stretch during which the noise sounds (audiomentations' `relative`).
    Sound,
}

/// Whether the noises of one clip have levels of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseLevels {
    /// The level is drawn for each noise.
    #[default]
    Each,
    /// The level is drawn once for a clip.
    Same,
}

impl AddShortNoises {
    /// Short noises from a corpus, all else by default.
    #[must_use]
    pub fn new(from: Corpus) -> Self {
        Self {
            from,
            snr_db: Self::snr_db(),
            absolute_db: None,
            snr_over: SnrOver::default(),
            levels: NoiseLevels::default(),
            time_between_sounds_s: Self::time_between_sounds_s(),
            burst_probability: Self::burst_probability(),
            pause_factor_during_burst: Self::pause_factor_during_burst(),
            fade_in_s: Self::fade_in_s(),
            fade_out_s: Self::fade_out_s(),
            signal_gain_during_noise_db: Self::signal_gain_during_noise_db(),
            probability: Probability::ALWAYS,
        }
    }

    const fn snr_db() -> Range {
        Range::Uniform([-6.0, 18.0])
    }

    const fn time_between_sounds_s() -> Range {
        Range::Uniform([2.0, 8.0])
    }

    const fn burst_probability() -> f64 {
        0.22
    }

    const fn pause_factor_during_burst() -> Range {
        Range::Uniform([0.1, 1.1])
    }

    const fn fade_in_s() -> Range {
        Range::Uniform([0.005, 0.08])
    }

    const fn fade_out_s() -> Range {
        Range::Uniform([0.01, 0.1])
    }

    const fn signal_gain_during_noise_db() -> Range {
        Range::fixed(0.0)
    }
}

impl Member for AddShortNoises {
    const EXAMPLE: &'static str = "add_short_noises: { from: { audio_folder: { root: \"${NOISE}\" } }, snr_db: [-6, 18], time_between_sounds_s: [2, 8], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.AddShortNoises"];
}

impl Augment for AddShortNoises {
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
        // Without a pause, a noise of one sample would come for each sample of the clip.
        SettingError::unless_all_within("time_between_sounds_s", &self.time_between_sounds_s, 0.05, 3600.0)?;
        SettingError::unless_within("burst_probability", self.burst_probability, 0.0, 0.95)?;
        SettingError::unless_all_within("pause_factor_during_burst", &self.pause_factor_during_burst, 0.01, 10.0)?;
        SettingError::unless_all_within("fade_in_s", &self.fade_in_s, 0.0, 60.0)?;
        SettingError::unless_all_within("fade_out_s", &self.fade_out_s, 0.0, 60.0)?;
        let gain_db = &self.signal_gain_during_noise_db;
        SettingError::unless_all_within("signal_gain_during_noise_db", gain_db, -200.0, 100.0)
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AddShortNoisesAtWork {
            settings: self.clone(),
            bank: setup.bank(),
            noise: Vec::new(),
            gains: Vec::new(),
            told: Vec::new(),
        })
    }
}

struct AddShortNoisesAtWork {
    settings: AddShortNoises,
    bank: Arc<Bank>,
    /// All noises of the clip.
    noise: Vec<f32>,
    /// How much of the clip's gain applies to each sample: the highest fade of the noises there, 0 to 1.
    gains: Vec<f32>,
    told: Vec<Value>,
}

impl Apply for AddShortNoisesAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let AddShortNoises { time_between_sounds_s, burst_probability, pause_factor_during_burst, .. } =
            self.settings.clone();
        let len = sound.num_samples();
        for samples in [&mut self.noise, &mut self.gains] {
            samples.clear();
            samples.resize(len, 0.0);
        }
        self.told.clear();

        let gain_db = self.settings.signal_gain_during_noise_db.at(draw.unit());
        let same_level = draw.unit();
        let longest = time_between_sounds_s.values().iter().copied().fold(0.0, f64::max);
        let reference = power_of(sound);
        let end_s = Seconds::of_samples(len as u64, sound.sample_rate).get();
        let mut at_s = (2.0 * draw.unit() - 1.0) * longest;
        while at_s < end_s {
            let mut length_s = self.add(sound, reference, same_level, at_s, draw)?;
            while draw.unit() < burst_probability {
                at_s += pause_factor_during_burst.at(draw.unit()) * length_s;
                if at_s >= end_s {
                    break;
                }
                length_s = self.add(sound, reference, same_level, at_s, draw)?;
            }
            at_s += length_s + time_between_sounds_s.at(draw.unit());
        }

        if gain_db != 0.0 {
            draw.note("signal_gain_during_noise_db", gain_db);
            for gain in self.gains.iter_mut().filter(|gain| **gain != 0.0) {
                *gain = (amplitude(gain_db * f64::from(*gain)) - 1.0) as f32;
            }
        }
        for channel in &mut sound.channels {
            if gain_db != 0.0 {
                for (sample, gain) in channel.iter_mut().zip(&self.gains) {
                    *sample += *gain * *sample;
                }
            }
            add_scaled(channel, &self.noise, 1.0);
        }
        draw.note("sounds", self.told.clone());
        Ok(())
    }
}

impl AddShortNoisesAtWork {
    /// Adds one noise to those of the clip, and gives its length in seconds.
    fn add(
        &mut self,
        sound: &Waveform,
        reference: f64,
        same_level: f64,
        at_s: f64,
        draw: &mut Draw<'_>,
    ) -> Result<f64, AugmentError> {
        let AddShortNoises { snr_db, absolute_db, snr_over, levels, fade_in_s, fade_out_s, .. } = &self.settings;
        let rate = sound.sample_rate;
        let samples_of = |seconds: f64| seconds * f64::from(rate.get());
        let fade_in = samples_of(fade_in_s.at(draw.unit()));
        let fade_out = samples_of(fade_out_s.at(draw.unit()));
        let own_level = draw.unit();
        let level = if *levels == NoiseLevels::Same { same_level } else { own_level };
        let (index, whole) = draw.recording(&self.bank, |index| self.bank.whole(index, rate))?;

        let len = whole.num_samples();
        let length_s = Seconds::of_samples(len as u64, rate).get();
        // What of the noise lies in the clip, and where that begins there.
        let at = samples_of(at_s).floor();
        let skipped = (-at).max(0.0) as usize;
        let begin = at.max(0.0) as usize;
        let used = len.saturating_sub(skipped).min(sound.num_samples().saturating_sub(begin));
        if used == 0 {
            return Ok(length_s);
        }
        let stretch = begin..begin + used;
        let fade = |place: usize| {
            let rising = if fade_in > 0.0 { place as f64 / fade_in } else { 1.0 };
            let falling = if fade_out > 0.0 { (len - 1 - place) as f64 / fade_out } else { 1.0 };
            rising.min(falling).min(1.0) as f32
        };
        let mut noise = mono_of(&whole, skipped..skipped + used);
        let gains: Vec<f32> = (skipped..skipped + used).map(fade).collect();
        for (sample, gain) in noise.iter_mut().zip(&gains) {
            *sample *= gain;
        }

        let mut told = json!({ "audio": self.bank.name(index), "at_s": at / f64::from(rate.get()) });
        let added = power(&noise);
        let factor = if let Some(absolute_db) = absolute_db {
            let absolute_db = absolute_db.at(level);
            told["absolute_db"] = json!(absolute_db);
            (!is_silent(added)).then(|| amplitude(absolute_db) / added.sqrt())
        } else {
            let reference = match snr_over {
                SnrOver::Clip => reference,
                SnrOver::Sound => {
                    let channels = sound.channels.iter().map(|channel| power(&channel[stretch.clone()]));
                    channels.sum::<f64>() / sound.channels.len().max(1) as f64
                }
            };
            let snr_db = snr_db.at(level);
            told["snr_db"] = json!(snr_db);
            (!is_silent(added) && !is_silent(reference)).then(|| factor_of_snr(reference, added, snr_db))
        };
        if let Some(factor) = factor {
            add_scaled(&mut self.noise[stretch.clone()], &noise, factor);
            for (highest, gain) in self.gains[stretch].iter_mut().zip(gains) {
                *highest = highest.max(gain);
            }
        } else {
            told["silent"] = json!(true);
        }
        self.told.push(told);
        Ok(length_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Told;
    use crate::augment::testing::{WHO, folder, hiss, is_uniform, mono, opened, write_wav};
    use crate::seed::Draws;

    const RATE: u32 = 8_000;

    fn noises(lengths: &[(&str, usize)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, length) in lengths {
            write_wav(&root.path().join(format!("{name}.wav")), &hiss(name, 0.1, RATE, *length));
        }
        root
    }

    fn new(root: &tempfile::TempDir) -> AddShortNoises {
        AddShortNoises::new(folder(root.path()))
    }

    fn apply(row: AddShortNoises, sound: &Waveform, id: &str) -> (Waveform, Told) {
        let mut output = sound.clone();
        let told = opened(row, 64).apply(&mut output, Draws { id, ..WHO }).unwrap();
        (output, told)
    }

    fn sounds(told: &Told) -> Vec<(f64, f64)> {
        let sounds = told.applied[0]["add_short_noises"]["sounds"].as_array().unwrap();
        sounds.iter().map(|sound| (sound["at_s"].as_f64().unwrap(), sound["snr_db"].as_f64().unwrap())).collect()
    }

    /// Twenty seconds of a level that does not change, on two channels.
    fn level() -> Waveform {
        let mut sound = mono(RATE, vec![0.25; 160_000]);
        sound.channels.push(vec![-0.25; 160_000]);
        sound
    }

    #[test]
    fn each_noise_stands_where_and_as_loud_as_the_record_says() {
        let root = noises(&[("a", 4_000)]);
        for snr_over in [SnrOver::Clip, SnrOver::Sound] {
            let row = AddShortNoises { burst_probability: 0.0, snr_over, ..new(&root) };
            let sound = level();
            let (output, told) = apply(row, &sound, "utt-1");
            let sounds = sounds(&told);
            assert!(sounds.len() >= 2, "{sounds:?}");
            let mut touched = vec![false; sound.num_samples()];
            for (at_s, snr_db) in &sounds {
                let at = (at_s * f64::from(RATE)).round();
                let stretch = at.max(0.0) as usize..((at + 4_000.0) as usize).min(touched.len());
                touched[stretch.clone()].fill(true);
                let noise: Vec<f32> = stretch.map(|place| output.channels[1][place] + 0.25).collect();
                let measured = 10.0 * (0.0625 / power(&noise)).log10();
                assert!((measured - snr_db).abs() < 0.01, "{measured} dB is not {snr_db} dB");
            }
            let elsewhere = |place: usize| output.channels[0][place] == 0.25 && output.channels[1][place] == -0.25;
            assert!(touched.iter().enumerate().all(|(place, touched)| *touched || elsewhere(place)));
        }
    }

    #[test]
    fn pauses_are_as_long_as_asked_and_drawn_evenly() {
        let root = noises(&[("a", 800)]);
        let row = AddShortNoises { burst_probability: 0.0, ..new(&root) };
        let mut augmenter = opened(row, 64);
        let (mut pauses, mut ratios) = (Vec::new(), Vec::new());
        let sound = mono(1_000, vec![0.1; 2_000_000]);
        for number in 0..10 {
            let told = augmenter.apply(&mut sound.clone(), Draws { id: &number.to_string(), ..WHO }).unwrap();
            let sounds = sounds(&told);
            // The noise takes a tenth of a second; times are whole milliseconds.
            pauses.extend(sounds.windows(2).map(|pair| pair[1].0 - pair[0].0 - 0.1));
            ratios.extend(sounds.iter().map(|sound| sound.1));
        }
        assert!(pauses.len() > 3_000 && is_uniform(&pauses, 1.999, 8.001));
        assert!(is_uniform(&ratios, -6.0, 18.0));
    }

    #[test]
    fn bursts_overlap_and_come_as_often_as_asked() {
        let root = noises(&[("a", 8_000)]);
        let mut augmenter = opened(new(&root), 64);
        let (mut bursts, mut all) = (0, 0);
        for number in 0..40 {
            let mut sound = mono(RATE, vec![0.1; 800_000]);
            let told = augmenter.apply(&mut sound, Draws { id: &number.to_string(), ..WHO }).unwrap();
            for pair in sounds(&told).windows(2) {
                let gap = pair[1].0 - pair[0].0;
                assert!((0.0998..=1.1002).contains(&gap) || (2.9998..=9.0002).contains(&gap), "{gap}");
                bursts += u32::from(gap < 2.0);
                all += 1;
            }
        }
        let share = f64::from(bursts) / f64::from(all);
        assert!((share - 0.22).abs() < 0.05, "{share} of {all}");
    }

    #[test]
    fn fades_are_linear_and_the_signal_gives_way_by_them() {
        let root = tempfile::tempdir().unwrap();
        write_wav(&root.path().join("level.wav"), &mono(RATE, vec![0.5; 4_001]));
        let row = AddShortNoises {
            burst_probability: 0.0,
            absolute_db: Some(Range::fixed(-120.0)),
            fade_in_s: Range::fixed(0.1),
            fade_out_s: Range::fixed(0.2),
            signal_gain_during_noise_db: Range::fixed(-40.0),
            ..AddShortNoises::new(folder(root.path()))
        };
        let (output, told) = apply(row, &mono(RATE, vec![0.25; 160_000]), "utt-1");
        let sounds = told.applied[0]["add_short_noises"]["sounds"].as_array().unwrap();
        let begin = |sound: &Value| (sound["at_s"].as_f64().unwrap() * f64::from(RATE)).round();
        let whole = sounds.iter().map(begin).find(|at| (0.0..150_000.0).contains(at)).unwrap() as usize;
        for (place, share) in [(0, 0.0), (400, 0.5), (800, 1.0), (2_400, 1.0), (3_200, 0.5), (4_000, 0.0)] {
            let expected = 0.25 * 10_f64.powf(-40.0 * share / 20.0);
            let found = f64::from(output.channels[0][whole + place]);
            assert!((found - expected).abs() < 3e-6, "{found} is not {expected} at {place}");
        }
    }

    #[test]
    fn clips_of_one_sample_and_silence_are_no_trouble() {
        let root = noises(&[("a", 80_000), ("b", 1)]);
        let row = AddShortNoises {
            time_between_sounds_s: Range::fixed(0.05),
            fade_in_s: Range::fixed(0.0),
            fade_out_s: Range::fixed(60.0),
            burst_probability: 0.95,
            ..new(&root)
        };
        for id in ["a", "b", "c", "d"] {
            apply(row.clone(), &mono(RATE, vec![0.5]), id);
            let silence = mono(RATE, vec![0.0; 10_000]);
            assert_eq!(apply(row.clone(), &silence, id).0, silence);
        }
    }

    #[test]
    fn one_level_for_all_noises_of_a_clip_where_asked() {
        let root = noises(&[("a", 800), ("b", 900)]);
        let row = AddShortNoises { levels: NoiseLevels::Same, ..new(&root) };
        let levels: Vec<f64> = sounds(&apply(row, &level(), "utt-1").1).into_iter().map(|sound| sound.1).collect();
        assert!(levels.len() > 1 && levels.iter().all(|level| *level == levels[0]), "{levels:?}");
    }
}
