//! Every codec against ffmpeg: the same number of samples, in the same places, of the same values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use realfft::RealFftPlanner;
use serde::Deserialize;
use wavemill::audio::{Hertz, Seconds};
use wavemill::load::{Cut, Decoder, Load, Pick, Take, load};

use crate::support::fixture;

/// A row of `fixtures/codecs/expected.csv`; fixtures/README.md says what the columns mean.
#[derive(Debug, Deserialize)]
struct Expected {
    file: String,
    container: String,
    codec: String,
    bits: String,
    rate: u32,
    channels: usize,
    samples: usize,
    ffmpeg: usize,
    crc32: String,
    every: Option<usize>,
    tolerance: f32,
    lag: Option<f64>,
}

/// What came of a file.
struct Measured {
    samples: usize,
    /// The largest difference from ffmpeg; none where all bits are the same.
    difference: Option<f32>,
    /// By how many samples the sound comes after the original; only of lossy files.
    lag: Option<f64>,
}

fn expectations() -> Vec<Expected> {
    let rows: Result<Vec<Expected>, _> =
        csv::Reader::from_path(fixture("codecs/expected.csv")).unwrap().deserialize().collect();
    rows.unwrap()
}

impl Expected {
    /// Decodes the file and says what is not as it should be.
    fn measure(&self) -> Result<Measured, String> {
        let sound = load(&fixture("codecs").join(&self.file)).map_err(|error| format!("{}: {error}", error.code()))?;
        let format = (sound.sample_rate.get(), sound.channels.len());
        if format != (self.rate, self.channels) {
            return Err(format!("{} Hz, {} channels instead of {}, {}", format.0, format.1, self.rate, self.channels));
        }
        let ours = interleaved(&sound.channels);
        let difference = if let Some(every) = self.every {
            let theirs = fs::read(fixture("codecs/reference").join(format!("{}.f32", self.file))).unwrap();
            let theirs: Vec<f32> = theirs.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let largest = theirs
                .iter()
                .zip(ours.iter().step_by(every))
                .fold(0.0, |largest: f32, (theirs, ours)| largest.max((theirs - ours).abs()));
            Some(largest)
        } else {
            (format!("{:08x}", crc32(&ours)) != self.crc32).then(|| self.difference_from_original(&sound.channels))
        };
        let lag = self.lag.map(|_| lag(&self.original()[0], &sound.channels[0]));
        Ok(Measured { samples: sound.num_samples(), difference, lag })
    }

    /// What is wrong with a file that could be decoded.
    fn faults(&self, measured: &Measured) -> Vec<String> {
        let mut faults = Vec::new();
        if measured.samples != self.samples {
            let more = measured.samples as i64 - self.samples as i64;
            faults.push(format!("{} samples, {more:+} compared with what should be", measured.samples));
        }
        if let Some(difference) =
            measured.difference.filter(|difference| self.every.is_none() || *difference > self.tolerance)
        {
            faults.push(match self.every {
                Some(_) => format!("differs by {difference:.2e}, allowed are {:e}", self.tolerance),
                None => format!("the bits are not ffmpeg's; off the 16-bit original by {difference:.2e}"),
            });
        }
        if let (Some(lag), Some(allowed)) = (measured.lag, self.lag)
            && (lag - allowed).abs() >= 0.5
        {
            faults.push(format!("{lag:.2} samples behind the original instead of {allowed}"));
        }
        faults
    }

    /// The sound before it was encoded: the FLAC file of this rate and number of channels.
    fn original(&self) -> Vec<Vec<f32>> {
        let side = match self.channels {
            1 => "",
            2 => "-stereo",
            _ => "-six",
        };
        let name = format!("codecs/flac-16-{}{side}.flac", self.rate);
        if Path::new("fixtures").join(&name).exists() { load(&fixture(&name)).unwrap().channels } else { Vec::new() }
    }

    /// A hint for whoever looks for the cause.
    fn difference_from_original(&self, channels: &[Vec<f32>]) -> f32 {
        let original = self.original();
        let pairs = original.iter().zip(channels).flat_map(|(original, channel)| original.iter().zip(channel));
        pairs.fold(0.0, |largest, (original, ours)| largest.max((original - ours).abs()))
    }

    /// Container and codec: what seeking depends on.
    fn kind(&self) -> (String, String) {
        (self.file.split('-').next().unwrap_or_default().to_owned(), self.codec.clone())
    }
}

fn interleaved(channels: &[Vec<f32>]) -> Vec<f32> {
    let length = channels.first().map_or(0, Vec::len);
    (0..length).flat_map(|sample| channels.iter().map(move |channel| channel[sample])).collect()
}

/// CRC-32 as in ISO 3309, of the samples as little-endian bytes.
fn crc32(samples: &[f32]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }))
        .collect();
    let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes());
    !bytes.fold(u32::MAX, |crc, byte| (crc >> 8) ^ table[(crc as u8 ^ byte) as usize])
}

/// By how many samples `decoded` comes after `original`: the peak of their correlation, between samples by a parabola.
fn lag(original: &[f32], decoded: &[f32]) -> f64 {
    // Farther than any encoder's delay.
    const FARTHEST: usize = 4_000;
    let decoded = &decoded[..decoded.len().min(original.len() + FARTHEST)];
    let size = (original.len() + decoded.len() + FARTHEST).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let mut padded: Vec<f64> = samples.iter().copied().map(f64::from).collect();
        padded.resize(size, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).unwrap();
        spectrum
    };
    let mut product: Vec<_> =
        spectrum(original).iter().zip(spectrum(decoded)).map(|(one, other)| one.conj() * other).collect();
    // Of real signals these are real but for rounding, and the library insists.
    product[0].im = 0.0;
    product[size / 2].im = 0.0;
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut product, &mut correlation).unwrap();
    let at = |lag: i64| correlation[lag.rem_euclid(size as i64) as usize];
    let farthest = FARTHEST as i64;
    let peak = (-farthest..=farthest).max_by(|one, other| at(*one).total_cmp(&at(*other))).unwrap_or_default();
    let (before, here, after) = (at(peak - 1), at(peak), at(peak + 1));
    peak as f64 + 0.5 * (before - after) / (before - 2.0 * here + after)
}

#[test]
fn every_codec_gives_what_ffmpeg_gives() {
    let (mut table, mut faults, mut rows) = (String::new(), Vec::new(), expectations());
    rows.sort_by(|one, other| one.file.cmp(&other.file));
    for row in &rows {
        match row.measure() {
            Ok(measured) => {
                faults.extend(row.faults(&measured).into_iter().map(|fault| format!("{}: {fault}", row.file)));
                writeln!(table, "{}", line(row, &measured)).unwrap();
            }
            Err(error) => faults.push(format!("{}: {error}", row.file)),
        }
    }
    assert!(faults.is_empty(), "{} faults in {} files:\n{}", faults.len(), rows.len(), faults.join("\n"));
    let page = format!("{PAGE}{table}");
    let path = Path::new("docs/codecs.md");
    if std::env::var_os("MAKE_DOCS").is_some() {
        fs::write(path, &page).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap_or_default() == page, "docs/codecs.md is out of date: run `make docs`");
}

const PAGE: &str = "# Codecs

What wavemill decodes from every file of `fixtures/codecs/`, held against ffmpeg 5.1.9 (Opus: libopus 1.3.1 in it).

*Samples* are those of one channel: ours, and ffmpeg's after its decoding, not as a header claims. *Lag* says by how many samples
the sound comes after what was encoded, where that is not kept to the bit: the peak of their correlation. It is not 0 where a
file says nothing of its encoder's delay (MP3 without a LAME tag, MP2, ADTS, AAC in Matroska, Opus in CAF), and in Opus where the
encoder resamples (SILK and hybrid); ffmpeg's is the same. *Difference* is the largest from any of ffmpeg's samples that were
kept (4,000 of each file, evenly spread), full scale being 1, rounded up to 3 times a power of ten; \"none\" means that every bit
is the same.

In three things ffmpeg is not followed. It does not drop the end of the last packet of an Ogg Vorbis file whose sound is all in
one page, nor the beginning of AAC in fragmented MP4, though the file asks for it. And in MP3 at 24 kHz it lets a band begin at
line 330, where LAME, libmad and wavemill have 332.

This page is made by `make docs` from a test, which fails where a row is not as it should be.

| file | container | codec | bits | rate | channels | samples | ffmpeg | lag | difference |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

fn line(row: &Expected, measured: &Measured) -> String {
    let difference = match measured.difference {
        None => "none".to_owned(),
        Some(0.0) => "0".to_owned(),
        // Roughly, so that the page is the same on every machine: no difference that was seen is near such a bound.
        Some(difference) => format!("< {:.0e}", 3.0 * 10_f32.powi((difference / 3.0).log10().ceil() as i32)),
    };
    let lag = measured.lag.map_or_else(String::new, |lag| format!("{}", lag.round() as i64));
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} | {} | {lag} | {difference} |",
        row.file, row.container, row.codec, row.bits, row.rate, row.channels, measured.samples, row.ffmpeg
    )
}

#[test]
fn files_of_the_folder_and_rows_of_the_table_are_the_same() {
    let files = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fixture(folder)).unwrap().map(Result::unwrap);
        entries
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    };
    let rows = expectations();
    assert!(rows.len() > 200, "{} rows", rows.len());
    let listed: BTreeSet<String> = rows.iter().map(|row| row.file.clone()).chain(["expected.csv".to_owned()]).collect();
    assert_eq!(files("codecs"), listed);
    let lossy = rows.iter().filter(|row| row.every.is_some()).map(|row| format!("{}.f32", row.file));
    assert_eq!(files("codecs/reference"), lossy.collect());
    assert!(rows.iter().all(|row| row.every.is_some() == row.crc32.is_empty()), "each row has one reference");
}

/// The samples of a cut, as one channel.
fn decode(path: &Path, take: Take) -> Result<Vec<f32>, String> {
    let told = |error: wavemill::load::LoadError| format!("{}: {error}", error.code());
    let mut decoder = Decoder::open(path, take, &Load::default()).map_err(told)?;
    let (mut block, mut all) = (Vec::new(), Vec::new());
    while decoder.read(&mut block).map_err(told)? {
        all.extend_from_slice(&block);
    }
    Ok(all)
}

/// The longest file of every codec in every container.
fn longest() -> Vec<Expected> {
    let mut longest = BTreeMap::new();
    for row in expectations() {
        let kept = longest.entry(row.kind()).or_insert_with(|| (0, None));
        let seconds = row.samples as u64 * 1_000 / u64::from(row.rate);
        if kept.1.is_none() || seconds > kept.0 {
            *kept = (seconds, Some(row));
        }
    }
    longest.into_values().filter_map(|(_, row)| row).collect()
}

#[test]
fn any_segment_is_a_part_of_the_whole() {
    const SEGMENTS: usize = 200;
    let rows = longest();
    assert!(rows.len() > 40, "{} kinds of file", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let path = fixture("codecs").join(&row.file);
        let mut random = Numbers::of(&row.file);
        let picks: Vec<Pick> = [Pick::Mix].into_iter().chain((0..row.channels as u16).map(Pick::Channel)).collect();
        let wholes: Result<Vec<_>, _> =
            picks.iter().map(|pick| decode(&path, Take { pick: *pick, ..Take::whole() })).collect();
        let wholes = match wholes {
            Ok(wholes) => wholes,
            Err(error) => {
                faults.push(format!("{}: {error}", row.file));
                continue;
            }
        };
        let rate = Hertz::new(row.rate).unwrap();
        let mut wrong = Vec::new();
        for number in 0..SEGMENTS {
            let which = random.below(picks.len());
            let whole = &wholes[which];
            // The first and the last sample, then anywhere; half of the segments are shorter than a packet.
            let start = match number {
                0 => 0,
                1 => whole.len() - 1,
                _ => random.below(whole.len()),
            };
            let most = if number % 2 == 0 { 100 } else { 2 * row.rate as usize };
            let length = 1 + random.below(most.min(whole.len() - start));
            let open = number % 10 == 9;
            let time = |samples: usize| Seconds::of_samples(samples as u64, rate);
            let cut = Cut { start: time(start), duration: (!open).then(|| time(length)) };
            let end = if open { whole.len() } else { start + length };
            let fault = match decode(&path, Take { cut, pick: picks[which], rate: None }) {
                Ok(part) if same_bits(&part, &whole[start..end]) => continue,
                Ok(part) if part.len() != end - start => format!("{} samples", part.len()),
                Ok(part) => {
                    let pairs = part.iter().zip(&whole[start..end]).enumerate();
                    let off = pairs.clone().filter(|(_, (part, whole))| part.to_bits() != whole.to_bits());
                    let largest = pairs.fold(0.0, |most: f32, (_, (part, whole))| most.max((part - whole).abs()));
                    format!("{} samples differ, by up to {largest:.1e}", off.count())
                }
                Err(error) => error,
            };
            wrong.push(format!("{start}..{end}, {:?}: {fault}", picks[which]));
        }
        if let Some(first) = wrong.first() {
            faults.push(format!("{}: {} of {SEGMENTS} segments are wrong, first {first}", row.file, wrong.len()));
        }
    }
    assert!(faults.is_empty(), "{} of {} files:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

fn same_bits(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits())
}

/// Numbers that are the same in every run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn of(name: &str) -> Self {
        Self(name.bytes().fold(0, |seed: u64, byte| seed.rotate_left(7) ^ u64::from(byte)))
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

#[test]
fn opus_decoded_straight_to_another_rate_is_as_long_and_in_place() {
    let (opus, rate) = (expectations().into_iter().filter(|row| row.codec == "opus"), Hertz::new(16_000).unwrap());
    let (mut checked, mut faults) = (0, Vec::new());
    for row in opus {
        checked += 1;
        let path = fixture("codecs").join(&row.file);
        let (pick, take) = (Pick::Channel(0), Take::whole());
        let straight = Take { pick, rate: Some(rate), ..take };
        let outcome = decode(&path, Take { pick, ..take }).and_then(|whole| Ok((whole, decode(&path, straight)?)));
        let (whole, direct) = match outcome {
            Ok(both) => both,
            Err(error) => {
                faults.push(format!("{}: {error}", row.file));
                continue;
            }
        };
        // What the decoder says, not what was asked for: it need not decode straight to every rate.
        let rate = Decoder::open(&path, straight, &Load::default()).unwrap().sample_rate().get();
        let step = (row.rate / rate) as usize;
        if direct.len() != whole.len().div_ceil(step) {
            faults.push(format!("{}: {} samples of {} at {rate} Hz", row.file, direct.len(), whole.len()));
        }
        // With silence between its samples, it correlates with the other as its resampled self would.
        let spread: Vec<f32> =
            direct.iter().flat_map(|sample| (0..step).map(move |at| if at == 0 { *sample } else { 0.0 })).collect();
        let first = 48_000.min(whole.len());
        let lag = lag(&whole[..first], &spread);
        // SILK comes out of libopus's resampler up to 3 samples of 48 kHz early, and needs no resampler at 16 kHz.
        if lag.abs() > step as f64 {
            faults.push(format!("{}: {lag:.2} samples of 48 kHz behind", row.file));
        }
    }
    assert!(checked > 20, "{checked} files");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An Ogg file whose pages bear another serial number, as those of a file that follows must (RFC 3533, 4).
fn with_serial(ogg: &[u8], serial: u32) -> Vec<u8> {
    let (mut bytes, mut at) = (ogg.to_vec(), 0);
    while at < bytes.len() {
        let segments = usize::from(bytes[at + 26]);
        let sizes = bytes[at + 27..at + 27 + segments].iter().map(|size| usize::from(*size)).sum::<usize>();
        let page = &mut bytes[at..at + 27 + segments + sizes];
        page[14..18].copy_from_slice(&serial.to_le_bytes());
        page[22..26].fill(0);
        let crc = page.iter().fold(0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 0 { 0 } else { 0x04C1_1DB7 })
        });
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        at += page.len();
    }
    bytes
}

#[test]
fn files_that_follow_each_other_in_one_are_heard_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ogg-opus-long.opus", "ogg-vorbis-long.ogg", "ogg-flac-long.ogg"] {
        let one = fixture("codecs").join(name);
        let bytes = fs::read(&one).unwrap();
        let path = folder.path().join(name);
        fs::write(&path, [bytes.as_slice(), &with_serial(&bytes, 77)].concat()).unwrap();
        let rate = Decoder::open(&path, Take::whole(), &Load::default()).unwrap().sample_rate();
        let half = decode(&one, Take::whole()).unwrap();
        let whole = decode(&path, Take::whole()).unwrap();
        assert!(whole == [half.as_slice(), &half].concat(), "{name}: {} samples of {}", whole.len(), 2 * half.len());
        // Before, over and behind the join.
        for start in [1_000, half.len() - 3_000, half.len() + 3_000, whole.len() - 6_000] {
            let seconds = |samples: usize| Seconds::of_samples(samples as u64, rate);
            let cut = Cut { start: seconds(start), duration: Some(seconds(5_000)) };
            let part = decode(&path, Take { cut, ..Take::whole() }).unwrap();
            assert!(part == whole[start..start + 5_000], "{name} from {start}");
        }
    }
    // Of MP3 the tag of the first counts the first.
    let bytes = fs::read(fixture("codecs").join("mp3-long.mp3")).unwrap();
    let path = folder.path().join("twice.mp3");
    fs::write(&path, [bytes.as_slice(), &bytes].concat()).unwrap();
    let error = decode(&path, Take::whole()).unwrap_err();
    assert!(error.starts_with("longer_than_claimed"), "{error}");
}
