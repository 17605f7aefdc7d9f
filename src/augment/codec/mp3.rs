//! MP3 through `rusty_mp3`.

use std::ffi::OsString;

use rusty_mp3::encode::lametag::{DECODER_DELAY, ENCODER_DELAY, extra_priming};
use rusty_mp3::{Error, Mp3Decoder, Mp3Encoder, Mp3EncoderConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Apply, AugmentError, Draw};
use super::carrier::{Carrier, Place, interleave};
use crate::audio::{Range, Waveform};
use crate::transform::SettingError;

/// MPEG-1, 2 and 2.5 Layer III at a constant bitrate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mp3 {
    /// The bitrate of the stream, both channels together, in kbit/s, 8 to 320; [8, 64]. The format has 8, 16, 24, 32,
    /// 40, 48, 56, 64, 80, 96, 112, 128, 144 and 160 at rates up to 24 kHz, and 32 to 320 above.
    pub bitrate_kbps: Range,
}

impl Default for Mp3 {
    fn default() -> Self {
        Self { bitrate_kbps: Range::Uniform([8.0, 64.0]) }
    }
}

/// The rates of MPEG-2.5, 2 and 1.
const RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// The lowest rate of MPEG-1, whose frames are longer and whose bitrates are others.
const LOWEST_OF_MPEG_1: u32 = 32_000;

/// Bitrates of MPEG-2 and 2.5 (ISO/IEC 13818-3, 2.4.2.3).
const BITRATES_OF_MPEG_2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Bitrates of MPEG-1 (ISO/IEC 11172-3, 2.4.2.3).
const BITRATES_OF_MPEG_1: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// The bitrate of the format that a draw of `unit` stands for.
fn bitrate(range: &Range, unit: f64, rate: u32) -> u32 {
    let bitrates = if rate < LOWEST_OF_MPEG_1 { BITRATES_OF_MPEG_2 } else { BITRATES_OF_MPEG_1 };
    if let Range::Uniform([low, high]) = range {
        let within = |bitrate: &u32| (*low..=*high).contains(&f64::from(*bitrate));
        let count = bitrates.iter().filter(|bitrate| within(bitrate)).count();
        let drawn = ((unit * count as f64) as usize).min(count.saturating_sub(1));
        if let Some(bitrate) = bitrates.into_iter().filter(within).nth(drawn) {
            return bitrate;
        }
    }
    let wanted = range.at(unit);
    let distance = |bitrate: &u32| (f64::from(*bitrate) - wanted).abs();
    bitrates.into_iter().min_by(|one, other| distance(one).total_cmp(&distance(other))).unwrap_or(64)
}

impl Mp3 {
    pub(super) fn check(&self) -> Result<(), SettingError> {
        SettingError::unless_all_within("bitrate_kbps", &self.bitrate_kbps, 8.0, 320.0)
    }

    pub(super) fn prepare(&self) -> Box<dyn Apply> {
        let carrier =
            Carrier::new("mp3", |rate| RATES.into_iter().find(|own| *own >= rate).unwrap_or(RATES[RATES.len() - 1]));
        Box::new(Mp3AtWork {
            settings: self.clone(),
            carrier,
            variable: tuning(std::env::vars_os()),
            block: Vec::new(),
        })
    }
}

/// The first variable of the environment by which the encoder is tuned: `rusty_mp3` 1.0 reads some that change its bytes, and nothing
/// in its interface forbids it.
fn tuning(mut variables: impl Iterator<Item = (OsString, OsString)>) -> Option<String> {
    let name = variables.find_map(|(name, _)| {
        let name = name.into_string().ok()?;
        (name.starts_with("MP3_") || name.starts_with("RFF_MP3_")).then_some(name)
    });
    name.map(|name| format!("the variable {name} of the environment changes its encoder: unset it"))
}

struct Mp3AtWork {
    settings: Mp3,
    carrier: Carrier,
    /// What stands in the way of the same bytes everywhere.
    variable: Option<String>,
    block: Vec<f32>,
}

impl Apply for Mp3AtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        if let Some(reason) = &self.variable {
            return Err(AugmentError::Codec { codec: "mp3", reason: reason.clone() });
        }
        let rate = self.carrier.rate_for(sound.sample_rate);
        let bitrate_kbps = bitrate(&self.settings.bitrate_kbps, draw.unit(), rate);
        draw.note("bitrate_kbps", bitrate_kbps);
        let block = &mut self.block;
        self.carrier.carry(sound, |channels| code(channels, rate, bitrate_kbps, block))
    }
}

/// Samples that are encoded and decoded at once.
const BLOCK: usize = 4_608;

/// Encodes and decodes the channels of one clip, in place: what is decoded lies before what is still to be encoded.
fn code(channels: &mut [Vec<f32>], rate: u32, bitrate_kbps: u32, block: &mut Vec<f32>) -> Result<(), Error> {
    let len = channels.first().map_or(0, Vec::len);
    let frame = if rate < LOWEST_OF_MPEG_1 { 576 } else { 1_152 };
    let mut place = Place::behind(ENCODER_DELAY + DECODER_DELAY + extra_priming(len as u64, frame));
    let mut encoder = Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps, vbr_quality: None });
    let mut stream = Stream { decoder: Mp3Decoder::new(), tagged: false };
    for at in (0..len).step_by(BLOCK) {
        block.resize(BLOCK.min(len - at) * channels.len(), 0.0);
        interleave(channels, at, block);
        encoder.push_pcm_f32(block, channels.len() as u16, rate)?;
        stream.take(&mut encoder, &mut place, channels);
    }
    encoder.finish();
    stream.take(&mut encoder, &mut place, channels);
    if place.filled() == len { Ok(()) } else { Err(Error::Eof) }
}

/// A stream that is decoded as it comes.
struct Stream {
    decoder: Mp3Decoder,
    /// Whether its first frame, which tells a player the delay and holds no sound, is gone.
    tagged: bool,
}

impl Stream {
    fn take(&mut self, encoder: &mut Mp3Encoder, place: &mut Place, channels: &mut [Vec<f32>]) {
        while let Ok(packet) = encoder.next_packet() {
            if std::mem::replace(&mut self.tagged, true) {
                self.decoder.push(&packet);
            }
        }
        while let Ok(decoded) = self.decoder.next_frame() {
            place.put(&decoded.samples, channels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_are_those_of_the_format_within_the_range() {
        let drawn = |range: &Range, rate| {
            let mut drawn: Vec<u32> = (0..1_000).map(|i| bitrate(range, f64::from(i) / 1_000.0, rate)).collect();
            drawn.dedup();
            drawn
        };
        assert_eq!(drawn(&Range::Uniform([8.0, 64.0]), 16_000), [8, 16, 24, 32, 40, 48, 56, 64]);
        assert_eq!(drawn(&Range::Uniform([8.0, 64.0]), 44_100), [32, 40, 48, 56, 64]);
        assert_eq!(drawn(&Range::Uniform([8.0, 12.0]), 48_000), [32]);
        assert_eq!(drawn(&Range::fixed(320.0), 24_000), [160]);
        assert_eq!(drawn(&Range::Choice { one_of: vec![9.0, 30.0] }, 8_000), [8, 32]);
    }

    #[test]
    fn a_variable_that_tunes_the_encoder_is_named() {
        let variables =
            |names: &[&str]| names.iter().map(|name| (name.into(), "1".into())).collect::<Vec<_>>().into_iter();
        assert_eq!(tuning(variables(&["PATH", "XMP3_SHAPE"])), None);
        assert!(tuning(variables(&["PATH", "MP3_SHAPE"])).unwrap().contains("MP3_SHAPE"));
        assert!(tuning(variables(&["RFF_MP3_XRPOW"])).is_some());
    }
}
