//! Every corpus reader over real files, and what of it arrives in the rows.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

use crate::support::{CorpusTest, Outcome, fixture};

fn run(corpus: &str, more: &str) -> (CorpusTest, Outcome) {
    let test = CorpusTest::on_sample();
    let pipeline = format!(
        "version: 1\ncorpus: {{ {corpus} }}\nresample: {{ rate_hz: 16000 }}\nfeaturize:\n  sound: [waveform: {{}}]\n{more}\n"
    );
    let outcome = test.run(&pipeline, &[]).expect_code(0);
    (test, outcome)
}

fn rows(outcome: &Outcome) -> RecordBatch {
    let batches = outcome.batches();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn strings<'a>(rows: &'a RecordBatch, column: &str) -> Vec<Option<&'a str>> {
    rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}")).as_string::<i32>().iter().collect()
}

#[test]
fn a_folder_gives_ids_texts_and_columns_from_names() {
    let (_test, outcome) =
        run(r#"audio_folder: { root: "${CORPUS}", name: "{speaker}-{sentence}" }"#, "select: \"sentence < '03'\"");
    let rows = rows(&outcome);
    assert_eq!(rows.num_rows(), 8);
    assert_eq!(strings(&rows, "id")[0], Some("alba-01"));
    assert_eq!(strings(&rows, "speaker")[0], Some("alba"));
    assert_eq!(strings(&rows, "text")[0], Some("The kettle sings before the rain arrives."));
    assert!(strings(&rows, "augmentation").iter().all(Option::is_none));
}

#[test]
fn a_nemo_manifest_gives_segments_and_its_further_fields() {
    let (_test, outcome) = run(r#"jsonl: { path: "${CORPUS}/manifest.jsonl" }"#, "");
    let rows = rows(&outcome);
    assert_eq!(rows.num_rows(), 13);
    assert!(strings(&rows, "accent").iter().all(Option::is_some));
    let language = strings(&rows, "language");
    assert!(language.contains(&Some("en")) && language.contains(&Some("de")));
    // Durations are those of the segments, in whole samples of 16 kHz.
    let seconds = rows.column_by_name("duration_s").unwrap().as_primitive::<Float64Type>();
    let samples = rows.column_by_name("num_samples").unwrap().as_primitive::<Int64Type>();
    let rates = rows.column_by_name("sample_rate").unwrap().as_primitive::<Int32Type>();
    for row in 0..rows.num_rows() {
        assert_eq!(rates.value(row), 16_000);
        assert_eq!(seconds.value(row), samples.value(row) as f64 / 16_000.0);
    }
    // One recording holds two of the utterances: their sound is cut, and cut where the manifest says.
    let emil = |row: &usize| strings(&rows, "id")[*row].unwrap().starts_with("emil-02");
    let emil: Vec<usize> = (0..13).filter(emil).collect();
    assert_eq!(emil.len(), 2);
    assert!(samples.value(emil[0]) + samples.value(emil[1]) <= 178_977 / 3 + 2);
}

#[test]
fn a_common_voice_table_works_by_mapping_alone() {
    let (_test, outcome) = run(
        r#"table: { path: "${CORPUS}/validated.tsv", audio_root: "${CORPUS}", columns: { audio: path, text: sentence, speaker: client_id, language: locale } }"#,
        "select: \"up_votes > down_votes\"",
    );
    let rows = rows(&outcome);
    assert!(rows.num_rows() > 5, "{} rows", rows.num_rows());
    assert!(strings(&rows, "text").iter().all(Option::is_some));
    assert!(rows.column_by_name("up_votes").unwrap().as_primitive_opt::<Int64Type>().is_some());
}

#[test]
fn a_csv_table_works_by_mapping_alone() {
    let (_test, outcome) = run(
        r#"table: { path: "${CORPUS}/metadata.csv", columns: { audio: path, text: sentence, speaker: client_id, language: locale, duration_s: duration } }"#,
        "",
    );
    assert_eq!(rows(&outcome).num_rows(), 12);
}

#[test]
fn a_librispeech_tree_gives_transcripts_speakers_and_chapters() {
    let root = fixture("librispeech");
    let (_test, outcome) = run(&format!("librispeech: {{ root: \"{}\" }}", root.display()), "");
    let rows = rows(&outcome);
    assert_eq!(rows.num_rows(), 4);
    assert_eq!(strings(&rows, "id")[0], Some("101-2001-0000"));
    assert_eq!(strings(&rows, "speaker")[3], Some("102"));
    assert!(strings(&rows, "text").iter().all(Option::is_some));
    assert!(strings(&rows, "split").iter().all(|split| *split == Some("dev-clean")));
}

#[test]
fn each_channel_can_be_an_utterance_of_its_own() {
    let (_test, outcome) =
        run(r#"audio_folder: { root: "${CORPUS}" }"#, "load: { channels: each }\nselect: \"id LIKE 'greta-01%'\"");
    let rows = rows(&outcome);
    assert_eq!(strings(&rows, "id"), [Some("greta-01-ch0"), Some("greta-01-ch1")]);
    let cells = rows.column_by_name("sound").unwrap().as_binary::<i64>();
    assert_ne!(cells.value(0), cells.value(1));
}

#[test]
fn a_selection_that_does_not_fit_the_corpus_says_which_column_is_near() {
    let test = CorpusTest::on_sample();
    let pipeline = crate::support::fbank_pipeline("select: \"durations > 3\"");
    test.run(&pipeline, &[]).expect_code(3).expect_message("durations").expect_message("did you mean `duration_s`?");
    let pipeline = crate::support::fbank_pipeline("select: \"duration_s > 3000\"");
    test.run(&pipeline, &[]).expect_code(3).expect_message("no utterance is left");
}

#[test]
fn a_wrong_corpus_is_named_with_file_and_line() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let line = r#"{"audio_filepath": "corpus/alba-01.flac", "id": "one"}"#;
    for (lines, complaint) in [
        (format!("{line}\n{line}\n"), "line 2"),
        (format!("{line}\n{{\"audio_filepath\": \n"), "line 2"),
        ("{\"text\": \"no sound\"}\n".to_owned(), "line 1"),
    ] {
        let list = test.folder_file("list.jsonl", &lines);
        let pipeline = crate::support::fbank_pipeline("")
            .replace("audio_folder: { root: \"${CORPUS}\" }", &format!("jsonl: {{ path: \"{}\" }}", list.display()));
        test.run(&pipeline, &[]).expect_code(3).expect_message("list.jsonl").expect_message(complaint);
    }
    test.run(&crate::support::fbank_pipeline("").replace("${CORPUS}", "${CORPUS}/nowhere"), &[])
        .expect_code(3)
        .expect_message("nowhere");
}

#[test]
fn a_column_of_the_corpus_and_a_feature_do_not_share_a_name() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let list = test.folder_file("list.jsonl", "{\"audio_filepath\": \"corpus/alba-01.flac\", \"features\": 3}\n");
    let pipeline = crate::support::fbank_pipeline("")
        .replace("audio_folder: { root: \"${CORPUS}\" }", &format!("jsonl: {{ path: \"{}\" }}", list.display()));
    test.run(&pipeline, &[]).expect_code(3).expect_message("column `features`").expect_message("another name");
}
