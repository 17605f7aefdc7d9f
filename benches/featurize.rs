//! How fast sound becomes features: ten seconds at 16 kHz, on one core.
//!
//! `cargo bench --bench featurize`; elements are samples, so 16 Melem/s is a thousand times real time.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Hertz;
use wavemill::featurize::Recipe;
use wavemill::seed::Draws;

const RATE: u32 = 16_000;

/// A tone over noise: no sample is special, and none is subnormal.
fn sound() -> Vec<f32> {
    let mut generator = Draws { seed: 17, id: "bench", copy: 0, channel: 0 }.stage("bench");
    (0..10 * RATE).map(|n| (0.3 * (f64::from(n) * 0.05).sin() + 0.01 * generator.normal_pair().0) as f32).collect()
}

fn features(criterion: &mut Criterion) {
    let sound = sound();
    let rate = Hertz::new(RATE).expect("a rate above zero");
    let mut group = criterion.benchmark_group("features");
    group.throughput(Throughput::Elements(sound.len() as u64));
    for row in [
        r#"[{"kaldi_fbank": {"num_mel_bins": 80}}]"#,
        r#"[{"log_mel": {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}}]"#,
        r#"[{"log_mel": {}}]"#,
    ] {
        let recipe: Recipe = serde_json::from_str(row).expect("rows of a column");
        let mut at_work = recipe.prepare(rate, "bench").expect("settings that fit the rate");
        let mut out = Vec::new();
        group.bench_function(row, |bencher| {
            bencher.iter(|| {
                out.clear();
                at_work.begin(Draws { seed: 17, id: "bench", copy: 0, channel: 0 });
                at_work.push(black_box(&sound), &mut out);
                at_work.finish(&mut out).expect("features of good sound");
                black_box(out.last().copied())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, features);
criterion_main!(benches);
