//! How fast each codec decodes to mono: whole files, and five seconds from five sixths of the way in.
//!
//! Throughput is in samples per channel; divided by the sample rate it is × real time on one thread. The files are the longest
//! of each codec in `fixtures/codecs/`, or those in the folder `DECODE_BENCH`, which `benches/peers/decode.py` fills to run
//! this in turn with the peers.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::audio::Seconds;
use wavemill::load::{Cut, Decoder, Load, Take};

/// The length of a cut, in seconds.
const CUT_S: f64 = 5.0;

/// Decodes what is taken of a file and counts its samples.
fn decode(path: &Path, take: Take, block: &mut Vec<f32>) -> (u64, u32) {
    let mut decoder = Decoder::open(path, take, &Load::default()).expect("a file that decodes");
    let mut samples = 0;
    while decoder.read(block).expect("a file that decodes") {
        samples += black_box(&block).len() as u64;
    }
    (samples, decoder.sample_rate().get())
}

/// The files to decode, by name.
fn files() -> BTreeMap<String, PathBuf> {
    let given = std::env::var_os("DECODE_BENCH").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| "fixtures/codecs".into());
    let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("a folder").path());
    let long = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        path.is_file() && (given.is_some() || stem.contains("-long"))
    };
    let name = |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let files: BTreeMap<_, _> = entries.filter(long).map(|path| (name(&path), path)).collect();
    assert!(!files.is_empty(), "no sound in {}", folder.display());
    files
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10);
    let mut block = Vec::new();
    for (name, path) in files() {
        let (samples, rate) = decode(&path, Take::whole(), &mut block);
        group.throughput(Throughput::Elements(samples));
        group.bench_function(format!("{name}, whole"), |bencher| {
            bencher.iter(|| decode(&path, Take::whole(), &mut block));
        });
        let start = samples as f64 / f64::from(rate) * 5.0 / 6.0;
        let duration = CUT_S.min(start / 5.0);
        let seconds = |time| Seconds::new(time).expect("a time");
        let cut = Cut { start: seconds(start), duration: Some(seconds(duration)) };
        let take = Take { cut, ..Take::whole() };
        let (samples, _) = decode(&path, take, &mut block);
        group.throughput(Throughput::Elements(samples));
        group.bench_function(format!("{name}, cut"), |bencher| bencher.iter(|| decode(&path, take, &mut block)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
