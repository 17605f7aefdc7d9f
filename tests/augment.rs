//! Variants and segments: what is drawn for a row depends on that row alone, and is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use proptest::prelude::*;
use wavemill::audio::{Hertz, Waveform};
use wavemill::augment::{Around, Augmentation, Augmenter, Augments};
use wavemill::corpus::{Corpus, CorpusTable};
use wavemill::load::Load;
use wavemill::resample::Method;
use wavemill::seed::Draws;
use wavemill::variables::Variables;

use crate::support::{CorpusTest, Outcome, assert_same_bytes, bytes_of, fbank_pipeline, fixture, wavemill};

/// Five augmentations, three variants of each utterance beside the original.
const FIVE: &str = "augment:
  copies: 3
  chain:
    - speed: { factor: { one_of: [0.9, 1.0, 1.1] } }
    - add_noise: { from: { audio_folder: { root: fixtures/noise } }, snr_db: [5, 20], probability: 0.7 }
    - reverb: { from: { audio_folder: { root: fixtures/rir } }, probability: 0.5 }
    - gain: { gain_db: [-6, 6] }
    - low_pass: { probability: 0.5 }";

fn variables() -> Variables {
    [("NOISE", "fixtures/noise"), ("RIR", "fixtures/rir")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
}

/// Each row's cells and texts by its key.
fn rows(outcome: &Outcome) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for batch in outcome.batches() {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| format!("{:?}", column.slice(row, 1))).collect();
            let key = batch.column_by_name("key").unwrap().as_string::<i32>().value(row).to_owned();
            assert!(rows.insert(key.clone(), cells).is_none(), "{key} twice");
        }
    }
    rows
}

/// A column of texts by key.
fn texts(outcome: &Outcome, column: &str) -> BTreeMap<String, Option<String>> {
    let cells = |batch: &arrow::array::RecordBatch| {
        let (keys, texts) =
            (batch.column_by_name("key").unwrap().clone(), batch.column_by_name(column).unwrap().clone());
        (0..batch.num_rows()).map(move |row| {
            let text = texts.as_string::<i32>();
            (keys.as_string::<i32>().value(row).to_owned(), text.is_valid(row).then(|| text.value(row).to_owned()))
        })
    };
    outcome.batches().iter().flat_map(cells).collect()
}

fn verified(test: &CorpusTest) {
    let output = wavemill(&["verify", test.out().to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn variants_are_the_same_bytes_whoever_makes_them() {
    let one = CorpusTest::on_sample();
    let outcome = one.run(&fbank_pipeline(FIVE), &["--threads", "1"]).expect_rows(48);
    verified(&one);
    for threads in ["2", "7"] {
        let other = CorpusTest::on_sample();
        other.run(&fbank_pipeline(FIVE), &["--threads", threads]).expect_rows(48);
        assert_same_bytes(&one.out(), &other.out());
    }
    // What was drawn is told of the variants, and of nothing else.
    let told = texts(&outcome, "augmentation");
    assert!(told.iter().all(|(key, text)| key.contains('~') == text.is_some()));
    let drawn: BTreeSet<&String> = told.values().flatten().collect();
    assert_eq!(drawn.len(), 36, "two variants with the same draws");
    assert!(drawn.iter().any(|text| text.contains("rain.wav")) && drawn.iter().any(|text| text.contains("cabin.wav")));
}

#[test]
fn any_row_is_made_again_from_the_manifest() {
    let test = CorpusTest::on_sample();
    let keys: Vec<String> = rows(&test.run(&fbank_pipeline(FIVE), &[]).expect_rows(48)).into_keys().collect();
    let (out, corpus) = (test.out(), format!("CORPUS={}", test.corpus().display()));
    let wav = test.folder_file("row.wav", "");
    for key in keys.iter().step_by(5) {
        let arguments = ["replay", out.to_str().unwrap(), key, "--var", &corpus, "--wav", wav.to_str().unwrap()];
        let output = wavemill(&arguments).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{key}: {shown}{}", String::from_utf8_lossy(&output.stderr));
        assert!(shown.contains("the same, byte for byte"), "{shown}");
        assert!(wavemill::load(&wav).unwrap().num_samples() > 8_000);
    }
    // Another noise is another row, and is told.
    let output = wavemill(&["replay", out.to_str().unwrap(), "alba-99~1", "--var", &corpus]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    fs::copy(fixture("corpus/noah-01.wav"), test.corpus().join("alba-02.wav")).unwrap();
    let output = wavemill(&["replay", out.to_str().unwrap(), "alba-02~1", "--var", &corpus]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("came out different, in"), "{output:?}");
}

#[test]
fn what_was_drawn_is_shown() {
    let test = CorpusTest::on_sample();
    test.run(&fbank_pipeline(FIVE), &[]).expect_rows(48);
    let output = wavemill(&["inspect", test.out().to_str().unwrap(), "alba-01~1"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("augmentation         speed  factor: ") && shown.contains("gain  gain_db: "), "{shown}");
}

#[test]
fn originals_can_be_dropped_and_a_grid_multiplies() {
    let grid = "augment:\n  original: drop\n  each: [speed: { factor: 0.9 }, speed: { factor: 1.1 }]";
    let test = CorpusTest::on(&["corpus/noah-01.wav"]);
    let outcome = test.run(&fbank_pipeline(grid), &[]).expect_rows(2);
    let told = texts(&outcome, "augmentation");
    assert_eq!(told.keys().collect::<Vec<_>>(), ["noah-01~1", "noah-01~2"]);
    assert!(told["noah-01~1"].as_ref().unwrap().contains("0.9") && told["noah-01~2"].as_ref().unwrap().contains("1.1"));
    // 33,333 samples at 16 kHz, nine tenths and eleven tenths as fast.
    let length = |batch: &arrow::array::RecordBatch| {
        batch.column_by_name("duration_s").unwrap().as_primitive::<Float64Type>().values().to_vec()
    };
    let lengths: Vec<f64> = outcome.batches().iter().flat_map(length).collect();
    assert_eq!(lengths, [37_037.0 / 16_000.0, 30_303.0 / 16_000.0]);
    verified(&test);
}

#[test]
fn a_text_that_is_no_longer_true_is_null() {
    let cut = "augment:\n  chain: [crop: { duration_s: 0.5 }]";
    let test = CorpusTest::on(&["corpus/noah-01.wav", "corpus/noah-01.txt"]);
    let told = texts(&test.run(&fbank_pipeline(cut), &[]).expect_rows(2), "text");
    assert!(told["noah-01"].is_some() && told["noah-01~1"].is_none(), "{told:?}");
}

#[test]
fn a_bad_noise_is_a_warning_and_the_next_is_drawn() {
    let test = CorpusTest::on_sample();
    let noises = test.corpus().parent().unwrap().join("noises");
    fs::create_dir(&noises).unwrap();
    fs::copy(fixture("noise/rain.wav"), noises.join("rain.wav")).unwrap();
    fs::write(noises.join("torn.wav"), b"RIFF").unwrap();
    let yaml = format!(
        "augment:\n  copies: 3\n  chain: [add_noise: {{ from: {{ audio_folder: {{ root: '{}' }} }} }}]",
        noises.display()
    );
    let outcome = test.run(&fbank_pipeline(&yaml), &[]).expect_rows(48);
    let warnings = outcome.manifest().totals.warnings["recording_unusable"];
    assert!((6..=30).contains(&warnings), "of 36 variants, {warnings} drew the torn one");
    assert!(outcome.stderr().contains("torn.wav"), "{}", outcome.stderr());
    let told = texts(&outcome, "augmentation");
    assert!(told.values().flatten().all(|text| text.contains("rain.wav")));

    fs::remove_file(noises.join("rain.wav")).unwrap();
    let none = CorpusTest::on(&["corpus/noah-01.wav", "corpus/alba-02.wav"]);
    let yaml = format!("load: {{ max_reject_fraction: 1 }}\n{yaml}");
    let outcome = none.run(&fbank_pipeline(&yaml), &[]).expect_rows(2);
    assert_eq!(outcome.rejects().len(), 6);
    assert!(
        outcome.rejects().iter().all(|reject| reject.code == "no_recording" && reject.message.contains("torn.wav"))
    );
    verified(&none);
}

#[test]
fn an_utterance_becomes_its_segments() {
    let cut = "segment:\n  - window: { length_s: 1, hop_s: 0.5, remainder: drop }\naugment:\n  chain: [gain: {}]";
    let test = CorpusTest::on(&["corpus/noah-01.wav", "corpus/noah-01.txt", "corpus/alba-02.wav"]);
    // 33,333 samples at 16 kHz: 2.08 s; 20,649 at 8 kHz: 2.58 s.
    let outcome = test.run(&fbank_pipeline(cut), &[]).expect_rows(2 * (3 + 4));
    verified(&test);
    let told = texts(&outcome, "text");
    assert!(told.contains_key("noah-01@2") && told.contains_key("alba-02@3~1") && !told.contains_key("noah-01@3"));
    assert!(told.values().all(Option::is_none));
    assert_eq!(outcome.manifest().totals.utterances, 4);
    let starts = |batch: &arrow::array::RecordBatch| {
        batch.column_by_name("segment_start_s").unwrap().as_primitive::<Float64Type>().values().to_vec()
    };
    let starts: Vec<f64> = outcome.batches().iter().flat_map(starts).collect();
    assert_eq!(starts[..4], [0.0, 0.5, 1.0, 1.5]);
    let output = wavemill(&[
        "replay",
        test.out().to_str().unwrap(),
        "alba-02@3~1",
        "--var",
        &format!("CORPUS={}", test.corpus().display()),
    ]);
    let output = { output }.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_utterance_without_segments_is_left_out_and_no_fault() {
    let cut = "load: { max_reject_fraction: 0 }\nsegment:\n  - window: { length_s: 2.3, remainder: drop }";
    let test = CorpusTest::on(&["corpus/noah-01.wav", "corpus/alba-02.wav"]);
    test.run(&fbank_pipeline(cut), &[]).expect_rows(1).expect_rejected("noah-01.wav", "segment", "no_segment");
    verified(&test);
}

/// The sample corpus as a table.
fn sample() -> CorpusTable {
    let corpus: Corpus = serde_saphyr::from_str("audio_folder: { root: fixtures/corpus }").unwrap();
    corpus.member().read(&Variables::default()).unwrap()
}

/// A clip of noise that swells and fades, with a pause in it.
fn clip(rate: u32, channels: usize, samples: usize) -> Waveform {
    let mut state = 12_345_u32;
    let mut noise = |at: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let swell = (at as f32 * 6.0 / samples as f32).sin();
        if (samples / 3..samples / 2).contains(&at) { 0.0 } else { swell * (state as f32 / u32::MAX as f32 - 0.5) }
    };
    let channel = |_| (0..samples).map(&mut noise).collect();
    Waveform { sample_rate: Hertz::new(rate).unwrap(), channels: (0..channels).map(channel).collect() }
}

/// One member by its example, ready for a thread.
fn augmenter(example: &str) -> Augmenter {
    let row: Augments = serde_saphyr::from_str(&format!("{{ {example} }}")).unwrap();
    let settings = Augmentation { chain: vec![row], ..Augmentation::default() };
    let (variables, load, table) = (variables(), Load::default(), sample());
    let around = Around { variables: &variables, method: Method::default(), utterances: Some((&table, &load)) };
    Augmenter::new(&settings, &settings.open(around).unwrap())
}

#[test]
fn every_member_does_its_work_on_any_clip_and_the_same_each_time() {
    let clips = [
        clip(16_000, 1, 1),
        clip(16_000, 1, 2),
        clip(16_000, 1, 37),
        clip(8_000, 1, 8_000),
        clip(44_100, 2, 30_000),
        clip(48_000, 1, 70_001),
        clip(16_000, 3, 16_000),
        Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![vec![0.0; 12_000]] },
        Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![vec![1.0; 12_000]] },
    ];
    let mut members = 0;
    for entry in Augments::FAMILY.entries {
        let (mut used, mut refused) = (augmenter(entry.example), 0);
        for (number, clip) in clips.iter().enumerate() {
            for copy in 1..=3 {
                let who = Draws { seed: 7, id: "utt", copy, channel: 0, segment: None };
                let (mut one, mut other) = (clip.clone(), clip.clone());
                let first = used.apply(&mut one, who);
                let again = augmenter(entry.example).apply(&mut other, who);
                match (first, again) {
                    (Ok(first), Ok(again)) => {
                        assert!(one == other && first == again, "{} changes clip {number} unlike before", entry.name);
                        let len = one.num_samples();
                        assert!(
                            one.channels.len() == clip.channels.len() && len > 0,
                            "{} of clip {number}",
                            entry.name
                        );
                        assert!(one.channels.iter().all(|channel| channel.len() == len), "{}", entry.name);
                    }
                    (Err(first), Err(again)) => {
                        assert_eq!(first.to_string(), again.to_string());
                        refused += usize::from(clip.num_samples() > 100);
                    }
                    (first, again) => panic!("{}: {first:?} and {again:?}", entry.name),
                }
            }
        }
        // Nothing is to be left of silence by who trims it; all else has an answer to every clip that is long enough.
        assert!(refused <= 3, "{} refuses {refused} of the longer clips", entry.name);
        members += 1;
    }
    assert!(members > 40, "{members} members");
}

/// A corpus of short sounds in a manifest, in this order: `(id, length in samples)`.
fn short_corpus(utterances: &[(u16, u16)]) -> CorpusTest {
    let test = CorpusTest::on(&[]);
    let mut lines = Vec::new();
    for (id, length) in utterances {
        let tone = |at: u16| (f32::from(at) * (0.01 + f32::from(*id) * 0.001)).sin() * 0.3;
        test.add_wav(&format!("u{id}.wav"), 8_000, 1, &(0..*length).map(tone).collect::<Vec<_>>());
        lines.push(format!("{{\"id\": \"u{id}\", \"audio_filepath\": \"u{id}.wav\", \"text\": \"{id}\"}}\n"));
    }
    fs::write(test.corpus().join("manifest.jsonl"), lines.concat()).unwrap();
    test
}

/// A pipeline over such a corpus whose rows fill several shards.
fn several_shards(more: &str) -> String {
    format!(
        "version: 1
corpus: {{ jsonl: {{ path: \"${{CORPUS}}/manifest.jsonl\" }} }}
resample: {{ rate_hz: 48000 }}
featurize: {{ features: [kaldi_fbank: {{}}], waveform: [waveform: {{ dtype: f32 }}] }}
write: {{ parquet: {{ shard_mib: 1, row_group_mib: 1 }} }}
{more}
"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn no_utterance_changes_the_row_of_another(
        utterances in proptest::collection::btree_map(0_u16..400, 6_000_u16..9_000, 4..8),
        removed in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let all: Vec<(u16, u16)> = utterances.into_iter().collect();
        let kept = all.iter().zip(&removed).filter(|(_, removed)| !**removed).map(|(utterance, _)| *utterance);
        // In another order, too.
        let some: Vec<(u16, u16)> = kept.rev().collect();
        // One alone has nobody to be mixed with.
        prop_assume!(some.len() > 1);
        let yaml = several_shards("augment:
  copies: 2
  order: shuffled
  chain:
    - add_noise: { from: { audio_folder: { root: fixtures/noise } }, probability: 0.8 }
    - mix_utterance: { snr_db: [5, 20], probability: 0.3 }
    - one_of: { transforms: [speed: { factor: [0.8, 1.2] }, time_mask: {}, add_color_noise: {}] }
    - some_of: { number: [1, 2], transforms: [gain: {}, add_gaussian_snr: {}, seven_band_eq: {}] }");
        let (whole, part) = (short_corpus(&all), short_corpus(&some));
        let expected = whole.run(&yaml, &["--threads", "2"]).expect_rows(3 * all.len() as u64);
        prop_assert!(expected.manifest().shards.len() > 1);
        // The rest in two processes.
        for worker in ["0/2", "1/2"] {
            part.run(&yaml, &["--threads", "1", "--worker", worker]).expect_code(0);
        }
        let committed = wavemill(&["commit", part.out().to_str().unwrap()]).output().unwrap();
        prop_assert!(committed.status.success(), "{}", String::from_utf8_lossy(&committed.stderr));
        let outcome = part.run(&yaml, &[]).expect_rows(3 * some.len() as u64);
        let (expected, told) = (rows(&expected), texts(&expected, "augmentation"));
        let gone = |text: &str| {
            all.iter().any(|(id, _)| !some.iter().any(|(kept, _)| kept == id) && text.contains(&format!("u{id}.wav")))
        };
        let mut compared = 0;
        for (key, cells) in rows(&outcome) {
            // A row that was mixed with a removed utterance is mixed with another one now, and no other row changes.
            let before = told[&key].as_deref().unwrap_or_default();
            if !gone(before) {
                prop_assert!(expected[&key] == cells, "{key}: {before}");
                compared += 1;
            }
        }
        // The originals are mixed with nobody.
        prop_assert!(compared >= some.len());
    }
}

#[test]
fn a_segment_is_not_mixed_with_its_own_utterance() {
    let mix =
        "segment: [window: { length_s: 0.1 }]\naugment: { copies: 3, original: drop, chain: [mix_utterance: {}] }";
    let two = short_corpus(&[(1, 2_000), (2, 2_500)]);
    let outcome = two.run(&several_shards(mix), &[]).expect_code(0);
    for (key, told) in texts(&outcome, "augmentation") {
        let other = if key.starts_with("u1@") { "u2.wav" } else { "u1.wav" };
        assert!(told.as_ref().unwrap().contains(other), "{key}: {told:?}");
    }
    verified(&two);
}

#[test]
fn another_speaker_is_another_speaker() {
    let mix = "segment: [window: { length_s: 1 }]\naugment: { copies: 2, original: drop, chain: [mix_utterance: { speaker: other }] }";
    let yaml = fbank_pipeline(mix).replace("audio_folder: { ", "audio_folder: { name: \"{speaker}-{sentence}\", ");
    let test = CorpusTest::on_sample();
    let outcome = test.run(&yaml, &[]).expect_code(0);
    let told = texts(&outcome, "augmentation");
    assert!(told.len() > 48, "{} rows", told.len());
    for (key, told) in told {
        let speaker = key.split('-').next().unwrap();
        assert!(!told.as_ref().unwrap().contains(&format!("\"audio\":\"{speaker}-")), "{key}: {told:?}");
    }
}

#[test]
fn segments_that_fail_are_rejects_of_their_own() {
    // The last of them is shorter than a frame of the features.
    let cut = "load: { max_reject_fraction: 0 }\nsegment: [window: { length_s: 0.12 }]\naugment: { chain: [gain: {}] }";
    let test = short_corpus(&[(1, 2_000), (2, 3_980)]);
    let outcome = test.run(&several_shards(cut), &[]).expect_code(0);
    let rejects: Vec<_> =
        outcome.rejects().iter().map(|reject| (reject.id.clone(), reject.copy, reject.segment)).collect();
    let expected = [("u1", 0, 2), ("u1", 1, 2), ("u2", 0, 4), ("u2", 1, 4)];
    assert_eq!(rejects, expected.map(|(id, copy, segment)| (id.to_owned(), copy, Some(segment))));
    verified(&test);
}

#[test]
fn ids_that_look_like_copies_are_refused_where_they_would_be_taken_for_them() {
    let test = CorpusTest::on(&[]);
    for name in ["a.wav", "a~1.wav"] {
        test.add("corpus/noah-01.wav", name);
    }
    test.run(&fbank_pipeline("augment: { chain: [gain: {}] }"), &[]).expect_code(3).expect_message("copies of `a`");
    test.run(&fbank_pipeline(""), &[]).expect_rows(2);
}

#[test]
fn windows_that_overlap_too_much_are_refused() {
    let cut = "load: { max_reject_fraction: 1 }
segment: [window: { length_s: 1.9, hop_s: 0.004 }, window: { length_s: 1.8, hop_s: 0.004 }, window: { length_s: 1.6, hop_s: 0.004 }]";
    let test = CorpusTest::on(&["corpus/noah-01.wav"]);
    test.run(&fbank_pipeline(cut), &[]).expect_rows(0).expect_rejected("noah-01.wav", "segment", "too_many_segments");
    verified(&test);
}

#[test]
fn a_killed_run_of_variants_goes_on() {
    let (whole, resumed) = (CorpusTest::on_sample(), CorpusTest::on_sample());
    let yaml = fbank_pipeline(&format!(
        "  waveform: [waveform: {{}}]\n{FIVE}\nwrite: {{ parquet: {{ shard_mib: 1, row_group_mib: 1 }} }}"
    ));
    whole.run(&yaml, &[]).expect_rows(48);
    resumed.run(&yaml, &[]).expect_rows(48);
    // As if the run had been killed before two of its shards were committed.
    let records = fs::read_dir(resumed.out().join("shards")).unwrap().count();
    assert!(records >= 4, "{records} shards");
    for shard in ["part-00001.json", "part-00003.json"] {
        fs::remove_file(resumed.out().join("shards").join(shard)).unwrap();
    }
    fs::remove_file(resumed.out().join("manifest.json")).unwrap();
    resumed.run(&yaml, &["--threads", "3"]).expect_rows(48);
    assert_same_bytes(&whole.out(), &resumed.out());
    assert!(!bytes_of(&whole.out()).is_empty() && Path::new("fixtures/noise").exists());
}
