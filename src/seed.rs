//! Randomness as a function: what is drawn depends on the seed, the stage, the utterance and the copy, and on nothing
//! else. Adding, removing or reordering utterances, threads or machines changes no other utterance's draw.

use std::f32::consts::FRAC_PI_4;

use multiversion::multiversion;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::spectrum::ln;

/// Who draws: one copy of one utterance under one pipeline seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws<'a> {
    /// The pipeline's `seed`.
    pub seed: u64,
    /// The utterance's id.
    pub id: &'a str,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
    /// The number of the segment, where the utterance is cut into several.
    pub segment: Option<u32>,
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
        if let Some(segment) = self.segment {
            key.update(&segment.to_le_bytes());
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

/// Pairs that are made at once: so many that a block's set-up costs nothing, so few that all of it stays in the first cache.
const PAIRS: usize = 256;

/// Normal draws of one block.
const BLOCK: usize = 2 * PAIRS;

/// The random bytes of one block: 32 bits for each radius, one of which is left, then 32 for each angle.
const BYTES: usize = BLOCK * size_of::<u32>();

impl Generator {
    /// Fills `out` with independent draws from the standard normal distribution, in single precision and the same bits on every
    /// processor; the first draws of a longer slice are those of a shorter one. The generator goes on behind the whole
    /// blocks of 512 draws that this takes.
    ///
    /// Box and Muller (1958) over 31 bits for the radius and 32 for the angle, so that no draw is beyond 6.66: one normal draw in
    /// 4e10 would be.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        let mut random = [0; BYTES];
        let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
        for block in blocks {
            self.0.fill_bytes(&mut random);
            normal_block(&random, block);
        }
        if !rest.is_empty() {
            let mut block = [0.0; BLOCK];
            self.0.fill_bytes(&mut random);
            normal_block(&random, &mut block);
            rest.copy_from_slice(&block[..rest.len()]);
        }
    }
}

/// A block of normal draws from random bytes: the pairs' first draws, then their second ones.
///
/// The angle is drawn from the quarter of the circle around 0, where short polynomials suffice (those of `sinf.c` in the Cephes
/// library; Moshier, 1992, netlib.org/cephes), and two further bits turn that into the other quarters.
#[multiversion(targets("x86_64+avx2"))]
#[expect(clippy::excessive_precision, reason = "coefficients are written as their source has them")]
fn normal_block(random: &[u8; BYTES], block: &mut [f32; BLOCK]) {
    const SIN: [f32; 3] = [-1.951_529_589_1e-4, 8.332_160_873_6e-3, -1.666_665_461_1e-1];
    const COS: [f32; 3] = [2.443_315_711_809_948e-5, -1.388_731_625_493_765e-3, 4.166_664_568_298_827e-2];
    /// Half of the step of 31 bits: keeps the logarithm's argument above zero.
    const HALF_STEP: f32 = 1.0 / (1_u64 << 32) as f32;
    const TO_UNIT: f32 = 1.0 / (1_u32 << 31) as f32;
    const TO_ANGLE: f32 = FRAC_PI_4 / (1_u32 << 31) as f32;

    let (radii, angles) = random.as_chunks::<4>().0.split_at(PAIRS);
    let (ones, others) = block.split_at_mut(PAIRS);
    for (((radius, angle), one), other) in radii.iter().zip(angles).zip(ones).zip(others) {
        // 31 bits, for no vector instruction of AVX2 makes floats of unsigned numbers.
        let unit = (u32::from_le_bytes(*radius) >> 1) as i32 as f32 * TO_UNIT + HALF_STEP;
        let radius = (-2.0 * ln(unit)).max(0.0).sqrt();

        let angle = u32::from_le_bytes(*angle);
        let x = (angle << 2) as i32 as f32 * TO_ANGLE;
        let square = x * x;
        let sin = ((SIN[0] * square + SIN[1]) * square + SIN[2]) * square * x + x;
        let cos = ((COS[0] * square + COS[1]) * square + COS[2]) * square * square - 0.5 * square + 1.0;

        let (cos, sin) = ((radius * cos).to_bits(), (radius * sin).to_bits());
        let swapped = 0_u32.wrapping_sub(angle >> 31) & (cos ^ sin);
        let sign = (angle << 1) & (1 << 31);
        *one = f32::from_bits(cos ^ swapped ^ sign);
        *other = f32::from_bits(sin ^ swapped ^ sign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Draws<'static> = Draws { seed: 17, id: "utt-1", copy: 0, channel: 0, segment: None };

    #[test]
    fn the_same_words_draw_the_same_numbers_and_any_other_word_does_not() {
        let first = ONE.stage("featurize.features.0").unit();
        assert_eq!(first, ONE.stage("featurize.features.0").unit());
        for (draws, path) in [
            (Draws { seed: 18, ..ONE }, "featurize.features.0"),
            (Draws { id: "utt-2", ..ONE }, "featurize.features.0"),
            (Draws { copy: 1, ..ONE }, "featurize.features.0"),
            (Draws { segment: Some(0), ..ONE }, "featurize.features.0"),
            (Draws { segment: Some(1), ..ONE }, "featurize.features.0"),
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

    fn generator() -> Generator {
        ONE.stage("noise")
    }

    fn draws(number: usize) -> Vec<f64> {
        let mut draws = vec![0.0; number];
        generator().fill_normal(&mut draws);
        draws.into_iter().map(f64::from).collect()
    }

    /// The share of a standard normal distribution below `x`: the series of Marsaglia (2004), exact to 1e-14 for |x| < 6.
    fn below(x: f64) -> f64 {
        let (mut sum, mut term, mut divisor) = (x, x, 1.0);
        while term.abs() > 1e-17 {
            divisor += 2.0;
            term *= x * x / divisor;
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
    }

    #[test]
    fn the_moments_are_those_of_the_normal_distribution() {
        const NUMBER: usize = 4_000_000;
        let draws = draws(NUMBER);
        let moment = |power: i32| draws.iter().map(|draw| draw.powi(power)).sum::<f64>() / NUMBER as f64;
        // Four standard errors of each: those of moment k are the root of (E x^2k - (E x^k)^2) / n.
        for (power, expected, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0_f64)]
        {
            let bound = 4.0 * (variance / NUMBER as f64).sqrt();
            assert!((moment(power) - expected).abs() < bound, "moment {power}: {}", moment(power));
        }
    }

    #[test]
    fn every_class_has_its_share_out_into_the_tails() {
        const NUMBER: usize = 4_000_000;
        // Bounds from -4.5 to 4.5 by quarters: 38 classes, whose chi-square of 37 degrees of freedom has its 99.9 % point at 69.3.
        let bounds: Vec<f64> = (-18..=18).map(|quarter| f64::from(quarter) / 4.0).collect();
        let mut counts = vec![0_u32; bounds.len() + 1];
        for draw in draws(NUMBER) {
            counts[bounds.partition_point(|bound| *bound <= draw)] += 1;
        }
        let mut chi_square = 0.0;
        for (class, count) in counts.iter().enumerate() {
            let low = class.checked_sub(1).map_or(0.0, |place| below(bounds[place]));
            let high = bounds.get(class).map_or(1.0, |bound| below(*bound));
            let expected = (high - low) * NUMBER as f64;
            chi_square += (f64::from(*count) - expected).powi(2) / expected;
        }
        assert!(chi_square < 69.3, "{chi_square}");
    }

    #[test]
    fn the_two_draws_of_a_pair_and_neighbours_are_independent() {
        let draws = draws(2_000_000);
        let correlation = |lag: usize, power: i32| {
            let mean = if power == 2 { 1.0 } else { 0.0 };
            let products =
                draws.iter().zip(&draws[lag..]).map(|(x, y)| (x.powi(power) - mean) * (y.powi(power) - mean));
            products.sum::<f64>() / (draws.len() - lag) as f64
        };
        for lag in [1, 2, PAIRS - 1, PAIRS, PAIRS + 1, BLOCK] {
            // Four standard errors; that of squares, whose variance is 2, is twice as large.
            let bound = 4.0 / (draws.len() as f64).sqrt();
            assert!(correlation(lag, 1).abs() < bound && correlation(lag, 2).abs() < 2.0 * bound, "lag {lag}");
        }
    }

    #[test]
    fn both_draws_of_a_pair_are_the_sine_and_cosine_of_its_angle() {
        let mut random = [0; BYTES];
        generator().0.fill_bytes(&mut random);
        let mut block = [0.0; BLOCK];
        normal_block(&random, &mut block);
        let word = |place: usize| u32::from_le_bytes(std::array::from_fn(|byte| random[4 * place + byte]));
        for pair in 0..PAIRS {
            let radius = (-2.0 * (f64::from(word(pair) >> 1) / 2_f64.powi(31) + 2_f64.powi(-32)).ln()).sqrt();
            let angle = word(PAIRS + pair);
            let x = f64::from((angle << 2) as i32) / 2_f64.powi(31) * std::f64::consts::FRAC_PI_4;
            let (mut one, mut other) = (radius * x.cos(), radius * x.sin());
            if angle >> 31 == 1 {
                std::mem::swap(&mut one, &mut other);
            }
            let sign = if (angle >> 30) & 1 == 1 { -1.0 } else { 1.0 };
            for (draw, expected) in [(block[pair], sign * one), (block[PAIRS + pair], sign * other)] {
                assert!((f64::from(draw) - expected).abs() < 1e-6, "{draw} is not {expected}");
            }
        }
    }

    #[test]
    fn the_extremes_of_the_radius_are_finite() {
        let mut block = [0.0; BLOCK];
        normal_block(&[0; BYTES], &mut block);
        let farthest = block.iter().fold(0.0, |farthest: f32, draw| farthest.max(draw.abs()));
        assert!((6.6..6.7).contains(&farthest), "{farthest}");
        normal_block(&[255; BYTES], &mut block);
        assert!(block.iter().all(|draw| draw.abs() < 1e-3));
    }

    #[test]
    fn a_longer_slice_begins_with_the_shorter_one() {
        let long = draws(3 * BLOCK);
        for length in [0, 1, 2, 511, 512, 513, 1_000] {
            assert_eq!(draws(length), long[..length]);
        }
    }

    #[test]
    fn bulk_draws_are_pinned_for_good() {
        let mut draws = [0.0; 600];
        generator().fill_normal(&mut draws);
        assert_eq!(
            [draws[0], draws[1], draws[256], draws[599]].map(f32::to_bits),
            [3_199_010_905, 3_204_661_205, 1_069_702_214, 3_199_019_690]
        );
    }
}
