//! The same pipeline over the same corpus gives the same bytes, whoever makes them.

use crate::support::{CorpusTest, assert_same_bytes, fbank_pipeline};

/// Many small shards, so that there is an order to get wrong.
fn small_shards() -> String {
    fbank_pipeline("  waveform: [waveform: {}]\nwrite: { parquet: { shard_mib: 1, row_group_mib: 1 } }")
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let one = CorpusTest::on_sample();
    let shards = one.run(&small_shards(), &["--threads", "1"]).expect_rows(12).manifest().shards.len();
    assert!(shards >= 3, "{shards} shards");
    for threads in ["2", "7"] {
        let other = CorpusTest::on_sample();
        other.run(&small_shards(), &["--threads", threads]).expect_rows(12);
        assert_same_bytes(&one.out(), &other.out());
    }
}

#[test]
fn a_second_run_makes_nothing_and_changes_nothing() {
    let test = CorpusTest::on_sample();
    test.run(&small_shards(), &[]).expect_rows(12);
    let before = crate::support::bytes_of(&test.out());
    let again = test.run(&small_shards(), &[]).expect_rows(12);
    assert!(String::from_utf8_lossy(&again.output.stdout).contains("everything was already there"));
    assert!(before == crate::support::bytes_of(&test.out()));
}

#[test]
fn removing_an_utterance_changes_no_other_row() {
    let all = CorpusTest::on_sample();
    let fewer = CorpusTest::on_sample();
    std::fs::remove_file(fewer.corpus().join("alba-02.wav")).unwrap();
    let cells = |test: &CorpusTest, rows: u64| {
        use arrow::array::AsArray;
        let mut cells = std::collections::BTreeMap::new();
        // Dither draws random numbers: they too must not move.
        let pipeline = fbank_pipeline("  dithered: [kaldi_fbank: { dither: 1.0 }]");
        for batch in test.run(&pipeline, &[]).expect_rows(rows).batches() {
            for row in 0..batch.num_rows() {
                let cell = |name: &str| batch.column_by_name(name).unwrap().as_binary::<i64>().value(row).to_vec();
                let key = batch.column_by_name("key").unwrap().as_string::<i32>().value(row).to_owned();
                cells.insert(key, (cell("features"), cell("dithered")));
            }
        }
        cells
    };
    let mut expected = cells(&all, 12);
    expected.remove("alba-02").unwrap();
    assert!(expected == cells(&fewer, 11));
}
