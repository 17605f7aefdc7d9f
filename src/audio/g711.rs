//! The two laws of ITU-T G.711: 16-bit samples as 8 bits, in segments of which each is twice as coarse as the one
//! below.
//!
//! The codes are those of the ITU's own program (G.191, `ulaw_compress` and `alaw_compress`), which complements the
//! bits of a negative sample. ffmpeg, `sox` and libsndfile agree with it and with each other but for samples that lie on
//! the border of two codes, at most 1.6 % of all values, which they give to the code beside.

use super::Waveform;

/// What becomes of sound that is carried as μ-law.
pub(crate) fn mu_law(sound: &mut Waveform) {
    as_integers(sound, |sample| mu_law_decode(mu_law_encode(sample)));
}

/// What becomes of sound that is carried as A-law.
pub(crate) fn a_law(sound: &mut Waveform) {
    as_integers(sound, |sample| a_law_decode(a_law_encode(sample)));
}

/// Changes each sample as a 16-bit integer, clipped at full scale.
fn as_integers(sound: &mut Waveform, change: impl Fn(i16) -> i16) {
    for sample in sound.channels.iter_mut().flatten() {
        // The cast saturates.
        *sample = f32::from(change((*sample * 32_768.0).round_ties_even() as i16)) / 32_768.0;
    }
}

/// The code of a sample in the law of North America and Japan, whose bits are all complemented.
pub(crate) const fn mu_law_encode(sample: i16) -> u8 {
    // 14 bits, from 33 on, where the segments begin at powers of two.
    let magnitude = (magnitude(sample) >> 2) + 33;
    let magnitude = if magnitude > 0x1FFF { 0x1FFF } else { magnitude };
    // The highest of the bits 5 to 12 counts the segment, the four bits below it are the step.
    let segment = 10 - magnitude.leading_zeros();
    let step = (magnitude >> (segment + 1)) & 0xF;
    let code = ((segment as u8) << 4) | step as u8;
    !code & 0x7F | sign(sample)
}

/// The sample that a code of the μ-law stands for.
pub(crate) const fn mu_law_decode(code: u8) -> i16 {
    let complement = !code;
    let segment = (complement >> 4) & 7;
    let step = (complement & 0xF) as i16;
    let magnitude = ((((step << 1) + 33) << segment) - 33) << 2;
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The code of a sample in the law of the rest of the world, of which every other bit is inverted.
pub(crate) const fn a_law_encode(sample: i16) -> u8 {
    // 12 bits; the lowest two segments are equally fine.
    let magnitude = magnitude(sample) >> 4;
    let code = if magnitude < 16 {
        magnitude as u8
    } else {
        let segment = 12 - magnitude.leading_zeros();
        ((segment as u8) << 4) | ((magnitude >> (segment - 1)) & 0xF) as u8
    };
    (code | sign(sample)) ^ 0x55
}

/// The sample that a code of the A-law stands for.
pub(crate) const fn a_law_decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = (((code & 0xF) as i16) << 4) + 8;
    let magnitude = if segment == 0 { step } else { (step + 0x100) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The bits of a sample below its sign, those of a negative one complemented.
const fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }) as u16
}

/// The highest bit of a code: set where the sample is not negative.
const fn sign(sample: i16) -> u8 {
    if sample < 0 { 0 } else { 0x80 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;

    #[test]
    fn codes_and_levels_are_those_of_the_c_code_in_python() {
        let (_, linear) = golden("augment/filters/g711-linear");
        let codes = |encode: fn(i16) -> u8, linear: &[f32]| -> Vec<f32> {
            linear.iter().map(|sample| f32::from(encode(*sample as i16))).collect()
        };
        // It rounds negative samples of the μ-law another way.
        assert_eq!(codes(mu_law_encode, &linear), golden("augment/filters/g711-mu-codes").1);
        let both: Vec<f32> = linear.iter().copied().chain(linear.iter().map(|sample| -sample)).collect();
        assert_eq!(codes(a_law_encode, &both), golden("augment/filters/g711-a-codes").1);
        for (decode, name) in [(mu_law_decode as fn(u8) -> i16, "mu"), (a_law_decode, "a")] {
            let levels: Vec<f32> = (0..=u8::MAX).map(|code| f32::from(decode(code))).collect();
            assert_eq!(levels, golden(&format!("augment/filters/g711-{name}-levels")).1);
        }
    }
    use symphonia::core::audio::{AudioSpec, Channels, Position};
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW};
    use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
    use symphonia::core::packet::PacketBuilder;
    use symphonia::default::codecs::PcmDecoder;

    /// All codes as the decoder of files reads them.
    fn as_loaded(codec: AudioCodecId) -> Vec<i16> {
        let mono = Channels::Positioned(Position::FRONT_CENTER);
        let mut params = AudioCodecParameters::new();
        params.for_codec(codec).with_sample_rate(8_000).with_channels(mono.clone()).with_max_frames_per_packet(256);
        let mut decoder = PcmDecoder::try_new(&params, &AudioDecoderOptions::default()).unwrap();
        let every: Vec<u8> = (0..=255).collect();
        let packet = PacketBuilder::new().track_id(0).pts(0.into()).dur(256_u64.into()).data(every).build();
        let sound = decoder.decode(&packet).unwrap();
        assert_eq!(sound.spec(), &AudioSpec::new(8_000, mono));
        let mut samples = Vec::new();
        sound.copy_to_vec_interleaved::<i16>(&mut samples);
        samples
    }

    #[test]
    fn every_code_stands_for_the_sample_that_is_loaded_from_a_file() {
        let codes = || 0..=255_u8;
        assert_eq!(codes().map(mu_law_decode).collect::<Vec<_>>(), as_loaded(CODEC_ID_PCM_MULAW));
        assert_eq!(codes().map(a_law_decode).collect::<Vec<_>>(), as_loaded(CODEC_ID_PCM_ALAW));
    }

    #[test]
    fn every_sample_lies_within_half_a_step_of_its_code_and_every_code_is_its_own() {
        let off = |sample: i16, decoded: i16| (i32::from(sample) - i32::from(decoded)).abs();
        for sample in i16::MIN..=i16::MAX {
            let code = mu_law_encode(sample);
            // Steps of 8 in the lowest segment, of samples that are cut to 14 bits; full scale is 32635.
            let half = (4 << ((!code >> 4) & 7)) + 3 + off(sample, sample.clamp(-32_635, 32_635));
            assert!(off(sample, mu_law_decode(code)) <= half, "mu-law of {sample}");

            let code = a_law_encode(sample);
            // Steps of 16 in the lowest two segments.
            let half = 8 << (((code ^ 0x55) >> 4) & 7).saturating_sub(1);
            assert!(off(sample, a_law_decode(code)) <= half, "A-law of {sample}");
        }
        // Minus zero of the mu-law is the one code that stands for no sample of its own.
        assert!((0..=255).all(|code| mu_law_encode(mu_law_decode(code)) == code || code == 0x7F));
        assert!((0..=255).all(|code| a_law_encode(a_law_decode(code)) == code));
    }

    #[test]
    fn codes_are_those_of_the_recommendation() {
        // Tables 1a and 2a: the largest, the first of the second segment, and the smallest of either sign.
        for (sample, code) in
            [(i16::MAX, 0x80), (i16::MIN, 0x00), (0, 0xFF), (-1, 0x7F), (4 * 31, 0xEF), (-4 * 31 - 1, 0x6F)]
        {
            assert_eq!(mu_law_encode(sample), code, "mu-law of {sample}");
        }
        for (sample, code) in
            [(i16::MAX, 0xAA), (i16::MIN, 0x2A), (0, 0xD5), (-1, 0x55), (16 * 16, 0xC5), (16 * 32, 0xF5)]
        {
            assert_eq!(a_law_encode(sample), code, "A-law of {sample}");
        }
    }
}
