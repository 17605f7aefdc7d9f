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
fn workers_count_from_zero() {
    CorpusTest::on(&["corpus/alba-01.flac"])
        .run(&pipeline(), &["--worker", "3/3"])
        .expect_code(2)
        .expect_message("from 0 to 2");
}
