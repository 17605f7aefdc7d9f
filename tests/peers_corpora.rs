//! Corpora that the peers' own writers made (`fixtures/golden/corpora.py`), as the peers' own readers read them back.

use std::path::Path;

use serde_json::{Value, json};
use wavemill::audio::Seconds;
use wavemill::corpus::{Corpus, CorpusTable};
use wavemill::load::{Cut, Decoder, Load, Pick, Take};
use wavemill::variables::Variables;

/// How each corpus of `expected.json` is named in a pipeline file.
const CORPORA: [(&str, &str); 12] = [
    ("kaldi_dir/export", r#"{"kaldi_dir": {"dir": "DIR/kaldi_dir/export"}}"#),
    ("kaldi_dir/ark", r#"{"kaldi_dir": {"dir": "DIR/kaldi_dir/ark"}}"#),
    ("kaldi_dir/segments", r#"{"kaldi_dir": {"dir": "DIR/kaldi_dir/segments"}}"#),
    (
        "lhotse/supervisions",
        r#"{"lhotse": {"recordings": "DIR/lhotse/recordings.jsonl.gz", "supervisions": "DIR/lhotse/supervisions.jsonl.gz"}}"#,
    ),
    ("lhotse/cuts", r#"{"lhotse": {"cuts": "DIR/lhotse/cuts.jsonl"}}"#),
    ("lhotse_shar", r#"{"lhotse_shar": {"dir": "DIR/lhotse_shar"}}"#),
    (
        "nemo_tarred",
        r#"{"nemo_tarred": {"manifest": "DIR/nemo_tarred/tarred_audio_manifest.json", "audio": "DIR/nemo_tarred/audio_{0..1}.tar"}}"#,
    ),
    (
        "nemo_tarred",
        r#"{"nemo_tarred": {"manifest": "DIR/nemo_tarred/sharded_manifests/manifest__OP_0..1_CL_.json", "audio": "DIR/nemo_tarred/audio__OP_0..1_CL_.tar"}}"#,
    ),
    ("webdataset", r#"{"webdataset": {"shards": "DIR/webdataset/speech-{000000..000001}.tar"}}"#),
    ("webdataset", r#"{"webdataset": {"shards": "DIR/webdataset"}}"#),
    ("hugging_face/parquet", r#"{"hugging_face": {"path": "DIR/hugging_face/parquet"}}"#),
    ("hugging_face/arrow", r#"{"hugging_face": {"path": "DIR/hugging_face/arrow"}}"#),
];

fn read(row: &str) -> CorpusTable {
    let corpus: Corpus = serde_json::from_str(&row.replace("DIR", "fixtures/corpora")).unwrap();
    corpus.member().read(&Variables::default()).unwrap_or_else(|error| panic!("{row}: {error}"))
}

/// What the golden script told of an utterance, of one of ours.
fn told(table: &CorpusTable, row: usize) -> Value {
    let time = |time: Option<f64>| time.and_then(Seconds::new);
    let cut =
        Cut { start: time(table.start_s(row)).unwrap_or(Seconds::ZERO), duration: time(table.cut_duration_s(row)) };
    let pick = table.channel(row).map_or(Pick::Mix, |channel| Pick::Channel(channel as u16));
    let load = Load::default();
    let mut decoder = Decoder::open(table.location(row), Take { cut, pick, rate: None }, &load).unwrap();
    let mut channels = vec![Vec::new(); usize::from(decoder.num_channels())];
    let mut blocks = channels.clone();
    while decoder.read_channels(&mut blocks).unwrap() {
        channels.iter_mut().zip(&blocks).for_each(|(channel, block)| channel.extend_from_slice(block));
    }
    let samples = channels[0].len();
    let level = |sample: f32| ((sample * 32_768.0).round() as i16).to_le_bytes();
    let bytes: Vec<u8> =
        (0..samples).flat_map(|at| channels.iter().flat_map(move |channel| level(channel[at]))).collect();
    json!({
        "text": table.text(row), "speaker": table.speaker(row), "sampling_rate": decoder.sample_rate().get(),
        "num_samples": samples, "channels": channels.len(), "md5": format!("{:x}", md5::compute(bytes)),
    })
}

#[test]
fn every_corpus_of_a_peer_is_read_as_the_peer_reads_it() {
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string("fixtures/corpora/expected.json").unwrap()).unwrap();
    for name in expected.as_object().unwrap().keys() {
        assert!(CORPORA.iter().any(|(known, _)| known == name), "`{name}` is not read here");
    }
    for (name, row) in CORPORA {
        let table = read(row);
        let rows = expected[name]["rows"].as_array().unwrap();
        assert_eq!(table.len(), rows.len(), "{name}");
        let mut order: Vec<usize> = (0..table.len()).collect();
        let mut rows: Vec<&Value> = rows.iter().collect();
        if name == "nemo_tarred" {
            // Its rows come in the order of its archives, and it has no ids: ours begin with the member's name.
            order.sort_by_key(|row| table.id(*row).to_owned());
            rows.sort_by_key(|expected| expected["id"].to_string());
        }
        for (row, expected) in order.into_iter().zip(rows) {
            let id = expected["id"].as_str().unwrap();
            assert!(
                table.id(row) == id || (name == "nemo_tarred" && table.id(row).starts_with(id)),
                "{name}: {}",
                table.id(row)
            );
            let told = told(&table, row);
            for (key, value) in told.as_object().unwrap() {
                assert_eq!(value, &expected[key], "{name}, `{id}`: {key}");
            }
            if let Some(duration_s) = expected["duration_s"].as_f64() {
                let ours = told["num_samples"].as_f64().unwrap() / told["sampling_rate"].as_f64().unwrap();
                assert!((ours - duration_s).abs() < 1e-9, "{name}, `{id}`: {ours} s");
            }
        }
    }
}

/// A reader, a file of its corpus, what becomes of it, and what must be said.
type Damage = (&'static str, &'static str, fn(&Path), &'static [&'static str]);

/// What is wrong with a corpus is told before any sound is read, with the file and the place.
const DAMAGED: [Damage; 12] = [
    ("lhotse", "lhotse/cuts.jsonl", |path| append(path, b"{oops\n"), &["cuts.jsonl`, line 6, column 2"]),
    (
        "lhotse",
        "lhotse/cuts.jsonl",
        |path| swap(path, r#""duration": 0.5"#, r#""duration": "x""#),
        &["cuts.jsonl`, line 1"],
    ),
    (
        "kaldi_dir",
        "kaldi_dir/export/segments",
        |path| append(path, b"z nobody 0 1\n"),
        &["segments`, line 5", "nobody"],
    ),
    (
        "kaldi_dir",
        "kaldi_dir/export/wav.scp",
        |path| append(path, b"y touch /tmp/x |\n"),
        &["wav.scp`, line 3", "commands: allow"],
    ),
    ("lhotse_shar", "lhotse_shar/recording.000001.tar", |path| cut(path, 2_000), &["recording.000001.tar`", "byte"]),
    ("lhotse_shar", "lhotse_shar/recording.000001.tar", |path| std::fs::remove_file(path).unwrap(), &["000001"]),
    ("lhotse_shar", "lhotse_shar/cuts.000000.jsonl.gz", |path| cut(path, 100), &["cuts.000000.jsonl.gz`, line"]),
    ("webdataset", "webdataset/speech-000001.tar", |path| cut(path, 700), &["speech-000001.tar`, byte"]),
    (
        "webdataset",
        "webdataset/speech-000000.tar",
        |path| claim(path, b"77777777777\0"),
        &["speech-000000.tar`, byte 0"],
    ),
    (
        "nemo_tarred",
        "nemo_tarred/tarred_audio_manifest.json",
        |path| swap(path, "wavs_noah-01", "wavs_nobody"),
        &["tarred_audio_manifest.json`, line", "wavs_nobody"],
    ),
    (
        "hugging_face/parquet",
        "hugging_face/parquet/data/train-00000-of-00001.parquet",
        |path| cut(path, 900),
        &["train-00000-of-00001.parquet`"],
    ),
    (
        "hugging_face/arrow",
        "hugging_face/arrow/data-00001-of-00002.arrow",
        |path| cut(path, 900),
        &["data-00001-of-00002.arrow`"],
    ),
];

fn append(path: &Path, bytes: &[u8]) {
    let content = std::fs::read(path).unwrap();
    std::fs::write(path, [&content, bytes].concat()).unwrap();
}

fn cut(path: &Path, bytes: usize) {
    let content = std::fs::read(path).unwrap();
    assert!(content.len() > bytes, "{} is shorter", path.display());
    std::fs::write(path, &content[..bytes]).unwrap();
}

fn swap(path: &Path, one: &str, other: &str) {
    let content = std::fs::read_to_string(path).unwrap();
    assert!(content.contains(one), "{} has no {one}", path.display());
    std::fs::write(path, content.replacen(one, other, 1)).unwrap();
}

/// Has the first header of a tar claim another size, its checksum right.
fn claim(path: &Path, size: &[u8; 12]) {
    let mut content = std::fs::read(path).unwrap();
    content[124..136].copy_from_slice(size);
    content[148..156].fill(b' ');
    let sum: u32 = content[..512].iter().map(|byte| u32::from(*byte)).sum();
    content[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    std::fs::write(path, content).unwrap();
}

#[test]
fn what_is_wrong_with_a_corpus_is_told_with_file_and_place() {
    for (reader, file, damage, parts) in DAMAGED {
        let folder = tempfile::tempdir().unwrap();
        for entry in walkdir::WalkDir::new("fixtures/corpora").into_iter().map(Result::unwrap) {
            let to = folder.path().join(entry.path().strip_prefix("fixtures/corpora").unwrap());
            if entry.file_type().is_dir() {
                std::fs::create_dir_all(to).unwrap();
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
        damage(&folder.path().join(file));
        let named = |name: &str| match reader {
            "lhotse" => name == "lhotse/cuts",
            "kaldi_dir" => name == "kaldi_dir/export",
            other => name == other,
        };
        let (_, row) = CORPORA.into_iter().find(|(name, _)| named(name)).unwrap();
        let corpus: Corpus = serde_json::from_str(&row.replace("DIR", folder.path().to_str().unwrap())).unwrap();
        let error = match corpus.member().read(&Variables::default()) {
            Err(error) => wavemill::error::chain(&error),
            Ok(table) => panic!("{file}: {} rows were read", table.len()),
        };
        for part in parts {
            assert!(error.contains(part), "{file}: `{part}` is not in: {error}");
        }
    }
}
