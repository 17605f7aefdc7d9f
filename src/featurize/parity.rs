//! Every reference that `make golden` made with the peers, held against wavemill: the table of `docs/parity.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Recipe;
use super::golden::{Difference, PitchDifference, golden, rate};
use crate::seed::Draws;

/// One computation of a peer, on each of its signals at one rate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The row that it is about.
    feature: String,
    #[serde(rename = "case")]
    _name: String,
    /// The column in the pipeline file.
    rows: Value,
    peer: String,
    version: String,
    rate: u32,
    tolerance: Tolerance,
    /// The peer's result by signal.
    files: BTreeMap<String, String>,
}

/// What a difference may be; what is not given is not bounded.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tolerance {
    max: Option<f64>,
    p999: Option<f64>,
    relative: Option<f64>,
    of_peak: Option<f64>,
    /// Of frames of a pitch, a voicing and a probability: the least share of frames of one voicing.
    voicing: Option<f64>,
    /// Of such frames: the most that the pitch may differ by, in 99 of 100 frames voiced in both.
    semitones: Option<f64>,
}

/// What was found of a case: the worst of its signals.
#[derive(Debug, Clone, Copy)]
struct Found {
    all: Difference,
    pitch: PitchDifference,
}

impl Tolerance {
    /// Each bound, and whether what was found keeps it.
    fn bounds(self, found: &Found) -> impl Iterator<Item = (String, bool)> {
        let most = [
            ("max", self.max, found.all.max),
            ("p99.9", self.p999, found.all.p999),
            ("relative", self.relative, found.all.relative),
            ("of peak", self.of_peak, found.all.of_peak),
            ("semitones", self.semitones, found.pitch.semitones),
        ];
        let most = most
            .into_iter()
            .filter_map(|(name, bound, found)| bound.map(|bound| (format!("{name} ≤ {bound:e}"), found <= bound)));
        let least = self.voicing.map(|bound| (format!("voicing ≥ {bound}"), found.pitch.voicing >= bound));
        most.chain(least)
    }

    /// Whether it is one of frames of a pitch, a voicing and a probability.
    const fn is_of_pitch(self) -> bool {
        self.voicing.is_some() || self.semitones.is_some()
    }
}

/// The lists of cases, in the order of their names.
fn cases() -> Vec<Case> {
    let mut lists: Vec<_> = fs::read_dir("fixtures/golden").unwrap().map(|entry| entry.unwrap().path()).collect();
    lists.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    lists.sort();
    let read = |path: &std::path::PathBuf| {
        let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!cases.is_empty(), "{} lists no case", path.display());
        cases
    };
    lists.iter().flat_map(read).collect()
}

impl Case {
    /// The features of a signal: frames of so many numbers.
    fn features(&self, signal: &str) -> (usize, Vec<f32>) {
        let recipe: Recipe =
            serde_json::from_value(self.rows.clone()).unwrap_or_else(|error| panic!("{}: {error}", self.rows));
        let rate = rate(self.rate);
        let (_, sound) = golden(&format!("signal-{signal}-{rate}", rate = rate.get()));
        let mut at_work = recipe.prepare(rate, "featurize.features").expect("settings that fit the rate");
        let mut features = Vec::new();
        at_work.begin(Draws { seed: 17, id: "golden", copy: 0, channel: 0, segment: None });
        at_work.push(&sound, &mut features);
        at_work.finish(&mut features).expect("features of a good signal");
        let bins = recipe.column(Some(rate)).unwrap().bins.unwrap_or(1);
        let frames = recipe.num_frames(sound.len() as u64, rate) as usize;
        assert_eq!(features.len(), frames * bins, "as many frames as foretold");
        (bins, features)
    }

    /// The worst difference over the signals, and the shape of the last.
    fn compare(&self) -> (Found, Vec<usize>) {
        let (mut worst, mut of_last) = (Found { all: Difference::NONE, pitch: PitchDifference::NONE }, Vec::new());
        for (signal, file) in &self.files {
            let (shape, reference) = golden(file.trim_end_matches(".npy"));
            let (bins, features) = self.features(signal);
            assert_eq!(shape, [features.len() / bins, bins], "{file}");
            worst.all = worst.all.worse(Difference::between(&features, &reference));
            if self.tolerance.is_of_pitch() {
                assert_eq!(bins, 3, "{file}: a pitch, a voicing and a probability");
                worst.pitch = worst.pitch.worse(PitchDifference::between(&features, &reference));
            }
            of_last = shape;
        }
        (worst, of_last)
    }

    /// The rows as a pipeline file has them.
    fn yaml(&self) -> String {
        fn flow(value: &Value) -> String {
            match value {
                Value::Object(entries) => {
                    let entries: Vec<String> =
                        entries.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
                    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
                }
                Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            }
        }
        let rows = self.rows.as_array().expect("a list of rows");
        rows.iter()
            .map(flow)
            .map(|row| row.strip_prefix("{ ").and_then(|row| row.strip_suffix(" }")).unwrap_or(&row).to_owned())
            .collect::<Vec<_>>()
            .join(" ► ")
    }

    /// Its row of the table, what was found written by `figure`.
    fn row(&self, shape: &[usize], found: &Found, figure: impl Fn(f64) -> String) -> String {
        let required: Vec<String> = self.tolerance.bounds(found).map(|(bound, _)| bound).collect();
        format!(
            "| `{}` | {} {} | {} | {} × {} | {} | {} | {} | {} | `{}` |",
            self.feature,
            self.peer,
            self.version,
            self.rate,
            shape[0],
            shape[1],
            figure(found.all.max),
            figure(found.all.p999),
            figure(found.all.relative),
            required.join(", "),
            self.yaml()
        )
    }
}

const PAGE: &str = "docs/parity.md";
const HEAD: &str = "# Parity\n\nEvery extractor and transform beside its peer, on signals that wavemill was not tuned to: a \
    chirp over noise, a synthetic voice and the\nnoise of a quiet room (`fixtures/golden/make.py`; one of them at 22.05, 44.1 \
    and 48 kHz). The peers compute in double precision where they\ncan. `make test` holds every row to its bound; the figures \
    are the worst of the signals, `relative` the root of the summed squared differences over\nthat of the reference, `of peak` \
    the largest difference over the reference's largest number, `voicing` the share of frames that both call voiced or \
    neither, `semitones` what the\npitch differs by in 99 of 100 frames that both call voiced. Differences of random members \
    (`spec_augment`) are in their tests.\n\nThis page is made by `make docs` from the tests.\n\n\
    | feature | peer | Hz | frames × bins | max | p99.9 | relative | required | rows |\n\
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

#[test]
fn every_feature_is_its_peers() {
    let (mut page, mut outline, mut wrong) = (HEAD.to_owned(), HEAD.to_owned(), Vec::new());
    let cases = cases();
    assert!(cases.len() >= 20, "saw {} cases", cases.len());
    for case in &cases {
        let (found, shape) = case.compare();
        let row = case.row(&shape, &found, |figure| format!("{figure:.1e}"));
        println!("{row}");
        assert!(case.tolerance.bounds(&found).count() > 0, "a case without a bound: {row}");
        if case.tolerance.bounds(&found).any(|(_, is_kept)| !is_kept) {
            wrong.push(row.clone());
        }
        let _ = writeln!(page, "{row}");
        let _ = writeln!(outline, "{}", case.row(&shape, &found, |_| "…".to_owned()));
    }
    assert!(wrong.is_empty(), "not within their bounds:\n{}", wrong.join("\n"));
    if std::env::var_os("MAKE_DOCS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    // The figures' last bits differ from processor to processor; what is measured must not.
    let written = fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    let without_figures = |line: &str| {
        let mut cells: Vec<&str> = line.split(" | ").collect();
        if cells.len() == 9 && cells[4].parse::<f64>().is_ok() {
            cells[4..7].fill("…");
        }
        cells.join(" | ") + "\n"
    };
    assert!(
        written.lines().map(without_figures).collect::<String>() == outline,
        "{PAGE} is out of date: run `make docs`"
    );
}
