//! Vorbis through libvorbis.

use std::io::Cursor;
use std::num::{NonZeroU8, NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vorbis_rs::{VorbisBitrateManagementStrategy, VorbisDecoder, VorbisEncoderBuilder};

use super::super::{Apply, AugmentError, Draw};
use super::carrier::Carrier;
use crate::audio::{Range, Waveform};
use crate::transform::SettingError;

/// Vorbis at a variable bitrate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vorbis {
    /// The encoder's quality, -0.1 to 1; [-0.1, 0.3]. At 44.1 kHz stereo 0 is about 64 kbit/s and 0.5 about 160.
    pub quality: Range,
}

impl Default for Vorbis {
    fn default() -> Self {
        Self { quality: Range::Uniform([-0.1, 0.3]) }
    }
}

impl Vorbis {
    pub(super) fn check(&self) -> Result<(), SettingError> {
        SettingError::unless_all_within("quality", &self.quality, -0.1, 1.0)
    }

    pub(super) fn prepare(&self) -> Box<dyn Apply> {
        let carrier = Carrier::new("vorbis", |rate| rate.clamp(8_000, 48_000));
        Box::new(VorbisAtWork { settings: self.clone(), carrier })
    }
}

struct VorbisAtWork {
    settings: Vorbis,
    carrier: Carrier,
}

impl Apply for VorbisAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let quality = draw.number("quality", &self.settings.quality);
        let rate = self.carrier.rate_for(sound.sample_rate);
        self.carrier.carry(sound, |channels| code(channels, rate, quality as f32))
    }
}

/// Samples that are encoded at once: many more slow libvorbis down.
const BLOCK: usize = 4_096;

/// Which stream of its file it is; any number, and always the same.
const SERIAL: i32 = 1;

/// Encodes and decodes the channels of one clip.
fn code(channels: &mut [Vec<f32>], rate: u32, quality: f32) -> Result<(), String> {
    let impossible = || "no rate or no channels".to_owned();
    let rate = NonZeroU32::new(rate).ok_or_else(impossible)?;
    let count = u8::try_from(channels.len()).ok().and_then(NonZeroU8::new).ok_or_else(impossible)?;
    let len = channels.first().map_or(0, Vec::len);
    let told = |error: vorbis_rs::VorbisError| error.to_string();

    let mut encoder = VorbisEncoderBuilder::new_with_serial(rate, count, Vec::new(), SERIAL)
        .bitrate_management_strategy(VorbisBitrateManagementStrategy::QualityVbr { target_quality: quality })
        .build()
        .map_err(told)?;
    let mut block: Vec<&[f32]> = Vec::with_capacity(channels.len());
    for at in (0..len).step_by(BLOCK) {
        block.clear();
        block.extend(channels.iter().map(|channel| &channel[at..len.min(at + BLOCK)]));
        encoder.encode_audio_block(&block).map_err(told)?;
    }
    let stream = encoder.finish().map_err(told)?;

    let mut decoder = VorbisDecoder::<Cursor<Vec<u8>>>::new(Cursor::new(stream)).map_err(told)?;
    let mut at = 0;
    while let Some(decoded) = decoder.decode_audio_block().map_err(told)? {
        let mut taken = 0;
        for (channel, samples) in channels.iter_mut().zip(decoded.samples()) {
            taken = samples.len().min(len - at);
            channel[at..at + taken].copy_from_slice(&samples[..taken]);
        }
        at += taken;
    }
    if at == len { Ok(()) } else { Err(format!("{at} samples of {len} came back")) }
}
