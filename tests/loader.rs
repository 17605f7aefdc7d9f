//! The loader over real datasets: the same batches for any threads, processes and interruption, of any format, and nothing wrong ever.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use half::f16;
use proptest::prelude::*;
use wavemill::loader::{Batch, Column, LastStep, Loader, OnDamage, RowOrder, State, Verify};
use wavemill::manifest::{DatasetFolder, Dtype, Manifest};

use crate::support::{CorpusTest, wavemill};

/// A dataset of several shards: 24 recordings in some variants, each of its own length.
fn dataset(copies: u32, featurize: &str, write: &str) -> CorpusTest {
    let test = CorpusTest::on_sample();
    test.run(&pipeline(copies, featurize, write), &[]).expect_code(0);
    test
}

fn pipeline(copies: u32, featurize: &str, write: &str) -> String {
    let augment = format!("augment: {{ copies: {copies}, original: keep, chain: [speed: {{ factor: [0.8, 1.25] }}] }}");
    let augment = if copies == 0 { String::new() } else { augment };
    format!(
        "version: 1
corpus: {{ audio_folder: {{ root: \"${{CORPUS}}\", name: '{{speaker}}-{{take}}' }} }}
load: {{ max_reject_fraction: 0.9 }}
resample: {{ rate_hz: 16000 }}
{augment}
featurize: {{ {featurize} }}
write: {{ {write} }}
"
    )
}

const FBANK: &str = "features: [kaldi_fbank: { num_mel_bins: 80 }]";

/// Some 200 rows in a dozen shards of a megabyte.
fn many_rows() -> CorpusTest {
    let test = dataset(15, FBANK, "parquet: { shard_mib: 1, row_group_mib: 1 }");
    let shards = manifest(&test.out()).shards.len();
    assert!(shards >= 6, "{shards} shards");
    test
}

fn manifest(out: &Path) -> Manifest {
    Manifest::read(&DatasetFolder::new(out)).unwrap()
}

fn open(test: &CorpusTest) -> Loader {
    Loader::open(&test.out()).unwrap()
}

fn all(loader: &Loader) -> Vec<Batch> {
    loader.batches().unwrap().map(Result::unwrap).collect()
}

fn keys(batches: &[Batch]) -> Vec<Vec<String>> {
    batches.iter().map(|batch| batch.keys.clone()).collect()
}

/// Each row's features, by its key.
fn features(batches: &[Batch]) -> BTreeMap<String, Vec<f32>> {
    let mut rows = BTreeMap::new();
    for batch in batches {
        let padded = batch.features().unwrap();
        let (row, bins) = (padded.frames() * padded.shape[2], padded.shape[2]);
        for (number, key) in batch.keys.iter().enumerate() {
            let values = &padded.f32s().unwrap()[number * row..(number + 1) * row];
            let (frames, padding) = values.split_at(padded.lengths[number] as usize * bins);
            assert!(padding.iter().all(|value| *value == 0.0), "{key} is padded with something");
            assert!(rows.insert(key.clone(), frames.to_vec()).is_none(), "{key} came twice");
        }
    }
    rows
}

#[test]
fn batches_hold_the_rows_that_the_format_gives_back() {
    let both = "features: [kaldi_fbank: { num_mel_bins: 40 }], level: [rms: {}], audio: [encode: { codec: CODEC }]";
    let formats = [
        "parquet: { shard_mib: 1 }",
        "parquet: { shard_mib: 1, row_group_mib: 1, compression: zstd }",
        "parquet: { layout: list }",
        "arrow: { shard_mib: 1 }",
        "safetensors: { shard_mib: 1 }",
        "webdataset: { shard_mib: 1 }",
        "hugging_face: {}",
        "lhotse_shar: {}",
        "kaldi_ark: {}",
    ];
    let mut first: Option<Vec<Batch>> = None;
    for format in formats {
        let codec = if format.starts_with("kaldi_ark") { "wav" } else { "flac" };
        let test = dataset(3, &both.replace("CODEC", codec), format);
        let loader = open(&test).shuffle(5).buckets(3).max_frames(900).verify(Verify::Always);
        let mut batches = all(&loader);
        let rows: usize = batches.iter().map(Batch::len).sum();
        assert_eq!(rows as u64, manifest(&test.out()).totals.rows, "{format}");
        // The order follows from the manifest's shards: rows are compared by their keys.
        batches.retain(|batch| !batch.is_empty());
        let Some(expected) = &first else {
            first = Some(batches);
            continue;
        };
        assert_eq!(features(&batches), features(expected), "{format}");
        for name in ["speaker", "take", "id"] {
            let texts = |batches: &[Batch]| {
                let rows = |batch: &Batch| {
                    batch.keys.iter().cloned().zip(batch.text(name).unwrap().iter().cloned()).collect::<Vec<_>>()
                };
                batches.iter().flat_map(rows).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(texts(&batches), texts(expected), "{format}: {name}");
        }
        let level = batches[0].padded("level").unwrap();
        assert_eq!(level.shape, [batches[0].len(), level.frames(), 1]);
        if codec == "flac" {
            let sound = |batches: &[Batch]| {
                let rows = |batch: &Batch| {
                    let Some(Column::Sound(sound)) = batch.columns.get("audio") else { panic!("no sound") };
                    batch.keys.iter().cloned().zip(sound.iter().cloned()).collect::<Vec<_>>()
                };
                batches.iter().flat_map(rows).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(sound(&batches), sound(expected), "{format}");
        }
    }
}

#[test]
fn the_sequence_is_the_same_for_any_processes_threads_and_interruption() {
    let test = many_rows();
    let loader =
        || open(&test).columns(["features"]).shuffle(17).buckets(4).max_frames(2_500).slots(4).block(3).epochs(2);
    let whole = keys(&all(&loader().threads(0)));
    let total: usize = whole.iter().map(Vec::len).sum();
    assert_eq!(total as u64, 2 * manifest(&test.out()).totals.rows);
    assert_eq!(whole.len() % 4, 0);
    for threads in [1, 2, 5] {
        assert_eq!(keys(&all(&loader().threads(threads).prefetch(3))), whole, "{threads} threads");
    }
    for world in [2, 4] {
        let ranks: Vec<_> = (0..world).map(|rank| keys(&all(&loader().rank(rank, world)))).collect();
        assert!(ranks.iter().all(|batches| batches.len() == whole.len() / world as usize), "as many steps each");
        let together: Vec<_> =
            (0..whole.len()).map(|slot| &ranks[slot % world as usize][slot / world as usize]).collect();
        assert!(together.into_iter().eq(&whole), "{world} processes");
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 12, ..ProptestConfig::default() });
    let cases =
        (0..whole.len(), prop::sample::select(vec![1_u32, 2, 4]), prop::sample::select(vec![1_u32, 2, 4]), 0_usize..3);
    let resumed = runner.run(&cases, |(place, before, after, threads)| {
        // Some processes take a few rounds, and others go on from the state that one of them wrote.
        let rounds = place / before as usize / (after as usize) * after as usize;
        let mut batches = loader().rank(0, before).threads(threads).batches().unwrap();
        let taken = (&mut batches).take(rounds).map(Result::unwrap).count();
        let state = serde_json::to_string(&batches.state()).unwrap();
        let state: State = serde_json::from_str(&state).unwrap();
        let from = taken * before as usize;
        for rank in 0..after {
            let rest = keys(&all(&loader().rank(rank, after).threads(threads).resume(&state)));
            let expected = whole[from..].iter().skip(rank as usize).step_by(after as usize);
            prop_assert!(rest.iter().eq(expected), "from batch {} of {} on {}", from, before, after);
        }
        Ok(())
    });
    resumed.unwrap();
    assert_ne!(keys(&all(&loader().shuffle(18))), whole);
    let epochs: Vec<Vec<&String>> =
        whole.chunks(whole.len() / 2).map(|epoch| epoch.iter().flatten().collect()).collect();
    assert_ne!(epochs[0], epochs[1]);
}

#[test]
fn the_end_of_an_epoch_is_a_place_too_and_an_early_end_is_none_to_wait_for() {
    let test = dataset(3, FBANK, "parquet: { shard_mib: 1 }");
    let loader = || open(&test).shuffle(9).batch_size(5).slots(2).threads(2);
    let two = keys(&all(&loader().epochs(2)));
    let mut endless = loader().endless().batches().unwrap();
    let epoch = endless.batches_in_epoch(0);
    let first: Vec<Batch> = (&mut endless).take(epoch).map(Result::unwrap).collect();
    assert_eq!(keys(&first), two[..epoch]);
    let state = endless.state();
    drop(endless);
    let rest = loader().endless().resume(&state).batches().unwrap().take(two.len() - epoch);
    assert_eq!(rest.map(|batch| batch.unwrap().keys).collect::<Vec<_>>(), two[epoch..]);
    let mut over = loader().batches().unwrap();
    assert_eq!((&mut over).count(), epoch);
    assert!(over.next().is_none() && over.next().is_none());
}

#[test]
fn what_does_not_fit_is_told() {
    let test = dataset(0, FBANK, "parquet: {}");
    let told = |loader: Loader| {
        let error = loader.batches().err().unwrap();
        wavemill::error::chain(&error)
    };
    let state = open(&test).shuffle(1).batches().unwrap().state();
    let two = |batches| State { batches, ..open(&test).shuffle(1).slots(2).batches().unwrap().state() };
    for (loader, part) in [
        (open(&test).block(257), "256 is the most"),
        (open(&test).rank(3, 3), "3 is none of 3 processes"),
        (open(&test).rank(0, 3).slots(8), "multiple of 3"),
        (open(&test).columns(["feature"]), "did you mean `features`?"),
        (open(&test).split("train"), "it is not split"),
        (open(&test).filter("speeker = 'alba'"), "did you mean `speaker`?"),
        (open(&test).filter("speaker ="), "is not an SQL condition"),
        (open(&test).length_of("speaker"), "holds no whole numbers"),
        (open(&test).dtype(Dtype::I8), "stored as f32"),
        (open(&test).transform("feature", "[crop: {frames: 10}]").unwrap(), "no column `feature`"),
        (open(&test).transform("features", "[cmvn: {over: global, variance: unbiased}]").unwrap(), "variance"),
        (open(&test).shuffle(2).resume(&state), "seed"),
        (open(&test).shuffle(1).buckets(2).resume(&state), "another dataset"),
        (open(&test).shuffle(1).rank(0, 2).slots(2).resume(&two(1)), "whole rounds"),
        (open(&test).shuffle(1).rank(0, 2).resume(&state), "has 1 batches, which 2 processes"),
        (open(&test).shuffle(1).resume(&State { batches: 10_000, ..state.clone() }), "less than 10000"),
    ] {
        let message = told(loader);
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(open(&test).transform("features", "[crop: {frame: 10}]").is_err());
    let nowhere = Loader::open("nowhere".as_ref()).unwrap_err();
    assert!(wavemill::error::chain(&nowhere).contains("manifest.json"));
}

#[test]
fn rows_are_filtered_split_and_ordered() {
    let test = dataset(1, FBANK, "parquet: {}, split: { train: 0.7, test: 0.3 }");
    let train = all(&open(&test).split("train"));
    let held = all(&open(&test).split("test"));
    let ids = |batches: &[Batch]| {
        batches.iter().flat_map(|batch| batch.text("id").unwrap().to_vec()).collect::<BTreeSet<_>>()
    };
    assert!(ids(&train).is_disjoint(&ids(&held)) && !ids(&held).is_empty());
    let originals = all(&open(&test).filter("copy = 0").filter("speaker = 'alba'"));
    let found: Vec<&str> = originals.iter().flat_map(|batch| &batch.keys).map(String::as_str).collect();
    assert!(found.len() > 2 && found.iter().all(|key| key.starts_with("alba") && !key.contains('~')), "{found:?}");
    assert_eq!(all(&open(&test).filter("1 = 2")).len(), 0);
    for (order, sign) in [(RowOrder::LongestFirst, -1), (RowOrder::ShortestFirst, 1)] {
        for batch in all(&open(&test).row_order(order)) {
            let lengths: Vec<i64> =
                batch.features().unwrap().lengths.iter().map(|length| sign * i64::from(*length)).collect();
            assert!(lengths.is_sorted());
        }
    }
    let dropped = all(&open(&test).batch_size(3).slots(4).last_step(LastStep::Drop));
    assert!(dropped.iter().all(|batch| batch.len() == 3) && dropped.len().is_multiple_of(4));
}

#[test]
fn numbers_come_as_asked_for() {
    let wide = dataset(0, FBANK, "parquet: {}");
    let exact = features(&all(&open(&wide)));
    for (dtype, bound) in [("f16", 1e-2), ("bf16", 0.1), ("i16", 1e-3), ("i8", 0.2)] {
        let test = dataset(0, FBANK, &format!("parquet: {{ dtype: {dtype} }}"));
        let as_f32 = features(&all(&open(&test).dtype(Dtype::F32)));
        for (key, values) in &exact {
            let worst = values.iter().zip(&as_f32[key]).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(worst < bound, "{dtype}: {worst}");
        }
        let given = all(&open(&test));
        let dtypes = given.iter().map(|batch| batch.features().unwrap().dtype.name()).collect::<BTreeSet<_>>();
        let expected = if dtype.starts_with('i') { "f32" } else { dtype };
        assert_eq!(dtypes, BTreeSet::from([expected]));
    }
    let narrow = all(&open(&wide).dtype(Dtype::F16).pad_value(-7.0).pad_to_multiple_of(64));
    for batch in &narrow {
        let padded = batch.features().unwrap();
        assert_eq!(padded.frames() % 64, 0);
        let row = padded.frames() * 80;
        for (number, length) in padded.lengths.iter().enumerate() {
            let values = &padded.f16s().unwrap()[number * row..(number + 1) * row];
            let (frames, padding) = values.split_at(*length as usize * 80);
            assert!(padding.iter().all(|value| *value == f16::from_f32(-7.0)));
            let expected: Vec<f16> = exact[&batch.keys[number]].iter().map(|value| f16::from_f32(*value)).collect();
            assert_eq!(frames, expected);
        }
    }
    let raw = dataset(0, FBANK, "parquet: { dtype: i8 }");
    assert_eq!(all(&open(&raw).dtype(Dtype::I8))[0].features().unwrap().dtype, Dtype::I8);
}

#[test]
fn channels_are_padded_too() {
    let test = CorpusTest::on(&[]);
    let sound: Vec<f32> = (0..48_000_u16).map(|place| f32::from(place % 400) / 800.0 - 0.25).collect();
    test.add_wav("one.wav", 16_000, 1, &sound[..16_000]);
    test.add_wav("two.wav", 16_000, 2, &sound);
    let yaml = "version: 1
corpus: { audio_folder: { root: \"${CORPUS}\" } }
load: { channels: keep }
featurize: { features: [kaldi_fbank: { num_mel_bins: 20 }], wave: [waveform: {}] }
";
    test.run(yaml, &[]).expect_rows(2);
    let batches = all(&open(&test));
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    let padded = batch.features().unwrap();
    let two = batch.keys.iter().position(|key| key == "two").unwrap();
    assert_eq!(padded.shape, [2, 2, padded.frames(), 20]);
    assert_eq!(padded.channels.as_ref().unwrap()[two], 2);
    let wave = batch.padded("wave").unwrap();
    assert_eq!(wave.shape, [2, 2, 24_000]);
    let values = wave.f32s().unwrap();
    assert!(
        values[(1 - two) * 48_000 + 24_000..(2 - two) * 48_000].iter().all(|value| *value == 0.0),
        "a channel that is not there"
    );
    assert_eq!(values[two * 48_000 + 24_000 + 5], sound[11], "the second channel");
}

#[test]
fn frames_are_transformed_as_the_row_and_the_epoch_decide() {
    let plain = "features: [kaldi_fbank: { num_mel_bins: 80 }]";
    let global = "features: [kaldi_fbank: { num_mel_bins: 80 }, cmvn: { over: global, norm_vars: true }]";
    let (stored, test) = (dataset(0, plain, "parquet: {}"), dataset(0, global, "parquet: {}"));
    let statistics = manifest(&test.out()).statistics["features"].clone();
    let (raw, normal) = (features(&all(&open(&stored))), features(&all(&open(&test))));
    for (key, values) in &normal {
        for (place, value) in values.iter().enumerate() {
            let (mean, deviation) = (statistics.mean[place % 80], statistics.variance[place % 80].sqrt());
            let expected = (f64::from(raw[key][place]) - mean) / deviation;
            assert!((f64::from(*value) - expected).abs() < 1e-4, "{key}: {value} is not {expected}");
        }
    }
    let masked = || {
        let rows = "[{crop: {frames: 100}}, {freq_mask: {max_width_bins: 30}}]";
        open(&test).transform("features", rows).unwrap().epochs(2)
    };
    let one = all(&masked().shuffle(3).threads(2));
    assert!(one.iter().all(|batch| batch.features().unwrap().frames() <= 100));
    let epochs = |batches: Vec<Batch>| {
        let half = batches.len() / 2;
        let later: Vec<Batch> = batches.into_iter().skip(half).collect();
        features(&later)
    };
    let first = features(&all(&masked().shuffle(3).epochs(1)));
    let second = epochs(one);
    assert_ne!(first, second, "another epoch draws anew");
    let again = epochs(all(&masked().shuffle(3).buckets(3).max_frames(300).threads(0).slots(2)));
    assert_eq!(second, again, "in whichever batch a row is, and whoever makes it");
}

fn all_but(loader: &Loader, first: usize) -> Vec<Batch> {
    loader.batches().unwrap().skip(first).map(Result::unwrap).collect()
}

#[test]
fn a_mix_has_each_dataset_by_its_weight() {
    let (small, large) = (dataset(0, FBANK, "parquet: {}"), dataset(9, FBANK, "arrow: {}"));
    let rows = [&small, &large].map(|test| manifest(&test.out()).totals.rows);
    let mix = |threads| {
        let datasets = [small.out(), large.out()];
        let loader = Loader::mix(datasets.iter().map(PathBuf::as_path).zip([0.5, 0.5])).unwrap();
        all(&loader.columns(["features"]).shuffle(1).batch_size(4).slots(1).epochs(2).threads(threads))
    };
    let batches = mix(2);
    assert_eq!(keys(&batches), keys(&mix(0)));
    let seen: Vec<String> = batches.iter().flat_map(|batch| batch.keys.clone()).collect();
    assert_eq!(seen.len() as u64, 2 * (rows[0] + rows[1]));
    let state = {
        let datasets = [small.out(), large.out()];
        let loader = Loader::mix(datasets.iter().map(PathBuf::as_path).zip([0.5, 0.5])).unwrap();
        let loader = loader.columns(["features"]).shuffle(1).batch_size(4).epochs(2);
        let mut batches = loader.batches().unwrap();
        let taken = batches.batches_in_epoch(0) + 7;
        assert_eq!((&mut batches).take(taken).count(), taken);
        let rest = all(&loader.clone().resume(&batches.state()));
        assert_eq!(keys(&rest), keys(&all_but(&loader, taken)));
        batches.state()
    };
    assert_eq!((state.epoch, state.batches), (1, 7));
    // Half of them are of the small dataset, whose rows are seen equally often; those of the other at most once.
    let copies = seen.iter().filter(|key| key.contains('~')).count() as f64 / seen.len() as f64;
    assert!((0.4..0.5).contains(&copies), "{copies}");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for key in &seen {
        *counts.entry(key).or_default() += 1;
    }
    let times = counts.iter().filter(|(key, _)| !key.contains('~')).map(|(_, count)| *count);
    let per_row = (rows[0] + rows[1]) / rows[0];
    assert!(times.clone().min().unwrap() >= per_row - 1 && times.max().unwrap() <= per_row + 3);
}

/// A dataset and what was done to it.
fn damaged(write: &str, harm: impl Fn(&Path)) -> CorpusTest {
    let test = dataset(7, FBANK, write);
    harm(&test.out());
    test
}

fn told(loader: &Loader) -> String {
    match loader.batches() {
        Err(error) => wavemill::error::chain(&error),
        Ok(mut batches) => {
            let error = batches.find_map(Result::err).expect("the damage is found");
            assert!(batches.next().is_none(), "an error is the end");
            wavemill::error::chain(&error)
        }
    }
}

/// What is done to a dataset, and what the error then says.
type Harm<'a> = (&'a dyn Fn(&Path), &'a [&'a str]);

#[test]
fn damage_is_told_with_shard_and_row_and_nothing_wrong_is_given() {
    let write = "parquet: { shard_mib: 1, row_group_mib: 1 }";
    let shard = |out: &Path| {
        let path = out.join(&manifest(out).shards[1].files[0].path);
        (path.clone(), fs::read(path).unwrap())
    };
    let flip = |out: &Path| {
        let (path, mut bytes) = shard(out);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut = |out: &Path| {
        let (path, bytes) = shard(out);
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let remove = |out: &Path| fs::remove_file(shard(out).0).unwrap();
    let whole = features(&all(&open(&dataset(7, FBANK, write))));
    let parts: [Harm<'_>; 3] = [
        (
            &flip,
            &[
                "a row is damaged",
                "part-00001",
                "(shard 1, row group ",
                ", row ",
                "key `",
                "does not have the checksum",
            ],
        ),
        (&cut, &["a shard is damaged", "part-00001", "bytes, and the manifest says"]),
        (&remove, &["a shard is damaged", "part-00001", "cannot be read"]),
    ];
    for (harm, parts) in parts {
        let test = damaged(write, harm);
        for loader in [open(&test).shuffle(1), open(&test).threads(0), open(&test).verify(Verify::Always)] {
            let message = told(&loader);
            for part in parts {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
        }
        let skipping =
            |rank, world| open(&test).on_damage(OnDamage::Skip).shuffle(1).slots(2).batch_size(3).rank(rank, world);
        let alone = all(&skipping(0, 1));
        let left = features(&alone);
        assert!(left.len() < whole.len() && left.iter().all(|(key, values)| whole[key] == *values));
        let skipped: usize = alone.iter().map(|batch| batch.skipped.len()).sum();
        assert_eq!(left.len() + skipped, whole.len());
        let ranks = [0, 1].map(|rank| keys(&all(&skipping(rank, 2))));
        assert!(
            keys(&alone)
                .chunks(2)
                .zip(ranks[0].iter().zip(&ranks[1]))
                .all(|(step, (one, other))| [one, other] == [&step[0], &step[1]])
        );
    }
    for write in ["arrow: {}", "safetensors: {}", "webdataset: {}", "parquet: { compression: zstd }"] {
        for place in [0.2, 0.4, 0.6, 0.8] {
            let test = damaged(write, |out| {
                let path = out.join(&manifest(out).shards[0].files[0].path);
                let mut bytes = fs::read(&path).unwrap();
                let place = (bytes.len() as f64 * place) as usize;
                bytes[place] ^= 0x10;
                fs::write(path, bytes).unwrap();
            });
            assert!(told(&open(&test)).contains("damaged"), "{write}");
            let skipping = all(&open(&test).on_damage(OnDamage::Skip));
            let left = features(&skipping);
            let skipped: usize = skipping.iter().map(|batch| batch.skipped.len()).sum();
            assert!(skipped > 0 && left.len() + skipped == whole.len(), "{write}: {} and {skipped}", left.len());
            assert!(left.iter().all(|(key, values)| whole[key] == *values), "{write}");
            let filtered = open(&test).on_damage(OnDamage::Skip).filter("speaker = 'alba'");
            assert!(features(&all(&filtered)).keys().all(|key| key.starts_with("alba")), "{write}");
        }
    }
}

#[test]
fn a_manifest_or_record_that_is_not_this_versions_is_refused() {
    let edit = |name: &str, from: &str, to: &str| {
        let test = dataset(0, FBANK, "parquet: {}");
        let path = test.out().join(name);
        let json = fs::read_to_string(&path).unwrap();
        assert!(json.contains(from), "{json}");
        fs::write(path, json.replacen(from, to, 1)).unwrap();
        match Loader::open(&test.out()) {
            Err(error) => wavemill::error::chain(&error),
            Ok(loader) => told(&loader),
        }
    };
    for (name, from, to, part) in [
        ("manifest.json", "\"format_version\": 1", "\"format_version\": 2", "format version 2"),
        ("manifest.json", "\"format_version\": 1", "\"format_version\": one", "damaged"),
        ("manifest.json", "\"path\": \"data/", "\"path\": \"../", "no file in the dataset"),
        ("manifest.json", "\"name\": \"key\"", "\"name\": \"keys\"", "schema"),
        ("shards/part-00000.json", "\"shard\": 0", "\"shard\": 1", "that of shard 1"),
        ("shards/part-00000.json", "\"rows\": ", "\"rows\": 1", "the manifest says"),
        ("shards/part-00000.json", "\"plan_hash\": \"", "\"plan_hash\": \"0", "another plan"),
    ] {
        let message = edit(name, from, to);
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn rows_are_planned_from_records_alone() {
    let out = tempfile::tempdir().unwrap();
    let test = dataset(0, FBANK, "parquet: {}");
    let rows = 50;
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(test.out().join("manifest.json")).unwrap()).unwrap();
    let (shard, plan) = (manifest["shards"][0].clone(), manifest["plan_hash"].clone());
    manifest["shards"] = (0..40)
        .map(|number| {
            let mut shard = shard.clone();
            shard["rows"] = rows.into();
            fs::create_dir_all(out.path().join("shards")).unwrap();
            let frames: Vec<u32> = (0..rows).map(|row| 100 + (row * 7919 + number * 31) % 900).collect();
            let record = serde_json::json!({ "plan_hash": plan, "shard": number, "rows": rows, "frames": { "features": frames } });
            fs::write(out.path().join(format!("shards/part-{number:05}.json")), record.to_string()).unwrap();
            shard
        })
        .collect();
    fs::write(out.path().join("manifest.json"), manifest.to_string()).unwrap();
    let batches = Loader::open(out.path()).unwrap().shuffle(1).buckets(10).max_frames(10_000).batches().unwrap();
    assert_eq!(batches.rows_in_epoch(0), 2000);
    assert!(batches.batches_in_epoch(0) > 100);
}

#[test]
fn the_command_of_the_readme_runs() {
    let test = dataset(1, FBANK, "parquet: {}");
    let output = wavemill(&["load", test.out().to_str().unwrap(), "--bench"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    for part in ["rows/s", "frames/s", "padding", "first batch", "resume"] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

#[cfg(feature = "tch")]
mod tensors {
    use tch::{Device, Kind, Tensor};
    use wavemill::loader::Vocabulary;

    use super::*;

    #[test]
    fn tensors_hold_what_batches_hold() {
        let test = dataset(2, FBANK, "parquet: { dtype: f16 }");
        for (dtype, kind) in [(Dtype::F32, Kind::Float), (Dtype::F16, Kind::Half), (Dtype::Bf16, Kind::BFloat16)] {
            let loader = open(&test).shuffle(3).buckets(2).max_frames(700).dtype(dtype);
            let mut tensors = loader.tensors(Device::Cpu).unwrap();
            let mut seen = 0;
            for batch in loader.batches().unwrap() {
                let (batch, tensor) = (batch.unwrap(), tensors.next().unwrap().unwrap());
                assert_eq!(batch.keys, tensor.keys);
                assert_eq!(batch.texts, tensor.texts);
                let (padded, features) = (batch.features().unwrap(), tensor.features().unwrap());
                assert_eq!(features.values.kind(), kind);
                let shape: Vec<usize> = features.values.size().into_iter().map(|size| size as usize).collect();
                assert_eq!(shape, padded.shape);
                let lengths = Vec::<i64>::try_from(&features.lengths).unwrap();
                assert!(lengths.into_iter().eq(padded.lengths.iter().map(|length| i64::from(*length))));
                let bytes = Vec::<u8>::try_from(&features.values.view_dtype(Kind::Uint8).flatten(0, -1)).unwrap();
                assert_eq!(bytes, padded.bytes());
                assert_eq!(tensor.number("copy").unwrap().kind(), Kind::Int64);
                assert!(tensor.columns.contains_key("speaker"), "texts stay texts");
                seen += tensor.len();
            }
            assert!(tensors.next().is_none());
            assert_eq!(seen as u64, manifest(&test.out()).totals.rows);
        }
    }

    #[test]
    fn a_batch_becomes_tensors_later_too_and_texts_become_ids() {
        let test = dataset(0, FBANK, "parquet: {}");
        let batch = all(&open(&test)).remove(0);
        let (values, shape) =
            (batch.features().unwrap().f32s().unwrap().to_vec(), batch.features().unwrap().shape.clone());
        let texts: Vec<String> = batch.texts.iter().flatten().cloned().collect();
        let vocabulary = Vocabulary::characters(texts.iter().map(String::as_str));
        let (ids, lengths) = vocabulary.batch(&batch.texts).unwrap().to_tensors(Device::Cpu);
        assert_eq!(ids.size(), [batch.len() as i64, lengths.max().int64_value(&[])]);
        let tensors = batch.to_tensors(Device::Cpu);
        let shape: Vec<i64> = shape.into_iter().map(|size| size as i64).collect();
        assert_eq!(tensors.features().unwrap().values, Tensor::from_slice(&values).reshape(shape));
    }
}
