//! Limits and policies of `load:`: what each leaves out, and what it says.

use crate::support::{CorpusTest, fbank_pipeline};

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
    test.add_wav("many.wav", 16_000, 20, &[0.5; 20 * 16_000]);
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
    test.add_wav("silent.wav", 16_000, 2, &[0.0; 32_000]);
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
