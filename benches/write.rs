//! Rows into Parquet, in memory bandwidth: `cargo bench --bench write`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::manifest::Dtype;
use wavemill::write::{decode, encode};

/// Ten seconds of 80-bin frames.
const VALUES: usize = 1000 * 80;

fn numbers(criterion: &mut Criterion) {
    let values: Vec<f32> = (0..VALUES).map(|index| (index as f32 * 0.37).sin() * 12.0 - 4.0).collect();
    let mut group = criterion.benchmark_group("numbers");
    group.throughput(Throughput::Bytes((VALUES * 4) as u64));
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I16] {
        let mut bytes = Vec::new();
        group.bench_function(format!("encode {}", dtype.name()), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                encode(black_box(&values), dtype, &mut bytes);
            });
        });
        group.bench_function(format!("decode {}", dtype.name()), |bencher| {
            bencher.iter(|| decode(black_box(&bytes), dtype))
        });
    }
    group.finish();
}

criterion_group!(benches, numbers);
criterion_main!(benches);
