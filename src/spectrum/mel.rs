//! Mel filters: sums over neighbouring FFT bins, in bands of a width that the ear takes for equal.

use multiversion::multiversion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lanes::{LANES, total};
use crate::audio::Hertz;

/// A scale on which equal steps sound equally far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelScale {
    /// 2595·log₁₀(1 + f/700), as in HTK (O'Shaughnessy, 1987).
    Htk,
    /// Linear up to 1 kHz, logarithmic above, as in Slaney's Auditory Toolbox (1998) and in librosa.
    Slaney,
}

/// Slaney's scale below 1 kHz: hertz a mel.
const SLANEY_HERTZ: f64 = 200.0 / 3.0;
/// Where Slaney's scale turns logarithmic, in hertz.
const SLANEY_KNEE: f64 = 1_000.0;
/// Slaney's scale above the knee: 27 steps lead from 1 kHz to 6.4 kHz.
const SLANEY_STEPS: f64 = 27.0;
const SLANEY_OCTAVES: f64 = 6.4;

impl MelScale {
    /// The place of `hertz` on the scale.
    #[must_use]
    pub fn from_hertz(self, hertz: f64) -> f64 {
        match self {
            Self::Htk => 2_595.0 * (1.0 + hertz / 700.0).log10(),
            Self::Slaney if hertz < SLANEY_KNEE => hertz / SLANEY_HERTZ,
            Self::Slaney => {
                SLANEY_KNEE / SLANEY_HERTZ + (hertz / SLANEY_KNEE).ln() / SLANEY_OCTAVES.ln() * SLANEY_STEPS
            }
        }
    }

    /// The frequency at `mel`, in hertz.
    #[must_use]
    pub fn to_hertz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10_f64.powf(mel / 2_595.0) - 1.0),
            Self::Slaney if mel < SLANEY_KNEE / SLANEY_HERTZ => mel * SLANEY_HERTZ,
            Self::Slaney => {
                SLANEY_KNEE * ((mel - SLANEY_KNEE / SLANEY_HERTZ) / SLANEY_STEPS * SLANEY_OCTAVES.ln()).exp()
            }
        }
    }
}

/// How high the filters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MelNorm {
    /// Each peaks at 1: white noise gives more energy in the wider, higher bands.
    None,
    /// Each has an area of 1 Hz: white noise gives equal energy in all bands.
    Slaney,
}

/// Filters that are triangles over frequency in hertz, as torchaudio's and librosa's are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelTriangles {
    /// How many filters.
    pub bands: usize,
    /// The lower end of the first, in hertz.
    pub low: f64,
    /// The upper end of the last, in hertz.
    pub high: f64,
    /// The scale on which their centres are equally far apart.
    pub scale: MelScale,
    /// Their heights.
    pub norm: MelNorm,
}

impl MelTriangles {
    /// The filters for an FFT of `n_fft` samples at `rate`.
    ///
    /// torchaudio rounds half of an odd sample rate down; here it is exact, as in librosa.
    #[must_use]
    pub fn bank(&self, n_fft: usize, rate: Hertz) -> MelBank {
        let (low, high) = (self.scale.from_hertz(self.low), self.scale.from_hertz(self.high));
        let step = (high - low) / (self.bands + 1) as f64;
        let corner = |number: usize| self.scale.to_hertz(low + number as f64 * step);
        triangles(self.bands, self.norm, corner, n_fft, rate)
    }
}

/// Filters that are triangles of equal width, side by side: torchaudio's `linear_fbanks`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearTriangles {
    /// How many filters.
    pub bands: usize,
    /// The lower end of the first, in hertz.
    pub low: f64,
    /// The upper end of the last, in hertz.
    pub high: f64,
}

impl LinearTriangles {
    /// The filters, each of which peaks at 1, for an FFT of `n_fft` samples at `rate`.
    #[must_use]
    pub fn bank(&self, n_fft: usize, rate: Hertz) -> MelBank {
        let step = (self.high - self.low) / (self.bands + 1) as f64;
        triangles(self.bands, MelNorm::None, |number| self.low + number as f64 * step, n_fft, rate)
    }
}

/// Triangles over frequency in hertz, the number `band` from `corner(band)` over `corner(band + 1)` to `corner(band + 2)`.
fn triangles(bands: usize, norm: MelNorm, corner: impl Fn(usize) -> f64, n_fft: usize, rate: Hertz) -> MelBank {
    let bin_width = f64::from(rate.get()) / n_fft as f64;
    let mut bank = MelBank::default();
    for band in 0..bands {
        let (left, centre, right) = (corner(band), corner(band + 1), corner(band + 2));
        let height = match norm {
            MelNorm::None => 1.0,
            MelNorm::Slaney => 2.0 / (right - left),
        };
        bank.add(0..=n_fft / 2, |bin| {
            let hertz = bin as f64 * bin_width;
            height * ((hertz - left) / (centre - left)).min((right - hertz) / (right - centre))
        });
    }
    bank
}

/// A bank of filters that holds only the weights above zero: 502 of 20,560 for 80 bands over 257 bins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MelBank {
    bands: Vec<Band>,
    /// The weights of all bands, each band's filled up with zeros to whole groups.
    weights: Vec<[f32; LANES]>,
}

/// Fills `energies` with the weighted sum of each band. Neighbours are mostly as wide as each other: whole runs of them go
/// without a branch that the processor would guess wrongly.
#[multiversion(targets("x86_64+avx2"))]
fn add_up(bands: &[Band], weights: &[[f32; LANES]], power: &[f32], energies: &mut [f32]) {
    let (mut weights, mut energies) = (weights, energies);
    for run in bands.chunk_by(|one, other| one.groups == other.groups) {
        let groups = run[0].groups;
        let (of_run, rest) = weights.split_at(run.len() * groups);
        let (energies_of_run, energies_left) = std::mem::take(&mut energies).split_at_mut(run.len());
        (weights, energies) = (rest, energies_left);
        match groups {
            0 => energies_of_run.fill(0.0),
            1 => add_up_run::<1>(run, of_run, power, energies_of_run),
            2 => add_up_run::<2>(run, of_run, power, energies_of_run),
            3 => add_up_run::<3>(run, of_run, power, energies_of_run),
            4 => add_up_run::<4>(run, of_run, power, energies_of_run),
            _ => {
                let bands = run.iter().zip(of_run.chunks_exact(groups)).zip(energies_of_run);
                for ((band, weights), energy) in bands {
                    let mut partial = [0.0; LANES];
                    for (weights, powers) in weights.iter().zip(power[band.first..].as_chunks::<LANES>().0) {
                        for lane in 0..LANES {
                            partial[lane] += weights[lane] * powers[lane];
                        }
                    }
                    *energy = total(partial);
                }
            }
        }
    }
}

/// The same for bands of `GROUPS` groups each.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of loops that are compiled for AVX2 too")]
fn add_up_run<const GROUPS: usize>(bands: &[Band], weights: &[[f32; LANES]], power: &[f32], energies: &mut [f32]) {
    for ((band, weights), energy) in bands.iter().zip(weights.as_chunks::<GROUPS>().0).zip(energies) {
        let Some((powers, _)) = power[band.first..].as_chunks::<LANES>().0.split_first_chunk::<GROUPS>() else {
            continue; // never: the spectrum is followed by as many zeros as a group reaches
        };
        let mut partial = [0.0; LANES];
        for group in 0..GROUPS {
            for lane in 0..LANES {
                partial[lane] += weights[group][lane] * powers[group][lane];
            }
        }
        *energy = total(partial);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Band {
    /// The first bin with a weight.
    first: usize,
    /// How many groups of weights.
    groups: usize,
}

impl MelBank {
    /// How many filters there are.
    #[must_use]
    pub fn num_bands(&self) -> usize {
        self.bands.len()
    }

    /// How many filters lie between two FFT bins, where no weight is above zero: they are always silent.
    #[must_use]
    pub fn num_empty(&self) -> usize {
        self.bands.iter().filter(|band| band.groups == 0).count()
    }

    /// The energy in each band, `[num_bands]`, of a power spectrum, `[num_bins]` and at least seven zeros.
    pub fn apply(&self, power: &[f32], energies: &mut [f32]) {
        add_up(&self.bands, &self.weights, power, energies);
    }

    /// Removes all filters and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bands.clear();
        self.weights.clear();
    }

    /// Adds a filter with `weight(bin)` where that is above zero: one run of neighbouring `bins`.
    pub(super) fn add(&mut self, bins: impl Iterator<Item = usize>, weight: impl Fn(usize) -> f64) {
        let mut run = bins.skip_while(|&bin| weight(bin) <= 0.0).take_while(|&bin| weight(bin) > 0.0).peekable();
        let first = run.peek().copied().unwrap_or(0);
        let start = self.weights.len();
        while run.peek().is_some() {
            self.weights.push(std::array::from_fn(|_| run.next().map_or(0.0, |bin| weight(bin) as f32)));
        }
        self.bands.push(Band { first, groups: self.weights.len() - start });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEECH: Hertz = Hertz::new(16_000).unwrap();

    fn triangles(scale: MelScale, norm: MelNorm) -> MelTriangles {
        MelTriangles { bands: 80, low: 0.0, high: 8_000.0, scale, norm }
    }

    #[test]
    fn the_scales_have_their_known_points_and_lead_back() {
        assert!((MelScale::Htk.from_hertz(1_000.0) - 999.9855).abs() < 1e-3);
        assert!((MelScale::Slaney.from_hertz(1_000.0) - 15.0).abs() < 1e-9);
        assert!((MelScale::Slaney.from_hertz(6_400.0) - 42.0).abs() < 1e-9);
        for scale in [MelScale::Htk, MelScale::Slaney] {
            for hertz in [0.0, 20.0, 999.0, 1_001.0, 22_050.0] {
                assert!((scale.to_hertz(scale.from_hertz(hertz)) - hertz).abs() < 1e-6, "{scale:?} {hertz}");
            }
        }
    }

    #[test]
    fn sparse_filters_weigh_as_dense_ones() {
        let bank = triangles(MelScale::Slaney, MelNorm::Slaney).bank(512, SPEECH);
        let mut energies = vec![0.0; bank.num_bands()];
        let (low, high) = (0.0, MelScale::Slaney.from_hertz(8_000.0));
        let corners: Vec<f64> =
            (0..82).map(|n| MelScale::Slaney.to_hertz(low + (high - low) * f64::from(n) / 81.0)).collect();
        for bin in 0..257_usize {
            let mut power = vec![0.0; 257 + LANES];
            power[bin] = 1.0;
            bank.apply(&power, &mut energies);
            let hertz = bin as f64 * 31.25;
            for (band, &energy) in energies.iter().enumerate() {
                let (left, centre, right) = (corners[band], corners[band + 1], corners[band + 2]);
                let triangle = ((hertz - left) / (centre - left)).min((right - hertz) / (right - centre)).max(0.0);
                assert!((f64::from(energy) - triangle * 2.0 / (right - left)).abs() < 1e-8, "bin {bin}, band {band}");
            }
        }
    }

    #[test]
    fn between_the_centres_filters_add_up_to_one() {
        let bank = triangles(MelScale::Htk, MelNorm::None).bank(2_048, SPEECH);
        let mut energies = vec![0.0; 80];
        for bin in 8..960 {
            let mut power = vec![0.0; 1_025 + LANES];
            power[bin] = 1.0;
            bank.apply(&power, &mut energies);
            assert!((energies.iter().sum::<f32>() - 1.0).abs() < 1e-5, "bin {bin}");
        }
    }

    #[test]
    fn linear_triangles_are_equally_wide_and_far_apart() {
        let bank = LinearTriangles { bands: 7, low: 1_000.0, high: 5_000.0 }.bank(1_024, SPEECH);
        let mut energies = vec![0.0; 7];
        let mut at = |hertz: usize| {
            let mut power = vec![0.0; 513 + LANES];
            power[hertz * 1_024 / 16_000] = 1.0;
            bank.apply(&power, &mut energies);
            energies.clone()
        };
        assert_eq!(at(1_000), [0.0; 7]);
        assert_eq!(at(1_250), [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(at(3_000), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(at(4_625), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75]);
    }

    #[test]
    fn the_default_of_torchaudio_has_four_empty_filters() {
        let bank = MelTriangles { bands: 128, ..triangles(MelScale::Htk, MelNorm::None) }.bank(400, SPEECH);
        assert_eq!((bank.num_bands(), bank.num_empty()), (128, 4));
        let mut energies = vec![7.0; 128];
        bank.apply(&vec![1.0; 201 + LANES], &mut energies);
        assert_eq!(energies.iter().filter(|&&energy| energy == 0.0).count(), 4);
    }
}
