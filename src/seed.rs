//! Randomness as a function: what is drawn depends on the seed, the stage, the utterance and the copy, and on nothing
//! else. Adding, removing or reordering utterances, threads or machines changes no other utterance's draw.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Who draws: one copy of one utterance under one pipeline seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws<'a> {
    /// The pipeline's `seed`.
    pub seed: u64,
    /// The utterance's id.
    pub id: &'a str,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// The channel of a recording whose channels are all kept, counted from 0; else 0.
    pub channel: usize,
}

impl Draws<'_> {
    /// The generator of one stage, named by its path in the pipeline file (`featurize.features.0`), for what all channels
    /// share: who speaks, and how.
    #[must_use]
    pub fn stage(&self, path: &str) -> Generator {
        let mut key = blake3::Hasher::new_derive_key("wavemill 2026-11 draws");
        key.update(&self.seed.to_le_bytes());
        key.update(&self.copy.to_le_bytes());
        for part in [path, self.id] {
            key.update(&(part.len() as u64).to_le_bytes());
            key.update(part.as_bytes());
        }
        Generator(ChaCha8Rng::from_seed(*key.finalize().as_bytes()))
    }

    /// The generator of one stage for what each channel has of its own, such as noise; none for channel 0, which goes on
    /// with that of [`stage`](Self::stage).
    #[must_use]
    pub fn channel(&self, path: &str) -> Option<Generator> {
        (self.channel > 0).then(|| self.stage(&format!("{path}.channel.{}", self.channel)))
    }
}

/// A stream of random numbers: the generator is ChaCha8, and the maps to floats are ours, so that no update of a library
/// changes a dataset. (Normal draws use the logarithm and sine of the C library, which `engines` accounts for.)
#[derive(Debug, Clone)]
pub struct Generator(ChaCha8Rng);

impl Generator {
    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Two independent draws from the standard normal distribution (Box and Muller, 1958).
    pub fn normal_pair(&mut self) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        (radius * cos, radius * sin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Draws<'static> = Draws { seed: 17, id: "utt-1", copy: 0, channel: 0 };

    #[test]
    fn the_same_words_draw_the_same_numbers_and_any_other_word_does_not() {
        let first = ONE.stage("featurize.features.0").unit();
        assert_eq!(first, ONE.stage("featurize.features.0").unit());
        for (draws, path) in [
            (Draws { seed: 18, ..ONE }, "featurize.features.0"),
            (Draws { id: "utt-2", ..ONE }, "featurize.features.0"),
            (Draws { copy: 1, ..ONE }, "featurize.features.0"),
            (ONE, "featurize.features.1"),
        ] {
            assert_ne!(first, draws.stage(path).unit());
        }
    }

    #[test]
    fn draws_are_pinned_for_good() {
        let mut generator = ONE.stage("pinned");
        insta::assert_debug_snapshot!([generator.unit(), generator.unit(), generator.normal_pair().0]);
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut generator = ONE.stage("normal");
        let draws: Vec<f64> = (0..50_000).flat_map(|_| <[f64; 2]>::from(generator.normal_pair())).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
    }
}
