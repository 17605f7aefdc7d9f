//! A corpus with broken files: each costs one utterance, with a reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wavemill::manifest::{DatasetFolder, Manifest, Reject};

use crate::support::{CorpusTest, fbank_pipeline, fixture};

/// What must become of every file of `fixtures/bad/`, by code of the reject; `row` where it is readable all the same.
#[rustfmt::skip]
const VERDICTS: &[(&str, &[&str])] = &[
    ("row", &[
        "data_zero.wav", "mp3-headers-only.mp3", "nist.sph", "ogg-opus-claims-2-62.opus", "ogg-opus-negative-end.opus",
        "ogg-opus-skips-all.opus", "ogg-vorbis-comment-4g.ogg", "rf64-no-ds64.wav", "streaming.wav",
        "streaming_sox.wav", "w64-claims-2-63.w64", "wav-ms-coefficients.wav", "wrong_extension.wav",
    ]),
    ("corrupt", &[
        "adts-shot.aac", "aiff-bits-0.aiff", "aiff-bits-65535.aiff", "aiff-cut-comm.aiff", "aiff-cut-form.aiff",
        "aiff-nan-rate.aiff", "aiff-no-comm.aiff", "aiff-zero-channels.aiff", "aiff-zero-rate.aiff",
        "au-2-32-channels.au", "au-cut-header.au", "au-cut-magic.au", "au-offset-0.au", "au-zero-channels.au",
        "au-zero-rate.au", "caf-2-32-channels.caf", "caf-bytes-0.caf", "caf-chunk-negative.caf", "caf-cut-desc.caf",
        "caf-cut-magic.caf", "caf-kuki-huge.caf", "caf-nan-rate.caf", "caf-no-desc.caf", "caf-pakt-2-63.caf",
        "caf-zero-channels.caf", "caf-zero-rate.caf", "flac-block-size-0.flac", "flac-cut-streaminfo.flac",
        "flac-flipped-header.flac", "flac-huge-block.flac", "flac-huge-comment.flac", "flac-no-frames.flac",
        "flac-no-streaminfo.flac", "flac-noise.flac", "flac-other-channels.flac", "flac-zero-rate.flac", "flipped.flac",
        "mp3-cut-header.mp3", "mp3-id3-256-mb.mp3", "mp3-shot.mp3", "mp4-alac-255-channels.m4a", "mp4-alac-bits-0.m4a",
        "mp4-alac-zero-channels.m4a", "mp4-box-2-63.m4a", "mp4-box-huge.m4a", "mp4-box-size-0.m4a",
        "mp4-box-size-1.m4a", "mp4-box-size-7.m4a", "mp4-cut-before-moov.m4a", "mp4-cut-ftyp.m4a",
        "mp4-cut-in-moov.m4a", "mp4-cut-in-tables.m4a", "mp4-cut-mdat.m4a", "mp4-elst-2-32.m4a",
        "mp4-fast-cut-after-moov.m4a", "mp4-fast-cut-early.m4a", "mp4-nested-meta.m4a", "mp4-nested-udta.m4a",
        "mp4-nested.m4a", "mp4-no-stbl.m4a", "mp4-shot-header.m4a", "mp4-shot.m4a", "mp4-stco-2-32.m4a",
        "mp4-stsc-2-32.m4a", "mp4-stsz-2-32.m4a", "mp4-stsz-fixed-2-32.m4a", "mp4-stts-2-32.m4a", "mp4-timescale-0.m4a",
        "noise.ogg", "ogg-flac-cut-no-sound.oga", "ogg-flac-cut-page.oga", "ogg-flac-cut-second-header.oga",
        "ogg-flac-lost-page.oga", "ogg-flac-shot.oga", "ogg-flac-wrong-crc.oga", "ogg-opus-255-channels.opus",
        "ogg-opus-cut-no-sound.opus", "ogg-opus-cut-page.opus", "ogg-opus-cut-second-header.opus",
        "ogg-opus-lost-page.opus", "ogg-opus-mapping-1.opus", "ogg-opus-shot.opus", "ogg-opus-version-255.opus",
        "ogg-opus-wrong-crc.opus", "ogg-opus-zero-channels.opus", "ogg-vorbis-block-sizes.ogg",
        "ogg-vorbis-codebook-noise.ogg", "ogg-vorbis-cut-no-sound.ogg", "ogg-vorbis-cut-page.ogg",
        "ogg-vorbis-cut-second-header.ogg", "ogg-vorbis-lost-page.ogg", "ogg-vorbis-shot.ogg",
        "ogg-vorbis-wrong-crc.ogg", "ogg-vorbis-zero-channels.ogg", "ogg-vorbis-zero-rate.ogg", "rf64-cut-ds64.wav",
        "rf64-zero-rate.wav", "sphere-bytes-0.sph", "sphere-cut-header.sph", "sphere-cut-magic.sph",
        "sphere-header-huge.sph", "sphere-negative-count.sph", "sphere-no-end.sph", "sphere-not-a-number.sph",
        "sphere-prose.sph", "sphere-zero-channels.sph", "sphere-zero-rate.sph", "w64-chunk-size-0.w64",
        "w64-chunk-size-2-64.w64", "w64-cut-fmt.w64", "w64-zero-channels.w64", "w64-zero-rate.w64", "wav-bits-0.wav",
        "wav-bits-255.wav", "wav-block-align-0.wav", "wav-cut-data-size.wav", "wav-cut-fmt.wav", "wav-cut-magic.wav",
        "wav-empty-chunks.wav", "wav-extensible-cut.wav", "wav-fmt-huge.wav", "wav-fmt-short.wav",
        "wav-ima-255-channels.wav", "wav-ima-block-0.wav", "wav-ima-block-1.wav", "wav-ms-block-0.wav",
        "wav-no-data.wav", "wav-no-fmt.wav", "webm-cut-early.webm", "webm-cut-ebml.webm", "webm-cut-no-sound.webm",
        "webm-cut-segment.webm", "webm-cut-tracks.webm", "webm-nan-rate.webm", "webm-nested-tags.webm",
        "webm-private-4g.webm", "webm-shot-header.webm", "webm-shot.webm", "webm-tracks-huge.webm",
        "webm-void-huge.webm", "webm-vorbis-cut-private.webm", "webm-zero-channels.webm", "webm-zero-rate.webm",
        "zero_channels.wav", "zero_rate.wav",
    ]),
    ("empty_file", &[
        "empty.wav",
    ]),
    ("format_changes", &[
        "mp3-rate-changes.mp3",
    ]),
    ("no_audio_track", &[
        "mp4-no-esds.m4a", "mp4-no-track.m4a", "mp4-video-only.mp4", "ogg-theora.ogg", "webm-unknown-codec.webm",
        "webm-video-only.webm",
    ]),
    ("no_samples", &[
        "wav-no-samples.wav", "webm-element-huge.webm",
    ]),
    ("not_a_file", &[
        "folder.wav",
    ]),
    ("not_finite", &[
        "wav-infinite.wav", "wav-nan.wav",
    ]),
    ("not_found", &[
        "link-to-nowhere.wav",
    ]),
    ("rate_out_of_range", &[
        "ogg-vorbis-rate-max.ogg", "wav-rate-max.wav",
    ]),
    ("too_many_channels", &[
        "aiff-255-channels.aiff", "sphere-255-channels.sph", "w64-255-channels.w64", "wav-255-channels.wav",
        "wav-65535-channels.wav", "webm-255-channels.webm",
    ]),
    ("truncated", &[
        "aiff-claims-2-32.aiff", "aiff-cut-early.aiff", "au-claims-4g.au", "au-cut-early.au", "au-offset-2-32.au",
        "caf-chunk-2-63.caf", "caf-cut-early.caf", "claims_4g.wav", "flac-claims-2-36.flac",
        "flac-cut-first-frame.flac", "flac-cut-late.flac", "flac-shot.flac", "mp3-claims-2-32.mp3", "mp3-cut-early.mp3",
        "mp3-id3-huge-frame.mp3", "mp4-offset-beyond.m4a", "mp4-stts-delta-2-32.m4a", "ogg-flac-cut-in-page.oga",
        "ogg-opus-cut-in-page.opus", "ogg-vorbis-cut-in-page.ogg", "rf64-claims-2-63.wav", "rf64-cut-early.wav",
        "sphere-claims-2-32.sph", "sphere-cut-early.sph", "truncated.flac", "truncated.mp3", "truncated.wav",
        "w64-cut-early.w64", "wav-cut-early.wav", "wav-cut-first-sample.wav", "wav-cut-late.wav", "wav-ima-cut.wav",
    ]),
    ("unknown_format", &[
        "adts-cut-first-frame.aac", "adts-cut-header.aac", "adts-frame-length-0.aac", "adts-rate-15.aac", "avi.wav",
        "flac-cut-magic.flac", "flac-is-jpeg.flac", "flac-is-png.flac", "git-lfs.flac", "html.mp3", "json.wav",
        "midi.wav", "mp3-all-ones.mp3", "mp3-cut-first-frame.mp3", "mp3-id3-only.mp3", "mp3-noise.mp3",
        "mp3-sync-words.mp3", "mp3-zeros.mp3", "pdf.mp3", "text.wav", "w64-cut-guid.w64", "wav-one-byte.wav", "zip.wav",
    ]),
    ("unreadable", &[
        "link-to-itself.wav",
    ]),
    ("unsupported_codec", &[
        "aifc-ima4.aifc", "aifc-unknown-codec.aifc", "au-unknown-codec.au", "caf-ima4.caf", "mp4-aac-six.m4a",
        "mp4-ac3.mp4", "mp4-alac-frame-2-32.m4a", "ogg-speex.ogg", "ogg-vorbis-255-channels.ogg", "ogg-vorbis-six.ogg",
        "sphere-shorten.sph", "sphere-unknown-codec.sph", "wav-extensible-unknown.wav", "wav-gsm.wav",
        "wav-unknown-codec.wav",
    ]),
    ("unsupported_format", &[
        "amr.amr", "wavpack.wv", "wma.wma",
    ]),
];

fn verdicts() -> impl Iterator<Item = (&'static str, &'static str)> {
    VERDICTS.iter().flat_map(|(verdict, names)| names.iter().map(move |name| (*name, *verdict)))
}

/// A run over files of `fixtures/`, which keep the names that they have there as ids.
struct ListTest {
    test: CorpusTest,
    pipeline: String,
}

impl ListTest {
    fn on<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let test = CorpusTest::on(&[]);
        let fixtures = fs::canonicalize(fixture("")).unwrap();
        let mut list = String::new();
        for name in names {
            let path = fixtures.join(name);
            let path = path.to_str().unwrap();
            writeln!(list, "{{\"audio_filepath\": {path:?}, \"id\": {name:?}}}").unwrap();
        }
        let list = test.folder_file("list.jsonl", &list);
        let pipeline = fbank_pipeline("load: { max_reject_fraction: 1 }")
            .replace("audio_folder: { root: \"${CORPUS}\" }", &format!("jsonl: {{ path: \"{}\" }}", list.display()));
        Self { test, pipeline }
    }

    fn command(&self) -> Command {
        self.test.run_command(&self.pipeline, &[])
    }

    fn dataset(&self) -> DatasetFolder {
        DatasetFolder::new(self.test.out())
    }
}

#[test]
fn every_bad_file_has_its_verdict_and_the_rest_is_made() {
    let names: Vec<String> = verdicts().map(|(name, _)| format!("bad/{name}")).collect();
    let list = ListTest::on(names.iter().map(String::as_str));
    let output = list.command().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = Manifest::read(&list.dataset()).unwrap();
    let rejects: Vec<Reject> = fs::read_to_string(list.dataset().rejects())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut wrong = Vec::new();
    for (name, verdict) in verdicts() {
        let found = rejects.iter().find(|reject| reject.audio.ends_with(&format!("/{name}")));
        let code = found.map_or("row", |reject| reject.code.as_str());
        if code != verdict {
            let message = found.map_or("", |reject| &reject.message);
            wrong.push(format!("{name}: {code} instead of {verdict} ({message})"));
        }
        if let Some(reject) = found.filter(|reject| reject.stage != "load" || reject.message.is_empty()) {
            wrong.push(format!("{name}: {reject:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), names.len(), wrong.join("\n"));
    assert_eq!(manifest.totals.rows + manifest.totals.rejects, names.len() as u64);
    assert_eq!(manifest.totals.utterances, names.len() as u64);
    assert_eq!(manifest.totals.rejects, rejects.len() as u64);
    assert_eq!(manifest.totals.rejects_by_code.values().sum::<u64>(), manifest.totals.rejects);
}

#[test]
fn every_bad_file_is_listed_here() {
    let entries = fs::read_dir(fixture("bad")).unwrap();
    let files: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "make.py")
        .collect();
    let listed: BTreeSet<String> = verdicts().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(listed.len(), verdicts().count(), "a name is there twice");
    assert_eq!(files, listed);
    let rejected = verdicts().filter(|(_, verdict)| *verdict != "row").count();
    assert!(rejected >= 60, "{rejected} files that are rejected");
    let documented = fs::read_to_string("docs/rejects.md").unwrap();
    for (verdict, _) in VERDICTS.iter().filter(|(verdict, _)| *verdict != "row") {
        assert!(documented.contains(&format!("| `{verdict}` |")), "{verdict} is not in docs/rejects.md");
    }
}

/// The most memory that the command ever held, in KiB. It is ended where it hangs.
fn peak_memory(command: &mut Command) -> u64 {
    // A run takes a second or two: nothing but a hang reaches this.
    const PATIENCE: Duration = Duration::from_mins(2);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (begun, mut peak) = (Instant::now(), 0);
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("a broken file makes it hang");
        }
        // The kernel keeps the highest value, so that no moment between two looks is missed but the last.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let highest = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let highest = highest.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(highest.unwrap_or(0));
        sleep(Duration::from_millis(2));
    };
    assert!(ended.success(), "the run stopped on its way: {ended}");
    peak
}

#[test]
fn no_bad_file_takes_memory_because_its_header_asks_for_it() {
    if !Path::new("/proc/self/status").exists() {
        return;
    }
    let names: Vec<String> = verdicts().map(|(name, _)| format!("bad/{name}")).collect();
    let good = "corpus/alba-01.flac";
    let base = peak_memory(&mut ListTest::on([good].into_iter()).command());
    let with_bad = peak_memory(&mut ListTest::on(names.iter().map(String::as_str).chain([good])).command());
    assert!(base > 1_000, "measured {base} KiB");
    let more = with_bad.saturating_sub(base) / 1_024;
    assert!(more < 100, "{more} MiB more than a good file takes");
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
    fs::write(test.corpus().join("short.wav"), wav).unwrap();
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
