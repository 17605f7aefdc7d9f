use super::*;
use crate::audio::Range;
use crate::augment::testing::{WHO, augmenter, mono, sine, told, varied};
use crate::seed::Draws;

/// Each lossy codec at settings that a listener would not call bad.
fn lossy() -> [Coder; 3] {
    [
        Coder::Mp3(Mp3 { bitrate_kbps: Range::fixed(64.0) }),
        Coder::Opus(Opus { bitrate_kbps: Range::fixed(48.0), application: Application::Audio }),
        Coder::Vorbis(Vorbis { quality: Range::fixed(0.4) }),
    ]
}

/// Every codec.
fn all() -> Vec<Coder> {
    lossy().into_iter().chain([Coder::MuLaw(MuLaw {}), Coder::ALaw(ALaw {})]).collect()
}

fn only(coder: Coder) -> Codec {
    Codec { codecs: vec![coder], ..Codec::default() }
}

/// A clip in which every place is another: bursts of tones that rise, below a quarter of the rate, with pauses.
fn speechlike(rate: u32, len: usize, seed: u64) -> Waveform {
    let mut generator = Draws { seed, ..WHO }.stage("speechlike");
    let mut samples = Vec::with_capacity(len);
    let mut phase = 0.0_f64;
    while samples.len() < len {
        let (low, rise, loud) = (generator.unit(), generator.unit(), generator.unit());
        let burst = (f64::from(rate) * (0.03 + 0.1 * generator.unit())) as usize;
        for i in 0..burst {
            let share = i as f64 / burst as f64;
            let hertz = 150.0 + 500.0 * low + 500.0 * rise * share;
            phase += std::f64::consts::TAU * hertz / f64::from(rate);
            let tone = phase.sin() + 0.5 * (2.0 * phase).sin() + 0.3 * (3.0 * phase).sin();
            samples.push((0.3 * loud * (std::f64::consts::PI * share).sin() * tone) as f32);
        }
    }
    samples.truncate(len);
    mono(rate, samples)
}

/// The sum of the products of two signals, `lag` samples apart.
fn correlation(x: &[f32], y: &[f32], lag: isize) -> f64 {
    let (x, y) = (&x[(-lag).max(0) as usize..], &y[lag.max(0) as usize..]);
    x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

/// By how many samples `y` lies behind `x`.
fn lag(x: &[f32], y: &[f32]) -> isize {
    let correlation = |lag: &isize| correlation(x, y, *lag);
    (-1_500..=1_500).max_by(|one, other| correlation(one).total_cmp(&correlation(other))).unwrap()
}

/// The power of a signal over that of its error, in dB.
fn snr_db(x: &[f32], y: &[f32]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let signal = power(&mut x.iter().map(|x| f64::from(*x)));
    let error = power(&mut x.iter().zip(y).map(|(x, y)| f64::from(*x) - f64::from(*y)));
    10.0 * (signal / error).log10()
}

#[test]
fn every_codec_keeps_length_and_place_at_every_rate() {
    for rate in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000] {
        for coder in all() {
            let name = coder.name();
            let sound = speechlike(rate, rate as usize + 7, 3);
            let coded = varied(only(coder), &sound);
            let (x, y) = (&sound.channels[0], &coded.channels[0]);
            assert_eq!(x.len(), y.len(), "{name} at {rate}");
            // Opus lies up to 0.1 ms early or late at low bitrates, in every player; at these, half of that.
            let bound = if name == "opus" && rate > 16_000 { (rate * 55).div_ceil(1_000_000) } else { 0 };
            assert!(lag(x, y).unsigned_abs() <= bound as usize, "{name} at {rate}: {} samples", lag(x, y));
            assert_ne!(x, y, "{name} at {rate}");
            let snr_db = snr_db(x, y);
            assert!(snr_db > 10.0, "{name} at {rate}: {snr_db:.1} dB");
        }
    }
}

#[test]
fn clips_of_any_length_come_back_whole() {
    for coder in all() {
        let mut augmenter = augmenter(only(coder.clone()));
        for rate in [8_000, 16_000, 44_100, 1_000, 192_000] {
            for len in [1, 2, 94, 95, 319, 320, 321, 575, 576, 577, 1_152, 4_096, 4_097, 4_608, 9_217] {
                let sound = speechlike(rate, len, 5);
                let mut coded = sound.clone();
                augmenter.apply(&mut coded, WHO).unwrap();
                assert_eq!(coded.num_samples(), len, "{} at {rate}", coder.name());
                assert!(coded.channels[0].iter().all(|sample| sample.abs() < 1.0));
            }
        }
    }
}

#[test]
fn silence_stays_silent() {
    for coder in all() {
        for len in [1, 700, 16_000] {
            let silent = varied(only(coder.clone()), &mono(16_000, vec![0.0; len]));
            // The A-law has no zero: its smallest sample is 8.
            let bound = if coder == Coder::ALaw(ALaw {}) { 8.0 / 32_768.0 } else { 1e-5 };
            assert!(silent.channels[0].iter().all(|sample| sample.abs() <= bound), "{}", coder.name());
        }
    }
}

#[test]
fn two_channels_keep_their_own_sound_and_three_are_coded_alone() {
    for coder in all() {
        for width in [2, 3] {
            let clips: Vec<Vec<f32>> =
                (0..width).map(|seed| speechlike(16_000, 20_000, seed + 11).channels.remove(0)).collect();
            let sound = Waveform { channels: clips, ..mono(16_000, Vec::new()) };
            let coded = varied(only(coder.clone()), &sound);
            for (x, y) in sound.channels.iter().zip(&coded.channels) {
                assert_eq!(lag(x, y), 0, "{}", coder.name());
                assert!(snr_db(x, y) > 10.0, "{}: {:.1} dB", coder.name(), snr_db(x, y));
            }
            let alone = varied(only(coder.clone()), &Waveform { channels: vec![sound.channels[1].clone()], ..sound });
            if width == 3 {
                assert_eq!(alone.channels[0], coded.channels[1], "{}", coder.name());
            }
        }
    }
}

#[test]
fn the_same_clip_gives_the_same_bits_from_used_and_fresh_instances() {
    for coder in all() {
        let (one, other) = (speechlike(16_000, 30_011, 1), speechlike(16_000, 9_001, 2));
        let fresh = varied(only(coder.clone()), &one);
        let mut used = augmenter(only(coder.clone()));
        for sound in [&other, &one, &sine(300.0, 0.9, 44_100), &one] {
            let mut coded = sound.clone();
            used.apply(&mut coded, WHO).unwrap();
            if sound == &one {
                assert_eq!(coded, fresh, "{}", coder.name());
            }
        }
    }
}

#[test]
fn lower_bitrates_lose_more() {
    let sound = speechlike(16_000, 64_000, 9);
    let snr_db = |coder| snr_db(&sound.channels[0], &varied(only(coder), &sound).channels[0]);
    let kbps = Range::fixed;
    let mp3 = [8.0, 32.0, 128.0].map(|rate| snr_db(Coder::Mp3(Mp3 { bitrate_kbps: kbps(rate) })));
    let opus = [6.0, 24.0, 96.0]
        .map(|rate| snr_db(Coder::Opus(Opus { bitrate_kbps: kbps(rate), application: Application::Voip })));
    let vorbis = [-0.1, 0.4, 1.0].map(|rate| snr_db(Coder::Vorbis(Vorbis { quality: kbps(rate) })));
    for ladder in [mp3, opus, vorbis] {
        assert!(ladder.is_sorted_by(|low, high| low + 2.0 < *high), "{ladder:?}");
    }
}

#[test]
fn laws_keep_their_signal_to_noise_ratio_at_every_level() {
    // G.711 is flat at about 38 dB from full scale down to -30 dB.
    for coder in [Coder::MuLaw(MuLaw {}), Coder::ALaw(ALaw {})] {
        for amplitude in [0.9, 0.3, 0.1, 0.04] {
            let sound = sine(1_020.0, amplitude, 8_000);
            let snr_db = snr_db(&sound.channels[0], &varied(only(coder.clone()), &sound).channels[0]);
            assert!((36.0..41.0).contains(&snr_db), "{} at {amplitude}: {snr_db:.1} dB", coder.name());
        }
    }
}

#[test]
fn samples_beyond_full_scale_are_clipped_before_the_codec() {
    for coder in all() {
        let loud = sine(440.0, 40.0, 16_000);
        let clipped = mono(16_000, loud.channels[0].iter().map(|sample| sample.clamp(-1.0, 1.0)).collect());
        assert_eq!(varied(only(coder.clone()), &loud), varied(only(coder.clone()), &clipped), "{}", coder.name());
    }
}

#[test]
fn what_is_drawn_is_recorded_and_every_codec_is_drawn() {
    let sound = speechlike(8_000, 400, 1);
    let (_, one) = told(only(Coder::Mp3(Mp3 { bitrate_kbps: Range::fixed(20.0) })), &sound);
    let record = serde_json::json!({ "codec": { "codec": "mp3", "bitrate_kbps": 16 } });
    assert_eq!(one.applied, [record]);

    let mut augmenter = augmenter(Codec { codecs: all(), ..Codec::default() });
    let mut counts = std::collections::BTreeMap::new();
    for number in 0..2_000 {
        let who = Draws { id: &format!("utt-{number}"), ..WHO };
        let told = augmenter.apply(&mut speechlike(8_000, 40, 1), who).unwrap();
        *counts.entry(told.applied[0]["codec"]["codec"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 5);
    // Five standard deviations.
    assert!(counts.values().all(|count| (310..490).contains(count)), "{counts:?}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |coder| only(coder).check(None).is_err();
    assert!(refused(Coder::Mp3(Mp3 { bitrate_kbps: Range::fixed(4.0) })));
    assert!(refused(Coder::Opus(Opus { bitrate_kbps: Range::fixed(5.0), ..Opus::default() })));
    assert!(refused(Coder::Vorbis(Vorbis { quality: Range::Uniform([-0.2, 0.5]) })));
    assert!(Codec { codecs: Vec::new(), ..Codec::default() }.check(None).is_err());
    assert!(all().into_iter().all(|coder| only(coder).check(None).is_ok()));
    assert!(serde_json::from_str::<Codec>(r#"{ "codecs": [{ "mu_law": { "law": 1 } }] }"#).is_err());
}

#[test]
fn the_example_reads_and_its_schema_knows_every_codec() {
    let row: crate::augment::Augments = serde_saphyr::from_str(Codec::EXAMPLE).unwrap();
    let coded = varied(row, &speechlike(16_000, 1_000, 1));
    assert_eq!(coded.num_samples(), 1_000);

    let schema = crate::family::Entry::of::<Codec>("codec").schema();
    let words = schema.pointer("/properties/codecs/items/oneOf").and_then(|words| words.as_array()).unwrap();
    let names: Vec<&str> = words.iter().filter_map(|word| word["required"][0].as_str()).collect();
    assert_eq!(names, ["mu_law", "a_law", "mp3", "opus", "vorbis"]);
    assert!(words.iter().all(|word| word["additionalProperties"] == false));
}
