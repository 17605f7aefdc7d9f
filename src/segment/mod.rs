//! Segments: which parts of an utterance's sound become rows.

mod contract;
mod spans;

mod split_on_silence;
mod trim_silence;
mod vad;
mod window;

pub use contract::{Part, Segment, cut, take};
pub use window::Remainder;

use crate::family::family;

family! {
    /// Which parts of an utterance become rows: none, one or several.
    pub enum Segments: Segment = "segment" {
        window: Window,
        trim_silence: TrimSilence,
        split_on_silence: SplitOnSilence,
        vad: Vad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Hertz, Waveform};

    /// Bursts of a tone, 0.4 s of each second, so long.
    fn bursts(rate: u32, num_samples: usize) -> Waveform {
        let sample = |place: usize| {
            let t = place as f64 / f64::from(rate);
            let level = if (0.3..0.7).contains(&t.fract()) { 0.3 } else { 1e-5 };
            (level * (t * 1_500.0).sin()) as f32
        };
        let channel: Vec<f32> = (0..num_samples).map(sample).collect();
        Waveform { sample_rate: Hertz::new(rate).unwrap(), channels: vec![channel.clone(), channel] }
    }

    #[test]
    fn every_example_parses_and_cuts() {
        assert_eq!(Segments::FAMILY.entries.len(), 4);
        for entry in Segments::FAMILY.entries {
            let row: Segments = serde_saphyr::from_str(entry.example).expect(entry.name);
            assert_eq!(row.name(), entry.name);
            assert!(!entry.summary().is_empty(), "{} has no summary", entry.name);
            for rate in [1_000, 8_000, 16_000, 44_100, 48_000] {
                row.member().check(Hertz::new(rate)).expect(entry.name);
                for num_samples in [1, 2, 160, 513, 25 * rate as usize] {
                    let sound = bursts(rate, num_samples);
                    let parts = cut(std::slice::from_ref(&row), &sound, usize::MAX).unwrap();
                    assert!(parts.is_sorted_by_key(|part| part.samples.start));
                    for part in &parts {
                        assert!(!part.samples.is_empty() && part.samples.end <= num_samples, "{part:?}");
                        assert_eq!(take(&sound, part).num_samples(), part.num_samples());
                    }
                    assert!(!parts.is_empty() || num_samples < rate as usize, "{} cuts all away", entry.name);
                }
            }
        }
    }

    #[test]
    fn every_word_of_the_list_has_its_file() {
        let files = std::fs::read_dir("src/segment").unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| !["mod", "contract", "spans"].contains(&name.as_str()))
            .collect();
        files.sort();
        let mut words: Vec<&str> = Segments::FAMILY.entries.iter().map(|entry| entry.name).collect();
        words.sort_unstable();
        assert_eq!(files, words);
    }
}
