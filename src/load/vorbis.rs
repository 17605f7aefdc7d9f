//! Vorbis of three to eight channels in the order of a WAV, which is everyone else's (Vorbis I, 4.3.9).

use symphonia::core::audio::{AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, GenericAudioBufferRef};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, FinalizeResult};
use symphonia::core::errors::Result;
use symphonia::core::packet::PacketRef;

use super::opus::VORBIS_TO_WAV;

/// A decoder of Vorbis whose channels are put in order.
pub(super) struct InWavOrder {
    decoder: Box<dyn AudioDecoder>,
    buffer: AudioBuffer<f32>,
}

impl InWavOrder {
    pub(super) fn new(decoder: Box<dyn AudioDecoder>) -> Self {
        Self { decoder, buffer: AudioBuffer::default() }
    }
}

impl AudioDecoder for InWavOrder {
    fn reset(&mut self) {
        self.decoder.reset();
    }

    fn codec_info(&self) -> &CodecInfo {
        self.decoder.codec_info()
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        self.decoder.codec_params()
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        let decoded = self.decoder.decode_ref(packet)?;
        // Symphonia's Vorbis comes in no other type.
        let GenericAudioBufferRef::F32(decoded) = decoded else { return Ok(self.buffer.as_generic_audio_buffer_ref()) };
        if self.buffer.capacity() < decoded.frames() || self.buffer.spec() != decoded.spec() {
            self.buffer = AudioBuffer::new(decoded.spec().clone(), decoded.frames());
        }
        self.buffer.render_uninit(Some(decoded.frames()));
        let order = decoded.num_planes().checked_sub(1).and_then(|channels| VORBIS_TO_WAV.get(channels));
        for channel in 0..decoded.num_planes() {
            let from = order.map_or(channel, |order| order[channel]);
            if let (Some(to), Some(from)) = (self.buffer.plane_mut(channel), decoded.plane(from)) {
                to.copy_from_slice(from);
            }
        }
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        self.decoder.finalize()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}
