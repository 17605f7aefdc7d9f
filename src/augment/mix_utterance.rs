//! Another speaker talking at once.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bank::{Bank, Source};
use super::level::{is_silent, power, power_of};
use super::mix::{add_scaled, factor_of_snr, into_mono};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Seconds, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Another utterance of the corpus over the clip, softer by a ratio: overlapping speech.
///
/// `y = x + g * v`, with g such that `10 * log10(mean(x^2) / mean((g * v)^2)) = snr_db`, the mean of the clip over all its samples and
/// channels, that of the other over the samples of it that are used. The other is resampled to the clip's rate, mixed to mono
/// and added to all channels alike; it is the utterance as it was, not a variant of it, and may be one that `keep_if` leaves out. The
/// words stay those of the clip.
///
/// The other is drawn by its id and is never the utterance itself. So a row changes if and only if its partner is removed, or an
/// utterance is added that it prefers to it; this is the one augmentation where the utterances of a corpus are not
/// independent of each other. A partner that is silent where it is used (below -180 dB) adds nothing, as it does to a silent
/// clip; the record says `silent`.
///
/// Source: lhotse 1.33 `CutMix` with the corpus itself as noise (there the other's power is that of all of it, even
/// where a part is used); torch-audiomentations 0.12 `Mix` mixes with another of the batch. WavLM trains so
/// (Chen et al., 2022, utterance mixing).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MixUtterance {
    /// The ratio of the clip's power to the other's, in dB, -100 to 200; [10, 20].
    pub snr_db: Range,
    /// Where the two meet.
    pub offset: MixOffset,
    /// How long the clip is afterwards.
    pub pad: MixPad,
    /// Who the other may be.
    pub speaker: MixSpeaker,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// Where a clip and the utterance that is mixed into it meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixOffset {
    /// Both begin at once.
    #[default]
    Start,
    /// The shorter one lies within the longer one at a place that is drawn. With `pad: longest` a longer one begins with the
    /// clip.
    Random,
}

/// How long a clip is after an utterance was mixed into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixPad {
    /// As long as before: a longer utterance is cut.
    #[default]
    Clip,
    /// As long as the longer of the two: the clip is followed by silence (lhotse's `pad_to_longest`). Utterances longer than two
    /// minutes cannot be mixed so, and the next is drawn.
    Longest,
}

/// Whose utterance may be mixed into a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MixSpeaker {
    /// Anyone's.
    #[default]
    Any,
    /// That of another speaker than the clip's, by the corpus's column `speaker`: utterances of unknown speakers are not taken;
    /// where the clip's own is unknown, any is. Without another speaker the row is a reject.
    Other,
}

impl Default for MixUtterance {
    fn default() -> Self {
        Self {
            snr_db: Range::Uniform([10.0, 20.0]),
            offset: MixOffset::default(),
            pad: MixPad::default(),
            speaker: MixSpeaker::default(),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for MixUtterance {
    const EXAMPLE: &'static str = "mix_utterance: { snr_db: [10, 20], offset: random, probability: 0.2 }";
    const PEERS: &'static [&'static str] = &["lhotse.CutMix", "torch_audiomentations.Mix"];
}

impl Augment for MixUtterance {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn source(&self) -> Option<Source<'_>> {
        Some(Source::Utterances)
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("snr_db", &self.snr_db, -100.0, 200.0)
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(MixUtteranceAtWork { settings: self.clone(), bank: setup.bank() })
    }
}

struct MixUtteranceAtWork {
    settings: MixUtterance,
    bank: Arc<Bank>,
}

impl Apply for MixUtteranceAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let MixUtterance { snr_db, offset, pad, speaker, .. } = &self.settings;
        let snr_db = draw.number("snr_db", snr_db);
        let place = draw.unit();
        let bank = &*self.bank;
        let rate = sound.sample_rate;
        let len = sound.num_samples();

        let own = match speaker {
            MixSpeaker::Any => None,
            MixSpeaker::Other => bank.position(draw.id()).and_then(|index| bank.speaker(index)),
        };
        let wanted = |index: usize| own.is_none_or(|own| bank.speaker(index).is_some_and(|other| other != own));
        let begin = if *offset == MixOffset::Start { 0.0 } else { place };
        let (index, (other, start)) = draw.recording_of(bank, wanted, |index| match pad {
            MixPad::Clip => bank.part(index, rate, len, begin),
            MixPad::Longest => bank.whole(index, rate).map(|whole| (Waveform::clone(&whole), 0)),
        })?;
        let other = into_mono(other);
        let places = len.saturating_sub(other.len()) + 1;
        let delay = ((begin * places as f64) as usize).min(places - 1);

        draw.note("audio", bank.name(index));
        draw.note("offset_s", Seconds::of_samples(start as u64, rate).get());
        draw.note("at_s", Seconds::of_samples(delay as u64, rate).get());
        let (reference, added) = (power_of(sound), power(&other));
        if is_silent(reference) || is_silent(added) {
            draw.note("silent", true);
        }
        let factor = factor_of_snr(reference, added, snr_db);
        for channel in &mut sound.channels {
            if *pad == MixPad::Longest {
                channel.resize(len.max(other.len()), 0.0);
            }
            if !is_silent(reference) && !is_silent(added) {
                add_scaled(&mut channel[delay..], &other, factor);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::augment::testing::{WHO, folder, hiss, measured_snr_db, mono, sine, write_wav};
    use crate::augment::{Around, Augmentation, Augmenter, OpenError, Told};
    use crate::load::Load;
    use crate::resample::Method;
    use crate::seed::Draws;
    use crate::variables::Variables;

    /// The utterances `utt-0` and on, of these lengths at 16 kHz.
    fn utterances(lengths: &[usize]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (number, length) in lengths.iter().enumerate() {
            let name = format!("utt-{number}");
            write_wav(&root.path().join(format!("{name}.wav")), &hiss(&name, 0.1, 16_000, *length));
        }
        root
    }

    fn opened(row: MixUtterance, root: &Path) -> Augmenter {
        let variables = Variables::default();
        let table = folder(root).member().read(&variables).unwrap();
        let settings = Augmentation { chain: vec![row.into()], ..Augmentation::default() };
        let load = Load::default();
        let around = Around { variables: &variables, method: Method::default(), utterances: Some((&table, &load)) };
        Augmenter::new(&settings, &settings.open(around).unwrap())
    }

    fn apply(augmenter: &mut Augmenter, sound: &Waveform, id: &str) -> (Waveform, Told) {
        let mut mixed = sound.clone();
        let told = augmenter.apply(&mut mixed, Draws { id, ..WHO }).unwrap();
        (mixed, told)
    }

    fn partner(told: &Told) -> String {
        told.applied[0]["mix_utterance"]["audio"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_ratio_is_exact_and_the_length_stays() {
        let root = utterances(&[1, 5_000, 30_000]);
        let sound = sine(300.0, 0.2, 16_000);
        for offset in [MixOffset::Start, MixOffset::Random] {
            let mut augmenter =
                opened(MixUtterance { snr_db: Range::fixed(12.0), offset, ..MixUtterance::default() }, root.path());
            for number in 0..10 {
                let (mixed, told) = apply(&mut augmenter, &sound, &format!("new-{number}"));
                assert_eq!(mixed.num_samples(), sound.num_samples());
                // The mean of the part that is used: a shorter one fills a share of the clip.
                let share = match partner(&told).as_str() {
                    "utt-0.wav" => 1.0 / 16_000.0,
                    "utt-1.wav" => 5_000.0 / 16_000.0,
                    _ => 1.0_f64,
                };
                let measured = measured_snr_db(&sound, &mixed) + 10.0 * share.log10();
                assert!((measured - 12.0).abs() < 0.01, "{measured}");
                assert_eq!(told.words, crate::audio::Words::Kept);
            }
        }
    }

    #[test]
    fn the_other_lies_where_the_record_says() {
        let root = utterances(&[5_000]);
        let whole = hiss("utt-0", 0.1, 16_000, 5_000).channels.remove(0);
        for (length, offset, pad) in [
            (2_000, MixOffset::Start, MixPad::Clip),
            (2_000, MixOffset::Random, MixPad::Clip),
            (9_000, MixOffset::Random, MixPad::Clip),
            (2_000, MixOffset::Random, MixPad::Longest),
            (9_000, MixOffset::Random, MixPad::Longest),
        ] {
            let sound = mono(16_000, vec![0.5; length]);
            let row = MixUtterance { snr_db: Range::fixed(0.0), offset, pad, ..MixUtterance::default() };
            let (mixed, told) = apply(&mut opened(row, root.path()), &sound, "me");
            let record = &told.applied[0]["mix_utterance"];
            let samples = |key: &str| (record[key].as_f64().unwrap() * 16_000.0).round() as usize;
            let expected_length = if pad == MixPad::Longest { length.max(5_000) } else { length };
            assert_eq!(mixed.num_samples(), expected_length);
            let used = &whole[samples("offset_s")..][..5_000.min(expected_length)];
            let factor = 0.5 / crate::augment::testing::rms(used) as f32;
            for (place, sample) in mixed.channels[0].iter().enumerate() {
                let clip = if place < length { 0.5 } else { 0.0 };
                let other = place.checked_sub(samples("at_s")).and_then(|place| used.get(place)).unwrap_or(&0.0);
                assert!((sample - clip - factor * other).abs() < 1e-5, "sample {place}");
            }
            let drawn = offset == MixOffset::Random && !(pad == MixPad::Longest && length < 5_000);
            assert_eq!(drawn, samples("offset_s") + samples("at_s") > 0);
        }
    }

    #[test]
    fn no_utterance_is_mixed_with_itself_and_all_others_are_drawn() {
        let root = utterances(&[50; 6]);
        let mut augmenter = opened(MixUtterance::default(), root.path());
        let sound = mono(16_000, vec![0.1; 40]);
        let mut counts = BTreeMap::<String, u32>::new();
        for copy in 0..2_000 {
            let told = augmenter.apply(&mut sound.clone(), Draws { id: "utt-3", copy, ..WHO }).unwrap();
            *counts.entry(partner(&told)).or_default() += 1;
        }
        assert_eq!(counts.len(), 5);
        assert!(!counts.contains_key("utt-3.wav"));
        assert!(counts.values().all(|count| (320..480).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_row_changes_only_if_its_partner_is_removed() {
        let (all, fewer) = (utterances(&[500; 8]), utterances(&[500; 7]));
        let sound = sine(300.0, 0.2, 8_000);
        let [mut before, mut after] = [&all, &fewer].map(|root| opened(MixUtterance::default(), root.path()));
        let mut changed = 0;
        for number in 0..7 {
            for copy in 0..20 {
                let id = format!("utt-{number}");
                let [one, other] = [&mut before, &mut after].map(|augmenter| {
                    let mut mixed = sound.clone();
                    let told = augmenter.apply(&mut mixed, Draws { id: &id, copy, ..WHO }).unwrap();
                    (mixed, told)
                });
                changed += u32::from(partner(&one.1) == "utt-7.wav");
                assert_eq!(partner(&one.1) == "utt-7.wav", one != other);
            }
        }
        assert!((8..35).contains(&changed), "{changed} of 140");
    }

    #[test]
    fn one_utterance_alone_has_no_partner_and_a_chain_without_a_pipeline_none() {
        let root = utterances(&[500]);
        let refused = opened(MixUtterance::default(), root.path())
            .apply(&mut sine(300.0, 0.2, 8_000), Draws { id: "utt-0", ..WHO });
        assert!(matches!(refused, Err(AugmentError::NothingToDraw)), "{refused:?}");
        let chain = crate::augment::Chain::of([MixUtterance::default().into()]);
        assert!(matches!(chain.open(&Variables::default()), Err(OpenError::NoUtterances { .. })));
    }

    #[test]
    fn silence_is_left_as_it_is() {
        let root = utterances(&[500]);
        let silence = mono(16_000, vec![0.0; 900]);
        let (same, told) = apply(&mut opened(MixUtterance::default(), root.path()), &silence, "me");
        assert_eq!(same, silence);
        assert_eq!(told.applied[0]["mix_utterance"]["silent"], true);
    }
}
