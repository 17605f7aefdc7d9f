//! Vorbis through libvorbis as tuned by aoTuV, in Ogg.
//!
//! The encoder cannot move between threads: samples wait for the end of the utterance, and all are encoded there. How many it is
//! given at once decides how it begins, so that they are always as many.

use std::num::{NonZeroU8, NonZeroU32};

use vorbis_rs::{VorbisBitrateManagementStrategy, VorbisEncoderBuilder, VorbisError};

use super::contract::{EncodeError, EncodeSound, Intake};
use crate::audio::Hertz;

/// The highest rate that libvorbis has settings for.
pub(super) const HIGHEST_RATE: u32 = 200_000;

/// The header has one byte for their number.
pub(super) const MOST_CHANNELS: usize = 255;

/// Samples that are encoded at once: many more slow libvorbis down.
const BLOCK: usize = 4_096;

/// Which stream of its file it is; any number, and always the same.
const SERIAL: i32 = 1;

/// An Ogg Vorbis file that is being written.
pub(super) struct Vorbis {
    rate: Hertz,
    quality: f32,
    intake: Intake,
    /// The sound so far, by channel.
    sound: Vec<Vec<f32>>,
}

impl Vorbis {
    /// An encoder of up to [`MOST_CHANNELS`] and [`HIGHEST_RATE`].
    pub(super) fn new(rate: Hertz, channels: usize, quality: f64) -> Self {
        let intake = Intake::of_channels(channels);
        Self { rate, quality: quality as f32, intake, sound: vec![Vec::new(); channels] }
    }

    fn encode(&self, rate: NonZeroU32, channels: NonZeroU8, bytes: &mut Vec<u8>) -> Result<(), VorbisError> {
        let strategy = VorbisBitrateManagementStrategy::QualityVbr { target_quality: self.quality };
        let mut encoder = VorbisEncoderBuilder::new_with_serial(rate, channels, bytes, SERIAL)
            .bitrate_management_strategy(strategy)
            .build()?;
        let len = self.sound.first().map_or(0, Vec::len);
        let mut block: Vec<&[f32]> = Vec::with_capacity(self.sound.len());
        for at in (0..len).step_by(BLOCK) {
            block.clear();
            block.extend(self.sound.iter().map(|channel| &channel[at..len.min(at + BLOCK)]));
            encoder.encode_audio_block(&block)?;
        }
        encoder.finish().map(|_| ())
    }
}

impl EncodeSound for Vorbis {
    fn begin(&mut self) {
        self.intake.begin();
        self.sound.iter_mut().for_each(Vec::clear);
    }

    fn push(&mut self, channels: &[&[f32]]) -> Result<(), EncodeError> {
        self.intake.take(channels)?;
        for (channel, block) in self.sound.iter_mut().zip(channels) {
            channel.extend(block.iter().map(|sample| sample.clamp(-1.0, 1.0)));
        }
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
        let refused = |message: String| EncodeError::Refused { codec: "vorbis", message };
        let rate = NonZeroU32::new(self.rate.get());
        let channels = u8::try_from(self.sound.len()).ok().and_then(NonZeroU8::new);
        let (Some(rate), Some(channels)) = (rate, channels) else { return Err(refused("no channels".to_owned())) };
        self.encode(rate, channels, bytes).map_err(|error| refused(error.to_string()))
    }
}
