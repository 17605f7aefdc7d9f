//! Where a recording is silent: levels of frames, and the runs of frames that are not silent.

use std::ops::Range;

use multiversion::multiversion;

use super::Waveform;

/// Frames of so many samples, one hop after the other, each centred on its place: half of the first lies before the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Samples of a frame; not 0.
    pub(crate) frame_length: usize,
    /// Samples from one frame to the next; not 0.
    pub(crate) hop_length: usize,
}

impl Frames {
    /// The mean square of each frame (there are `n / hop_length + 1`), the highest of all channels; silence lies around
    /// the sound.
    pub(crate) fn powers(self, sound: &Waveform) -> Vec<f64> {
        let len = sound.num_samples();
        let pad = self.frame_length / 2;
        let last = (len + 2 * pad).saturating_sub(self.frame_length) / self.hop_length;
        let power = |frame: usize| {
            let begin = frame * self.hop_length;
            let (start, end) = (begin.saturating_sub(pad), (begin + self.frame_length).saturating_sub(pad).min(len));
            let sums = sound.channels.iter().map(|channel| channel.get(start..end).map_or(0.0, sum_of_squares));
            sums.fold(0.0, f64::max) / self.frame_length as f64
        };
        (0..=last).map(power).collect()
    }

    /// The samples of the runs of frames that are so marked: each frame stands for a hop from its centre on.
    pub(crate) fn runs(self, marked: &[bool], num_samples: usize) -> Vec<Range<usize>> {
        let sample = |frame: usize| (frame * self.hop_length).min(num_samples);
        let runs = runs(marked).into_iter().map(|run| sample(run.start)..sample(run.end));
        // The centre of the last frame may be the end of the sound.
        runs.filter(|run| !run.is_empty()).collect()
    }
}

/// Which frames are less than `top_db` below the loudest one; librosa 0.11's definition with all its defaults: powers below
/// 1e-10 (-100 dB) count as that. So nothing is silent in a recording that is itself quieter than `top_db - 100` dB.
pub(crate) fn loud(powers: &[f64], top_db: f64) -> Vec<bool> {
    let reference = powers.iter().copied().fold(LEAST, f64::max);
    let threshold = reference * 10_f64.powf(-top_db / 10.0);
    powers.iter().map(|power| power.max(LEAST) > threshold).collect()
}

/// The least power that is told from silence: `amin` of librosa's `amplitude_to_db`, squared.
const LEAST: f64 = 1e-10;

/// The runs of marks that are set.
pub(crate) fn runs(marked: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (place, _) in marked.iter().enumerate().filter(|(_, marked)| **marked) {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

/// The part from the first to the last of these frames, with `pad` samples more on either side; none where all is silent.
pub(crate) fn trimmed(sound: &Waveform, frames: Frames, top_db: f64, pad: usize) -> Option<Range<usize>> {
    let len = sound.num_samples();
    let marked = loud(&frames.powers(sound), top_db);
    let first = marked.iter().position(|loud| *loud)?;
    let last = marked.iter().rposition(|loud| *loud)?;
    let sample = |frame: usize| (frame * frames.hop_length).min(len);
    let part = sample(first).saturating_sub(pad)..sample(last + 1).saturating_add(pad).min(len);
    (!part.is_empty()).then_some(part)
}

/// The sum of the squares of some samples, in double precision.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn sum_of_squares(samples: &[f32]) -> f64 {
    // Eight sums side by side, which become vectors.
    let mut sums = [0.0_f64; 8];
    let mut blocks = samples.chunks_exact(8);
    for block in &mut blocks {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += f64::from(*sample) * f64::from(*sample);
        }
    }
    let rest: f64 = blocks.remainder().iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Hertz;
    use crate::audio::golden::golden;

    fn sound(channels: Vec<Vec<f32>>) -> Waveform {
        Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels }
    }

    const LIBROSA: Frames = Frames { frame_length: 2_048, hop_length: 512 };

    /// The made signal of `fixtures/golden/augment/silence.py`: bursts of noise of several levels, by a generator that Python
    /// and Rust both have.
    fn bursts() -> Vec<f32> {
        let mut state = 1_u32;
        (0..48_000_usize)
            .map(|place| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f64::from(state >> 8) / f64::from(1_u32 << 23) - 1.0;
                let level = [1e-5, 0.5, 1e-5, 0.02, 1e-3, 0.3, 0.0, 2e-4, 0.1, 1e-4][place / 4_800];
                (noise * level) as f32
            })
            .collect()
    }

    #[test]
    fn intervals_are_those_of_librosa_to_the_sample() {
        let (_, voiced) = golden("signal-voiced-16000");
        let (_, quiet) = golden("signal-quiet-8000");
        let mut beside = bursts();
        beside.reverse();
        let json = std::fs::read_to_string("fixtures/golden/augment/silence-librosa-0.11.0.json").unwrap();
        let cases: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert!(cases.len() > 20, "{} cases", cases.len());
        for case in cases {
            let sound = sound(match case["signal"].as_str().unwrap() {
                "voiced" => vec![voiced.clone()],
                "quiet" => vec![quiet.clone()],
                "bursts" => vec![bursts()],
                "stereo" => vec![bursts(), beside.iter().map(|sample| sample * 0.1).collect()],
                "zeros" => vec![vec![0.0; 5_000]],
                "one" => vec![vec![0.5]],
                other => panic!("{other}"),
            });
            let number = |key: &str| case[key].as_u64().unwrap() as usize;
            let frames = Frames { frame_length: number("frame_length"), hop_length: number("hop_length") };
            let top_db = case["top_db"].as_f64().unwrap();
            let read = |key: &str| serde_json::from_value::<Vec<[usize; 2]>>(case[key].clone()).unwrap();

            let marked = loud(&frames.powers(&sound), top_db);
            let runs = frames.runs(&marked, sound.num_samples());
            let runs: Vec<_> = runs.iter().map(|run| [run.start, run.end]).collect();
            let split: Vec<_> = read("split").into_iter().filter(|[start, end]| start < end).collect();
            assert_eq!(runs, split, "{case}");
            let trim = trimmed(&sound, frames, top_db, 0).map(|part| [part.start, part.end]);
            assert_eq!(trim, read("trim").into_iter().find(|[start, end]| start < end), "{case}");
        }
    }

    #[test]
    fn a_margin_stays_within_the_sound() {
        let clip = sound(vec![bursts()]);
        let bare = trimmed(&clip, LIBROSA, 30.0, 0).unwrap();
        assert_eq!(trimmed(&clip, LIBROSA, 30.0, 100).unwrap(), bare.start - 100..bare.end + 100);
        assert_eq!(trimmed(&clip, LIBROSA, 30.0, usize::MAX).unwrap(), 0..48_000);
    }
}
