//! Several processes make one dataset.

use crate::support::{CorpusTest, assert_same_bytes, fbank_pipeline, wavemill};

fn pipeline() -> String {
    fbank_pipeline("  waveform: [waveform: {}]\nwrite: { parquet: { shard_mib: 1 } }")
}

#[test]
fn the_shards_of_several_workers_are_joined_to_the_same_bytes() {
    let whole = CorpusTest::on_sample();
    whole.run(&pipeline(), &[]).expect_rows(12);

    let parts = CorpusTest::on_sample();
    let out = parts.out().display().to_string();
    let commit = || wavemill(&["commit", &out]).output().unwrap();
    for worker in ["1/3", "0/3"] {
        parts.run(&pipeline(), &["--worker", worker]).expect_code(0);
        assert!(!parts.out().join("manifest.json").exists());
        let early = commit();
        assert_eq!(early.status.code(), Some(5));
        assert!(String::from_utf8_lossy(&early.stderr).contains("shards are missing"));
    }
    parts.run(&pipeline(), &["--worker", "2/3"]).expect_code(0);
    assert_eq!(commit().status.code(), Some(0), "{}", String::from_utf8_lossy(&commit().stderr));
    assert_same_bytes(&whole.out(), &parts.out());
}

#[test]
fn threads_are_counted_from_one_to_a_thousand() {
    for threads in ["0", "1025", "100000", "-1"] {
        let test = CorpusTest::on(&["corpus/alba-01.flac"]);
        test.run(&fbank_pipeline(""), &[&format!("--threads={threads}")]).expect_code(2).expect_message("1..=1024");
    }
}

#[test]
fn workers_count_from_zero() {
    CorpusTest::on(&["corpus/alba-01.flac"])
        .run(&pipeline(), &["--worker", "3/3"])
        .expect_code(2)
        .expect_message("from 0 to 2");
}

#[test]
fn workers_may_start_together() {
    for _ in 0..4 {
        let test = CorpusTest::on_sample();
        // The pipeline file is written with each command: all of them stand before the first one starts.
        let commands: Vec<_> = (0..4)
            .map(|worker| test.run_command(&pipeline(), &["--quiet", "--worker", &format!("{worker}/4")]))
            .collect();
        let runs: Vec<_> = commands.into_iter().map(|mut command| command.spawn().unwrap()).collect();
        for mut run in runs {
            assert!(run.wait().unwrap().success());
        }
        let commit = wavemill(&["commit"]).arg(test.out()).output().unwrap();
        assert!(commit.status.success(), "{}", String::from_utf8_lossy(&commit.stderr));
    }
}

#[test]
fn a_worker_with_all_the_bad_files_is_judged_by_the_whole() {
    let test = CorpusTest::on_sample();
    test.add("bad/empty.wav", "a-broken.wav");
    let pipeline = format!("{}load: {{ max_reject_fraction: 0.1 }}\n", pipeline());
    for worker in ["0/3", "1/3", "2/3"] {
        test.run(&pipeline, &["--worker", worker]).expect_code(0);
    }
    assert!(wavemill(&["commit"]).arg(test.out()).status().unwrap().success());
}

#[test]
fn a_worker_does_not_overwrite_what_others_make() {
    CorpusTest::on(&["corpus/alba-01.flac"])
        .run(&pipeline(), &["--worker", "0/2", "--overwrite"])
        .expect_code(2)
        .expect_message("cannot be used with");
}
