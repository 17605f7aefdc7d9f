//! Kaldi's mel filters at work: their settings, their warp, and the logarithm of what they measure.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LN;
use crate::audio::{Hertz, Range};
use crate::seed::Generator;
use crate::spectrum::{self, KaldiMel, MelBank, Vtln};
use crate::transform::SettingError;

/// What to do where a filter lies between two FFT bins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmptyFilters {
    /// Stop before any work, as Kaldi does: the column would be the floor throughout.
    #[default]
    Refuse,
    /// Let the column be the floor throughout, as torchaudio does; the Audio Spectrogram Transformer was trained so, with
    /// 128 filters at 16 kHz.
    Keep,
}

/// The settings of the filters, and where the energy stands among what is made of them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::featurize) struct KaldiFilters {
    pub(in crate::featurize) empty_filters: EmptyFilters,
    pub(in crate::featurize) high_freq_hz: f64,
    pub(in crate::featurize) low_freq_hz: f64,
    pub(in crate::featurize) num_mel_bins: NonZeroU32,
    pub(in crate::featurize) vtln_high_hz: f64,
    pub(in crate::featurize) vtln_low_hz: f64,
    pub(in crate::featurize) vtln_warp: Range,
}

impl KaldiFilters {
    /// How many filters there are.
    pub(in crate::featurize) const fn num_bands(&self) -> usize {
        self.num_mel_bins.get() as usize
    }

    /// The filters made ready for an FFT of `n_fft` samples at `rate`.
    pub(in crate::featurize) fn prepare(&self, rate: Hertz, n_fft: usize) -> Result<Bands, SettingError> {
        let filters = self.checked(rate, n_fft)?;
        let mut bank = MelBank::default();
        filters.design(self.vtln_warp.at(0.0), &mut bank);
        Ok(Bands { filters, warp: self.vtln_warp.clone(), bank, exponent: 2.0, log: true })
    }

    /// The filters but for their warp, if all warps fit.
    fn checked(&self, rate: Hertz, n_fft: usize) -> Result<Filters, SettingError> {
        let nyquist = rate.nyquist();
        let bands = self.num_bands();
        SettingError::unless_within("num_mel_bins", bands as f64, 1.0, 4_096.0)?;
        let (low, high) = (self.low_freq_hz, self.high_freq_hz);
        let high = if high <= 0.0 { high + nyquist } else { high };
        if high > nyquist {
            return Err(SettingError::AboveNyquist { key: "high_freq_hz", value: high, rate });
        }
        if !(0.0..high).contains(&low) {
            let key = if high <= 0.0 { "high_freq_hz" } else { "low_freq_hz" };
            return Err(SettingError::EmptyBand { key, low, high, rate });
        }
        let vtln_high = if self.vtln_high_hz < 0.0 { self.vtln_high_hz + nyquist } else { self.vtln_high_hz };
        let filters = Filters {
            mel: KaldiMel { bands, low, high },
            vtln: Vtln { low: self.vtln_low_hz, high: vtln_high, warp: 1.0 },
            n_fft,
            rate,
        };
        let warps = self.vtln_warp.values();
        if warps.iter().any(|&warp| warp != 1.0) {
            SettingError::unless_within("vtln_low_hz", self.vtln_low_hz, low.next_up(), high)?;
            SettingError::unless_within("vtln_high_hz", vtln_high, self.vtln_low_hz, high.next_down())?;
        }
        let mut bank = MelBank::default();
        for &warp in warps {
            SettingError::unless_within("vtln_warp", warp, 0.1, 10.0)?;
            let [from, to] = Vtln { warp, ..filters.vtln }.inflections();
            if warp != 1.0 && from >= to {
                return Err(SettingError::EmptyBand { key: "vtln_warp", low: from, high: to, rate });
            }
            filters.design(warp, &mut bank);
            if self.empty_filters == EmptyFilters::Refuse && bank.num_empty() > 0 {
                return Err(SettingError::EmptyFilters {
                    key: "num_mel_bins",
                    filters: bank.num_empty(),
                    bins: bands,
                    rate,
                });
            }
        }
        Ok(filters)
    }
}

/// The filters but for the warp.
#[derive(Debug, Clone, Copy)]
struct Filters {
    mel: KaldiMel,
    vtln: Vtln,
    n_fft: usize,
    rate: Hertz,
}

impl Filters {
    fn design(&self, warp: f64, bank: &mut MelBank) {
        self.mel.design(Vtln { warp, ..self.vtln }, self.n_fft, self.rate, bank);
    }
}

/// The filters at work.
pub(in crate::featurize) struct Bands {
    filters: Filters,
    warp: Range,
    bank: MelBank,
    /// The exponent of the magnitudes that the filters add up; 2.
    pub(in crate::featurize) exponent: f32,
    /// Whether logarithms are taken; they are.
    pub(in crate::featurize) log: bool,
}

impl Bands {
    /// How many filters there are.
    pub(in crate::featurize) fn num_bands(&self) -> usize {
        self.bank.num_bands()
    }

    /// Whether the warp is drawn anew for each utterance.
    pub(in crate::featurize) const fn draws(&self) -> bool {
        self.warp.as_fixed().is_none()
    }

    /// Draws the warp.
    pub(in crate::featurize) fn draw(&mut self, generator: &mut Generator) {
        self.filters.design(self.warp.at(generator.unit()), &mut self.bank);
    }

    /// Fills `mel`, `[num_bands]`, with what the filters measure of `power`, and says whether all of it is finite.
    pub(in crate::featurize) fn measure(&self, power: &mut [f32], mel: &mut [f32]) -> bool {
        spectrum::raise(power, self.exponent);
        self.bank.apply(power, mel);
        let finite = mel.iter().fold(true, |finite, energy| finite & energy.is_finite());
        if self.log {
            LN.take(mel);
        }
        finite
    }
}
