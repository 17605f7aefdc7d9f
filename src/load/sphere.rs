//! NIST SPHERE, as of the corpora of the LDC: a header of text lines, as a rule 1,024 bytes long, then the sound.

use std::str;

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S8, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32BE, CODEC_ID_PCM_S32LE,
};

use super::error::LoadError;
use super::pcm::{Coding, Layout, corrupt, head};
use super::source::Source;

/// The longest header that is read: many times the longest known, which are of a few kilobytes.
const MAX_HEADER: usize = 64 * 1024;

/// Bytes of the first two lines: the name of the format, and the length of the header.
const FIRST_LINES: usize = 16;

/// # Errors
///
/// As [`sniff::layout`](super::sniff::layout).
pub(super) fn layout(source: &mut Source) -> Result<Layout, LoadError> {
    let mut first = [0; FIRST_LINES];
    let length = head(source, &mut first)?.get(8..).and_then(|line| str::from_utf8(line).ok()?.trim().parse().ok());
    let Some(length @ FIRST_LINES..=MAX_HEADER) = length else {
        return Err(corrupt("a SPHERE header of an impossible length"));
    };
    let mut header = vec![0; length];
    let header = head(source, &mut header)?;
    let fields = Fields::read(header.get(FIRST_LINES..).unwrap_or_default())?;
    let claimed = fields.sample_count;
    let coding = fields.coding()?;
    let claimed = claimed.map(|samples| coding.bytes_of(samples));
    Ok(Layout::new(coding, length as u64, claimed, source.len()))
}

/// The fields that say where the samples are and how they are coded, as they are written.
#[derive(Debug, Default)]
struct Fields<'a> {
    channel_count: Option<u32>,
    sample_rate: Option<u32>,
    /// Samples per channel.
    sample_count: Option<u64>,
    sample_n_bytes: Option<u64>,
    sample_byte_format: Option<&'a str>,
    sample_coding: Option<&'a str>,
    channels_interleaved: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Reads lines as `sample_rate -i 16000` up to the one that ends the header.
    fn read(header: &'a [u8]) -> Result<Self, LoadError> {
        let mut fields = Self::default();
        for line in header.split(|byte| *byte == b'\n') {
            // Names and remarks may be in any encoding; what counts here is ASCII.
            let Ok(line) = str::from_utf8(line) else { continue };
            let mut words = line.split_ascii_whitespace();
            let (name, value) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            match name {
                "end_head" => return Ok(fields),
                "channel_count" => fields.channel_count = Some(number(value)?),
                "sample_rate" => fields.sample_rate = Some(number(value)?),
                "sample_count" => fields.sample_count = Some(number(value)?),
                "sample_n_bytes" => fields.sample_n_bytes = Some(number(value)?),
                "sample_byte_format" => fields.sample_byte_format = Some(value),
                "sample_coding" => fields.sample_coding = Some(value),
                "channels_interleaved" => fields.channels_interleaved = Some(value),
                _ => {}
            }
        }
        Err(corrupt("a SPHERE header without end_head"))
    }

    fn coding(&self) -> Result<Coding, LoadError> {
        let channels = self.channel_count.ok_or_else(|| corrupt("a SPHERE header without channel_count"))?;
        let rate = self.sample_rate.ok_or_else(|| corrupt("a SPHERE header without sample_rate"))?;
        let (codec, bytes) = self.codec()?;
        if channels > 1 && self.channels_interleaved.is_some_and(|word| word.eq_ignore_ascii_case("FALSE")) {
            return Err(LoadError::UnsupportedCodec { feature: "channels one after the other in NIST SPHERE" });
        }
        Coding::pcm(codec, bytes, rate, channels)
    }

    /// The codec, and its bytes a sample.
    fn codec(&self) -> Result<(AudioCodecId, u64), LoadError> {
        let coding = self.sample_coding.unwrap_or("pcm").to_ascii_lowercase();
        let (coding, packing) = coding.split_once(',').unwrap_or((&coding, ""));
        if !packing.is_empty() {
            return Err(LoadError::UnsupportedCodec { feature: packed(packing) });
        }
        let law = match coding {
            "pcm" if self.sample_byte_format.is_some_and(|word| word.eq_ignore_ascii_case("mu-law")) => {
                CODEC_ID_PCM_MULAW
            }
            "pcm" => return self.integer(),
            "ulaw" | "mu-law" | "mulaw" => CODEC_ID_PCM_MULAW,
            "alaw" | "a-law" => CODEC_ID_PCM_ALAW,
            _ => return Err(LoadError::UnsupportedCodec { feature: "a coding that is not known, in NIST SPHERE" }),
        };
        match self.sample_n_bytes {
            None | Some(1) => Ok((law, 1)),
            Some(_) => Err(corrupt("A-law or µ-law of more than one byte a sample")),
        }
    }

    fn integer(&self) -> Result<(AudioCodecId, u64), LoadError> {
        let bytes = self.sample_n_bytes.ok_or_else(|| corrupt("a SPHERE header without sample_n_bytes"))?;
        let codec = match (bytes, self.sample_byte_format) {
            (1, _) => CODEC_ID_PCM_S8,
            // The digits are the places of the bytes, the lowest being 0; most writers give those of 16 bits for all.
            (2, Some("01")) => CODEC_ID_PCM_S16LE,
            (2, Some("10")) => CODEC_ID_PCM_S16BE,
            (3, Some("01" | "012")) => CODEC_ID_PCM_S24LE,
            (3, Some("10" | "210")) => CODEC_ID_PCM_S24BE,
            (4, Some("01" | "0123")) => CODEC_ID_PCM_S32LE,
            (4, Some("10" | "3210")) => CODEC_ID_PCM_S32BE,
            (2..=4, _) => return Err(corrupt("a SPHERE header that does not say which byte of a sample comes first")),
            _ => return Err(corrupt("samples of a number of bytes that cannot be, in NIST SPHERE")),
        };
        Ok((codec, bytes))
    }
}

fn packed(packing: &str) -> &'static str {
    if packing.contains("shorten") {
        "shorten in NIST SPHERE; sph2pipe makes a WAV of it"
    } else if packing.contains("wavpack") {
        "WavPack in NIST SPHERE"
    } else if packing.contains("shortpack") {
        "shortpack in NIST SPHERE"
    } else {
        "a compression that is not known, in NIST SPHERE"
    }
}

/// A whole number, which some headers write as a real one: `16000.000`.
fn number<T: TryFrom<u64>>(value: &str) -> Result<T, LoadError> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let number = whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'));
    number
        .and_then(|number: u64| number.try_into().ok())
        .ok_or_else(|| corrupt("a SPHERE header with a number that cannot be"))
}

#[cfg(test)]
mod tests {
    use super::super::pcm::tests::{found, refused, survives_damage};
    use super::*;

    /// A file with a header of `length` bytes and 100 bytes of sound.
    fn file(length: usize, fields: &str) -> Vec<u8> {
        let mut bytes = format!("NIST_1A\n{length:>7}\n{fields}\nend_head\n").into_bytes();
        bytes.resize(length, b' ');
        bytes.extend([1; 100]);
        bytes
    }

    fn with(fields: &str) -> Vec<u8> {
        file(1_024, &format!("database_id -s5 TIMIT\nchannel_count -i 2\nsample_rate -i 16000\n{fields}"))
    }

    #[test]
    fn every_encoding_is_recognised() {
        let cases = [
            ("sample_n_bytes -i 2\nsample_byte_format -s2 01", CODEC_ID_PCM_S16LE, 2),
            ("sample_n_bytes -i 2\nsample_byte_format -s2 10\nsample_coding -s3 pcm", CODEC_ID_PCM_S16BE, 2),
            ("sample_n_bytes -i 3\nsample_byte_format -s2 01", CODEC_ID_PCM_S24LE, 3),
            ("sample_n_bytes -i 3\nsample_byte_format -s3 210", CODEC_ID_PCM_S24BE, 3),
            ("sample_n_bytes -i 4\nsample_byte_format -s4 0123", CODEC_ID_PCM_S32LE, 4),
            ("sample_n_bytes -i 4\nsample_byte_format -s2 10", CODEC_ID_PCM_S32BE, 4),
            ("sample_n_bytes -i 1", CODEC_ID_PCM_S8, 1),
            ("sample_n_bytes -i 1\nsample_coding -s4 ulaw", CODEC_ID_PCM_MULAW, 1),
            ("sample_coding -s6 mu-law", CODEC_ID_PCM_MULAW, 1),
            ("sample_byte_format -s6 mu-law", CODEC_ID_PCM_MULAW, 1),
            ("sample_n_bytes -i 1\nsample_byte_format -s1 1\nsample_coding -s4 ALAW", CODEC_ID_PCM_ALAW, 1),
        ];
        for (fields, codec, bytes) in cases {
            let end = 1_024 + 100 - 100 % (2 * bytes);
            assert_eq!(found(&with(fields)), (codec, 1_024..end, 100 / (2 * bytes)), "{fields}");
        }
    }

    #[test]
    fn packed_sound_is_named() {
        for (coding, name) in [
            ("pcm,embedded-shorten-v2.00", "sph2pipe"),
            ("ulaw,embedded-shorten-v1.09", "sph2pipe"),
            ("pcm,embedded-wavpack-1.0", "WavPack"),
            ("pcm,embedded-shortpack-v0", "shortpack"),
            ("pcm,zip", "compression"),
            ("celp", "coding"),
        ] {
            let (code, what) = refused(&with(&format!("sample_n_bytes -i 2\nsample_coding -s9 {coding}")));
            assert!(code == "unsupported_codec" && what.contains(name), "{what}");
        }
        let apart = with("sample_n_bytes -i 1\nchannels_interleaved -s5 FALSE");
        assert_eq!(refused(&apart).0, "unsupported_codec");
    }

    #[test]
    fn the_samples_that_the_header_counts_are_the_sound() {
        let mono = |count: &str| {
            let fields =
                format!("channel_count -i 1\nsample_rate -r 8000.000\nsample_n_bytes -i 1\nsample_count -i {count}");
            found(&file(2_048, &fields))
        };
        assert_eq!(mono("60"), (CODEC_ID_PCM_S8, 2_048..2_108, 60));
        assert_eq!(mono("500"), (CODEC_ID_PCM_S8, 2_048..2_148, 500), "truncated");
        assert_eq!(mono(&u64::MAX.to_string()), (CODEC_ID_PCM_S8, 2_048..2_148, u64::MAX));
    }

    #[test]
    fn a_header_that_contradicts_itself_is_corrupt() {
        let pcm = "sample_n_bytes -i 2\nsample_byte_format -s2 01";
        for fields in [
            "sample_n_bytes -i 2",
            "sample_n_bytes -i 2\nsample_byte_format -s1 1",
            "sample_n_bytes -i 5\nsample_byte_format -s2 01",
            "sample_n_bytes -i 2\nsample_coding -s4 ulaw",
            &format!("{pcm}\nsample_rate -r 16000.5"),
            &format!("{pcm}\nsample_rate -i 0"),
            &format!("{pcm}\nsample_rate -i 99999999999"),
            &format!("{pcm}\nsample_count -i -1"),
            &format!("{pcm}\nchannel_count -i 0"),
            "",
        ] {
            assert_eq!(refused(&with(fields)).0, "corrupt", "{fields}");
        }
        assert_eq!(refused(&file(1_024, pcm)).0, "corrupt", "no rate");
        for length in ["65537", "15", "-1024", "abc"] {
            let bytes = format!("NIST_1A\n{length:>7}\n").into_bytes();
            assert_eq!(refused(&bytes).0, "corrupt", "{length}");
        }
    }

    #[test]
    fn no_damage_to_a_header_is_a_panic() {
        survives_damage(&file(
            200,
            "channel_count -i 1\nsample_rate -i 8000\nsample_count -i 50\nsample_n_bytes -i 2\nsample_byte_format -s2 10",
        ));
    }
}
