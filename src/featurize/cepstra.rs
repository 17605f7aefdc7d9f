//! What the cepstra of torchaudio and librosa share: the logarithm of the energy in each band, and its cosine transform.

use std::f64::consts::PI;
use std::num::NonZeroU32;

use super::mel::{Limit, Log, LogSettings, MelRow};
use super::stft::Spectra;
use crate::audio::Seconds;
use crate::spectrum::{Dct, Logarithm};
use crate::transform::{Column, EachFrame, Extract, FrameToRow, Link, SettingError, chain};

/// How band energies become cepstra.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cepstra {
    /// The setting that says how many coefficients there are.
    pub(super) key: &'static str,
    pub(super) count: NonZeroU32,
    pub(super) bands: NonZeroU32,
    /// Whether the logarithm is ln(energy + 1e-6) rather than decibels.
    pub(super) natural: bool,
    pub(super) floor: f64,
    pub(super) top_db: Option<f64>,
    pub(super) lifter: u32,
}

impl Cepstra {
    /// The column of the coefficients.
    pub(super) fn column(&self, frame_shift: Option<Seconds>) -> Result<Column, SettingError> {
        if self.count > self.bands {
            return Err(SettingError::DoesNotFit {
                key: self.key,
                reason: "there are no more coefficients than filters",
            });
        }
        Ok(Column::of(self.count.get() as usize, self.log().log.unit(2.0), frame_shift))
    }

    fn log(&self) -> LogSettings {
        if self.natural {
            LogSettings { log: Log::Ln, offset: 1e-6, floor: self.floor, top_db: None }
        } else {
            LogSettings { log: Log::Db, offset: 0.0, floor: self.floor, top_db: self.top_db }
        }
    }

    /// The logarithm made ready. Decibels are 10·log₁₀ even of magnitudes, as in both peers.
    pub(super) fn logarithm(&self) -> Result<(Option<Logarithm>, Option<Limit>), SettingError> {
        self.log().prepare(2.0)
    }

    /// The cosine transform of what `bands` makes.
    pub(super) fn after(&self, bands: Spectra<MelRow>) -> Result<Box<dyn Extract>, SettingError> {
        self.column(None)?;
        let lifter = SettingError::unless_within("lifter", f64::from(self.lifter), 0.0, 10_000.0)?;
        // librosa counts from 1, Kaldi from 0.
        let scale = |k: usize| {
            if self.lifter == 0 { 1.0 } else { 1.0 + lifter / 2.0 * (PI * (k + 1) as f64 / lifter).sin() }
        };
        let [num_in, num_out] = [self.bands, self.count].map(|number| number.get() as usize);
        let cepstra = EachFrame(Cepstrum(Dct::scaled(num_in, num_out, scale)));
        Ok(chain(Link::new(bands, num_in), vec![Link::new(cepstra, num_out)]))
    }
}

struct Cepstrum(Dct);

impl FrameToRow for Cepstrum {
    fn bins_in(&self) -> usize {
        self.0.num_in()
    }

    fn bins_out(&self) -> usize {
        self.0.num_out()
    }

    fn row(&mut self, frame: &[f32], row: &mut [f32]) {
        self.0.apply(frame, row);
    }
}
