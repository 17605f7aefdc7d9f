//! What is written is read again, by `load`.

use std::path::Path;

use proptest::prelude::*;

use super::{AudioCodec, Bits, Encode, EncodeError, EncodeSound};
use crate::audio::{Hertz, Waveform};
use crate::load::{Decoder, Load, Take};

const RATE: Hertz = Hertz::new(16_000).unwrap();

fn lossless() -> Vec<Encode> {
    let of = |codec, bits| Encode { bits: Some(bits), ..Encode::new(codec) };
    vec![
        of(AudioCodec::Flac, Bits::Integer16),
        of(AudioCodec::Flac, Bits::Integer24),
        of(AudioCodec::Wav, Bits::Integer16),
        of(AudioCodec::Wav, Bits::Integer24),
        of(AudioCodec::Wav, Bits::Float32),
    ]
}

fn lossy() -> Vec<Encode> {
    vec![
        Encode { bitrate_kbps: Some(64.0), ..Encode::new(AudioCodec::Opus) },
        Encode { quality: Some(0.5), ..Encode::new(AudioCodec::Vorbis) },
    ]
}

fn all() -> Vec<Encode> {
    [lossless(), lossy()].concat()
}

/// Harmonics that swell and fade three times a second, and a little noise: another voice for each `seed`.
fn voice(len: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u32 + 1;
    let noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / f64::from(u32::MAX) - 0.5
    };
    let pitch = 130.0 + 40.0 * seed as f64;
    let sample = |(at, noise): (usize, f64)| {
        let time = at as f64 / f64::from(RATE.get());
        let tone = |n: f64| (std::f64::consts::TAU * n * pitch * time).sin() / n;
        let swell = 0.55 + 0.45 * (std::f64::consts::TAU * 3.0 * time).sin();
        (swell * 0.3 * (1..12).map(|n| tone(f64::from(n))).sum::<f64>() + 0.002 * noise) as f32
    };
    (0..len).zip(std::iter::repeat_with(noise)).map(sample).collect()
}

/// Encodes in blocks of so many samples.
fn in_blocks(encoder: &mut dyn EncodeSound, sound: &[Vec<f32>], block: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.begin();
    let len = sound[0].len();
    for at in (0..len).step_by(block) {
        let block: Vec<&[f32]> = sound.iter().map(|channel| &channel[at..len.min(at + block)]).collect();
        encoder.push(&block).unwrap();
    }
    encoder.finish(&mut bytes).unwrap();
    bytes
}

fn encoded(encode: &Encode, sound: &[Vec<f32>]) -> Vec<u8> {
    in_blocks(&mut *encode.encoder(RATE, sound.len()).unwrap(), sound, 1_000)
}

fn on_disk<T>(bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read(file.path())
}

fn decoded(bytes: &[u8]) -> Waveform {
    on_disk(bytes, |path| crate::load(path).unwrap())
}

/// One channel at the rate that it was encoded at, which is not 48 kHz for Opus.
fn decoded_mono(bytes: &[u8]) -> Vec<f32> {
    on_disk(bytes, |path| {
        let take = Take { rate: Some(RATE), ..Take::whole() };
        let mut decoder = Decoder::open(path, take, &Load::default()).unwrap();
        assert_eq!(decoder.sample_rate(), RATE);
        let (mut block, mut all) = (Vec::new(), Vec::new());
        while decoder.read(&mut block).unwrap() {
            all.extend_from_slice(&block);
        }
        all
    })
}

/// What a sample becomes in a lossless file.
fn level(sample: f32, bits: Bits) -> f32 {
    let scale = match bits {
        Bits::Integer16 => 32_768.0,
        Bits::Integer24 => 8_388_608.0,
        Bits::Float32 => return sample,
    };
    (sample * scale).round_ties_even().clamp(-scale, scale - 1.0) / scale
}

#[test]
fn lossless_files_hold_every_sample() {
    for encode in lossless() {
        for width in [1, 2, 3] {
            for len in [1, 15, 17, 4_095, 4_096, 4_097, 20_000] {
                let sound: Vec<Vec<f32>> = (0..width).map(|seed| voice(len, seed)).collect();
                let decoded = decoded(&encoded(&encode, &sound));
                assert_eq!(decoded.sample_rate, RATE);
                let levels: Vec<Vec<f32>> = sound
                    .iter()
                    .map(|channel| channel.iter().map(|sample| level(*sample, encode.bits.unwrap())).collect())
                    .collect();
                assert!(decoded.channels == levels, "{encode:?}, {width} channels of {len}");
            }
        }
    }
}

#[test]
fn flac_holds_silence_noise_steps_and_dropped_bits() {
    let noise: Vec<f32> = voice(9_000, 3).iter().map(|sample| (sample * 7e4).fract()).collect();
    let steps =
        |steps: f32| -> Vec<f32> { voice(9_000, 1).iter().map(|sample| (sample * steps).round() / steps).collect() };
    let square: Vec<f32> = (0..9_000).map(|at| if at / 50 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let rest = [vec![0.0; 5_000], voice(4_000, 2)].concat();
    let ramp: Vec<f32> = (0..9_000).map(|at| at as f32 / 9_000.0).collect();
    let kinds = [vec![0.0; 9_000], vec![-0.25; 9_000], noise, steps(128.0), steps(4_096.0), square, rest, ramp];
    for bits in [Bits::Integer16, Bits::Integer24] {
        let encode = Encode { bits: Some(bits), ..Encode::new(AudioCodec::Flac) };
        for (one, other) in kinds.iter().zip(kinds.iter().cycle().skip(3)) {
            let sound = [one.clone(), other.clone()];
            let bytes = encoded(&encode, &sound);
            assert!(bytes.len() < 9_000 * 2 * bits.width() + 200, "noise stays as it is");
            for (channel, decoded) in sound.iter().zip(&decoded(&bytes).channels) {
                assert!(channel.iter().map(|sample| level(*sample, bits)).eq(decoded.iter().copied()));
            }
        }
        let silent = encoded(&encode, &kinds[..1]);
        assert!(silent.len() < 200, "{} bytes of silence", silent.len());
    }
}

#[test]
fn lossy_files_have_as_many_samples_each_at_its_place() {
    for encode in lossy() {
        for len in [1, 2, 319, 320, 321, 647, 648, 649, 4_096, 16_000, 50_007] {
            let sound = voice(len, 1);
            let decoded = decoded_mono(&encoded(&encode, std::slice::from_ref(&sound)));
            assert_eq!(decoded.len(), len, "{encode:?}");
            if len >= 4_096 {
                let power = |sound: &mut dyn Iterator<Item = f32>| sound.map(|sample| sample.powi(2)).sum::<f32>();
                let lost = power(&mut sound.iter().zip(&decoded).map(|(before, after)| after - before));
                let snr_db = 10.0 * (power(&mut sound.iter().copied()) / lost).log10();
                assert!(snr_db > 12.0, "{encode:?}: {snr_db:.1} dB in {len} samples");
            }
        }
    }
}

#[test]
fn both_channels_of_stereo_keep_their_own_sound() {
    let sound = [voice(24_000, 1), voice(24_000, 5)];
    for encode in lossy() {
        let alone = [0, 1].map(|channel| decoded(&encoded(&encode, &sound[channel..=channel])).channels.remove(0));
        let both = decoded(&encoded(&encode, &sound));
        assert_eq!(both.channels.len(), 2);
        for (own, other, coded) in [(0, 1, &both.channels[0]), (1, 0, &both.channels[1])] {
            assert_eq!(coded.len(), alone[own].len());
            let distance = |to: &[f32]| coded.iter().zip(to).map(|(one, two)| (one - two).powi(2)).sum::<f32>();
            assert!(distance(&alone[own]) < 0.1 * distance(&alone[other]), "{encode:?}");
        }
    }
}

#[test]
fn every_rate_of_opus_and_many_of_vorbis_keep_the_length() {
    for rate in [8_000, 12_000, 16_000, 24_000, 48_000, 11_025, 22_050, 44_100, 96_000] {
        let rate = Hertz::new(rate).unwrap();
        for codec in [AudioCodec::Opus, AudioCodec::Vorbis, AudioCodec::Flac, AudioCodec::Wav] {
            let Ok(mut encoder) = Encode::new(codec).encoder(rate, 1) else {
                assert!(codec == AudioCodec::Opus && !48_000_u32.is_multiple_of(rate.get()));
                continue;
            };
            let sound = decoded(&in_blocks(&mut *encoder, &[voice(10_001, 2)], 777));
            let ratio = sound.sample_rate.get() / rate.get();
            assert_eq!(sound.num_samples(), 10_001 * ratio as usize, "{codec:?} at {rate}");
            assert_eq!(ratio > 1, codec == AudioCodec::Opus && rate.get() < 48_000);
        }
    }
}

#[test]
fn the_header_of_flac_knows_the_sound() {
    for (encode, width) in [(Encode::new(AudioCodec::Flac), 2), (lossless().remove(1), 3)] {
        let sound = [voice(10_000, 1), voice(10_000, 2)];
        let bytes = encoded(&encode, &sound);
        assert_eq!(&bytes[..8], b"fLaC\0\0\0\x22");
        let info = &bytes[8..42];
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        assert_eq!((number(&info[0..2]), number(&info[2..4])), (4_096, 4_096));
        let expected = (16_000 << 44) + (1 << 41) + ((8 * width as u64 - 1) << 36) + 10_000;
        assert_eq!(number(&info[10..18]), expected);
        let interleaved = (0..10_000).flat_map(|at| [sound[0][at], sound[1][at]]);
        let scale = (1 << (8 * width - 1)) as f32;
        let pcm = interleaved.flat_map(|sample| {
            let level = (level(sample, encode.bits.unwrap_or_default()) * scale) as i32;
            level.to_le_bytes().into_iter().take(width)
        });
        assert_eq!(info[18..], md5::compute(pcm.collect::<Vec<u8>>()).0);

        // The frames, found by their sync code and number: 4096, 4096 and 1808 samples.
        let starts: Vec<usize> = (0..3_u8)
            .map(|frame| bytes.windows(5).position(|head| head[..2] == [0xFF, 0xF8] && head[4] == frame).unwrap())
            .chain([bytes.len()])
            .collect();
        let lengths: Vec<u64> = starts.windows(2).map(|ends| (ends[1] - ends[0]) as u64).collect();
        let ends = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
        assert_eq!((number(&info[4..7]), number(&info[7..10])), ends);
        assert!(bytes.len() < 10_000 * 2 * width);
    }
}

#[test]
fn opus_says_what_came_before_the_encoder_and_where_the_sound_ends() {
    let bytes = encoded(&Encode::new(AudioCodec::Opus), &[voice(40_000, 1)]);
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(bytes));
    let head = reader.read_packet_expected().unwrap();
    let pre_skip = u64::from(u16::from_le_bytes([head.data[10], head.data[11]]));
    assert_eq!(
        (&head.data[..10], &head.data[12..]),
        (b"OpusHead\x01\x01".as_slice(), &[0x80, 0x3E, 0, 0, 0, 0, 0][..])
    );
    assert_eq!(reader.read_packet_expected().unwrap().data, super::opus::TAGS);
    let (mut packets, mut end) = (0, 0);
    while let Some(packet) = reader.read_packet().unwrap() {
        packets += 1;
        assert_eq!(packet.stream_serial(), 1);
        if packet.last_in_page() && !packet.last_in_stream() {
            assert_eq!(packet.absgp_page(), packets * 960);
            assert_eq!(packets % 50, 0);
        }
        end = packet.absgp_page();
        assert!(!packet.last_in_stream() || end == pre_skip + 3 * 40_000);
    }
    assert_eq!(end, pre_skip + 120_000);
    assert_eq!(packets, end.div_ceil(960));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn blocks_of_any_size_give_the_same_bytes(len in 1_usize..12_000, block in 1_usize..6_000, width in 1_usize..3) {
        let sound: Vec<Vec<f32>> = (0..width).map(|seed| voice(len, seed)).collect();
        for encode in all() {
            let mut encoder = encode.encoder(RATE, width).unwrap();
            let whole = in_blocks(&mut *encoder, &sound, len);
            prop_assert!(in_blocks(&mut *encoder, &sound, block) == whole, "{:?}", encode);
        }
    }
}

#[test]
fn used_encoders_give_the_bytes_of_fresh_ones() {
    let (sound, other) = ([voice(30_011, 1)], [voice(9_001, 2)]);
    for encode in all() {
        let fresh = encoded(&encode, &sound);
        let mut used = encode.encoder(RATE, 1).unwrap();
        in_blocks(&mut *used, &other, 100);
        assert!(in_blocks(&mut *used, &sound, 4_096) == fresh, "{encode:?}");
        // An utterance that is given up half way.
        used.begin();
        used.push(&[&other[0]]).unwrap();
        used.push(&[&[f32::NAN]]).unwrap_err();
        assert!(in_blocks(&mut *used, &sound, 512) == fresh, "{encode:?}");
        // Behind what is there.
        let mut bytes = b"before".to_vec();
        used.begin();
        used.push(&[&sound[0]]).unwrap();
        used.finish(&mut bytes).unwrap();
        assert!(bytes[..6] == *b"before" && bytes[6..] == fresh, "{encode:?}");
    }
}

#[test]
fn no_sound_is_a_whole_file_without_samples() {
    for encode in all() {
        let bytes = encoded(&encode, &[Vec::new()]);
        let mut encoder = encode.encoder(RATE, 1).unwrap();
        encoder.begin();
        encoder.push(&[&[]]).unwrap();
        let mut same = Vec::new();
        encoder.finish(&mut same).unwrap();
        assert_eq!(bytes, same);
        let told = on_disk(&bytes, |path| crate::load(path).map(|sound| sound.num_samples()));
        // Whole for other readers; `load` calls what holds no sound by its name.
        assert!(told.is_err(), "{encode:?}: {told:?}");
    }
}

#[test]
fn samples_that_are_no_numbers_are_refused() {
    for encode in all() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut encoder = encode.encoder(RATE, 2).unwrap();
            encoder.begin();
            encoder.push(&[&[0.0; 7], &[0.0; 7]]).unwrap();
            let error = encoder.push(&[&[0.0; 3], &[0.0, odd, 0.0]]).unwrap_err();
            assert_eq!(error, EncodeError::NotFinite { channel: 1, sample: 8 });
            assert_eq!(error.code(), "not_finite");
        }
    }
}

#[test]
fn blocks_of_another_shape_are_refused() {
    for encode in all() {
        let mut encoder = encode.encoder(RATE, 2).unwrap();
        encoder.begin();
        for block in [&[[0.0; 3].as_slice()][..], &[&[0.0; 3], &[0.0; 2]], &[[].as_slice(); 3]] {
            assert_eq!(encoder.push(block).unwrap_err().code(), "uneven_block");
        }
    }
}

#[test]
fn loud_sound_is_clipped_at_full_scale_but_for_floats() {
    let loud: Vec<f32> = voice(20_000, 1).iter().map(|sample| sample * 30.0).collect();
    let clipped: Vec<f32> = loud.iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
    for encode in all() {
        let same = encoded(&encode, std::slice::from_ref(&loud)) == encoded(&encode, std::slice::from_ref(&clipped));
        assert_eq!(same, encode.bits != Some(Bits::Float32), "{encode:?}");
    }
}

#[test]
fn rows_are_read_and_settings_of_other_codecs_are_refused() {
    for (json, expected) in [
        (r#"{"codec":"flac"}"#, Encode::new(AudioCodec::Flac)),
        (r#"{"codec":"wav","bits":"32f"}"#, Encode { bits: Some(Bits::Float32), ..Encode::new(AudioCodec::Wav) }),
        (r#"{"codec":"flac","bits":24}"#, Encode { bits: Some(Bits::Integer24), ..Encode::new(AudioCodec::Flac) }),
        (
            r#"{"codec":"opus","bitrate_kbps":32.0}"#,
            Encode { bitrate_kbps: Some(32.0), ..Encode::new(AudioCodec::Opus) },
        ),
        (r#"{"codec":"vorbis","quality":0.5}"#, Encode { quality: Some(0.5), ..Encode::new(AudioCodec::Vorbis) }),
    ] {
        let read: Encode = serde_json::from_str(json).unwrap();
        assert_eq!(read, expected);
        assert_eq!(read.check(Some(RATE)), Ok(()));
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(serde_saphyr::from_str::<Encode>(json).unwrap(), read, "as YAML");
    }
    assert_eq!(serde_saphyr::from_str::<Encode>("{ codec: wav, bits: 32f }").unwrap().bits, Some(Bits::Float32));
    for (yaml, says) in [
        ("{ codec: wav, bits: 8 }", "`16`, `24` or `32f`"),
        ("{ codec: wav, bits: 24f }", "`16`, `24` or `32f`"),
        ("{ codec: mp3 }", "mp3"),
        ("{ bits: 16 }", "codec"),
        ("{ codec: wav, depth: 8 }", "depth"),
    ] {
        let error = serde_saphyr::from_str::<Encode>(yaml).unwrap_err().to_string();
        assert!(error.contains(says), "{yaml}: {error}");
    }
    for (yaml, key) in [
        ("{ codec: opus, bits: 16 }", "bits"),
        ("{ codec: flac, bits: 32f }", "bits"),
        ("{ codec: vorbis, bitrate_kbps: 32 }", "bitrate_kbps"),
        ("{ codec: opus, bitrate_kbps: 5.9 }", "bitrate_kbps"),
        ("{ codec: opus, bitrate_kbps: .nan }", "bitrate_kbps"),
        ("{ codec: flac, quality: 0.5 }", "quality"),
        ("{ codec: vorbis, quality: 1.5 }", "quality"),
    ] {
        let encode: Encode = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(encode.check(None).unwrap_err().key(), key, "{yaml}");
        assert!(encode.encoder(RATE, 1).is_err());
    }
}

#[test]
fn rates_and_channels_that_a_codec_does_not_have_are_refused() {
    let code = |codec, rate, channels| {
        Encode::new(codec).encoder(Hertz::new(rate).unwrap(), channels).err().map_or("", |error| error.code())
    };
    assert_eq!(code(AudioCodec::Opus, 44_100, 1), "unsupported_rate");
    assert_eq!(code(AudioCodec::Opus, 48_000, 3), "unsupported_channels");
    assert_eq!(code(AudioCodec::Flac, 655_351, 1), "unsupported_rate");
    assert_eq!(code(AudioCodec::Flac, 65_537, 8), "");
    assert_eq!(code(AudioCodec::Flac, 48_000, 9), "unsupported_channels");
    assert_eq!(code(AudioCodec::Vorbis, 200_001, 1), "unsupported_rate");
    assert_eq!(code(AudioCodec::Vorbis, 48_000, 256), "unsupported_channels");
    assert_eq!(code(AudioCodec::Wav, 768_000, 1_399), "");
    assert_eq!(code(AudioCodec::Wav, 48_000, 0), "unsupported_channels");
    assert_eq!(Encode::new(AudioCodec::Opus).check(Hertz::new(44_100)).unwrap_err().key(), "codec");
}

#[test]
fn rates_that_a_frame_of_flac_cannot_name_are_in_its_header() {
    for rate in [65_535, 65_537, 96_000, 192_000, 655_350] {
        let rate = Hertz::new(rate).unwrap();
        let mut encoder = Encode::new(AudioCodec::Flac).encoder(rate, 1).unwrap();
        let sound = [voice(5_000, 1)];
        let decoded = decoded(&in_blocks(&mut *encoder, &sound, 5_000));
        assert_eq!(decoded.sample_rate, rate);
        assert_eq!(decoded.num_samples(), 5_000);
    }
}

#[test]
fn the_schema_names_every_codec_and_setting() {
    let schema = schemars::schema_for!(Encode).to_value().to_string();
    for word in ["flac", "wav", "opus", "vorbis", "bitrate_kbps", "quality", "32f"] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}: {schema}");
    }
}
