//! What an extractor promises: its column is known before any sound is read.

use crate::audio::{Hertz, Seconds, Waveform};
use crate::seed::Draws;
use crate::spectrum::Framing;
use crate::transform::{Column, Extract, ExtractError, SettingError};

/// The YAML side of an extractor: settings, valid in themselves once read.
pub trait Extractor {
    /// What the column holds of sound at `rate`; of none where each file keeps its own.
    ///
    /// # Errors
    ///
    /// The number of bins depends on the rate, and there is none.
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError>;

    /// How sound at `rate` is cut into frames.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the rate.
    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError>;

    /// How many frames `num_samples` samples at `rate` give.
    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        self.framing(rate).map_or(0, |framing| framing.num_frames(num_samples))
    }

    /// The extractor made ready for sound at `rate`: windows, FFT plans and filters are built once, here. `path` is its
    /// place in the pipeline file, under which it draws random numbers.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the rate.
    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError>;

    /// The time from one frame to the next of sound at `rate`; none where that is not known.
    fn frame_shift(&self, rate: Option<Hertz>) -> Option<Seconds> {
        let rate = rate?;
        Some(Seconds::of_samples(self.framing(rate).ok()?.hop.get() as u64, rate))
    }

    /// The features of a clip: each channel by itself, nothing drawn at random but what seed 0 gives.
    ///
    /// One call makes the extractor ready anew; many clips are faster with [`prepare`](Self::prepare).
    ///
    /// ```
    /// use wavemill::featurize::{Extractor, MelSpectrogram};
    ///
    /// let clip = wavemill::load("fixtures/corpus/alba-01.flac".as_ref())?;
    /// let mel = MelSpectrogram::default().extract(&clip)?;
    /// assert_eq!((mel.num_channels, mel.bins), (1, 128));
    /// assert_eq!(mel.values.len(), mel.num_channels * mel.num_frames * mel.bins);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A setting does not fit the clip's rate, or the clip has no valid feature.
    fn extract(&self, clip: &Waveform) -> Result<Features, ExtractError> {
        let rate = clip.sample_rate;
        let fits = |setting| ExtractError::Setting { setting };
        let bins = self.column(Some(rate)).map_err(fits)?.bins.unwrap_or(1);
        Features::of(clip, bins, self.prepare(rate, "extract").map_err(fits)?.as_mut())
    }
}

/// The features of one clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `[num_channels, num_frames, bins]`, row-major.
    pub values: Vec<f32>,
    /// Channels of the clip.
    pub num_channels: usize,
    /// Frames of each channel.
    pub num_frames: usize,
    /// Numbers a frame; one where a frame is one number.
    pub bins: usize,
}

impl Features {
    /// What `at_work` makes of each channel of a clip, in frames of `bins` numbers.
    pub(super) fn of(clip: &Waveform, bins: usize, at_work: &mut dyn Extract) -> Result<Self, ExtractError> {
        let mut values = Vec::new();
        for (channel, samples) in clip.channels.iter().enumerate() {
            let mut of_channel = Vec::new();
            at_work.begin(Draws { seed: 0, id: "", copy: 0, channel, segment: None });
            at_work.push(samples, &mut of_channel);
            at_work.finish(&mut of_channel)?;
            values.append(&mut of_channel);
        }
        let num_channels = clip.channels.len();
        let num_frames = values.len() / (bins * num_channels).max(1);
        Ok(Self { values, num_channels, num_frames, bins })
    }

    /// Frame `frame` of channel `channel`, `[bins]`.
    #[must_use]
    pub fn frame(&self, channel: usize, frame: usize) -> &[f32] {
        &self.values[(channel * self.num_frames + frame) * self.bins..][..self.bins]
    }
}
