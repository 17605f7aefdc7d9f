//! Rows into shards: `cargo bench --bench write`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Hertz;
use wavemill::corpus::{Kind, Value};
use wavemill::manifest::Dtype;
use wavemill::write::{
    Cell, CellChannels, FeatureColumn, Format, Row, RowSchema, ShardFile, ShardName, decode, encode,
};

/// Ten seconds of 80-bin frames.
const FRAMES: usize = 1000;
const BINS: usize = 80;

fn features() -> Vec<f32> {
    (0..FRAMES * BINS).map(|index| (index as f32 * 0.37).sin() * 12.0 - 4.0).collect()
}

fn numbers(criterion: &mut Criterion) {
    let values = features();
    let mut group = criterion.benchmark_group("numbers");
    group.throughput(Throughput::Bytes((values.len() * 4) as u64));
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::I16] {
        let mut bytes = Vec::new();
        group.bench_function(format!("encode {}", dtype.name()), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                encode(black_box(&values), dtype, &mut bytes);
            });
        });
        group.bench_function(format!("decode {}", dtype.name()), |bencher| {
            bencher.iter(|| decode(black_box(&bytes), dtype));
        });
    }
    group.finish();
}

fn shard(criterion: &mut Criterion) {
    const ROWS: usize = 64;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let column = |name: &str| FeatureColumn {
        name: name.into(),
        bins: Some(BINS),
        dtype: Dtype::F32,
        unit: "dB".into(),
        channels: CellChannels::One,
    };
    let schema = RowSchema {
        extras: vec![("snr".to_owned(), Kind::Float64)],
        features: vec![column("features")],
        ..RowSchema::default()
    };
    let mut cell = Cell { frames: FRAMES as u32, ..Cell::default() };
    encode(&features(), Dtype::F32, &mut cell.bytes);
    let cells = [cell];
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Bytes((ROWS * cells[0].bytes.len()) as u64));
    for (name, row) in [
        ("parquet", serde_json::json!({"parquet": {}})),
        ("parquet zstd", serde_json::json!({"parquet": {"compression": "zstd"}})),
        ("parquet list", serde_json::json!({"parquet": {"layout": "list"}})),
        ("arrow", serde_json::json!({"arrow": {}})),
        ("safetensors", serde_json::json!({"safetensors": {}})),
        ("hugging_face", serde_json::json!({"hugging_face": {}})),
    ] {
        let format: Format = serde_json::from_value(row).expect("a valid row");
        let shard = ShardName { split: None, number: 0, count: 1 };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let files = format.member().files(&shard, &schema);
                    let file = |path: &String| ShardFile::create(folder.path(), path).expect("a temporary file");
                    files.iter().map(file).collect::<Vec<_>>()
                },
                |files| {
                    let mut writer = format.member().start(&schema, files).expect("a shard");
                    for utterance in 0..ROWS {
                        let id = format!("utterance-{utterance:03}");
                        let text = format!("utterance number {utterance}");
                        let row = Row {
                            key: &id,
                            id: &id,
                            copy: 0,
                            text: Some(&text),
                            speaker: None,
                            language: None,
                            num_samples: 160_000,
                            sample_rate: Hertz::new(16_000).expect("not zero"),
                            augmentation: None,
                            extras: &[Value::Float64(1.5)],
                            sound: &[],
                            cells: &cells,
                            audio: &[],
                        };
                        writer.push(&row).expect("a row");
                    }
                    writer.finish().expect("a whole shard")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, numbers, shard);
criterion_main!(benches);
