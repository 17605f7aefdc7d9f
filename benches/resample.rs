//! How fast each ratio is resampled: ten seconds of noise in blocks of 4,096 samples.
//!
//! Throughput is in input samples; divided by the input rate it is × real time on one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Hertz;
use wavemill::resample::Resampler;

const PAIRS: [(u32, u32); 9] = [
    (48_000, 16_000),
    (44_100, 16_000),
    (22_050, 16_000),
    (11_025, 16_000),
    (16_000, 8_000),
    (8_000, 16_000),
    (16_000, 44_100),
    (16_000, 17_600),
    (44_101, 16_000),
];

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample");
    for (from, to) in PAIRS {
        let rates = [from, to].map(|rate| Hertz::new(rate).expect("a rate above zero"));
        let mut resampler = Resampler::new(rates[0], rates[1]).expect("rates that go together");
        let mut state = 1_u32;
        let noise: Vec<f32> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as u16) / 32_768.0 - 1.0
        })
        .take(from as usize * 10)
        .collect();
        let mut out = Vec::new();
        group.throughput(Throughput::Elements(noise.len() as u64));
        group.bench_function(format!("{from} to {to}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                for block in noise.chunks(4_096) {
                    resampler.push(block, &mut out);
                }
                resampler.finish(&mut out);
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
