//! For tests: clips with known answers, and augmentations applied to them.

use std::f64::consts::TAU;
use std::path::Path;

use super::{Around, Augmentation, Augmenter, Augments, Banks, Told};
use crate::audio::{Hertz, Waveform};
use crate::corpus::Corpus;
use crate::resample::Method;
use crate::seed::Draws;
use crate::variables::Variables;

/// Who draws in tests.
pub(crate) const WHO: Draws<'static> = Draws { seed: 17, id: "utt-1", copy: 1, channel: 0, segment: None };

/// A mono clip of these samples.
pub(crate) fn mono(rate: u32, samples: Vec<f32>) -> Waveform {
    Waveform { sample_rate: Hertz::new(rate).expect("a rate"), channels: vec![samples] }
}

/// A second of a sine of so many hertz and this amplitude, mono.
pub(crate) fn sine(hertz: f64, amplitude: f64, rate: u32) -> Waveform {
    let sample = |i: u32| (amplitude * (TAU * hertz * f64::from(i) / f64::from(rate)).sin()) as f32;
    mono(rate, (0..rate).map(sample).collect())
}

/// A chain of one augmentation, which draws from no recordings.
pub(crate) fn augmenter(row: impl Into<Augments>) -> Augmenter {
    let row = row.into();
    row.member().check(None).expect("settings that fit");
    Augmenter::new(&Augmentation { chain: vec![row], ..Augmentation::default() }, &Banks::default())
}

/// The clip augmented, and what was told.
pub(crate) fn told(row: impl Into<Augments>, sound: &Waveform) -> (Waveform, Told) {
    let mut sound = sound.clone();
    let told = augmenter(row).apply(&mut sound, WHO).expect("a clip that can be augmented");
    (sound, told)
}

/// The clip augmented.
pub(crate) fn varied(row: impl Into<Augments>, sound: &Waveform) -> Waveform {
    told(row, sound).0
}

/// The parameter `key` as drawn for so many utterances (a clip of a tenth of a second each).
pub(crate) fn drawn(row: impl Into<Augments>, key: &str, utterances: usize) -> Vec<f64> {
    let mut augmenter = augmenter(row);
    let mut clip = sine(440.0, 0.1, 8_000);
    clip.channels[0].truncate(800);
    (0..utterances)
        .map(|number| {
            let mut sound = clip.clone();
            let told = augmenter.apply(&mut sound, Draws { id: &format!("utt-{number}"), ..WHO }).expect("a clip");
            let record = told.applied[0].as_object().and_then(|entry| entry.values().next()).expect("a record");
            record[key].as_f64().unwrap_or_else(|| panic!("`{key}` is not in {record}"))
        })
        .collect()
}

/// Whether draws are uniform between two bounds: Pearson's chi-square over twenty classes, at 0.1 %.
pub(crate) fn is_uniform(draws: &[f64], low: f64, high: f64) -> bool {
    const CLASSES: usize = 20;
    /// The 99.9 % point of the chi-square distribution of 19 degrees of freedom.
    const BOUND: f64 = 43.82;
    let mut counts = [0_u32; CLASSES];
    for draw in draws {
        if !(low..=high).contains(draw) {
            return false;
        }
        counts[(((draw - low) / (high - low) * CLASSES as f64) as usize).min(CLASSES - 1)] += 1;
    }
    let expected = draws.len() as f64 / CLASSES as f64;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum::<f64>() < BOUND
}

/// The ratio of a clip's power to that of what was added to it, in dB, over all channels; of what the clip has samples for.
pub(crate) fn measured_snr_db(sound: &Waveform, noisy: &Waveform) -> f64 {
    let (mut signal, mut added) = (0.0, 0.0);
    for (x, y) in sound.channels.iter().flatten().zip(noisy.channels.iter().flatten()) {
        signal += f64::from(*x).powi(2);
        added += (f64::from(*y) - f64::from(*x)).powi(2);
    }
    10.0 * (signal / added).log10()
}

/// A chain of one augmentation, with the recordings that it draws from, so much of whose sound is kept in memory.
pub(crate) fn opened(row: impl Into<Augments>, cache_mib: usize) -> Augmenter {
    let row = row.into();
    row.member().check(None).expect("settings that fit");
    let settings = Augmentation { chain: vec![row], cache_mib, ..Augmentation::default() };
    let around = Around { variables: &Variables::default(), method: Method::default(), utterances: None };
    let banks = settings.open(around).expect("recordings");
    Augmenter::new(&settings, &banks)
}

/// The recordings below a folder.
pub(crate) fn folder(root: &Path) -> Corpus {
    serde_json::from_value(serde_json::json!({ "audio_folder": { "root": root } })).expect("a corpus")
}

/// Writes a WAV file of 32-bit floats, which keeps every bit.
pub(crate) fn write_wav(path: &Path, sound: &Waveform) {
    const FLOAT: u16 = 3;
    let channels = sound.channels.len() as u16;
    let rate = sound.sample_rate.get();
    let data = sound.num_samples() as u32 * u32::from(channels) * 4;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + data).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&FLOAT.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&(rate * u32::from(channels) * 4).to_le_bytes());
    bytes.extend_from_slice(&(channels * 4).to_le_bytes());
    bytes.extend_from_slice(&32_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for sample in 0..sound.num_samples() {
        for channel in &sound.channels {
            bytes.extend_from_slice(&channel[sample].to_le_bytes());
        }
    }
    std::fs::write(path, bytes).expect("a file");
}

/// A mono clip of white noise of its own, by its name.
pub(crate) fn hiss(name: &str, amplitude: f32, rate: u32, samples: usize) -> Waveform {
    let mut hiss = vec![0.0; samples];
    WHO.stage(name).fill_normal(&mut hiss);
    mono(rate, hiss.into_iter().map(|sample| amplitude * sample).collect())
}

/// The root of the mean square of some samples.
pub(crate) fn rms(samples: &[f32]) -> f64 {
    super::level::power(samples).sqrt()
}

/// What holds for many augmentations at once.
mod shared {
    use super::super::*;
    use super::{WHO, augmenter, drawn, is_uniform};
    use crate::audio::{Hertz, Range, Waveform};

    #[test]
    fn levels_and_dynamics_are_drawn_evenly() {
        let peak = NormalizePeak { peak_db: Range::Uniform([-6.0, 3.5]), ..NormalizePeak::default() };
        let rows: [(Augments, &str, f64, f64); 14] = [
            (Gain::default().into(), "gain_db", -12.0, 12.0),
            (GainTransition::default().into(), "duration_s", 0.2, 6.0),
            (GainTransition::default().into(), "start_gain_db", -24.0, 6.0),
            (GainTransition::default().into(), "end_gain_db", -24.0, 6.0),
            (peak.into(), "peak_db", -6.0, 3.5),
            (NormalizeLoudness::default().into(), "loudness_lufs", -31.0, -13.0),
            (ClippingDistortion::default().into(), "percentile_threshold", 0.0, 40.0),
            (Saturate::default().into(), "gain_db", 0.0, 12.0),
            (TanhDistortion::default().into(), "distortion", 0.01, 0.7),
            (Limiter::default().into(), "threshold_db", -24.0, -2.0),
            (Limiter::default().into(), "attack_ms", 0.5, 25.0),
            (Limiter::default().into(), "release_ms", 50.0, 700.0),
            (Compressor::default().into(), "threshold_db", -40.0, -15.0),
            (Compressor::default().into(), "ratio", 2.0, 8.0),
        ];
        for (row, key, low, high) in rows {
            let name = row.name();
            assert!(is_uniform(&drawn(row, key, 10_000), low, high), "{name} {key}");
        }
    }

    #[test]
    fn levels_and_dynamics_keep_silence_and_the_length_of_any_clip() {
        let rows: [Augments; 16] = [
            Gain::default().into(),
            PolarityInversion::default().into(),
            GainTransition::default().into(),
            Fade { fade_in_s: Range::fixed(0.01), fade_out_s: Range::fixed(1.0), ..Fade::default() }.into(),
            NormalizePeak::default().into(),
            NormalizeLoudness::default().into(),
            DcRemoval::default().into(),
            Preemphasis::default().into(),
            Deemphasis::default().into(),
            Clip::default().into(),
            ClippingDistortion::default().into(),
            Saturate::default().into(),
            TanhDistortion::default().into(),
            BitCrush::default().into(),
            Limiter::default().into(),
            Compressor::default().into(),
        ];
        for row in rows {
            let name = row.name();
            let mut augmenter = augmenter(row);
            for rate in [8_000, 16_000, 44_100, 48_000] {
                for len in [1, 2, 63, 5_000] {
                    // Noise of a constant seed, then silence.
                    let noise = |i: usize| ((i * 7_919) % 1_999) as f32 / 999.0 - 1.0;
                    for sample in [noise, |_| 0.0] {
                        let channels =
                            vec![(0..len).map(sample).collect(), (0..len).map(|i| 0.5 * sample(i + 5)).collect()];
                        let mut sound = Waveform { sample_rate: Hertz::new(rate).expect("a rate"), channels };
                        let silent = sound.channels.iter().flatten().all(|x| *x == 0.0);
                        augmenter.apply(&mut sound, WHO).expect("a clip that can be augmented");
                        assert!(
                            sound.channels.len() == 2 && sound.channels.iter().all(|channel| channel.len() == len),
                            "{name}"
                        );
                        assert!(!silent || sound.channels.iter().flatten().all(|y| *y == 0.0), "{name} {rate} {len}");
                    }
                }
            }
        }
    }
}
