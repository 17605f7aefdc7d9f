//! A run that is killed or refused leaves a folder that the next run can use.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use wavemill::manifest::DatasetFolder;

use crate::support::{CorpusTest, assert_same_bytes, fbank_pipeline, wavemill};

fn pipeline() -> String {
    fbank_pipeline("write: { parquet: { shard_mib: 1 } }")
}

/// The sample corpus several times over, so that a run takes a while and has several shards.
fn long_corpus() -> CorpusTest {
    let test = CorpusTest::on(&[]);
    for take in 0..12 {
        for name in ["alba-01.flac", "noah-01.wav", "alba-03.mp3", "noah-03.opus"] {
            test.add(&format!("corpus/{name}"), &format!("{take:02}-{name}"));
        }
    }
    test
}

/// Starts the pipeline on one thread and waits until its `shard`-th shard is committed, or the run is over.
fn start_until(test: &CorpusTest, shard: usize) -> Child {
    let mut run = test.run_command(&pipeline(), &["--threads", "1"]);
    let mut run = run.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let record = DatasetFolder::new(test.out()).record(shard);
    while !record.exists() && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    run
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let whole = long_corpus();
    let shards = whole.run(&pipeline(), &[]).expect_rows(48).manifest().shards.len();
    assert!(shards >= 4, "{shards} shards");
    let killed = long_corpus();
    let mut partial = 0;
    for shard in 0..shards - 1 {
        let mut run = start_until(&killed, shard);
        run.kill().unwrap();
        run.wait().unwrap();
        partial += usize::from(!killed.out().join("manifest.json").exists());
    }
    assert!(partial > 0, "every run was over before it was killed");
    killed.run(&pipeline(), &[]).expect_rows(48);
    assert_same_bytes(&whole.out(), &killed.out());
}

#[test]
fn what_is_lost_is_made_again() {
    let test = long_corpus();
    let outcome = test.run(&pipeline(), &[]).expect_rows(48);
    let before = crate::support::bytes_of(&test.out());
    fs::remove_file(test.out().join(&outcome.manifest().shards[1].files[0].path)).unwrap();
    fs::remove_file(outcome.dataset.record(2)).unwrap();
    fs::write(test.out().join(&outcome.manifest().shards[3].files[0].path), "cut short").unwrap();
    test.run(&pipeline(), &[]).expect_rows(48);
    assert!(before == crate::support::bytes_of(&test.out()));
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let test = long_corpus();
    let run = start_until(&test, 0);
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = run.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("run the same command again"), "{message}");
    assert!(!test.out().join("manifest.json").exists());
    test.run(&pipeline(), &[]).expect_rows(48);
}

#[test]
fn another_plan_is_refused_with_what_differs_until_it_may_overwrite() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.run(&pipeline(), &[]).expect_rows(1);
    let before = crate::support::bytes_of(&test.out());
    let other = pipeline().replace("num_mel_bins: 80", "num_mel_bins: 40");
    test.run(&other, &[])
        .expect_code(5)
        .expect_message("featurize.features[0].kaldi_fbank.num_mel_bins: 80 there, 40 now")
        .expect_message("--overwrite");
    assert!(before == crate::support::bytes_of(&test.out()));
    let outcome = test.run(&other, &["--overwrite"]).expect_rows(1);
    assert_eq!(outcome.manifest().schema[10].shape, Some(vec![-1, 40]));
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let test = long_corpus();
    fs::create_dir(test.out()).unwrap();
    let first = fs::File::create(test.out().join(".lock")).unwrap();
    first.lock().unwrap();
    test.run(&pipeline(), &[]).expect_code(5).expect_message("works in this folder").expect_message("--worker");
    let commit = || wavemill(&["commit"]).arg(test.out()).output().unwrap();
    drop(first);
    test.run(&pipeline(), &[]).expect_rows(48);
    let first = fs::File::open(test.out().join(".lock")).unwrap();
    first.lock().unwrap();
    assert_eq!(commit().status.code(), Some(5));
    drop(first);
    assert_eq!(commit().status.code(), Some(0));
}

#[test]
fn data_without_its_plan_is_not_taken_for_a_dataset() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let outcome = test.run(&pipeline(), &[]).expect_rows(1);
    fs::remove_file(outcome.dataset.plan()).unwrap();
    test.run(&pipeline(), &[]).expect_code(5).expect_message("data without a plan").expect_message("--overwrite");
    fs::write(test.out().join("data/part-00007.parquet"), "of an older run").unwrap();
    test.run(&pipeline(), &["--overwrite"]).expect_rows(1);
    assert!(!test.out().join("data/part-00007.parquet").exists());
}

#[test]
fn a_damaged_dataset_is_found_out() {
    let test = CorpusTest::on_sample();
    let outcome = test.run(&pipeline(), &[]).expect_rows(12);
    let out = test.out().display().to_string();
    let verify = || wavemill(&["verify", &out]).output().unwrap();
    assert_eq!(verify().status.code(), Some(0), "{}", String::from_utf8_lossy(&verify().stdout));

    let shard = test.out().join(&outcome.manifest().shards[0].files[0].path);
    let whole = fs::read(&shard).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let record = outcome.dataset.record(0);
    let plan = outcome.dataset.plan();
    let manifest = outcome.dataset.manifest();
    let edited = |from: &str, to: &str| {
        let written = fs::read_to_string(&manifest).unwrap();
        assert!(written.contains(from));
        written.replace(from, to).into_bytes()
    };
    for (file, content, complaint) in [
        (&shard, Some(flipped), "checksum"),
        (&shard, Some(whole[..100].to_vec()), "bytes"),
        (&shard, None, "cannot be read"),
        (&record, None, "cannot be read"),
        (&record, Some(b"{}".to_vec()), "damaged"),
        (&plan, None, "missing"),
        (&outcome.dataset.rejects(), Some(b"{}\n".to_vec()), "line"),
        (&manifest, Some(edited("\"variance\"", "\"variance_\"")), "damaged"),
        (&manifest, Some(edited("\"rejects\": 0", "\"rejects\": 1")), "totals"),
        (&manifest, Some(edited("\"num_mel_bins\": 80", "\"num_mel_bins\": 81")), "hash"),
    ] {
        let before = fs::read(file).unwrap();
        match content {
            Some(content) => fs::write(file, content).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        let found = verify();
        let findings = String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned();
        assert_eq!(found.status.code(), Some(5), "{findings}");
        assert!(
            findings.contains(complaint) && findings.contains(file.to_str().unwrap()),
            "`{complaint}` is not in:\n{findings}"
        );
        fs::write(file, before).unwrap();
    }
    assert_eq!(verify().status.code(), Some(0));
}

#[test]
fn a_row_that_is_not_the_one_of_its_checksum_is_found_out() {
    let test = CorpusTest::on_sample();
    let outcome = test.run(&pipeline(), &[]).expect_rows(12);
    let out = test.out().display().to_string();
    let record = outcome.dataset.record(0);
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let column = written["checksums"]["cells"].as_object().unwrap().keys().next().unwrap().clone();
    let wrong = |checksums: &serde_json::Value| {
        let digits = checksums.as_str().unwrap();
        format!("{}{}", if digits.starts_with('0') { '1' } else { '0' }, &digits[1..])
    };
    let mut rows = written.clone();
    rows["checksums"]["rows"] = wrong(&written["checksums"]["rows"]).into();
    let mut cells = written.clone();
    cells["checksums"]["cells"][&column] = wrong(&written["checksums"]["cells"][&column]).into();
    let mut short = written.clone();
    short["checksums"]["rows"] = written["checksums"]["rows"].as_str().unwrap()[16..].into();
    for (edited, complaint) in [
        (rows, "beside the cells of row 0".to_owned()),
        (cells, format!("the cell of `{column}` in row 0")),
        (short, "has checksums of".to_owned()),
    ] {
        fs::write(&record, edited.to_string()).unwrap();
        let found = wavemill(&["verify", &out]).output().unwrap();
        let findings = String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned();
        assert_eq!(found.status.code(), Some(5), "{findings}");
        assert!(findings.contains(&complaint), "`{complaint}` is not in:\n{findings}");
    }
    // Records of wavemill's first versions have no checksums of rows.
    let mut without = written;
    without.as_object_mut().unwrap().remove("checksums");
    fs::write(&record, without.to_string()).unwrap();
    assert_eq!(wavemill(&["verify", &out]).status().unwrap().code(), Some(0));
}
