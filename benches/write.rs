//! Rows into shards: `cargo bench --bench write`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Hertz;
use wavemill::corpus::{Corpus, CorpusTable};
use wavemill::manifest::Dtype;
use wavemill::variables::Variables;
use wavemill::write::{Cell, CellChannels, FeatureColumn, Format, Row, RowSchema, ShardFile, decode, encode};

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

/// A table of `rows` utterances.
fn table(folder: &std::path::Path, rows: usize) -> CorpusTable {
    let list = folder.join("list.jsonl");
    let line =
        |row| format!("{{\"audio_filepath\": \"{row}.wav\", \"text\": \"utterance number {row}\", \"snr\": 1.5}}\n");
    std::fs::write(&list, (0..rows).map(line).collect::<String>()).expect("a temporary folder takes a file");
    let corpus: Corpus = serde_json::from_value(serde_json::json!({"jsonl": {"path": list}})).expect("a valid row");
    corpus.member().read(&Variables::default()).expect("a valid list")
}

fn shard(criterion: &mut Criterion) {
    const ROWS: usize = 64;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let table = table(folder.path(), ROWS);
    let column = |name: &str| FeatureColumn {
        name: name.into(),
        bins: Some(BINS),
        dtype: Dtype::F32,
        unit: "dB".into(),
        channels: CellChannels::One,
    };
    let extras = table.extras().map(|(name, kind)| (name.to_owned(), kind)).collect();
    let schema = RowSchema { extras, sound: Vec::new(), features: vec![column("features")] };
    let mut cell = Cell { frames: FRAMES as u32, bytes: Vec::new() };
    encode(&features(), Dtype::F32, &mut cell.bytes);
    let cells = [cell];
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Bytes((ROWS * cells[0].bytes.len()) as u64));
    for (name, row) in [
        ("parquet", serde_json::json!({"parquet": {}})),
        ("parquet zstd", serde_json::json!({"parquet": {"compression": "zstd"}})),
        ("parquet list", serde_json::json!({"parquet": {"layout": "list"}})),
    ] {
        let format: Format = serde_json::from_value(row).expect("a valid row");
        let place = folder.path().join("part");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || ShardFile::create(&place).expect("a temporary file"),
                |file| {
                    let mut writer = format.member().start(&schema, file).expect("a shard");
                    for utterance in 0..ROWS {
                        let row = Row {
                            key: table.id(utterance),
                            table: &table,
                            utterance,
                            copy: 0,
                            words: wavemill::audio::Words::Kept,
                            sound: &[],
                            num_samples: 160_000,
                            sample_rate: Hertz::new(16_000).expect("not zero"),
                            augmentation: None,
                            cells: &cells,
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
