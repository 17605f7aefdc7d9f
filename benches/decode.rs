//! How fast each codec is decoded: the files of `fixtures/corpus/`, one of each kind.
//!
//! Throughput is in samples of the file's own rate; divided by that rate, which the name of the bench holds, it is × real
//! time on one thread.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wavemill::load::{Decoder, Load, Take};

/// The extension tells what the project's own fixtures hold.
const KINDS: [&str; 6] = ["wav", "flac", "mp3", "ogg", "opus", "m4a"];

/// The largest file of each kind: start-up weighs least in it.
fn files(folder: &Path, found: &mut BTreeMap<&'static str, (u64, PathBuf)>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a folder that can be read").path()) {
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        let Some(kind) = KINDS.into_iter().find(|kind| path.extension().is_some_and(|ending| ending == *kind)) else {
            continue;
        };
        let len = path.metadata().map_or(0, |metadata| metadata.len());
        if found.get(kind).is_none_or(|(largest, _)| len > *largest) {
            found.insert(kind, (len, path));
        }
    }
}

/// Decodes a whole file and counts its samples.
fn decode(path: &Path, block: &mut Vec<f32>) -> (u64, u32) {
    let mut decoder = Decoder::open(path, Take::whole(), &Load::default()).expect("a fixture that decodes");
    let mut samples = 0;
    while decoder.read(block).expect("a fixture that decodes") {
        samples += black_box(&block).len() as u64;
    }
    (samples, decoder.sample_rate().get())
}

fn bench(criterion: &mut Criterion) {
    let folder = Path::new("fixtures/corpus");
    let mut found = BTreeMap::new();
    files(folder, &mut found);
    assert!(!found.is_empty(), "no sound of any kind in {}", folder.display());
    let mut group = criterion.benchmark_group("decode");
    let mut block = Vec::new();
    for (kind, (_, path)) in found {
        let (samples, rate) = decode(&path, &mut block);
        group.throughput(Throughput::Elements(samples));
        group.bench_function(format!("{kind} {rate} Hz"), |bencher| bencher.iter(|| decode(&path, &mut block)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
