//! Parts silenced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::place::{Amount, unless_whole, whole};
use super::seam::{self, Constant, fade_in};
use super::{Apply, Augment, AugmentError, Draw, Location, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// One or several parts of the clip silenced, the same for all channels.
///
/// A mask of `w` samples sets its samples to zero and fades to and from silence within them, over `fade_ms` or half of the mask
/// where that is less. `w` is drawn as a share of the clip (`band_part`) or in milliseconds (`width_ms`), and cut to the
/// clip; the place is uniform among all where the mask fits. Masks may overlap. The transcript stays, as in the recipes that
/// train speech recognition so. `masks_s` of the record holds start and end of each mask; the width
/// that was drawn stands beside it where there is one mask.
///
/// With `{ width_ms: [6.25, 62.5], count: [1, 3], fade_ms: 0 }` it is SpeechBrain's `DropChunk` at 16 kHz without its noise.
/// (The transform `time_mask` hides frames of features.) Source: audiomentations 0.43 `TimeMask`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeMask {
    /// The share of the clip that a mask covers, 0 to 1; [0.01, 0.2] where `width_ms` is not given either.
    pub band_part: Option<Range>,
    /// The width of a mask in ms instead, 0 to 60000.
    pub width_ms: Option<Range>,
    /// How many masks there are, 0 to 1000; 1.
    pub count: Range,
    /// Where masks lie; `random`.
    pub mask_location: Location,
    /// The length of each fade in ms, 0 to 1000; 5. Fades of less than two samples are none.
    pub fade_ms: f64,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for TimeMask {
    fn default() -> Self {
        Self {
            band_part: None,
            width_ms: None,
            count: Range::fixed(1.0),
            mask_location: Location::Random,
            fade_ms: 5.0,
            probability: Probability::ALWAYS,
        }
    }
}

impl TimeMask {
    fn width(&self) -> Amount<'_> {
        Amount {
            part: ("band_part", self.band_part.as_ref()),
            time: ("width_ms", self.width_ms.as_ref(), 1_000.0),
            default: [0.01, 0.2],
        }
    }
}

impl Member for TimeMask {
    const EXAMPLE: &'static str = "time_mask: { band_part: [0.01, 0.2], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.TimeMask", "speechbrain.DropChunk"];
}

impl Augment for TimeMask {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        self.width().check(0.0, 0.0, 60.0)?;
        unless_whole("count", &self.count, 0.0, 1_000.0)?;
        SettingError::unless_within("fade_ms", self.fade_ms, 0.0, 1_000.0).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(TimeMaskAtWork { settings: self.clone(), fade: Vec::new() })
    }
}

struct TimeMaskAtWork {
    settings: TimeMask,
    fade: Vec<f32>,
}

impl Apply for TimeMaskAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let (len, rate) = (sound.num_samples(), sound.sample_rate);
        let longest = seam::samples(self.settings.fade_ms, rate);
        let mut masks = Vec::new();
        let count = whole(&self.settings.count, draw);
        for _ in 0..count {
            let width = self.settings.width();
            // The record has room for one width.
            let width = if count == 1 { width.draw(len, rate, draw) } else { width.draw_silently(len, rate, draw) };
            let width = (width as usize).min(len);
            let start = self.settings.mask_location.start(len, width, draw);
            masks.push([start, start + width].map(|sample| sample as f64 / f64::from(rate.get())));

            let fade = longest.min(width / 2);
            let fade = if fade < 2 { 0 } else { fade };
            if self.fade.len() != fade {
                fade_in(fade, Constant::Gain, &mut self.fade);
            }
            for channel in &mut sound.channels {
                silence(&mut channel[start..start + width], &self.fade);
            }
        }
        draw.note("masks_s", masks.iter().map(|mask| mask.to_vec()).collect::<Vec<_>>());
        Ok(())
    }
}

/// Silences samples, with a fade at either end that is not longer than half of them.
fn silence(samples: &mut [f32], fade: &[f32]) {
    let (out, rest) = samples.split_at_mut(fade.len());
    let (silent, back) = rest.split_at_mut(rest.len() - fade.len());
    silent.fill(0.0);
    for (sample, weight) in out.iter_mut().zip(fade.iter().rev()).chain(back.iter_mut().zip(fade)) {
        *sample *= weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::audio::golden::golden;
    use crate::augment::testing::{WHO, augmenter, is_uniform, mono, told, varied};
    use crate::seed::Draws;

    /// Start and end of each mask of a thousand samples at 1 kHz, for so many utterances.
    fn masks(settings: &TimeMask, utterances: usize) -> Vec<Vec<[f64; 2]>> {
        let mut augmenter = augmenter(settings.clone());
        let clip = mono(1_000, vec![1.0; 1_000]);
        let read = |number| {
            let mut sound = clip.clone();
            let told = augmenter.apply(&mut sound, Draws { id: &format!("utt-{number}"), ..WHO }).unwrap();
            serde_json::from_value(told.applied[0]["time_mask"]["masks_s"].clone()).unwrap()
        };
        (0..utterances).map(read).collect()
    }

    #[test]
    fn the_mask_is_silent_and_all_else_is_as_it_was() {
        let settings = TimeMask { band_part: Some(Range::fixed(0.25)), fade_ms: 0.0, ..TimeMask::default() };
        let (masked, told) = told(settings, &mono(16_000, vec![0.5; 16_000]));
        let [start, end]: [f64; 2] =
            serde_json::from_value(told.applied[0]["time_mask"]["masks_s"][0].clone()).unwrap();
        for (i, sample) in masked.channels[0].iter().enumerate() {
            let inside = (start * 16_000.0..end * 16_000.0).contains(&(i as f64));
            assert_eq!(*sample, if inside { 0.0 } else { 0.5 }, "{i}");
        }
        assert_eq!(masked.channels[0].iter().filter(|sample| **sample == 0.0).count(), 4_000);
        assert_eq!(told.words, Words::Kept);
    }

    #[test]
    fn widths_and_places_are_uniform() {
        let settings = TimeMask { band_part: Some(Range::Uniform([0.05, 0.25])), ..TimeMask::default() };
        let masks = masks(&settings, 10_000);
        let widths: Vec<f64> = masks.iter().map(|masks| masks[0][1] - masks[0][0]).collect();
        let places: Vec<f64> =
            masks.iter().map(|masks| (masks[0][0] + 0.0005) / (1.001 - (masks[0][1] - masks[0][0]))).collect();
        // Ten widths a class, the first and the last width half as likely.
        assert!(is_uniform(&widths.iter().map(|width| width + 1e-5).collect::<Vec<_>>(), 0.05, 0.250_02));
        assert!(is_uniform(&places, 0.0, 1.0));
    }

    #[test]
    fn counts_are_uniform_and_masks_stay_in_the_clip() {
        let settings = TimeMask {
            width_ms: Some(Range::Uniform([10.0, 2_000.0])),
            count: Range::Uniform([0.0, 3.0]),
            ..TimeMask::default()
        };
        let masks = masks(&settings, 10_000);
        let mut counts = [0_i32; 4];
        for masks in &masks {
            counts[masks.len()] += 1;
            assert!(masks.iter().all(|[start, end]| 0.0 <= *start && start <= end && *end <= 1.0));
        }
        // Chi-square of three degrees of freedom, at 0.1 %.
        let distance: f64 = counts.iter().map(|count| f64::from(count - 2_500).powi(2) / 2_500.0).sum();
        assert!(distance < 16.27, "{counts:?}");
    }

    #[test]
    fn the_fades_are_those_of_audiomentations() {
        let (_, signal) = golden("signal-voiced-16000");
        for (name, mask_location, part) in
            [("start", Location::Start, 0.2), ("end", Location::End, 0.1), ("short", Location::Start, 0.005)]
        {
            let (_, expected) = golden(&format!("augment/time_mask-{name}-voiced-16000-audiomentations-0.43.1"));
            let settings = TimeMask { band_part: Some(Range::fixed(part)), mask_location, ..TimeMask::default() };
            let masked = varied(settings, &mono(16_000, signal.clone()));
            let (masked, len) = (&masked.channels[0], expected.len());
            let masked = if name == "end" { &masked[masked.len() - len..] } else { &masked[..len] };
            for (i, (ours, theirs)) in masked.iter().zip(&expected).enumerate() {
                assert!((ours - theirs).abs() <= 1e-6, "{name}, sample {i}: {ours} and {theirs}");
            }
        }
    }

    #[test]
    fn a_clip_of_one_sample_and_one_that_is_masked_whole_stay_clips() {
        for len in [1, 2, 3, 5] {
            for part in [0.0, 0.5, 1.0] {
                let settings = TimeMask { band_part: Some(Range::fixed(part)), ..TimeMask::default() };
                assert_eq!(varied(settings, &mono(8_000, vec![0.5; len])).num_samples(), len);
            }
        }
    }

    #[test]
    fn the_width_of_one_of_several_masks_is_not_recorded() {
        let clip = mono(1_000, vec![1.0; 1_000]);
        let (_, one) = told(TimeMask::default(), &clip);
        assert!(one.applied[0]["time_mask"]["band_part"].is_number());
        let (_, several) = told(TimeMask { count: Range::fixed(3.0), ..TimeMask::default() }, &clip);
        assert_eq!(several.applied[0]["time_mask"]["masks_s"].as_array().unwrap().len(), 3);
        assert!(several.applied[0]["time_mask"].get("band_part").is_none());
    }

    #[test]
    fn a_width_has_one_unit() {
        let both =
            TimeMask { band_part: Some(Range::fixed(0.1)), width_ms: Some(Range::fixed(10.0)), ..TimeMask::default() };
        assert!(both.check(None).is_err());
        assert!(TimeMask { count: Range::fixed(1.5), ..TimeMask::default() }.check(None).is_err());
    }
}
