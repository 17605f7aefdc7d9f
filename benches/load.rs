//! A dataset into padded batches: `cargo bench --bench load`.
//!
//! `cargo bench --bench load -- --plain DIR [--rounds N] [--max-frames N] [--buckets N]` prints what the plain program makes of the
//! dataset in DIR, as a line of JSON; `benches/peers/load.py` asks for it. `-- --million FOLDER` plans an epoch of a million rows,
//! whose manifest and records it makes in FOLDER, and prints the time and memory that it takes.

#[path = "load/million.rs"]
mod million;
#[path = "load/plain.rs"]
mod plain;

use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput};
use wavemill::loader::{Loader, Verify};
use wavemill::manifest::DatasetFolder;
use wavemill::pipeline;
use wavemill::plan::Plan;
use wavemill::run::{Existing, Options, Silent, run};
use wavemill::variables::Variables;

use plain::{Batching, Plain};

/// What the loader does where nothing else is asked for.
const BATCHING: Batching = Batching { max_frames: 20_000, buckets: 30 };

/// Noise of 2 to 30 seconds into 80-bin filter banks: a dataset of so many utterances in `folder`.
fn make(folder: &Path, utterances: u32) -> PathBuf {
    let corpus = folder.join("corpus");
    std::fs::create_dir(&corpus).expect("a temporary folder");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut state = 17_u32;
    for number in 0..utterances {
        let path = corpus.join(format!("{number:05}.wav"));
        let mut file = hound::WavWriter::create(path, spec).expect("a temporary file");
        for _ in 0..32_000 + number * 7919 % 448_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.write_sample((state >> 16) as u16 as i16 / 16).expect("a sample");
        }
        file.finalize().expect("a whole file");
    }
    let written = folder.join("pipeline.yaml");
    let text = format!(
        "version: 1\ncorpus: {{ audio_folder: {{ root: {:?} }} }}\nfeaturize: {{ features: [kaldi_fbank: {{}}] }}\n",
        corpus.display()
    );
    std::fs::write(&written, text).expect("a temporary file");
    let variables = Variables::default();
    let pipeline = pipeline::read(&written, &variables).expect("a valid pipeline");
    let plan = Plan::make(pipeline, &variables).expect("a plan");
    let dataset = folder.join("dataset");
    let options = Options { threads: 2, share: None, existing: Existing::Keep };
    run(&plan, &DatasetFolder::new(&dataset), options, &Silent, &false.into()).expect("a dataset");
    dataset
}

fn plain_program(criterion: &mut Criterion, dataset: &Path) {
    let mut plain = Plain::open(dataset, BATCHING);
    let mut group = criterion.benchmark_group("plain");
    group.throughput(Throughput::Bytes(plain.bytes() as u64));
    group.bench_function("read", |bencher| bencher.iter(|| plain.read(usize::MAX)));
    group.bench_function("read and pad", |bencher| bencher.iter(|| plain.read_and_pad(usize::MAX)));
    group.finish();
}

/// An epoch of the loader on the thread that asks, as the plain program reads it.
fn loader(criterion: &mut Criterion, dataset: &Path) {
    let bytes = Plain::open(dataset, BATCHING).bytes() as u64;
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Bytes(bytes));
    for (name, verify) in [("verified", Verify::Always), ("not verified", Verify::Never)] {
        let loader = Loader::open(dataset).expect("a dataset").shuffle(17).buckets(30).max_frames(20_000).endless();
        let mut batches = loader.threads(0).verify(verify).batches().expect("a loader");
        let epoch = batches.batches_in_epoch(0);
        group.bench_function(name, |bencher| {
            bencher.iter(|| (&mut batches).take(epoch).map(|batch| batch.expect("a batch").len()).sum::<usize>());
        });
    }
    group.finish();
}

/// The word behind `--name`.
fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn number(name: &str, default: usize) -> usize {
    argument(name).map_or(default, |value| value.parse().expect("a number"))
}

fn main() {
    if let Some(dataset) = argument("--plain") {
        let batching = Batching {
            max_frames: number("--max-frames", BATCHING.max_frames),
            buckets: number("--buckets", BATCHING.buckets),
        };
        println!("{}", plain::measured(dataset.as_ref(), batching, number("--rounds", 5)));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Some(million) = argument("--million") {
        let million = Path::new(&million);
        if !million.join("manifest.json").exists() {
            million::make(&make(folder.path(), 2), number("--rows", 1_000_000), million);
            println!("made: start again to measure");
            return;
        }
        println!("{}", million::measured(million));
        return;
    }
    let dataset = make(folder.path(), 64);
    let mut criterion = Criterion::default().configure_from_args();
    plain_program(&mut criterion, &dataset);
    loader(&mut criterion, &dataset);
    criterion.final_summary();
}
