//! Opus through libopus, as calls send it.

use std::sync::Mutex;

use opusic_c::{Bitrate, Channels, Decoder, Encoder, ErrorCode, SampleRate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Apply, AugmentError, Draw};
use super::carrier::{Carrier, Place, interleave};
use crate::audio::{Range, Waveform};
use crate::transform::SettingError;

/// Opus (RFC 6716) in frames of 20 ms, at a variable bitrate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Opus {
    /// The bitrate of the stream, both channels together, in kbit/s, 6 to 256; [8, 32].
    pub bitrate_kbps: Range,
    /// What the encoder is tuned to: `audio` (default) or `voip`.
    pub application: Application,
}

/// What an Opus encoder is tuned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Application {
    /// Closest to the original.
    #[default]
    Audio,
    /// Calls: speech is to be understood.
    Voip,
}

impl Default for Opus {
    fn default() -> Self {
        Self { bitrate_kbps: Range::Uniform([8.0, 32.0]), application: Application::Audio }
    }
}

/// The rates at which Opus works.
const RATES: [(u32, SampleRate); 5] = [
    (8_000, SampleRate::Hz8000),
    (12_000, SampleRate::Hz12000),
    (16_000, SampleRate::Hz16000),
    (24_000, SampleRate::Hz24000),
    (48_000, SampleRate::Hz48000),
];

/// The first that is as high as a clip's rate, or the highest.
fn rate_for(rate: u32) -> (u32, SampleRate) {
    RATES.into_iter().find(|(own, _)| *own >= rate).unwrap_or(RATES[RATES.len() - 1])
}

/// The largest packet of one frame (RFC 6716, 3.4: 1275 bytes and the first).
const LARGEST_PACKET: usize = 1_276;

/// Of 0 to 10: libopus' own default, set so that none of its versions changes it.
const COMPLEXITY: u8 = 9;

impl Opus {
    pub(super) fn check(&self) -> Result<(), SettingError> {
        SettingError::unless_all_within("bitrate_kbps", &self.bitrate_kbps, 6.0, 256.0)
    }

    pub(super) fn prepare(&self) -> Box<dyn Apply> {
        let carrier = Carrier::new("opus", |rate| rate_for(rate).0);
        Box::new(OpusAtWork { settings: self.clone(), carrier, pair: None })
    }
}

struct OpusAtWork {
    settings: Opus,
    carrier: Carrier,
    /// A mutex that is never locked: libopus may change threads, but not be shared.
    pair: Option<Mutex<Pair>>,
}

/// An encoder and a decoder of one rate and number of channels.
struct Pair {
    rate: u32,
    channels: usize,
    encoder: Encoder,
    decoder: Decoder,
    /// Samples by which the two together delay.
    delay: usize,
    frame: Vec<f32>,
    packet: Vec<u8>,
}

impl Apply for OpusAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let bits_per_second = (draw.number("bitrate_kbps", &self.settings.bitrate_kbps) * 1_000.0) as u32;
        let rate = self.carrier.rate_for(sound.sample_rate);
        let channels = if sound.channels.len() == 2 { 2 } else { 1 };
        let made = self.pair.take().and_then(|pair| pair.into_inner().ok());
        let mut pair = match made.filter(|pair| (pair.rate, pair.channels) == (rate, channels)) {
            Some(pair) => pair,
            None => Pair::new(rate, channels, self.settings.application)
                .map_err(|error| self.carrier.refusal(error.message()))?,
        };
        self.carrier.carry(sound, |channels| pair.code(channels, bits_per_second).map_err(|error| error.message()))?;
        self.pair = Some(Mutex::new(pair));
        Ok(())
    }
}

impl Pair {
    fn new(rate: u32, channels: usize, application: Application) -> Result<Self, ErrorCode> {
        let (layout, known) = (if channels == 2 { Channels::Stereo } else { Channels::Mono }, rate_for(rate).1);
        let application = match application {
            Application::Audio => opusic_c::Application::Audio,
            Application::Voip => opusic_c::Application::Voip,
        };
        let mut encoder = Encoder::new(layout, known, application)?;
        encoder.set_complexity(COMPLEXITY)?;
        let delay = encoder.get_look_ahead()? as usize;
        let decoder = Decoder::new(layout, known)?;
        // 20 ms.
        let frame = vec![0.0; rate as usize / 50 * channels];
        Ok(Self { rate, channels, encoder, decoder, delay, frame, packet: vec![0; LARGEST_PACKET] })
    }

    /// Encodes and decodes one frame after the other, in place: what is decoded lies before what is still to be encoded.
    fn code(&mut self, channels: &mut [Vec<f32>], bits_per_second: u32) -> Result<(), ErrorCode> {
        self.encoder.reset()?;
        self.decoder.reset()?;
        self.encoder.set_bitrate(Bitrate::Value(bits_per_second))?;
        let len = channels.first().map_or(0, Vec::len);
        let mut place = Place::behind(self.delay);
        let mut at = 0;
        while place.filled() < len {
            interleave(channels, at, &mut self.frame);
            at += self.frame.len() / self.channels;
            let bytes = self.encoder.encode_float_to_slice(&self.frame, &mut self.packet)?;
            let packet = self.packet.get(..bytes).ok_or(ErrorCode::BufferTooSmall)?;
            let decoded = self.decoder.decode_float_to_slice(packet, &mut self.frame, false)?;
            if decoded * self.channels != self.frame.len() {
                return Err(ErrorCode::InvalidPacket);
            }
            place.put(&self.frame, channels);
        }
        Ok(())
    }
}
