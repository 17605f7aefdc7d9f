//! What a module is, found by running it on noise before any sound is read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::Given;
use super::module::Module;
use super::{Call, ModuleError, ModuleFault, ModuleOutput, Torchscript};
use crate::seed::Draws;
use crate::transform::ExtractError;

/// What a module is: its file's hash and the shapes of what it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// BLAKE3 of the file, in hexadecimal.
    pub blake3: String,
    /// Numbers a frame; none with `output: values`.
    pub bins: Option<u32>,
    /// Two lengths of sound, in samples, the shorter first.
    pub samples: [u64; 2],
    /// The frames that these gave.
    pub frames: [u64; 2],
}

/// Seconds of noise that are tried until the module takes it: some need more than others for their first frame.
const SECONDS: [u64; 3] = [1, 5, 30];

/// Samples that the second noise is longer: a multiple of every usual step from frame to frame, so that the step is found
/// without a remainder.
const LONGER: u64 = 38_400;

impl Probe {
    /// Samples from one frame to the next; none where there are as many frames of every sound.
    pub(super) fn hop(&self) -> Option<f64> {
        let [samples, frames] = [self.samples, self.frames].map(|[short, long]| long.saturating_sub(short));
        (samples > 0 && frames > 0).then(|| samples as f64 / frames as f64)
    }

    /// How many frames `num_samples` samples give, to within a frame or two: it only decides where shards end.
    pub(super) fn num_frames(&self, num_samples: u64) -> u64 {
        let ([short, _], [frames, _]) = (self.samples, self.frames);
        let Some(hop) = self.hop() else { return frames };
        let more = ((num_samples as f64 - short as f64) / hop).floor();
        (frames as f64 + more).max(1.0) as u64
    }
}

impl Torchscript {
    /// What the module is, if it does what the settings say.
    pub(super) fn look_at(&self, module: &Module) -> Result<Probe, ModuleError> {
        let call = self.call().map_err(|fault| fails("noise", &fault))?;
        let rate = u64::from(self.rate_hz.get());
        let run = |noise: &Noise| Self::run_on(module, &call, &[noise]);
        let mut first = Err(ModuleError::Fails { input: "noise".to_owned(), message: "nothing was tried".to_owned() });
        let mut samples = 0;
        for seconds in SECONDS {
            samples = seconds * rate;
            let tried = self.noise(samples, 1).and_then(|noise| Ok((run(&noise)?, noise)));
            // The shortest is what most modules take: why they do not is told of it.
            first = if tried.is_ok() || seconds == SECONDS[0] { tried } else { first };
            if first.is_ok() {
                break;
            }
        }
        let (given, short) = first?;
        let long = self.noise(samples + LONGER, 2)?;
        let (alone, alone_long) = (one(given), one(run(&long)?));
        if one(run(&short)?) != alone {
            return Err(ModuleError::Unsteady);
        }
        if alone.bins != alone_long.bins {
            let message =
                format!("it gives {} numbers a frame, and {} for {}", alone.bins, alone_long.bins, short.name);
            return Err(ModuleError::Fails { input: long.name, message });
        }
        if self.batch.get() > 1 {
            let (other, key, what) = if self.pads() {
                (long, "lengths", "a batch of two lengths")
            } else {
                (self.noise(samples, 3)?, "batch", "a batch of two")
            };
            let other_alone = one(run(&other)?);
            let mixes = || ModuleError::Mixes { batch: what.to_owned(), key };
            let both = Self::run_on(module, &call, &[&short, &other])?;
            let same = both.iter().zip([&alone, &other_alone]).all(|(one, other)| is_nearly(one, other));
            if both.len() != 2 || !same {
                return Err(mixes());
            }
        }
        let bins = u32::try_from(alone.bins).unwrap_or(u32::MAX);
        Ok(Probe {
            blake3: module.hash().to_owned(),
            bins: (self.output != ModuleOutput::Values).then_some(bins),
            samples: [samples, samples + LONGER],
            frames: [alone.frames as u64, alone_long.frames as u64],
        })
    }

    /// What the module gives for noises, every number finite and at least one frame of each.
    fn run_on(module: &Module, call: &Call<'_>, noises: &[&Noise]) -> Result<Vec<Given>, ModuleError> {
        let name = noises.iter().map(|noise| noise.name.as_str()).collect::<Vec<_>>().join(" and ");
        let inputs: Vec<&[f32]> = noises.iter().map(|noise| noise.values.as_slice()).collect();
        let given = module.run(call, &inputs).map_err(|fault| fails(&name, &fault))?;
        for given in &given {
            if given.frames == 0 {
                return Err(ModuleError::Fails { input: name, message: "it gives no frame".to_owned() });
            }
            if given.values.iter().any(|value| !value.is_finite()) {
                return Err(ModuleError::NotFinite { input: name });
            }
        }
        Ok(given)
    }

    /// So many samples of noise, as the rows of `input` make it.
    fn noise(&self, samples: u64, seed: u64) -> Result<Noise, ModuleError> {
        let seconds = samples as f64 / f64::from(self.rate_hz.get());
        let name = format!("{seconds} s of noise");
        let wrong = |message: String| ModuleError::Fails { input: name.clone(), message };
        let mut at_work =
            self.input.prepare(self.rate_hz, "probe").map_err(|wrong_row| wrong(wrong_row.error.to_string()))?;
        let mut values = Vec::new();
        at_work.begin(Draws { seed: 0, id: "probe", copy: 0, channel: 0, segment: None });
        at_work.push(&white(samples, seed), &mut values);
        at_work.finish(&mut values).map_err(|error: ExtractError| wrong(error.to_string()))?;
        Ok(Noise { name, values })
    }
}

/// Noise as the module takes it.
struct Noise {
    name: String,
    values: Vec<f32>,
}

/// Noise of a tenth of full scale, the same each time.
fn white(samples: u64, seed: u64) -> Vec<f32> {
    // The mixing function of SplitMix64 (Steele, Lea and Flood, 2014) over the number of the sample.
    let mixed = |index: u64| {
        let mut z = (index + (seed << 32)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let sample = |index: u64| (mixed(index) >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
    (0..samples).map(|index| 0.1 * sample(index)).collect()
}

/// The one utterance of a batch of one.
fn one(mut given: Vec<Given>) -> Given {
    given.pop().unwrap_or(Given { values: Vec::new(), frames: 0, bins: 0 })
}

/// Whether two outputs are the same but for rounding: a hundredth of the largest number is more than half precision or TF32 does.
fn is_nearly(one: &Given, other: &Given) -> bool {
    let largest = other.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let near = |(one, other): (&f32, &f32)| (one - other).abs() <= 0.01 * largest + 1e-6;
    (one.frames, one.bins) == (other.frames, other.bins) && one.values.iter().zip(&other.values).all(near)
}

fn fails(input: &str, fault: &ModuleFault) -> ModuleError {
    ModuleError::Fails { input: input.to_owned(), message: fault.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_from_frame_to_frame_is_that_of_the_two_lengths() {
        let probe = |frames| Probe { blake3: String::new(), bins: Some(1), samples: [16_000, 54_400], frames };
        let steps = probe([49, 169]);
        assert_eq!(steps.hop(), Some(320.0));
        assert_eq!([0, 16_000, 16_320, 54_400].map(|samples| steps.num_frames(samples)), [1, 49, 50, 169]);
        assert_eq!((probe([1, 1]).hop(), probe([1, 1]).num_frames(99)), (None, 1));
    }

    #[test]
    fn noise_is_the_same_each_time_and_a_tenth_of_full_scale() {
        let noise = white(10_000, 1);
        assert!(noise == white(10_000, 1) && noise != white(10_000, 2));
        let mean = noise.iter().sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.003 && noise.iter().all(|sample| sample.abs() <= 0.1), "{mean}");
    }
}
