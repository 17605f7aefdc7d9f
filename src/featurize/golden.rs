//! For the extractors' tests: extraction in one call, and the references that `make golden` made with the peers.

use serde::de::DeserializeOwned;

use super::Extractor;
use crate::audio::Hertz;
pub(super) use crate::audio::golden::golden;
use crate::seed::Draws;
use crate::transform::ExtractError;

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
    at_work.begin(Draws { seed: 3, id: "before", copy: 0, channel: 0, segment: None });
    at_work.push(&[f32::NAN; 3_000], &mut Vec::new());
    let mut out = vec![7.0; 5];
    at_work.begin(Draws { seed: 17, id: "utterance", copy: 0, channel: 0, segment: None });
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
        frames * extractor.column(Some(rate)).unwrap().bins.unwrap_or(1) as u64,
        "as many frames as foretold"
    );
    Ok(features)
}

/// How far features are from a reference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Difference {
    /// The largest difference.
    pub(super) max: f64,
    /// The difference that one number in a thousand exceeds.
    pub(super) p999: f64,
    /// The root of the summed squares of the differences, over that of the reference.
    pub(super) relative: f64,
    /// The largest difference over the largest number of the reference.
    pub(super) of_peak: f64,
}

impl Difference {
    pub(super) const NONE: Self = Self { max: 0.0, p999: 0.0, relative: 0.0, of_peak: 0.0 };

    pub(super) fn between(features: &[f32], reference: &[f32]) -> Self {
        let pairs = features.iter().zip(reference).map(|(&ours, &theirs)| (f64::from(ours), f64::from(theirs)));
        let mut differences: Vec<f64> = pairs.clone().map(|(ours, theirs)| (ours - theirs).abs()).collect();
        assert!(differences.iter().all(|difference| difference.is_finite()), "every number is finite");
        let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number * number).sum::<f64>().sqrt();
        let theirs = || pairs.clone().map(|(_, theirs)| theirs);
        let relative = norm(&mut differences.iter().copied()) / norm(&mut theirs());
        differences.sort_by(f64::total_cmp);
        let last = differences.len() - 1;
        let (max, peak) = (differences[last], theirs().map(f64::abs).fold(0.0, f64::max));
        Self { max, p999: differences[last - differences.len() / 1_000], relative, of_peak: max / peak }
    }

    /// The worse of each figure.
    pub(super) fn worse(self, other: Self) -> Self {
        Self {
            max: self.max.max(other.max),
            p999: self.p999.max(other.p999),
            relative: self.relative.max(other.relative),
            of_peak: self.of_peak.max(other.of_peak),
        }
    }
}

/// How far a column of pitch, voicing and its probability is from a reference.
#[derive(Debug, Clone, Copy)]
pub(super) struct PitchDifference {
    /// The share of frames that are voiced in both or in neither.
    pub(super) voicing: f64,
    /// The difference in semitones that no more than one in a hundred of the frames voiced in both exceeds.
    pub(super) semitones: f64,
}

impl PitchDifference {
    pub(super) const NONE: Self = Self { voicing: 1.0, semitones: 0.0 };

    pub(super) fn between(features: &[f32], reference: &[f32]) -> Self {
        let frames = || features.chunks_exact(3).zip(reference.chunks_exact(3));
        let equal = frames().filter(|(ours, theirs)| ours[1] == theirs[1]).count();
        let voiced = frames().filter(|(ours, theirs)| ours[1] == 1.0 && theirs[1] == 1.0);
        let mut semitones: Vec<f64> =
            voiced.map(|(ours, theirs)| 12.0 * f64::from(ours[0] / theirs[0]).log2().abs()).collect();
        semitones.sort_by(f64::total_cmp);
        let number = semitones.len() * 99 / 100;
        let number = if semitones.len().is_multiple_of(100) { number.saturating_sub(1) } else { number };
        let semitones = semitones.get(number).copied().unwrap_or(0.0);
        Self { voicing: equal as f64 / frames().len() as f64, semitones }
    }

    /// The worse of each figure.
    pub(super) fn worse(self, other: Self) -> Self {
        Self { voicing: self.voicing.min(other.voicing), semitones: self.semitones.max(other.semitones) }
    }
}
