//! How fast sound becomes features: ten seconds and a minute at 16 kHz, on one core, one recipe a row.
//!
//! `cargo bench --bench featurize`; elements are samples, so 16 Melem/s is a thousand times real time. The same recipes in
//! the peers' hands are in `benches/peers/featurize.py`, which runs this in turn with them. A row whose members are not
//! there is left out and named.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;
use wavemill::audio::Hertz;
use wavemill::featurize::{Extractors, Recipe};
use wavemill::seed::Draws;
use wavemill::transform::Transforms;

const RATE: u32 = 16_000;

/// Each row's name and the column that it is.
const ROWS: [(&str, &str); 25] = [
    ("kaldi_fbank 80", r#"[{"kaldi_fbank": {"num_mel_bins": 80}}]"#),
    ("kaldi_mfcc", r#"[{"kaldi_mfcc": {}}]"#),
    ("kaldi_spectrogram", r#"[{"kaldi_spectrogram": {}}]"#),
    ("lhotse_fbank", r#"[{"lhotse_fbank": {}}]"#),
    ("spectrogram", r#"[{"spectrogram": {"n_fft": 512, "win_length": 400, "hop_length": 160}}]"#),
    (
        "mel_spectrogram 80",
        r#"[{"mel_spectrogram": {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}}]"#,
    ),
    ("log_mel 80", r#"[{"log_mel": {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}}]"#),
    ("log_mel", r#"[{"log_mel": {}}]"#),
    ("mfcc", r#"[{"mfcc": {}}]"#),
    ("lfcc", r#"[{"lfcc": {}}]"#),
    ("whisper", r#"[{"whisper": {}}]"#),
    ("nemo", r#"[{"nemo": {}}]"#),
    ("speechbrain_fbank", r#"[{"speechbrain_fbank": {}}]"#),
    ("wav2vec2", r#"[{"wav2vec2": {}}]"#),
    ("rms", r#"[{"rms": {}}]"#),
    ("zero_crossing_rate", r#"[{"zero_crossing_rate": {}}]"#),
    ("spectral_centroid", r#"[{"spectral_centroid": {}}]"#),
    ("spectral_contrast", r#"[{"spectral_contrast": {}}]"#),
    ("chroma", r#"[{"chroma": {}}]"#),
    ("yin", r#"[{"yin": {}}]"#),
    ("pyin", r#"[{"pyin": {}}]"#),
    ("loudness", r#"[{"loudness": {}}]"#),
    ("kaldi_fbank 80 and deltas", r#"[{"kaldi_fbank": {"num_mel_bins": 80}}, {"deltas": {}}]"#),
    (
        "kaldi_fbank 80 and spec_augment",
        r#"[{"kaldi_fbank": {"num_mel_bins": 80}}, {"spec_augment": {"policy": "torchaudio"}}]"#,
    ),
    ("kaldi_fbank 80 and cmvn", r#"[{"kaldi_fbank": {"num_mel_bins": 80}}, {"cmvn": {"norm_vars": true}}]"#),
];

/// A tone over noise: no sample is special, and none is subnormal.
fn sound(seconds: u32) -> Vec<f32> {
    let mut generator = Draws { seed: 17, id: "bench", copy: 0, channel: 0, segment: None }.stage("bench");
    let mut sample = |n| (0.3 * (f64::from(n) * 0.05).sin() + 0.01 * generator.normal_pair().0) as f32;
    (0..seconds * RATE).map(&mut sample).collect()
}

/// The first member of a column that this wavemill does not have.
fn missing(rows: &Value) -> Option<&str> {
    let rows = rows.as_array().expect("a list of rows");
    let names = rows.iter().flat_map(|row| row.as_object().expect("a row").keys().map(String::as_str));
    let families = [Extractors::FAMILY, Transforms::FAMILY];
    let has = |name: &str| families.iter().flat_map(|family| family.entries).any(|entry| entry.name == name);
    names.into_iter().find(|name| !has(name))
}

fn features(criterion: &mut Criterion) {
    let rate = Hertz::new(RATE).expect("a rate above zero");
    let mut group = criterion.benchmark_group("features");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    let mut recipes = Vec::new();
    for (name, rows) in ROWS {
        let rows: Value = serde_json::from_str(rows).expect("JSON");
        match missing(&rows) {
            Some(member) => eprintln!("{name}: left out, there is no {member}"),
            None => match serde_json::from_value::<Recipe>(rows) {
                Ok(recipe) => recipes.push((name, recipe)),
                Err(error) => panic!("{name}: {error}"),
            },
        }
    }
    for seconds in [10, 60] {
        let sound = sound(seconds);
        group.throughput(Throughput::Elements(sound.len() as u64));
        for (name, recipe) in &recipes {
            let mut at_work = recipe.prepare(rate, "bench").unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let mut out = Vec::new();
            group.bench_function(format!("{seconds} s, {name}"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    at_work.begin(Draws { seed: 17, id: "bench", copy: 0, channel: 0, segment: None });
                    at_work.push(black_box(&sound), &mut out);
                    at_work.finish(&mut out).expect("features of good sound");
                    black_box(out.last().copied())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, features);
criterion_main!(benches);
