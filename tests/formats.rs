//! Every format holds the same rows, a dataset is converted without loss, and `write.split` cuts it in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use wavemill::manifest::{DatasetFolder, Manifest};
use wavemill::pipeline::Pipeline;
use wavemill::write::{Format, RowSchema};

use crate::support::{CorpusTest, assert_same_bytes, wavemill};

/// Every row of a dataset in its order, as the format gives it back.
fn rows(out: &Path) -> RecordBatch {
    let manifest = Manifest::read(&DatasetFolder::new(out)).unwrap();
    let pipeline: Pipeline = serde_json::from_value(manifest.pipeline.clone()).unwrap();
    let schema = RowSchema::of(&manifest.schema).unwrap();
    let batches: Vec<RecordBatch> = manifest
        .shards
        .iter()
        .flat_map(|shard| pipeline.write.member().read(&schema, &shard.paths(out), None).unwrap())
        .map(Result::unwrap)
        .collect();
    assert!(!batches.is_empty());
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn verified(out: &Path) {
    let output = wavemill(&["verify", out.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs a pipeline into a folder beside the corpus.
fn run_into(test: &CorpusTest, name: &str, yaml: &str, arguments: &[&str]) -> std::path::PathBuf {
    let (pipeline, out) = (test.folder_file(&format!("{name}.yaml"), yaml), test.corpus().with_file_name(name));
    let corpus = format!("CORPUS={}", test.corpus().display());
    let base = format!("BASE={}", test.corpus().with_file_name("base").display());
    let mut command = wavemill(&["run"]);
    command.arg(pipeline).arg("--out").arg(&out).args(["--var", &corpus, "--var", &base]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    verified(&out);
    out
}

/// The shard formats, each with the codec of sound that it takes.
const FORMATS: [(&str, &str); 7] = [
    ("parquet", "flac"),
    ("arrow", "flac"),
    ("safetensors", "flac"),
    ("webdataset", "flac"),
    ("lhotse_shar", "flac"),
    ("hugging_face", "flac"),
    ("kaldi_ark", "wav"),
];

fn pipeline(write: &str, codec: &str) -> String {
    format!(
        "version: 1
corpus: {{ audio_folder: {{ root: \"${{CORPUS}}\", name: '{{speaker}}-{{take}}' }} }}
resample: {{ rate_hz: 16000 }}
augment: {{ copies: 1, original: keep, chain: [gain: {{ gain_db: [-6, 6] }}] }}
featurize:
  features: [kaldi_fbank: {{ num_mel_bins: 40 }}]
  pitch: [rms: {{}}]
  audio: [encode: {{ codec: {codec} }}]
write: {{ {write} }}
"
    )
}

const SAMPLES: [&str; 4] = ["corpus/alba-01.flac", "corpus/alba-02.wav", "corpus/noah-01.wav", "corpus/greta-01.flac"];

#[test]
fn every_format_is_listed_here() {
    let here: BTreeSet<&str> = FORMATS.into_iter().map(|(name, _)| name).collect();
    assert_eq!(Format::FAMILY.entries.iter().map(|entry| entry.name).collect::<BTreeSet<_>>(), here);
}

#[test]
fn every_format_holds_the_same_rows_and_is_converted_into_every_other() {
    let test = CorpusTest::on(&SAMPLES);
    for (format, codec) in FORMATS {
        let made = run_into(&test, "base", &pipeline(&format!("{format}: {{}}"), codec), &["--overwrite"]);
        let made = rows(&made);
        assert_eq!(made.num_rows(), 8);
        if format != "parquet" {
            let base = run_into(&test, "parquet", &pipeline("parquet: {}", codec), &["--overwrite"]);
            assert_eq!(made, rows(&base), "{format} holds other rows than Parquet");
        }
        for (into, holds) in FORMATS {
            if into == "kaldi_ark" && codec != holds {
                continue;
            }
            let convert =
                format!("version: 1\ncorpus: {{ wavemill: {{ dir: \"${{BASE}}\" }} }}\nwrite: {{ {into}: {{}} }}\n");
            let converted = run_into(&test, "converted", &convert, &["--overwrite"]);
            assert_eq!(rows(&converted), made, "{format} as {into}");
        }
    }
}

#[test]
fn shards_of_several_files_are_the_same_for_any_threads_and_after_an_interruption() {
    let test = CorpusTest::on_sample();
    for format in ["webdataset", "lhotse_shar", "kaldi_ark", "safetensors"] {
        let yaml = pipeline(&format!("{format}: {{ shard_mib: 1 }}"), "wav");
        let one = run_into(&test, "one", &yaml, &["--threads", "1", "--overwrite"]);
        let two = run_into(&test, "two", &yaml, &["--threads", "3", "--overwrite"]);
        assert_same_bytes(&one, &two);
        let manifest = Manifest::read(&DatasetFolder::new(&two)).unwrap();
        assert!(manifest.shards.len() > 1 && manifest.shards.iter().all(|shard| shard.files.len() > 1), "{format}");
        // The second file of a shard is lost, and the last one of another cut short: both shards are made again.
        std::fs::remove_file(two.join(&manifest.shards[0].files[1].path)).unwrap();
        let last = manifest.shards[1].files.last().unwrap();
        std::fs::write(two.join(&last.path), b"").unwrap();
        std::fs::remove_file(two.join("manifest.json")).unwrap();
        let again = run_into(&test, "two", &yaml, &[]);
        assert_same_bytes(&one, &again);
    }
}

#[test]
fn other_features_are_made_of_the_sound_in_a_dataset() {
    let test = CorpusTest::on(&SAMPLES);
    let features = |out: &Path| {
        let rows = rows(out);
        let keys = rows.column_by_name("key").unwrap().as_string::<i32>().clone();
        let cells = rows.column_by_name("features").unwrap().as_binary::<i64>().clone();
        (0..rows.num_rows())
            .map(|row| (keys.value(row).to_owned(), cells.value(row).to_vec()))
            .collect::<BTreeMap<_, _>>()
    };
    let made = "featurize: { features: [log_mel: { n_mels: 20 }] }\n";
    for format in ["parquet", "arrow", "safetensors", "webdataset", "lhotse_shar", "hugging_face", "kaldi_ark"] {
        run_into(
            &test,
            "base",
            &pipeline(&format!("{format}: {{}}"), if format == "kaldi_ark" { "wav" } else { "flac" }),
            &["--overwrite"],
        );
        let yaml = format!(
            "version: 1\ncorpus: {{ wavemill: {{ dir: \"${{BASE}}\" }} }}\nselect: \"id IN ('alba-01', 'noah-01')\"\nresample: {{ rate_hz: 16000 }}\n{made}"
        );
        let second = run_into(&test, "second", &yaml, &["--overwrite"]);
        let straight = format!(
            "version: 1\ncorpus: {{ audio_folder: {{ root: \"${{CORPUS}}\" }} }}\nselect: \"id IN ('alba-01', 'noah-01')\"\nresample: {{ rate_hz: 16000 }}\n{made}"
        );
        let straight = run_into(&test, "straight", &straight, &["--overwrite"]);
        let (second, straight) = (features(&second), features(&straight));
        assert_eq!(second.keys().collect::<Vec<_>>(), straight.keys().collect::<Vec<_>>());
        // The fixtures are at 16 kHz and of 16 bits, so that nothing is lost on the way.
        assert!(second == straight, "{format}: the sound is another");
    }
}

#[test]
fn integers_of_eight_bits_keep_features_within_half_a_step() {
    let test = CorpusTest::on(&SAMPLES);
    let exact = rows(&run_into(&test, "exact", &pipeline("parquet: {}", "flac"), &[]));
    let small = rows(&run_into(&test, "small", &pipeline("parquet: { dtype: i8 }", "flac"), &[]));
    let (exact_cells, cells) = (exact.column_by_name("features").unwrap(), small.column_by_name("features").unwrap());
    let scales =
        small.column_by_name("features_scale").unwrap().as_primitive::<arrow::datatypes::Float32Type>().clone();
    for row in 0..exact.num_rows() {
        let scale = scales.value(row);
        let floats = exact_cells.as_binary::<i64>().value(row).chunks_exact(4);
        let bytes = cells.as_binary::<i64>().value(row);
        assert_eq!(floats.len(), bytes.len());
        for (float, byte) in floats.zip(bytes) {
            let float = f32::from_le_bytes(float.try_into().unwrap());
            assert!((float - scale * f32::from(*byte as i8)).abs() <= 0.51 * scale, "row {row}");
        }
    }
}

#[test]
fn a_dataset_is_split_by_a_column_and_each_part_has_its_own_shards() {
    let test = CorpusTest::on_sample();
    for format in ["parquet", "hugging_face", "webdataset", "lhotse_shar", "kaldi_ark"] {
        let write = format!("{format}: {{}}, split: {{ train: 0.6, test: 0.4, by: speaker }}");
        let out = run_into(&test, "split", &pipeline(&write, "wav"), &["--overwrite"]);
        let manifest = Manifest::read(&DatasetFolder::new(&out)).unwrap();
        let schema = RowSchema::of(&manifest.schema).unwrap();
        let pipeline: Pipeline = serde_json::from_value(manifest.pipeline.clone()).unwrap();
        let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for shard in &manifest.shards {
            let split = shard.split.clone().unwrap();
            assert!(shard.files.iter().all(|file| file.path.contains(&split)), "{:?}", shard.files);
            for batch in pipeline.write.member().read(&schema, &shard.paths(&out), Some(&["speaker"])).unwrap() {
                let speakers = batch.unwrap().column(0).as_string::<i32>().clone();
                parts.entry(split.clone()).or_default().extend(speakers.iter().flatten().map(str::to_owned));
            }
        }
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert!(parts["train"].is_disjoint(&parts["test"]), "{parts:?}");
        // A part is read alone.
        let convert = format!("version: 1\ncorpus: {{ wavemill: {{ dir: \"{}\", splits: [test] }} }}\n", out.display());
        let alone = rows(&run_into(&test, "alone", &convert, &["--overwrite"]));
        let speakers = alone.column_by_name("speaker").unwrap().as_string::<i32>();
        assert_eq!(speakers.iter().flatten().map(str::to_owned).collect::<BTreeSet<_>>(), parts["test"]);
    }
}

#[test]
fn duplicates_are_told_and_excluded_ids_are_left_out() {
    let test = CorpusTest::on(&SAMPLES);
    test.add("corpus/alba-02.wav", "zz-copy.flac");
    let list = test.folder_file("heldout.txt", "greta-01\n\nnobody\n");
    let more = format!("exclude: ['{}']\ndeduplicate: audio\nload: {{ max_reject_fraction: 0 }}", list.display());
    let outcome = test.run(&crate::support::fbank_pipeline(&more), &[]).expect_rows(3);
    let outcome = outcome.expect_rejected("zz-copy.flac", "deduplicate", "duplicate");
    assert!(outcome.rejects()[0].message.contains("`alba-02`"));
}

#[test]
fn without_featurize_only_a_dataset_goes_on() {
    let test = CorpusTest::on(&SAMPLES);
    let yaml = "version: 1\ncorpus: { audio_folder: { root: \"${CORPUS}\" } }\n";
    test.run(yaml, &[]).expect_code(2).expect_message("lacks the key `featurize`");
    let yaml = "version: 1\ncorpus: { wavemill: { dir: \"${CORPUS}\" } }\nresample: { rate_hz: 8000 }\n";
    test.run(yaml, &[]).expect_code(2).expect_message("`resample` has no sound to work on");
}

/// A dataset of three rows in `base`, and a pipeline that carries it on.
fn base(test: &CorpusTest) -> (std::path::PathBuf, &'static str) {
    let more = "load: { quality: columns }\nwrite: { arrow: {} }";
    let base = run_into(test, "base", &crate::support::fbank_pipeline(more), &["--overwrite"]);
    (base, "version: 1\ncorpus: { wavemill: { dir: \"${BASE}\" } }\nwrite: { safetensors: {} }\n")
}

#[test]
fn a_dataset_is_never_written_over_itself_nor_carried_on_when_it_is_damaged() {
    let test = CorpusTest::on(&SAMPLES[..3]);
    let (base, carry) = base(&test);
    let run = |out: &Path| {
        let pipeline = test.folder_file("carry.yaml", carry);
        let mut command = wavemill(&["run"]);
        command.arg(pipeline).arg("--out").arg(out).args(["--var", &format!("BASE={}", base.display()), "--overwrite"]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, message) = run(&base);
    assert!(code == Some(5) && message.contains("is the dataset that is read"), "{message}");
    verified(&base);

    let shard = base.join("data/part-00000.arrow");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, &bytes).unwrap();
    let (code, message) = run(&test.out());
    assert!(code == Some(5) && message.contains("is not the file that the manifest names"), "{message}");
}

#[test]
fn a_conversion_knows_its_source_from_another() {
    let test = CorpusTest::on(&SAMPLES[..3]);
    let (_, carry) = base(&test);
    let out = run_into(&test, "carried", carry, &[]);
    let hash = |out: &Path| Manifest::read(&DatasetFolder::new(out)).unwrap().plan_hash;
    let before = hash(&out);
    let other = crate::support::fbank_pipeline("write: { arrow: { dtype: f16 } }");
    run_into(&test, "base", &other, &["--overwrite"]);
    let pipeline = test.folder_file("carried.yaml", carry);
    let base = format!("BASE={}", test.corpus().with_file_name("base").display());
    let output = wavemill(&["run", pipeline.to_str().unwrap(), "--out", out.to_str().unwrap(), "--var", &base])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds a dataset of another plan"));
    assert_eq!(hash(&out), before);
}

#[test]
fn overwriting_removes_nothing_that_is_no_dataset() {
    let test = CorpusTest::on(&SAMPLES[..1]);
    std::fs::create_dir_all(test.out().join("data")).unwrap();
    std::fs::write(test.out().join("data/mine.txt"), "mine").unwrap();
    let outcome = test.run(&crate::support::fbank_pipeline(""), &["--overwrite"]);
    outcome.expect_code(5).expect_message("holds data without a plan");
    assert!(test.out().join("data/mine.txt").exists());
}
