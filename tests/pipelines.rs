//! Every shipped pipeline runs.

use std::fs;
use std::path::Path;

use crate::support::{CorpusTest, fixture, wavemill};

/// The variables with which a shipped pipeline runs over the fixtures, and the rows that come out.
fn variables(pipeline: &str, digits: &CorpusTest) -> (Vec<String>, u64) {
    let corpus = fixture("corpus").display().to_string();
    match pipeline {
        "sample" | "six_features" | "train_shards" | "torchscript" => (vec![], 12),
        // Each with the rows of all variants; those that cut have as many parts as the sentences have.
        "asr_robust" => (vec![], 36),
        "keyword_spotting" => (vec![], 48),
        "speaker_id" => (vec![], 56),
        "whisper_finetune" => (vec![], 24),
        "self_supervised" => (vec![], 26),
        "fsdd_fbank" => (vec![format!("CORPUS={}", digits.corpus().display())], 2),
        "digits" => (vec![format!("CORPUS={}", digits.corpus().display())], 8),
        "librispeech_fbank" => (vec![format!("CORPUS={}", fixture("librispeech").display())], 4),
        "common_voice_log_mel" => (vec![format!("CORPUS={corpus}"), "CLIPS=.".to_owned()], 12),
        "keep_good" => (vec![format!("CORPUS={corpus}"), "MIN_SNR_DB=1".to_owned()], 12),
        "convert" => (vec![format!("DATASET={}", sample_dataset(digits).display())], 2),
        "nemo_waveform" => (vec![format!("MANIFEST={corpus}/manifest.jsonl")], 13),
        other => panic!("{other}.yaml has no variables here"),
    }
}

/// A dataset to convert.
fn sample_dataset(digits: &CorpusTest) -> std::path::PathBuf {
    let outcome = digits.run(&crate::support::fbank_pipeline(""), &[]).expect_rows(2);
    outcome.dataset.path().to_owned()
}

#[test]
fn every_shipped_pipeline_says_what_comes_out_and_runs() {
    let folder = Path::new("pipelines");
    let digits = CorpusTest::on(&[]);
    digits.add("corpus/alba-02.wav", "7_alba_0.wav");
    digits.add("corpus/noah-01.wav", "3_noah_11.wav");
    let mut ran = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# Of "), "{} does not say what comes out", path.display());
        if text.contains("torchscript:") && !cfg!(feature = "tch") {
            continue; // `torchscript.rs` looks at what is said of it
        }
        let (variables, rows) = variables(path.file_stem().unwrap().to_str().unwrap(), &digits);
        let out = tempfile::tempdir().unwrap();
        let mut command = wavemill(&["run", path.to_str().unwrap(), "--out", out.path().to_str().unwrap()]);
        for variable in &variables {
            command.args(["--var", variable]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        let manifest = wavemill::manifest::Manifest::read(&wavemill::manifest::DatasetFolder::new(out.path())).unwrap();
        assert_eq!((manifest.totals.rows, manifest.totals.rejects), (rows, 0), "{}", path.display());
        // Nothing of this machine is in the dataset.
        let text = fs::read_to_string(out.path().join("manifest.json")).unwrap();
        assert!(
            !text.contains(std::env::current_dir().unwrap().to_str().unwrap()),
            "{} keeps a path of this machine",
            path.display()
        );
        ran += 1;
    }
    assert!(ran >= 5, "ran {ran} pipelines");
}

#[test]
fn a_moved_corpus_gives_the_same_bytes() {
    let (one, other) = (CorpusTest::on_sample(), CorpusTest::on_sample());
    assert_ne!(one.corpus(), other.corpus());
    let pipeline = crate::support::fbank_pipeline("");
    one.run(&pipeline, &[]).expect_rows(12);
    other.run(&pipeline, &[]).expect_rows(12);
    crate::support::assert_same_bytes(&one.out(), &other.out());
}

#[test]
fn check_shows_columns_and_plan_shows_what_it_will_cost() {
    let check = wavemill(&["check", "pipelines/sample.yaml"]).output().unwrap();
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.status.success() && text.contains("[frames, 80]") && text.contains("kaldi_fbank"), "{text}");

    let out = tempfile::tempdir().unwrap();
    let plan = wavemill(&["plan", "pipelines/sample.yaml", "--out", out.path().to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    for part in ["utterances  12", "shards      1", "MiB", "real time"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(out.path().join("plan.parquet").exists() && !out.path().join("data").exists());
}

#[test]
fn what_is_left_to_the_loader_stands_in_the_manifest_and_not_in_the_cells() {
    let cells = |rows: &str| {
        let test = CorpusTest::on_sample();
        let pipeline = format!(
            "version: 1\ncorpus: {{ audio_folder: {{ root: fixtures/corpus }} }}\nresample: {{ rate_hz: 16000 }}\nfeaturize:\n  features: [{rows}]\n"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), pipeline).unwrap();
        let run = wavemill(&["run", file.path().to_str().unwrap(), "--out"]).arg(test.out()).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        wavemill::manifest::Manifest::read(&wavemill::manifest::DatasetFolder::new(test.out())).unwrap()
    };
    let statistics = tempfile::NamedTempFile::new().unwrap();
    fs::write(statistics.path(), r#"{"mean": [1, 2], "variance": [3, 4]}"#).unwrap();
    let plain = cells("kaldi_mfcc: { num_ceps: 2 }");
    let own = cells("kaldi_mfcc: { num_ceps: 2 }, cmvn: { over: global, norm_vars: true }");
    let path = statistics.path().display();
    let of_file = cells(&format!("kaldi_mfcc: {{ num_ceps: 2 }}, cmvn: {{ over: global, statistics: {path} }}"));
    assert!(plain.at_load.is_empty());
    assert_eq!(own.at_load["features"][0]["cmvn"]["statistics"], serde_json::Value::Null);
    assert_eq!(of_file.at_load["features"][0]["cmvn"]["statistics"]["variance"], serde_json::json!([3.0, 4.0]));
    for left in [own, of_file] {
        assert_eq!(left.statistics, plain.statistics, "the cells are as they were");
        assert_ne!(left.plan_hash, plain.plan_hash);
    }
}

#[test]
fn inspect_shows_the_dataset_and_one_row_of_it() {
    let test = CorpusTest::on_sample();
    test.run(&crate::support::fbank_pipeline("  sound: [waveform: {}]\nwrite: { parquet: { layout: list } }"), &[])
        .expect_rows(12);
    let inspect = |arguments: &[&str]| {
        let output = wavemill(&["inspect"]).arg(test.out()).args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, shown) = inspect(&[]);
    assert!(
        code == Some(0) && shown.contains("12 rows") && shown.contains("[-1, 80]") && shown.contains("alba-01"),
        "{shown}"
    );
    let (code, shown) = inspect(&["alba-01"]);
    assert!(
        code == Some(0) && shown.contains("The kettle sings") && shown.contains("× 80 f32") && shown.contains('@'),
        "{shown}"
    );
    let (code, shown) = inspect(&["alba01"]);
    assert!(code == Some(5) && shown.contains("did you mean `alba-01`?"), "{shown}");
}
