//! A corpus with broken files: each costs one utterance, with a reason.

use crate::support::{CorpusTest, fbank_pipeline};

/// Every file of `fixtures/bad/` with what must become of it: none for a row.
const VERDICTS: &[(&str, Option<&str>)] = &[
    ("claims_4g.wav", Some("truncated")),
    ("data_zero.wav", None),
    ("empty.wav", Some("empty_file")),
    ("flipped.flac", Some("corrupt")),
    ("html.mp3", Some("unknown_format")),
    ("nist.sph", Some("unsupported_format")),
    ("streaming.wav", None),
    ("streaming_sox.wav", None),
    ("text.wav", Some("unknown_format")),
    ("truncated.flac", Some("truncated")),
    ("truncated.mp3", Some("truncated")),
    ("truncated.wav", Some("truncated")),
    ("wrong_extension.wav", None),
    ("zero_channels.wav", Some("corrupt")),
    ("zero_rate.wav", Some("corrupt")),
];

fn pipeline(load: &str) -> String {
    fbank_pipeline(&format!("load: {{ {load} }}"))
        .replace("${CORPUS}\"", "${CORPUS}\", extensions: [wav, flac, mp3, sph]")
}

#[test]
fn every_bad_file_has_its_verdict_and_the_rest_is_made() {
    let names: Vec<String> = VERDICTS.iter().map(|(name, _)| format!("bad/{name}")).collect();
    let test = CorpusTest::on(&names.iter().map(String::as_str).collect::<Vec<_>>());
    // The ids of a folder are names without extension: what is bad in two formats is told apart by a folder's name.
    for name in ["truncated.flac", "truncated.mp3"] {
        std::fs::rename(
            test.corpus().join(name),
            test.corpus().join(name.replace('.', "-.").replace("-.", &format!("-{}.", &name[10..]))),
        )
        .unwrap();
    }
    let outcome = test.run(&pipeline("max_reject_fraction: 1"), &[]).expect_code(0);
    let manifest = outcome.manifest();
    let rejects = outcome.rejects();
    for (name, verdict) in VERDICTS {
        let found = rejects.iter().find(|reject| reject.audio.replace("-flac.", ".").replace("-mp3.", ".") == *name);
        assert_eq!(found.map(|reject| reject.code.as_str()), *verdict, "{name}: {found:#?}");
        assert!(found.is_none_or(|reject| reject.stage == "load" && !reject.message.is_empty()), "{name}");
    }
    assert_eq!(manifest.totals.rows + manifest.totals.rejects, VERDICTS.len() as u64);
    assert_eq!(manifest.totals.utterances, VERDICTS.len() as u64);
    assert_eq!(manifest.totals.rejects, rejects.len() as u64);
    assert_eq!(manifest.totals.rejects_by_code.values().sum::<u64>(), manifest.totals.rejects);
}

#[test]
fn every_bad_file_is_listed_here() {
    let folder = crate::support::fixture("bad");
    let files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let listed: Vec<&str> = VERDICTS.iter().map(|(name, _)| *name).collect();
    assert!(files.len() > 10);
    for file in files.iter().filter(|file| *file != "make.py") {
        assert!(listed.contains(&file.as_str()), "{file} has no verdict");
    }
}

#[test]
fn too_many_rejects_end_the_run_without_a_manifest() {
    let test = CorpusTest::on_sample();
    test.add("bad/empty.wav", "a-broken.wav");
    let outcome = test
        .run(&fbank_pipeline("load: { max_reject_fraction: 0.05 }"), &[])
        .expect_code(4)
        .expect_message("a-broken.wav")
        .expect_message("load: the file is empty")
        .expect_message("max_reject_fraction");
    assert!(!outcome.dataset.manifest().exists());
    test.run(&fbank_pipeline("load: { max_reject_fraction: 0.1 }"), &["--overwrite"]).expect_rows(12).expect_rejected(
        "a-broken.wav",
        "load",
        "empty_file",
    );
}

#[test]
fn on_error_stop_names_the_first_broken_file() {
    let test = CorpusTest::on(&["corpus/alba-01.flac", "bad/empty.wav"]);
    let outcome = test
        .run(&fbank_pipeline("load: { on_error: stop }"), &[])
        .expect_code(3)
        .expect_message("empty.wav: load: the file is empty");
    assert!(!outcome.dataset.manifest().exists());
}

#[test]
fn a_file_that_vanished_after_planning_is_a_reject() {
    let test = CorpusTest::on(&["corpus/alba-01.flac", "corpus/noah-01.wav"]);
    let manifest = test.folder_file("list.jsonl", "{\"audio_filepath\": \"corpus/alba-01.flac\", \"duration\": 2.0}\n{\"audio_filepath\": \"corpus/gone.wav\", \"duration\": 2.0}\n");
    let pipeline = fbank_pipeline("load: { max_reject_fraction: 0.5 }")
        .replace("audio_folder: { root: \"${CORPUS}\" }", &format!("jsonl: {{ path: \"{}\" }}", manifest.display()));
    test.run(&pipeline, &[]).expect_rows(1).expect_rejected("corpus/gone.wav", "load", "not_found");
}

#[test]
fn sound_shorter_than_a_frame_is_a_reject_of_its_column() {
    let test = CorpusTest::on(&["corpus/alba-01.flac"]);
    // A WAV of ten samples.
    let mut wav =
        b"RIFF\x38\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3E\0\0\0\x7D\0\0\x02\0\x10\0data\x14\0\0\0".to_vec();
    wav.extend([7; 20]);
    std::fs::write(test.corpus().join("short.wav"), wav).unwrap();
    test.run(&fbank_pipeline("load: { max_reject_fraction: 0.5 }"), &[]).expect_rows(1).expect_rejected(
        "short.wav",
        "featurize.features",
        "too_short",
    );
}

#[test]
fn a_selection_by_length_leaves_no_unreadable_file_out_unsaid() {
    let test = CorpusTest::on(&["corpus/alba-01.flac", "bad/empty.wav"]);
    test.run(&fbank_pipeline("select: \"duration_s > 1\"\nload: { max_reject_fraction: 0.5 }"), &[])
        .expect_rows(1)
        .expect_rejected("empty.wav", "load", "empty_file");
}

#[test]
fn a_number_too_large_for_half_precision_is_a_reject() {
    let test = CorpusTest::on(&["corpus/alba-01.flac", "corpus/noah-01.wav"]);
    let pipeline = fbank_pipeline("load: { max_reject_fraction: 1 }\nwrite: { parquet: { dtype: f16 } }")
        .replace("num_mel_bins: 80", "use_log_fbank: false");
    test.run(&pipeline, &[]).expect_code(0).expect_rejected("alba-01.flac", "featurize.features", "out_of_range");
}
