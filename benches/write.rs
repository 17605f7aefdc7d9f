//! Rows into shards: `cargo bench --bench write`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use wavemill::audio::Hertz;
use wavemill::corpus::{Kind, Value};
use wavemill::manifest::Dtype;
use wavemill::write::{
    AudioColumn, Cell, CellChannels, FeatureColumn, Format, Row, RowSchema, ShardFile, ShardName, decode, encode,
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

/// The shard formats, and two more ways of Parquet.
const FORMATS: [(&str, &str); 9] = [
    ("parquet", r#"{"parquet": {}}"#),
    ("parquet zstd", r#"{"parquet": {"compression": "zstd"}}"#),
    ("parquet list", r#"{"parquet": {"layout": "list"}}"#),
    ("arrow", r#"{"arrow": {}}"#),
    ("safetensors", r#"{"safetensors": {}}"#),
    ("webdataset", r#"{"webdataset": {}}"#),
    ("lhotse_shar", r#"{"lhotse_shar": {}}"#),
    ("hugging_face", r#"{"hugging_face": {}}"#),
    ("kaldi_ark", r#"{"kaldi_ark": {}}"#),
];

fn schema(audio: Option<&str>) -> RowSchema {
    let features = FeatureColumn {
        name: "features".into(),
        bins: Some(BINS),
        dtype: Dtype::F32,
        unit: "dB".into(),
        channels: CellChannels::One,
    };
    RowSchema {
        extras: vec![("snr".to_owned(), Kind::Float64)],
        features: if audio.is_none() { vec![features] } else { Vec::new() },
        audio: audio.map(|codec| AudioColumn { name: "audio".into(), codec: codec.into() }).into_iter().collect(),
        ..RowSchema::default()
    }
}

/// Writes rows into one shard, each a cell of features or of sound.
fn write(format: &Format, schema: &RowSchema, folder: &Path, cells: &[Cell], audio: &[Vec<u8>]) -> Vec<ShardFile> {
    let shard = ShardName { split: None, number: 0, count: 1 };
    let files = format.member().files(&shard, schema);
    let file = |path: &String| ShardFile::create(folder, path).expect("a temporary file");
    let files = files.iter().map(file).collect::<Vec<_>>();
    let mut writer = format.member().start(schema, files).expect("a shard");
    for number in 0..cells.len().max(audio.len()) {
        let id = format!("utterance-{number:05}");
        let text = format!("utterance number {number}");
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
            cells: cells.get(number..=number).unwrap_or_default(),
            audio: audio.get(number..=number).unwrap_or_default(),
        };
        writer.push(&row).expect("a row");
    }
    writer.finish().expect("a whole shard")
}

fn shard(criterion: &mut Criterion) {
    const ROWS: usize = 64;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let schema = schema(None);
    let mut cell = Cell { frames: FRAMES as u32, ..Cell::default() };
    encode(&features(), Dtype::F32, &mut cell.bytes);
    let cells = vec![cell; ROWS];
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Bytes((ROWS * cells[0].bytes.len()) as u64));
    for (name, row) in FORMATS {
        let format: Format = serde_json::from_str(row).expect("a valid row");
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (),
                |()| write(&format, &schema, folder.path(), &cells, &[]),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// What `benches/peers/write.py` asks for: MB/s of each format, its files on disk, a line of JSON each.
fn beside_peers() {
    let number =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (rows, frames) = (number("WRITE_ROWS", 2000), number("WRITE_FRAMES", FRAMES));
    let of_sound = std::env::var("WRITE_DATA").is_ok_and(|data| data == "audio");
    let folder = std::env::var("WRITE_FOLDER").map_or_else(|_| std::env::temp_dir(), PathBuf::from).join("ours");
    // Each row other bytes, of a length between a half and one and a half of the frames asked for.
    let bytes = |row: usize, len: usize| -> Vec<u8> {
        let mut state = row as u64 + 1;
        let words = (0..len.div_ceil(8)).flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Numbers between 1 and 2, whatever reads them.
            (state >> 2 | 0x3F80_0000_3F80_0000).to_le_bytes()
        });
        words.take(len).collect()
    };
    let cell = |row: usize| {
        let frames = frames / 2 + row * 7919 % (frames + 1);
        Cell { frames: frames as u32, bytes: bytes(row, frames * BINS * 4), ..Cell::default() }
    };
    let cells: Vec<Cell> = if of_sound { Vec::new() } else { (0..rows).map(cell).collect() };
    // Ten seconds of the peers' FLAC take about so much.
    let audio: Vec<Vec<u8>> =
        if of_sound { (0..rows).map(|row| bytes(row, 150_000 + row * 7919 % 135_000)).collect() } else { Vec::new() };
    let total = cells.iter().map(|cell| cell.bytes.len()).chain(audio.iter().map(Vec::len)).sum::<usize>();
    for (name, row) in FORMATS.into_iter().filter(|(name, _)| !name.contains(' ')) {
        let format: Format = serde_json::from_str(row).expect("a valid row");
        let codec = if name == "kaldi_ark" { "wav" } else { "flac" };
        let schema = schema(of_sound.then_some(codec));
        let mut best = f64::MAX;
        for _ in 0..2 {
            let started = Instant::now();
            let files = write(&format, &schema, &folder, &cells, &audio);
            for file in files {
                file.commit().expect("a whole file");
            }
            best = best.min(started.elapsed().as_secs_f64());
            std::fs::remove_dir_all(&folder).expect("it was just made");
        }
        println!("{}", serde_json::json!({"writer": name, "mb_per_s": total as f64 / 1e6 / best}));
    }
}

criterion_group!(benches, numbers, shard);

fn main() {
    if std::env::args().any(|argument| argument == "--peer-json") {
        return beside_peers();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
