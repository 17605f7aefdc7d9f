//! How fast clips are augmented: ten seconds at 16 kHz, on one core, one augmentation a row.
//!
//! `cargo bench --bench augment`; elements are samples, so 16 Melem/s is a thousand times real time. The same transforms in
//! the peers' hands are in `benches/peers/augment.py`, which runs this in turn with them.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::{Hertz, Waveform};
use wavemill::augment::Chain;
use wavemill::seed::Draws;
use wavemill::variables::Variables;

const RATE: u32 = 16_000;
const SECONDS: u32 = 10;

/// Each augmentation with the settings at which it is compared.
const ROWS: [&str; 41] = [
    "add_gaussian_noise: {}",
    "add_gaussian_snr: {}",
    "add_color_noise: {}",
    "add_noise: { from: { audio_folder: { root: fixtures/noise } } }",
    "add_short_noises: { from: { audio_folder: { root: fixtures/noise } } }",
    "reverb: { from: { audio_folder: { root: fixtures/rir } } }",
    "simulate_room: {}",
    "air_absorption: {}",
    "speed: { factor: { one_of: [0.9, 1.1] } }",
    "time_stretch: {}",
    "pitch_shift: {}",
    "time_mask: {}",
    "shift: {}",
    "reverse: {}",
    "repeat_part: {}",
    "splice_out: {}",
    "adjust_duration: { duration_s: 4 }",
    "trim_silence: {}",
    "gain: {}",
    "gain_transition: {}",
    "normalize_peak: {}",
    "normalize_loudness: {}",
    "clip: {}",
    "clipping_distortion: {}",
    "tanh_distortion: {}",
    "limiter: {}",
    "compressor: {}",
    "polarity_inversion: {}",
    "bit_crush: {}",
    "low_pass: {}",
    "high_pass: {}",
    "band_pass: {}",
    "band_stop: {}",
    "low_shelf: {}",
    "high_shelf: {}",
    "peaking: {}",
    "seven_band_eq: {}",
    "aliasing: {}",
    "codec: { codecs: [mp3: {}] }",
    "codec: { codecs: [opus: {}] }",
    "codec: { codecs: [vorbis: {}] }",
];

/// A tone over noise that swells and fades.
fn sound() -> Waveform {
    let mut generator = Draws { seed: 17, id: "bench", copy: 0, channel: 0, segment: None }.stage("bench");
    let mut sample = |n: u32| {
        let time = f64::from(n);
        (0.3 * (time * 0.05).sin() * (time * 0.000_2).sin() + 0.01 * generator.normal_pair().0) as f32
    };
    Waveform {
        sample_rate: Hertz::new(RATE).expect("a rate above zero"),
        channels: vec![(0..SECONDS * RATE).map(&mut sample).collect()],
    }
}

fn augment(criterion: &mut Criterion) {
    let sound = sound();
    let mut group = criterion.benchmark_group("augment");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    group.throughput(Throughput::Elements((SECONDS * RATE).into()));
    for row in ROWS {
        let chain: Chain = serde_saphyr::from_str(&format!("transforms: [ {row} ]")).expect("a row that can be read");
        let mut augmenter = chain.open(&Variables::default()).expect("recordings to draw from");
        let name = row.trim_start_matches("codec: { codecs: [").split(':').next().expect("a name");
        // Each clip draws anew, as in a corpus.
        let mut copy = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || sound.clone(),
                |clip| {
                    copy += 1;
                    augmenter.apply(black_box(clip), Draws { seed: 17, id: "bench", copy, channel: 0, segment: None })
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, augment);
criterion_main!(benches);
