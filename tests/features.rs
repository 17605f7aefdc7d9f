//! What every extractor and transform promises, whichever it is: tests over the families' lists.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wavemill::audio::Hertz;
use wavemill::featurize::{Extractors, Recipe};
use wavemill::seed::Draws;
use wavemill::transform::{Extract, ExtractError, Transforms};

/// The column that a row of YAML makes: an extractor's alone, a transform's after filter banks.
fn recipe(family: &str, row: &str) -> Result<Recipe, String> {
    let rows = if family == "transform" { format!("[kaldi_fbank: {{}}, {row}]") } else { format!("[{row}]") };
    let rows: serde_json::Value = serde_saphyr::from_str(&rows).unwrap();
    serde_json::from_value(rows.clone()).map_err(|error| format!("{rows}: {error}"))
}

/// Columns whose transforms need all frames in the middle, at the end or nowhere, widen and narrow, or leave none.
const COMBINATIONS: [&str; 8] = [
    "[mfcc: {}, deltas: {}, cmvn: { norm_vars: true }, splice: {}]",
    "[kaldi_fbank: {}, cmvn: {}, stack_frames: {}, cmvn: { over: sliding }, spec_augment: {}]",
    "[kaldi_fbank: {}, subsample: { n: 7, offset: 30 }]",
    "[kaldi_fbank: {}, subsample: { n: 7, offset: 30 }, pad_frames: { to: 100 }]",
    "[kaldi_fbank: {}, crop: { frames: 20 }, deltas: {}, crop: { frames: 7, location: start }, pad_frames: { to: 100 }]",
    "[kaldi_fbank: {}, stack_frames: { stack: 40, remainder: drop }]",
    "[waveform: {}, splice: {}, cmvn: { norm_vars: true }]",
    "[waveform: {}, quantize: { scale: mu_law, low: -1, high: 1, levels: 256 }]",
];

/// Every member of both families, by its example, and by its defaults where those differ and are a column.
fn recipes() -> Vec<(&'static str, Recipe)> {
    let mut recipes: Vec<(&str, Recipe)> = Vec::new();
    for family in [Extractors::FAMILY, Transforms::FAMILY] {
        // A module allocates, and what it makes of odd sound is its own affair.
        for entry in family.entries.iter().filter(|entry| entry.name != "torchscript") {
            let by_example = recipe(family.name, entry.example).unwrap();
            match recipe(family.name, &format!("{}: {{}}", entry.name)) {
                Ok(by_defaults) if by_defaults != by_example && by_defaults.column(Some(rate(16_000))).is_ok() => {
                    recipes.push((entry.name, by_defaults));
                }
                Ok(_) => {}
                Err(error) => assert!(error.contains("missing field"), "{error}"),
            }
            recipes.push((entry.name, by_example));
        }
    }
    for rows in COMBINATIONS {
        let rows: serde_json::Value = serde_saphyr::from_str(rows).unwrap();
        recipes.push(("a combination", serde_json::from_value(rows).unwrap()));
    }
    assert!(recipes.len() > 50, "saw {} recipes", recipes.len());
    recipes
}

fn rate(hertz: u32) -> Hertz {
    Hertz::new(hertz).unwrap()
}

/// A voice of a kind: harmonics of a gliding pitch over noise, `num_samples` long.
fn sound(num_samples: usize) -> Vec<f32> {
    let mut generator = Draws { seed: 17, id: "sound", copy: 0, channel: 0, segment: None }.stage("test");
    let mut phase = 0.0;
    (0..num_samples)
        .map(|n| {
            phase += (150.0 + 60.0 * (n as f64 / 8_000.0).sin()) / 16_000.0 * std::f64::consts::TAU;
            let voice: f64 = (1..8).map(|k| (f64::from(k) * phase).sin() / f64::from(k)).sum();
            (0.1 * voice + 0.003 * generator.normal_pair().0) as f32
        })
        .collect()
}

const DRAWS: Draws<'static> = Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None };

/// What an extractor at work makes of a sound that comes in blocks of these lengths, then the rest.
fn made(at_work: &mut dyn Extract, sound: &[f32], cuts: &[usize], out: &mut Vec<f32>) -> Result<(), ExtractError> {
    out.clear();
    at_work.begin(DRAWS);
    let mut start = 0;
    for end in cuts.iter().copied().chain([sound.len()]) {
        at_work.push(&sound[start..end], out);
        start = end;
    }
    at_work.finish(out)
}

#[test]
fn how_sound_is_cut_into_blocks_changes_no_bit() {
    let sound = sound(9_000);
    let mut runner = TestRunner::new(Config { cases: 12, ..Config::default() });
    for (name, recipe) in recipes() {
        let mut at_work = recipe.prepare(rate(16_000), "featurize.column").unwrap();
        let mut whole = Vec::new();
        made(at_work.as_mut(), &sound, &[], &mut whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bins = recipe.column(Some(rate(16_000))).unwrap().bins.unwrap_or(1);
        let foretold = recipe.num_frames(sound.len() as u64, rate(16_000));
        assert_eq!(whole.len() as u64, foretold * bins as u64, "{name}: as many frames as foretold");
        let cuts = proptest::collection::vec(0..sound.len(), 0..30);
        let at_work = RefCell::new(at_work);
        let cut_there = |mut cuts: Vec<usize>| {
            cuts.sort_unstable();
            let mut out = Vec::new();
            let made = made(at_work.borrow_mut().as_mut(), &sound, &cuts, &mut out);
            made.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(out == whole, "{}", recipe);
            Ok(())
        };
        runner.run(&cuts, cut_there).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn frames_that_are_no_longer_needed_can_be_taken_away() {
    let sound = sound(9_000);
    for (name, recipe) in recipes() {
        let mut at_work = recipe.prepare(rate(16_000), "featurize.column").unwrap();
        let (mut whole, mut out, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        made(at_work.as_mut(), &sound, &[], &mut whole).unwrap();
        at_work.begin(DRAWS);
        for block in sound.chunks(700) {
            at_work.push(block, &mut out);
            if !at_work.needs_all() {
                taken.append(&mut out);
            }
        }
        at_work.finish(&mut out).unwrap();
        taken.append(&mut out);
        assert!(taken == whole, "{name}: {recipe}");
    }
}

#[test]
fn an_extractor_at_work_allocates_nothing_once_it_is_warm() {
    let sound = sound(9_000);
    for (name, recipe) in recipes() {
        let mut at_work = recipe.prepare(rate(16_000), "featurize.column").unwrap();
        let mut out = Vec::new();
        for _ in 0..2 {
            made(at_work.as_mut(), &sound, &[], &mut out).unwrap();
        }
        let counted = allocation_counter::measure(|| made(at_work.as_mut(), &sound, &[4_000], &mut out).unwrap());
        assert_eq!(counted.count_total, 0, "{name}: {recipe}");
    }
}

/// What is asked of every extractor, by name.
fn odd_sounds() -> Vec<(&'static str, Vec<f32>)> {
    let with = |value: f32, at: usize| {
        let mut sound = sound(20_000);
        sound[at] = value;
        sound
    };
    vec![
        ("nothing", vec![]),
        ("one sample", vec![0.25]),
        ("100 samples", sound(100)),
        ("399 samples", sound(399)),
        ("zeros", vec![0.0; 20_000]),
        ("a constant", vec![0.5; 20_000]),
        ("full scale", (0..20_000).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 }).collect()),
        ("NaN", with(f32::NAN, 10_000)),
        ("NaN first", with(f32::NAN, 0)),
        ("infinity", with(f32::INFINITY, 10_000)),
        ("1e30", with(1e30, 10_000)),
        ("subnormal", vec![1e-42; 20_000]),
    ]
}

const PAGE: &str = "docs/odd_inputs.md";
const HEAD: &str = "# Odd inputs\n\nWhat becomes of sound that is hardly any, at 16 kHz and each extractor's defaults: frames, or \
    the code of the reject (`docs/rejects.md`). No cell ever holds a\nNaN or an infinity. Transforms change frames that are \
    there, and refuse what their settings cannot do (`too_few_frames`). Long recordings stream, but for those\nextractors and \
    transforms that need the whole utterance; `too_long` is a cell of more than 1 GiB.\n\nThis page is made by `make docs` \
    from the tests.\n\n";

#[test]
fn odd_sound_gives_finite_frames_or_a_reason() {
    let sounds = odd_sounds();
    let mut page = HEAD.to_owned();
    let names: Vec<&str> = sounds.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(page, "| extractor | {} |", names.join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(names.len()));
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for hertz in [16_000, 8_000, 44_100] {
        for (name, recipe) in recipes() {
            let Ok(mut at_work) = recipe.prepare(rate(hertz), "featurize.column") else {
                assert_ne!(hertz, 16_000, "{name}");
                continue;
            };
            let bins = recipe.column(Some(rate(hertz))).unwrap().bins.unwrap_or(1) as u64;
            let mut cells = Vec::new();
            let mut out = Vec::new();
            for (kind, sound) in &sounds {
                let foretold = recipe.num_frames(sound.len() as u64, rate(hertz));
                cells.push(match made(at_work.as_mut(), sound, &[], &mut out) {
                    Ok(()) => {
                        assert!(!out.is_empty(), "{name} of {kind} at {hertz}: a silent empty row");
                        assert!(out.iter().all(|value| value.is_finite()), "{name} of {kind} at {hertz}: not finite");
                        assert_eq!(out.len() as u64, foretold * bins, "{name} of {kind} at {hertz}");
                        foretold.to_string()
                    }
                    Err(error) => {
                        *codes.entry(error.code()).or_default() += 1;
                        if error.code() == "too_short" || error.code() == "too_few_frames" {
                            assert_eq!(foretold, 0, "{name} of {kind} at {hertz}: {error}, and frames were foretold");
                        }
                        format!("`{}`", error.code())
                    }
                });
            }
            let broken = |kind: &str| cells[names.iter().position(|name| *name == kind).unwrap()].as_str();
            for kind in ["NaN", "NaN first", "infinity"] {
                assert_eq!(broken(kind), "`not_finite`", "{name} of {kind} at {hertz}");
            }
            if hertz == 16_000 && recipe.transforms.is_empty() && !page.contains(&format!("| `{name}` |")) {
                let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
            }
        }
    }
    assert!(codes["too_short"] > 10 && codes["not_finite"] > 10, "{codes:?}");
    if std::env::var_os("MAKE_DOCS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    assert!(fs::read_to_string(PAGE).unwrap_or_default() == page, "{PAGE} is out of date: run `make docs`");
}
