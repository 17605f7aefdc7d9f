//! How fast each ratio is resampled by each method: an utterance of five seconds, and a minute, in blocks of 4,096 samples.
//!
//! Throughput is in input samples; divided by the input rate it is × real time on one thread. `benches/peers/resample.py`
//! runs this in turn with the peers.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Hertz;
use wavemill::resample::{Kernel, Method, Quality, Resampler, Torchaudio};

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

const METHODS: [(&str, Method); 4] = [
    ("high", Method::Quality(Quality::High)),
    ("fast", Method::Quality(Quality::Fast)),
    ("torchaudio", Method::Kernel(Kernel::Torchaudio(Torchaudio::DEFAULT))),
    ("rubato", Method::Kernel(Kernel::Rubato)),
];

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (from, to) in PAIRS {
        let rates = [from, to].map(|rate| Hertz::new(rate).expect("a rate above zero"));
        for seconds in [5, 60] {
            let mut state = 1_u32;
            let noise: Vec<f32> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from((state >> 16) as u16) / 32_768.0 - 1.0
            })
            .take(from as usize * seconds)
            .collect();
            group.throughput(Throughput::Elements(noise.len() as u64));
            for (name, method) in METHODS {
                let mut resampler = Resampler::new(rates[0], rates[1], &method).expect("rates that go together");
                let mut out = Vec::new();
                group.bench_function(format!("{from} to {to}, {seconds} s, {name}"), |bencher| {
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
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
