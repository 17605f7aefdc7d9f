//! What all features of a mel spectrogram share: its filters, and the logarithm of what they measure.

use std::f64::consts::{LN_10, LOG10_E};
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stft::{Spectra, SpectrumToRow, Stft};
use crate::audio::Hertz;
use crate::spectrum::{self, Logarithm, MelBank, MelNorm, MelScale, MelTriangles, PowerSpectrum};
use crate::transform::SettingError;

/// A mel spectrogram, as torchaudio and librosa describe one.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_field_names, reason = "names carry over from torchaudio")]
pub(super) struct Mel {
    pub(super) stft: Stft,
    /// The exponent of the magnitude.
    pub(super) power: f64,
    pub(super) f_min_hz: f64,
    /// The upper end of the filters; none is the Nyquist frequency.
    pub(super) f_max_hz: Option<f64>,
    pub(super) n_mels: NonZeroU32,
    pub(super) norm: MelNorm,
    pub(super) mel_scale: MelScale,
}

impl Mel {
    /// How many filters there are.
    pub(super) const fn num_bands(&self) -> usize {
        self.n_mels.get() as usize
    }

    /// The filters at `rate`.
    fn bank(&self, rate: Hertz) -> Result<MelBank, SettingError> {
        let bands = self.num_bands();
        SettingError::unless_within("n_mels", bands as f64, 1.0, 4_096.0)?;
        let [low, high] = band(self.f_min_hz, self.f_max_hz, rate)?;
        let triangles = MelTriangles { bands, low, high, scale: self.mel_scale, norm: self.norm };
        Ok(triangles.bank(self.stft.n_fft.get() as usize, rate))
    }

    /// The spectrogram made ready for sound at `rate`, of which `log` is taken.
    pub(super) fn prepare(&self, rate: Hertz, log: &LogSettings) -> Result<Spectra<MelRow>, SettingError> {
        self.prepare_with(rate, log.prepare(exponent(self.power)?)?)
    }

    /// The same with a logarithm that is ready.
    pub(super) fn prepare_with(
        &self,
        rate: Hertz,
        log: (Option<Logarithm>, Option<Limit>),
    ) -> Result<Spectra<MelRow>, SettingError> {
        self.stft.framing(rate)?; // an FFT that is too long must not have its filters made
        self.stft.prepare(rate, MelRow::new(exponent(self.power)?, self.bank(rate)?, log))
    }
}

/// The exponent of a magnitude, checked.
pub(super) fn exponent(power: f64) -> Result<f64, SettingError> {
    SettingError::unless_within("power", power, 0.1, 10.0)
}

/// The ends of a band of filters, in hertz, where they fit the rate.
pub(super) fn band(f_min_hz: f64, f_max_hz: Option<f64>, rate: Hertz) -> Result<[f64; 2], SettingError> {
    let (low, high) = (f_min_hz, f_max_hz.unwrap_or(rate.nyquist()));
    if high > rate.nyquist() {
        return Err(SettingError::AboveNyquist { key: "f_max_hz", value: high, rate });
    }
    if !(0.0..high).contains(&low) {
        let key = if f_min_hz == 0.0 { "f_max_hz" } else { "f_min_hz" };
        return Err(SettingError::EmptyBand { key, low, high, rate });
    }
    Ok([low, high])
}

/// The logarithm of energies, of max(energy + offset, floor).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Decibels: 10·log₁₀ of a power, 20·log₁₀ of a magnitude; in general 20/`power`·log₁₀.
    #[default]
    Db,
    /// The natural logarithm.
    Ln,
    /// The decimal logarithm.
    Log10,
    /// None: the energies as they are, without offset or floor.
    None,
}

impl Log {
    /// The unit of the logarithm of a spectrum of magnitudes to the power `power`.
    pub(super) const fn unit(self, power: f64) -> &'static str {
        match self {
            Self::Db => "dB",
            Self::Ln => "ln(energy)",
            Self::Log10 => "log10(energy)",
            Self::None if power == 1.0 => "magnitude",
            Self::None => "energy",
        }
    }
}

/// How a logarithm is taken, and what is the lowest that an utterance may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogSettings {
    pub(super) log: Log,
    pub(super) offset: f64,
    pub(super) floor: f64,
    pub(super) top_db: Option<f64>,
}

impl LogSettings {
    /// No logarithm.
    pub(super) const NONE: Self = Self { log: Log::None, offset: 0.0, floor: 1e-10, top_db: None };

    /// The settings checked, for magnitudes to the power `exponent`.
    pub(super) fn prepare(&self, exponent: f64) -> Result<(Option<Logarithm>, Option<Limit>), SettingError> {
        let offset = SettingError::unless_within("log_offset", self.offset, 0.0, f64::from(f32::MAX))?;
        let floor = SettingError::unless_within("floor", self.floor, 1.2e-38, f64::from(f32::MAX))?;
        let top_db =
            self.top_db.map(|top_db| SettingError::unless_within("top_db", top_db, 0.0, f64::MAX)).transpose()?;
        // The decibels that a factor of 10 in the energies makes.
        let decade = 20.0 / exponent;
        let scale = match self.log {
            Log::None => None,
            Log::Ln => Some(1.0),
            Log::Log10 => Some(LOG10_E),
            Log::Db => Some(decade * LOG10_E),
        };
        let limit = top_db.map(|top_db| match scale {
            None => Limit::Times(10_f64.powf(-top_db / decade) as f32),
            Some(scale) => Limit::Below((top_db / decade * LN_10 * scale) as f32),
        });
        let log = scale.map(|scale| Logarithm { offset: offset as f32, floor: floor as f32, scale: scale as f32 });
        Ok((log, limit))
    }
}

/// The lowest value that an utterance may have, given its highest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// So far below it.
    Below(f32),
    /// This part of it.
    Times(f32),
}

impl Limit {
    /// The lowest value beside `highest`.
    pub(super) fn lowest(self, highest: f32) -> f32 {
        match self {
            Self::Below(range) => highest - range,
            Self::Times(factor) => highest * factor,
        }
    }

    /// Raises what is lower.
    pub(super) fn raise(self, rows: &mut [f32]) {
        let lowest = self.lowest(spectrum::highest(rows));
        for value in rows {
            *value = value.max(lowest);
        }
    }
}

/// A spectrum's way through the filters.
pub(super) struct MelRow {
    exponent: f32,
    bank: MelBank,
    log: Option<Logarithm>,
    limit: Option<Limit>,
}

impl MelRow {
    /// Magnitudes to the power `exponent` through the filters of `bank`, then a logarithm.
    pub(super) const fn new(exponent: f64, bank: MelBank, (log, limit): (Option<Logarithm>, Option<Limit>)) -> Self {
        Self { exponent: exponent as f32, bank, log, limit }
    }
}

impl SpectrumToRow for MelRow {
    fn num_bins(&self) -> usize {
        self.bank.num_bands()
    }

    fn row(&mut self, _: &[f32], spectrum: &mut PowerSpectrum, row: &mut [f32]) -> bool {
        let power = spectrum.power();
        spectrum::raise(power, self.exponent);
        self.bank.apply(power, row);
        let finite = row.iter().fold(true, |finite, energy| finite & energy.is_finite());
        if let Some(log) = self.log {
            log.take(row);
        }
        finite
    }

    fn needs_all(&self) -> bool {
        self.limit.is_some()
    }

    fn finish(&mut self, rows: &mut [f32]) {
        if let Some(limit) = self.limit {
            limit.raise(rows);
        }
    }
}
