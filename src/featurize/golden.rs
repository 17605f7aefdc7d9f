//! For the extractors' tests: extraction in one call, and the references that `make golden` made with the peers.

use serde::de::DeserializeOwned;

use super::{ExtractError, Extractor};
use crate::audio::Hertz;
pub(super) use crate::audio::golden::golden;
use crate::seed::Draws;

pub(super) fn rate(hertz: u32) -> Hertz {
    Hertz::new(hertz).expect("a rate above zero")
}

/// The settings that `json` gives, as the pipeline file would.
pub(super) fn settings<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("valid settings")
}

/// The features of `sound`, taken in as one block.
pub(super) fn extract(extractor: &dyn Extractor, sound: &[f32], rate: Hertz) -> Result<Vec<f32>, ExtractError> {
    extract_in_blocks(extractor, sound, &[], rate)
}

/// The features of `sound`, cut at `cuts`, by an extractor that was at work before.
pub(super) fn extract_in_blocks(
    extractor: &dyn Extractor,
    sound: &[f32],
    cuts: &[usize],
    rate: Hertz,
) -> Result<Vec<f32>, ExtractError> {
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(sound.len())).collect();
    cuts.sort_unstable();
    let mut at_work = extractor.prepare(rate, "featurize.features.0").expect("settings that fit the rate");
    at_work.begin(Draws { seed: 3, id: "before", copy: 0, channel: 0 });
    at_work.push(&[f32::NAN; 3_000], &mut Vec::new());
    let mut out = vec![7.0; 5];
    at_work.begin(Draws { seed: 17, id: "utterance", copy: 0, channel: 0 });
    let mut start = 0;
    for end in cuts.into_iter().chain([sound.len()]) {
        at_work.push(&sound[start..end], &mut out);
        start = end;
    }
    at_work.finish(&mut out)?;
    assert_eq!(out[..5], [7.0; 5], "what was in the vector stays there");
    let features = out.split_off(5);
    let frames = extractor.num_frames(sound.len() as u64, rate);
    assert_eq!(
        features.len() as u64,
        frames * extractor.column().bins.unwrap_or(1) as u64,
        "as many frames as foretold"
    );
    Ok(features)
}

/// How far features are from a reference, at the worst signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Difference {
    /// The largest difference.
    pub(super) max: f64,
    /// The difference that one number in a thousand exceeds.
    pub(super) p999: f64,
    /// The root of the summed squares of the differences, over that of the reference.
    pub(super) relative: f64,
}

/// What is compared: the settings `row` with the references `{member}-{name}-{signal}-{hertz}-{peer}`.
pub(super) struct Case<'a> {
    pub(super) member: &'a str,
    pub(super) name: &'a str,
    pub(super) signals: &'a [&'a str],
    pub(super) hertz: u32,
    pub(super) peer: &'a str,
}

/// The signals at 8 and 16 kHz; at 44.1 kHz there is the chirp alone.
pub(super) const SIGNALS: [&str; 3] = ["chirp", "voiced", "quiet"];

impl Case<'_> {
    /// How far the features are from the references; each signal's figures are printed.
    pub(super) fn difference(&self, extractor: &dyn Extractor) -> Difference {
        let Self { member, name, hertz, peer, .. } = self;
        let mut worst = Difference { max: 0.0, p999: 0.0, relative: 0.0 };
        for signal in self.signals {
            let (_, sound) = golden(&format!("signal-{signal}-{hertz}"));
            let (shape, reference) = golden(&format!("{member}-{name}-{signal}-{hertz}-{peer}"));
            let features = extract(extractor, &sound, rate(*hertz)).expect("features of a good signal");
            let bins = extractor.column().bins.expect("frames of bins");
            assert_eq!(shape, [features.len() / bins, bins], "{name} {signal}");
            let found = Difference::between(&features, &reference);
            println!(
                "{member} {name:<12} {signal:<6} {hertz:>5} {peer:<26} max {:.1e}  p99.9 {:.1e}  relative {:.1e}",
                found.max, found.p999, found.relative
            );
            worst.max = worst.max.max(found.max);
            worst.p999 = worst.p999.max(found.p999);
            worst.relative = worst.relative.max(found.relative);
        }
        worst
    }
}

impl Difference {
    fn between(features: &[f32], reference: &[f32]) -> Self {
        let pairs = features.iter().zip(reference).map(|(&ours, &theirs)| (f64::from(ours), f64::from(theirs)));
        let mut differences: Vec<f64> = pairs.clone().map(|(ours, theirs)| (ours - theirs).abs()).collect();
        assert!(differences.iter().all(|difference| difference.is_finite()), "every number is finite");
        let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>().sqrt();
        let relative = norm(&mut differences.iter().copied()) / norm(&mut pairs.map(|(_, theirs)| theirs));
        differences.sort_by(f64::total_cmp);
        let last = differences.len() - 1;
        Self { max: differences[last], p999: differences[last - differences.len() / 1_000], relative }
    }
}
