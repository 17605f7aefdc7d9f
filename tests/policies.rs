//! Limits and policies of `load:`: what each leaves out, and what it says.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::support::{CorpusTest, Outcome, fbank_pipeline};

/// A second of a tone.
fn tone(rate: u32, channels: u16) -> Vec<f32> {
    let sample = |time: u32| (time as f32 * 440.0 * std::f32::consts::TAU / rate as f32).sin() * 0.5;
    (0..rate).flat_map(|time| (0..channels).map(move |_| sample(time))).collect()
}

fn pipeline(load: &str) -> String {
    fbank_pipeline(&format!("load: {{ max_reject_fraction: 1, {load} }}"))
}

#[test]
fn every_limit_leaves_out_what_passes_it_and_nothing_else() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let long = tone(8_000, 1).repeat(4);
    test.add_wav("good.wav", 16_000, 2, &tone(16_000, 2));
    test.add_wav("long.wav", 8_000, 1, &long);
    test.add_wav("slow.wav", 4_000, 1, &tone(4_000, 1));
    test.add_wav("fast.wav", 96_000, 1, &tone(96_000, 1));
    test.add_wav("many.wav", 16_000, 5, &tone(16_000, 5));
    test.add_wav("heavy.wav", 48_000, 4, &tone(48_000, 4).repeat(2));
    let limits = "max_duration_s: 3.5, max_channels: 4, min_rate_hz: 8000, max_rate_hz: 48000, max_read_mib: 1";
    test.run(&pipeline(limits), &[])
        .expect_rows(2)
        .expect_rejected("long.wav", "load", "too_long")
        .expect_rejected("slow.wav", "load", "rate_out_of_range")
        .expect_rejected("fast.wav", "load", "rate_out_of_range")
        .expect_rejected("many.wav", "load", "too_many_channels")
        .expect_rejected("heavy.wav", "load", "too_much_data");
    test.run(&pipeline(""), &["--overwrite"]).expect_rows(7);
}

#[test]
fn a_header_that_claims_too_many_channels_makes_no_utterances_of_them() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.add_wav("many.wav", 16_000, 20, &vec![0.5; 20 * 16_000]);
    test.run(&pipeline("channels: each, max_channels: 10"), &[]).expect_rows(1).expect_rejected(
        "many.wav",
        "load",
        "too_many_channels",
    );
}

#[test]
fn samples_that_are_not_finite_are_rejected_or_mended() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let mut sound = tone(16_000, 1);
    sound[8_000] = f32::NAN;
    sound[9_000] = f32::INFINITY;
    test.add_wav("nan.wav", 16_000, 1, &sound);
    let outcome = test.run(&pipeline(""), &[]).expect_rows(1).expect_rejected("nan.wav", "load", "not_finite");
    assert_eq!(outcome.rejects()[0].message, "the sample at 0.500 s is not finite");
    test.run(&pipeline("nan: zero"), &["--overwrite"]).expect_rows(2);
}

#[test]
fn digital_silence_is_kept_unless_it_is_not_wanted() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.add_wav("silent.wav", 16_000, 2, &vec![0.0; 32_000]);
    test.run(&pipeline(""), &[]).expect_rows(2);
    test.run(&pipeline("silence: reject"), &["--overwrite"]).expect_rows(1).expect_rejected(
        "silent.wav",
        "load",
        "silent",
    );
}

#[test]
fn a_length_that_is_not_the_headers_is_counted_and_told_with_both_numbers() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.add_wav("short.wav", 16_000, 1, &tone(16_000, 1));
    let path = test.corpus().join("short.wav");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..44 + 4 * 12_000]).unwrap();
    let outcome = test
        .run(&pipeline(""), &[])
        .expect_rows(2)
        .expect_message("short.wav: the header claims 16000 samples a channel, and 12000 came [length_differs]");
    assert_eq!(outcome.manifest().totals.warnings["length_differs"], 1);
    let record = std::fs::read_to_string(outcome.dataset.record(0)).unwrap();
    assert!(record.contains("the header claims 16000 samples"), "{record}");
    let verdict = wavemill::verify::verify(&outcome.dataset).unwrap();
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    test.run(&pipeline("length_tolerance_s: 0.2"), &["--overwrite"]).expect_rows(1).expect_rejected(
        "short.wav",
        "load",
        "truncated",
    );
}

/// The numbers of a column of single numbers, by key.
fn column(outcome: &Outcome, name: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for batch in outcome.batches() {
        let keys = batch.column_by_name("key").unwrap().as_string::<i32>();
        let numbers = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
        let numbers = numbers.as_primitive::<Float64Type>();
        found.extend((0..batch.num_rows()).map(|row| (keys.value(row).to_owned(), numbers.value(row))));
    }
    found
}

#[test]
fn rows_say_how_good_their_sound_is() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let loud: Vec<f32> = tone(16_000, 1).iter().map(|sample| (sample * 4.0).clamp(-1.0, 1.0)).collect();
    test.add_wav("loud.wav", 16_000, 1, &loud);
    test.add_wav("tone.wav", 16_000, 1, &tone(16_000, 1));
    let outcome = test.run(&pipeline("quality: columns"), &[]).expect_rows(3);
    assert!((column(&outcome, "rms_db")["tone"] + 9.0309).abs() < 1e-3);
    assert!((column(&outcome, "peak")["tone"] - 0.5).abs() < 1e-3);
    assert!((0.5..0.7).contains(&column(&outcome, "clipped_fraction")["loud"]));
    assert!(column(&outcome, "snr_db")["alba-01"] > 20.0);
    let manifest = outcome.manifest();
    let schema = |name: &str| manifest.schema.iter().find(|column| column.name == name).unwrap();
    assert_eq!((schema("snr_db").dtype.as_str(), schema("snr_db").unit.as_deref()), ("float64", Some("dB")));
    let verdict = wavemill::verify::verify(&outcome.dataset).unwrap();
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
}

#[test]
fn keep_if_decides_by_the_sound_and_what_it_leaves_out_is_no_fault() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.add_wav("tone.wav", 16_000, 1, &tone(16_000, 1));
    let keep = "keep_if: \"snr_db > ${LEAST} AND id <> 'x'\"\nload: { max_reject_fraction: 0 }";
    let outcome = test
        .run(&fbank_pipeline(keep), &["--var", "LEAST=10"])
        .expect_rows(1)
        .expect_rejected("tone.wav", "keep_if", "not_kept");
    assert!(!outcome.stderr().contains("tone.wav"), "it is no fault: {}", outcome.stderr());
    let message = &outcome.rejects()[0].message;
    assert!(message.contains("snr_db is 0."), "{message}");
    assert!(!outcome.manifest().schema.iter().any(|column| column.name == "snr_db"), "no column was asked for");
    let verdict = wavemill::verify::verify(&outcome.dataset).unwrap();
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    // Another value of the variable is another plan.
    test.run(&fbank_pipeline(keep), &["--var", "LEAST=0"]).expect_code(5).expect_message("snr_db > 0");
    let stop = keep.replace("max_reject_fraction: 0", "on_error: stop");
    test.run(&fbank_pipeline(&stop), &["--var", "LEAST=10", "--overwrite"]).expect_rows(1);
}

#[test]
fn keep_if_of_a_column_that_is_not_there_stops_before_any_sound_is_read() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.run(&fbank_pipeline("keep_if: \"snr > 10\""), &[])
        .expect_code(3)
        .expect_message("`keep_if` does not fit the corpus")
        .expect_message("did you mean `snr_db`?");
}

#[test]
fn all_channels_of_a_recording_can_be_one_row() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let (left, right) = (tone(8_000, 1), vec![0.25; 8_000]);
    let both: Vec<f32> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
    test.add_wav("both.wav", 8_000, 2, &both);
    let yaml = "version: 1
corpus: { audio_folder: { root: \"${CORPUS}\" } }
load: { channels: keep, quality: columns }
featurize: { sound: [waveform: {}], features: [kaldi_fbank: { num_mel_bins: 23 }] }
";
    let outcome = test.run(yaml, &[]).expect_rows(2);
    assert_eq!(column(&outcome, "num_channels"), [("alba-01".to_owned(), 1.0), ("both".to_owned(), 2.0)].into());
    assert_eq!(column(&outcome, "sound_frames")["both"], 8_000.0);
    assert_eq!(column(&outcome, "num_samples")["both"], 8_000.0);
    let manifest = outcome.manifest();
    let shape = |name: &str| manifest.schema.iter().find(|column| column.name == name).unwrap().shape.clone().unwrap();
    assert_eq!((shape("sound"), shape("features")), (vec![-1, -1], vec![-1, -1, 23]));
    for batch in outcome.batches() {
        let keys = batch.column_by_name("key").unwrap().as_string::<i32>();
        let row = (0..batch.num_rows()).find(|row| keys.value(*row) == "both").unwrap();
        let cell = batch.column_by_name("sound").unwrap().as_binary::<i64>().value(row);
        let numbers: Vec<f32> = cell.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(numbers, [left.clone(), right.clone()].concat());
    }
    let verdict = wavemill::verify::verify(&outcome.dataset).unwrap();
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    let shown = crate::support::wavemill(&["inspect"]).arg(test.out()).arg("both").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("sound: 2 channels × 8000 f32"), "{shown}");
}

/// The recording without the length in its header, as an encoder leaves it that writes into a pipe.
fn without_length(flac: &std::path::Path) -> Vec<u8> {
    let mut bytes = std::fs::read(flac).unwrap();
    assert_eq!(&bytes[..4], b"fLaC");
    bytes[21] &= 0xF0; // the 36 bits of STREAMINFO that count samples
    bytes[22..26].fill(0);
    bytes
}

#[test]
fn a_recording_whose_header_tells_no_length_passes_a_selection_by_length() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.add_wav("short.wav", 16_000, 1, &tone(16_000, 1));
    std::fs::write(test.corpus().join("piped.flac"), without_length(&test.corpus().join("alba-01.flac"))).unwrap();
    let select = |sql: &str| fbank_pipeline(&format!("select: \"{sql}\""));
    test.run(&select("duration_s > 2"), &[]).expect_rows(2);
    test.run(&select("duration_s BETWEEN 0.5 AND 1.5"), &["--overwrite"]).expect_rows(2);
    test.run(&select("duration_s > 2 AND id = 'alba-01'"), &["--overwrite"]).expect_rows(1);
    // What was decoded decides in the end.
    let both = "select: \"duration_s BETWEEN 0.5 AND 1.5\"\nkeep_if: \"duration_s < 1.5\"";
    let outcome = test.run(&fbank_pipeline(both), &["--overwrite"]).expect_rows(1);
    let outcome = outcome.expect_rejected("piped.flac", "keep_if", "not_kept");
    let message = &outcome.rejects()[0].message;
    assert!(message.contains("duration_s is ") && !message.contains("NULL"), "{message}");
}

#[test]
fn keep_if_reads_what_the_row_would_say_of_its_sound() {
    let test = CorpusTest::on(&[]);
    test.add_wav("cut.wav", 8_000, 1, &tone(8_000, 1));
    test.add_wav("whole.wav", 8_000, 1, &tone(8_000, 1));
    let path = test.corpus().join("cut.wav");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..44 + 4 * 6_000]).unwrap();
    let keep =
        "keep_if: \"duration_s > 0.9 AND num_samples = 16000 AND sample_rate IN (8000, 16000) AND text IS NULL\"";
    let outcome = test.run(&fbank_pipeline(keep), &[]).expect_rows(1).expect_rejected("cut.wav", "keep_if", "not_kept");
    let message = &outcome.rejects()[0].message;
    assert!(
        message.ends_with("duration_s is 0.7500, num_samples is 12000, sample_rate is 16000, text is NULL"),
        "{message}"
    );
}

#[test]
fn a_length_that_is_not_the_headers_is_told_though_the_corpus_gives_one() {
    let test = CorpusTest::on(&[]);
    test.add_wav("short.wav", 16_000, 1, &tone(16_000, 1));
    let path = test.corpus().join("short.wav");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..44 + 4 * 12_000]).unwrap();
    let manifest = test.folder_file("corpus/all.jsonl", "{\"audio_filepath\": \"short.wav\", \"duration\": 1.0}\n");
    let yaml = format!(
        "version: 1
corpus: {{ jsonl: {{ path: \"{}\" }} }}
featurize: {{ sound: [waveform: {{}}] }}
",
        manifest.display()
    );
    let outcome = test.run(&yaml, &[]).expect_rows(1);
    assert_eq!(outcome.manifest().totals.warnings["length_differs"], 1);
}

#[test]
fn a_dataset_without_a_row_is_called_empty_and_not_old() {
    let test = CorpusTest::on(&["bad/empty.wav"]);
    test.add_wav("tone.wav", 16_000, 1, &tone(16_000, 1));
    let outcome = test.run(&pipeline("length_tolerance_s: 0"), &[]).expect_rows(1);
    let told = |outcome: &Outcome| String::from_utf8_lossy(&outcome.output.stdout).into_owned();
    assert!(told(&outcome).contains("made in") && !told(&outcome).contains("dataset is empty"), "{}", told(&outcome));
    assert!(told(&test.run(&pipeline("length_tolerance_s: 0"), &[])).contains("everything was already there"));
    let none = fbank_pipeline("load: { max_reject_fraction: 1 }\nkeep_if: \"false\"");
    let outcome = test.run(&none, &["--overwrite"]).expect_rows(0);
    assert!(told(&outcome).contains("made in"), "{}", told(&outcome));
    assert!(told(&outcome).contains("the dataset is empty: every utterance was left out"), "{}", told(&outcome));
    let shown = crate::support::wavemill(&["inspect"]).arg(test.out()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("2 left out (") && shown.contains("1 not_kept"), "{shown}");
}

#[test]
fn a_trial_counts_what_keep_if_leaves_out() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    let file = test.pipeline(&fbank_pipeline("keep_if: \"false\""));
    let corpus = format!("CORPUS={}", test.corpus().display());
    let mut plan = crate::support::wavemill(&["plan"]);
    let plan = plan.arg(file).arg("--out").arg(test.out()).args(["--var", &corpus]).output().unwrap();
    let told = String::from_utf8(plan.stdout).unwrap();
    assert!(told.contains("measured on 1 utterance spread"), "{told}");
}

#[test]
fn a_measure_in_select_is_sent_to_keep_if_and_a_column_of_that_name_is_to_be_renamed() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    test.run(&fbank_pipeline("select: \"snr_db > 3\""), &[])
        .expect_code(3)
        .expect_message("`select` reads `snr_db`")
        .expect_message("`keep_if`");
    let manifest = test
        .folder_file("corpus/all.jsonl", "{\"audio_filepath\": \"alba-01.flac\", \"peak\": 1, \"num_channels\": 1}\n");
    let run = |load: &str| {
        let corpus = format!("corpus: {{ jsonl: {{ path: \"{}\" }} }}", manifest.display());
        test.run(&format!("version: 1\n{corpus}\nload: {{ {load} }}\nfeaturize: {{ sound: [waveform: {{}}] }}\n"), &[])
    };
    run("quality: columns").expect_code(3).expect_message("`load.quality: none`").expect_message("column `peak`");
    run("channels: keep").expect_code(3).expect_message("column `num_channels`").expect_message("than `keep`");
}

#[test]
fn events_for_machines_name_no_field_twice() {
    let test = CorpusTest::on(&["bad/empty.wav"]);
    test.add_wav("tone.wav", 16_000, 1, &tone(16_000, 1));
    let outcome = test.run(&pipeline(""), &["--log", "json"]).expect_rows(1);
    let events = outcome.stderr();
    let reject = events.lines().find(|line| line.contains("\"empty.wav\"")).unwrap();
    assert_eq!((reject.matches("\"message\":").count(), reject.matches("\"reason\":").count()), (1, 1), "{reject}");
    let events = test.run(&pipeline(""), &["--log", "json"]).stderr();
    assert!(events.contains("\"hours\":0.0"), "{events}");
}

#[test]
fn check_lists_every_column_that_the_pipeline_adds() {
    let test = CorpusTest::on(&[]);
    let file = test.pipeline(&pipeline("channels: keep, quality: columns"));
    let shown = crate::support::wavemill(&["check", "--var", "CORPUS=x"]).arg(file).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for column in ["num_channels", "peak", "rms_db", "dc_offset", "clipped_fraction", "silence_fraction", "snr_db"] {
        assert!(shown.contains(column), "{column} is not in:\n{shown}");
    }
}
