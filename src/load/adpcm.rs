//! ADPCM of WAV files, 4 bits a sample: the form of Microsoft and that of the IMA (as DVI). Recordings of telephones and
//! dictation machines have it.
//!
//! A decoder of ours because that of symphonia 0.6.1 knows no short last block, and its step of MS ADPCM grows until it
//! overflows on data that is damaged. Both formats are those of the Microsoft Multimedia Standards Update (1994), the
//! arithmetic and the bounds are ffmpeg's, sample by sample.

use symphonia::core::audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Result, decode_error, unsupported_error};
use symphonia::core::packet::PacketRef;
use symphonia::core::support_audio_codec;

/// Bytes at the head of a block for each channel.
const IMA_HEAD: u64 = 4;
const MS_HEAD: u64 = 7;

/// After the head, IMA blocks have 4 bytes of one channel, then 4 of the next: 8 samples each.
const IMA_GROUP_BYTES: u64 = 4;
const IMA_GROUP_SAMPLES: u64 = 8;

/// Samples per channel in a block of so many bytes; 0 where they are too few for one, and for every codec that is no ADPCM.
pub(super) fn samples_in(codec: AudioCodecId, channels: u16, bytes: u64) -> u64 {
    let channels = u64::from(channels);
    match codec {
        CODEC_ID_ADPCM_IMA_WAV => bytes
            .checked_sub(IMA_HEAD * channels)
            .map_or(0, |rest| 1 + rest / (IMA_GROUP_BYTES * channels) * IMA_GROUP_SAMPLES),
        CODEC_ID_ADPCM_MS => bytes.checked_sub(MS_HEAD * channels).map_or(0, |rest| 2 + rest * 2 / channels),
        _ => 0,
    }
}

/// The size of a block as the decoder wants it, which symphonia's parameters have no place for.
pub(super) fn extra_data(block_bytes: u64) -> Box<[u8]> {
    Box::new(block_bytes.to_le_bytes())
}

/// Decodes packets of blocks, of which the last may be short.
pub(super) struct AdpcmDecoder {
    params: AudioCodecParameters,
    block_bytes: usize,
    channels: u16,
    buffer: AudioBuffer<i16>,
}

impl AdpcmDecoder {
    fn new(params: &AudioCodecParameters) -> Result<Self> {
        let (Some(rate), Some(channels)) = (params.sample_rate, params.channels.clone()) else {
            return decode_error("adpcm: the sample rate or the number of channels is missing");
        };
        let block_bytes = params.extra_data.as_deref().and_then(|data| data.try_into().ok()).map(u64::from_le_bytes);
        let Some(block_bytes) = block_bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0)
        else {
            return decode_error("adpcm: the size of a block is missing");
        };
        let count = u16::try_from(channels.count()).unwrap_or(0);
        if count == 0 {
            return decode_error("adpcm: a sound of no channels");
        }
        // Beyond two channels no document says how they follow each other.
        if count > 2 && params.codec == CODEC_ID_ADPCM_MS {
            return unsupported_error("MS ADPCM of more than two channels");
        }
        let longest = params.max_frames_per_packet.and_then(|frames| usize::try_from(frames).ok()).unwrap_or(0);
        let buffer = AudioBuffer::new(AudioSpec::new(rate, channels), longest);
        Ok(Self { params: params.clone(), block_bytes, channels: count, buffer })
    }

    /// Decodes one block behind what the buffer holds.
    fn decode_block(&mut self, block: &[u8]) -> Result<()> {
        let start = self.buffer.frames();
        let samples = samples_in(self.params.codec, self.channels, block.len() as u64) as usize;
        self.buffer.grow_capacity(start + samples);
        self.buffer.render_uninit(Some(samples));
        let mut planes: Vec<&mut [i16]> = self.buffer.iter_planes_mut().map(|plane| &mut plane[start..]).collect();
        let decoded = match self.params.codec {
            CODEC_ID_ADPCM_MS => decode_ms(block, &mut planes),
            _ => decode_ima(block, &mut planes),
        };
        decoded.map_or_else(|| decode_error("adpcm: the head of a block is damaged"), Ok)
    }
}

/// By how much one step of a nibble changes the sample, in eighths: what is chosen by the nibbles before.
const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];

/// By how much the place in the table of steps moves after a nibble, its sign left out.
const IMA_MOVES: [i8; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

struct Ima {
    sample: i32,
    step: u8,
}

impl Ima {
    fn next(&mut self, nibble: u8) -> i16 {
        let size = nibble & 7;
        let difference = ((2 * i32::from(size) + 1) * IMA_STEPS[usize::from(self.step)]) >> 3;
        let sample = if nibble & 8 == 0 { self.sample + difference } else { self.sample - difference };
        let sample = clamp(sample);
        self.sample = i32::from(sample);
        self.step = self.step.saturating_add_signed(IMA_MOVES[usize::from(size)]).min(IMA_STEPS.len() as u8 - 1);
        sample
    }
}

/// None where a head is not possible.
fn decode_ima(block: &[u8], planes: &mut [&mut [i16]]) -> Option<()> {
    let channels = planes.len();
    let (heads, groups) = block.split_at_checked(channels * IMA_HEAD as usize)?;
    for (channel, (plane, head)) in planes.iter_mut().zip(heads.chunks_exact(IMA_HEAD as usize)).enumerate() {
        let [low, high, step, _] = *head else { return None };
        let first = i16::from_le_bytes([low, high]);
        let mut state = Ima { sample: i32::from(first), step: step_of(step)? };
        let (out, rest) = plane.split_first_mut()?;
        *out = first;
        let groups = groups.chunks_exact(IMA_GROUP_BYTES as usize).skip(channel).step_by(channels);
        for (samples, group) in rest.chunks_exact_mut(IMA_GROUP_SAMPLES as usize).zip(groups) {
            for (pair, byte) in samples.chunks_exact_mut(2).zip(group) {
                pair[0] = state.next(byte & 15);
                pair[1] = state.next(byte >> 4);
            }
        }
    }
    Some(())
}

/// A place in the table of steps, if it is one.
fn step_of(byte: u8) -> Option<u8> {
    (usize::from(byte) < IMA_STEPS.len()).then_some(byte)
}

/// How the two samples before make the next, in 256ths: the seven pairs that the standard has and every file lists.
const MS_PREDICTORS: [(i32, i32); 7] = [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];

/// By how much the step grows after a nibble, in 256ths.
const MS_GROWTH: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

const MS_LEAST_STEP: i32 = 16;

/// The step that can still grow without an overflow.
const MS_MOST_STEP: i32 = i32::MAX / 768;

struct Ms {
    predictor: (i32, i32),
    step: i32,
    /// The sample before, and the one before that.
    before: (i32, i32),
}

impl Ms {
    fn next(&mut self, nibble: u8) -> i16 {
        let predicted = (self.before.0 * self.predictor.0 + self.before.1 * self.predictor.1) / 256;
        let signed = i32::from(nibble) - if nibble < 8 { 0 } else { 16 };
        let sample = clamp(predicted + signed * self.step);
        self.before = (i32::from(sample), self.before.0);
        self.step = ((MS_GROWTH[usize::from(nibble & 15)] * self.step) >> 8).clamp(MS_LEAST_STEP, MS_MOST_STEP);
        sample
    }
}

/// None where a head is not possible.
fn decode_ms(block: &[u8], planes: &mut [&mut [i16]]) -> Option<()> {
    let channels = planes.len();
    let (predictors, rest) = block.split_at_checked(channels)?;
    let (heads, nibbles) = rest.split_at_checked((MS_HEAD as usize - 1) * channels)?;
    let (words, []) = heads.as_chunks::<2>() else { return None };
    let word = |index: usize, channel: usize| Some(i16::from_le_bytes(*words.get(index * channels + channel)?));
    let mut states = Vec::new();
    for (channel, (plane, predictor)) in planes.iter_mut().zip(predictors).enumerate() {
        let (step, last, first) = (word(0, channel)?, word(1, channel)?, word(2, channel)?);
        plane.get_mut(..2)?.copy_from_slice(&[first, last]);
        let predictor = *MS_PREDICTORS.get(usize::from(*predictor))?;
        states.push(Ms { predictor, step: i32::from(step), before: (i32::from(last), i32::from(first)) });
    }
    match (planes, states.as_mut_slice()) {
        ([plane], [state]) => {
            for (pair, byte) in plane.get_mut(2..)?.chunks_exact_mut(2).zip(nibbles) {
                pair[0] = state.next(byte >> 4);
                pair[1] = state.next(byte & 15);
            }
        }
        ([left, right], [left_state, right_state]) => {
            for ((left, right), byte) in left.get_mut(2..)?.iter_mut().zip(right.get_mut(2..)?).zip(nibbles) {
                *left = left_state.next(byte >> 4);
                *right = right_state.next(byte & 15);
            }
        }
        _ => return None,
    }
    Some(())
}

fn clamp(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

impl AudioDecoder for AdpcmDecoder {
    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[usize::from(self.params.codec == CODEC_ID_ADPCM_IMA_WAV)].info
    }

    fn reset(&mut self) {}

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        for block in packet.data.chunks(self.block_bytes) {
            self.decode_block(block)?;
        }
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for AdpcmDecoder {
    fn try_registry_new(params: &AudioCodecParameters, _: &AudioDecoderOptions) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::new(params)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[
            support_audio_codec!(CODEC_ID_ADPCM_MS, "adpcm_ms", "Microsoft ADPCM"),
            support_audio_codec!(CODEC_ID_ADPCM_IMA_WAV, "adpcm_ima_wav", "IMA ADPCM of WAV"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use symphonia::core::audio::Channels;
    use symphonia::core::units::{Duration, Timestamp};

    use super::*;

    /// The samples of each channel, which are in the packet that the block is.
    fn decode(codec: AudioCodecId, channels: u16, block_bytes: u64, packet: &[u8]) -> Result<Vec<Vec<i16>>> {
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(codec)
            .with_sample_rate(8_000)
            .with_channels(Channels::Discrete(channels))
            .with_extra_data(extra_data(block_bytes));
        let mut decoder = AdpcmDecoder::new(&params)?;
        decoder.decode_ref(&PacketRef::new(0, Timestamp::new(0), Duration::from(0_u64), packet))?;
        Ok(decoder.buffer.iter_planes().map(<[i16]>::to_vec).collect())
    }

    #[test]
    fn nibbles_of_nothing_stay_where_the_block_begins() {
        // Steps of 7: a nibble of 0 adds an eighth of it, which is less than one.
        let mono = [100_i16.to_le_bytes(), [0, 0], [0, 0x80], [8, 0]].concat();
        assert_eq!(decode(CODEC_ID_ADPCM_IMA_WAV, 1, 8, &mono).unwrap(), [[100; 9]]);
        let stereo = [[5, 0, 0, 0], [9, 0, 0, 0], [0; 4], [0; 4]].concat();
        assert_eq!(decode(CODEC_ID_ADPCM_IMA_WAV, 2, 16, &stereo).unwrap(), [[5; 9], [9; 9]]);
        // The predictor of two times the sample before less the one before that goes on in a line.
        let line = [vec![1], [16_i16, 20, 10].map(i16::to_le_bytes).concat(), vec![0, 0]].concat();
        assert_eq!(decode(CODEC_ID_ADPCM_MS, 1, 9, &line).unwrap(), [[10, 20, 30, 40, 50, 60]]);
    }

    #[test]
    fn nibbles_move_the_sample_as_the_standards_say() {
        let ima = [0_i16.to_le_bytes(), [30, 0], [0x71, 0], [0, 0xF0]].concat();
        // 130·3/8 = 48 is added; the step then is 118, of which 15/8 is 221; by then it is 253 and grows smaller.
        let decoded = decode(CODEC_ID_ADPCM_IMA_WAV, 1, 8, &ima).unwrap();
        assert_eq!(decoded[0][..5], [0, 48, 48 + 221, 48 + 221 + 31, 48 + 221 + 31 + 28]);
        assert!(decoded[0][8] < decoded[0][7], "the eighth bit is a sign");
        let ms = [vec![2], [16_i16, 0, 0].map(i16::to_le_bytes).concat(), vec![0x1F, 0x82]].concat();
        assert_eq!(decode(CODEC_ID_ADPCM_MS, 1, 9, &ms).unwrap(), [[0, 0, 16, -16, -128, 96]]);
    }

    #[test]
    fn a_short_last_block_has_the_samples_that_it_has() {
        let blocks = [vec![0; 12], vec![0; 12], vec![0; 8 + 3]].concat();
        assert_eq!(decode(CODEC_ID_ADPCM_IMA_WAV, 1, 12, &blocks).unwrap(), [[0; 17 + 17 + 9]]);
        assert_eq!(decode(CODEC_ID_ADPCM_MS, 1, 12, &blocks[..12 + 9]).unwrap(), [[0; 12 + 6]]);
        assert_eq!(decode(CODEC_ID_ADPCM_MS, 2, 20, &[0; 20 + 17]).unwrap(), [[0; 8 + 5]; 2].map(Vec::from));
    }

    #[test]
    fn a_head_that_is_not_possible_is_an_error() {
        let message = |result: Result<_>| result.map(drop).unwrap_err().to_string();
        assert!(message(decode(CODEC_ID_ADPCM_IMA_WAV, 1, 8, &[0, 0, 89, 0, 0, 0, 0, 0])).contains("damaged"));
        assert!(message(decode(CODEC_ID_ADPCM_MS, 1, 8, &[7, 0, 0, 0, 0, 0, 0, 0])).contains("damaged"));
        assert!(message(decode(CODEC_ID_ADPCM_MS, 3, 30, &[0; 30])).contains("two channels"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), ms: bool, channels in 1_u16..3,
        ) {
            let codec = if ms { CODEC_ID_ADPCM_MS } else { CODEC_ID_ADPCM_IMA_WAV };
            drop(decode(codec, channels, 70, &bytes));
        }
    }

    #[test]
    fn a_step_that_grows_with_every_nibble_ends_at_its_bound() {
        let block =
            [vec![1], [i16::MAX, i16::MIN, i16::MAX].map(i16::to_le_bytes).concat(), vec![0x88; 1_000]].concat();
        let decoded = decode(CODEC_ID_ADPCM_MS, 1, block.len() as u64, &block).unwrap();
        assert_eq!(decoded[0].last(), Some(&i16::MIN));
    }
}
