//! Recordings to draw from: noises, rooms, other speakers. Read through `corpus` and `load`, brought to the clip's rate once,
//! and kept within a budget of memory that all threads share.

mod cache;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::audio::{Hertz, Seconds, Waveform};
use crate::corpus::{Corpus, CorpusError, CorpusTable};
use crate::load::{Channels, Cut, Decoder, Load, LoadError, Location, Nan, Pick, Take, probe_within};
use crate::resample::{Method, Resampler};
use crate::variables::Variables;

pub(super) use cache::Cache;

/// Which recordings an augmentation draws from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source<'a> {
    /// Those of a corpus that its `from` names.
    Corpus(&'a Corpus),
    /// The utterances of the pipeline itself.
    Utterances,
}

/// The banks of a chain, by the places in the pipeline file that draw from them.
#[derive(Debug, Clone, Default)]
pub struct Banks(BTreeMap<String, Arc<Bank>>);

impl Banks {
    /// Adds the bank of the augmentation at `path`.
    pub(super) fn put(&mut self, path: String, bank: Arc<Bank>) {
        self.0.insert(path, bank);
    }

    /// The bank of the augmentation at `path`.
    ///
    /// # Panics
    ///
    /// There is none.
    pub(super) fn at(&self, path: &str) -> Arc<Bank> {
        let bank = self.0.get(path);
        Arc::clone(bank.unwrap_or_else(|| unreachable!("`{path}` was opened with its chain")))
    }

    /// All of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bank)> {
        self.0.iter().map(|(path, bank)| (path.as_str(), bank.as_ref()))
    }
}

/// One recording of a bank.
#[derive(Debug, Clone)]
struct Recording {
    id: String,
    /// As its corpus names it.
    audio: String,
    location: Location,
    cut: Cut,
    /// One channel of the file, where the corpus says so.
    channel: Option<u16>,
    speaker: Option<String>,
    /// Its length in seconds as its header has it, once asked for; none where the header does not say.
    length_s: OnceLock<Option<f64>>,
}

/// Whether a recording may be drawn for the utterance of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// It may: a noise is another recording, whatever it is called.
    Recordings,
    /// It may not: it would be the utterance itself.
    Utterances,
}

/// Recordings to draw from.
#[derive(Debug)]
pub struct Bank {
    recordings: Vec<Recording>,
    /// The hash of each recording's id, by which it is drawn: beside each other, for a draw reads all of them.
    hashes: Vec<u64>,
    holds: Holds,
    load: Load,
    method: Method,
    cache: Arc<Cache>,
    /// Tells the cache whose recording is whose.
    number: usize,
}

impl Bank {
    /// How many recordings a draw tries before the row is rejected.
    pub const TRIES: usize = 16;

    /// Samples that are decoded of a part beyond those needed; a file at an eighth of the rate has one in eight of them.
    const SPARE: usize = 16;

    /// Recordings up to this length are decoded whole and kept; of longer ones only the part that is needed is decoded,
    /// each time.
    const WHOLE_S: f64 = 120.0;

    /// The recordings of a corpus.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn open(
        corpus: &Corpus,
        variables: &Variables,
        method: Method,
        cache: &Arc<Cache>,
    ) -> Result<Self, CorpusError> {
        let table = corpus.member().read(variables)?;
        Ok(Self::of(&table, Holds::Recordings, &Load::default(), method, cache))
    }

    /// The recordings of a table.
    pub(super) fn of(table: &CorpusTable, holds: Holds, load: &Load, method: Method, cache: &Arc<Cache>) -> Self {
        let recording = |row: usize| Recording {
            id: table.id(row).to_owned(),
            audio: table.audio(row).to_owned(),
            location: table.location(row),
            cut: Cut {
                start: table.start_s(row).and_then(Seconds::new).unwrap_or(Seconds::ZERO),
                duration: table.cut_duration_s(row).and_then(Seconds::new),
            },
            channel: table.channel(row).map(|channel| channel.try_into().unwrap_or(u16::MAX)).or(match load.channels {
                Channels::First => Some(0),
                Channels::Index(channel) => Some(channel),
                Channels::Mix | Channels::Each | Channels::Keep => None,
            }),
            speaker: table.speaker(row).map(str::to_owned),
            length_s: OnceLock::new(),
        };
        let recordings: Vec<_> = (0..table.len()).map(recording).collect();
        let hashes = recordings.iter().map(|recording| hash(&recording.id)).collect();
        let (load, cache) = (load.clone(), Arc::clone(cache));
        Self { recordings, hashes, holds, load, method, number: cache.next_number(), cache }
    }

    /// How many recordings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recordings.len()
    }

    /// Whether there is no recording.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recordings.is_empty()
    }

    /// A recording's file, as its corpus names it.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.recordings[index].audio
    }

    /// A recording's file, as this machine finds it.
    pub(super) fn location(&self, index: usize) -> &Location {
        &self.recordings[index].location
    }

    /// A recording's id.
    #[must_use]
    pub fn id(&self, index: usize) -> &str {
        &self.recordings[index].id
    }

    /// Who speaks in a recording, where its corpus says so.
    #[must_use]
    pub fn speaker(&self, index: usize) -> Option<&str> {
        self.recordings[index].speaker.as_deref()
    }

    /// The recording whose id is `id`, if there is one.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        let sought = hash(id);
        let found = |&index: &usize| self.hashes[index] == sought && self.recordings[index].id == id;
        (0..self.hashes.len()).find(found)
    }

    /// The recordings that a draw of `point` by the utterance `who` takes, first choice first, of those that are `wanted`: those
    /// of the highest scores, where the score is a hash of point and id (rendezvous hashing, Thaler and Ravishankar
    /// 1998). So each is equally likely, and adding or removing one changes only the draws that take it. Of utterances,
    /// `who` itself is never taken.
    pub(super) fn order(&self, point: u64, who: &str, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut best: Vec<(u64, usize)> = Vec::with_capacity(Self::TRIES + 1);
        for (index, hash) in self.hashes.iter().enumerate() {
            let score = mix(point ^ hash);
            if best.len() == Self::TRIES && best.last().is_some_and(|last| score <= last.0) {
                continue;
            }
            let itself = self.holds == Holds::Utterances && self.recordings[index].id == who;
            if itself || !wanted(index) {
                continue;
            }
            let place = best.partition_point(|(higher, _)| *higher >= score);
            best.insert(place, (score, index));
            best.truncate(Self::TRIES);
        }
        best.into_iter().map(|(_, index)| index).collect()
    }

    /// A hash of which recordings there are and what is taken of them, in hexadecimal; where they stand is no part of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for Recording { id, audio, cut, channel, speaker, .. } in &self.recordings {
            let told = format!("{id:?} {audio:?} {cut:?} {channel:?} {speaker:?}\n");
            hasher.update(told.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// A whole recording at `rate`, all its channels.
    ///
    /// # Errors
    ///
    /// It cannot be decoded, or is longer than two minutes (a `Load` with `max_duration_s` of so much).
    pub fn whole(&self, index: usize, rate: Hertz) -> Result<Arc<Waveform>, LoadError> {
        if let Some(sound) = self.cache.get((self.number, index, rate)) {
            return Ok(sound);
        }
        let load = Load { max_duration_s: Self::WHOLE_S.min(self.load.max_duration_s), ..self.load.clone() };
        let sound = Arc::new(self.decode(index, self.recordings[index].cut, rate, &load)?);
        self.cache.put((self.number, index, rate), &sound);
        Ok(sound)
    }

    /// Up to `len` samples of a recording at `rate`, all its channels, and the sample at which they begin: with `unit`, a draw in
    /// [0, 1), each place at which `len` samples fit is equally likely. A recording of fewer samples comes whole. Of one longer
    /// than two minutes, the part is decoded for itself: it begins at the nearest sample of the file, and where rates
    /// differ its first and last milliseconds are filtered as if silence surrounded it.
    ///
    /// # Errors
    ///
    /// It cannot be decoded.
    pub fn part(&self, index: usize, rate: Hertz, len: usize, unit: f64) -> Result<(Waveform, usize), LoadError> {
        let cut = self.recordings[index].cut;
        let start_of = |total: usize| {
            let places = total.saturating_sub(len) + 1;
            ((unit * places as f64) as usize).min(places - 1)
        };
        let Some(length_s) = self.length_s(index)?.filter(|length_s| *length_s > Self::WHOLE_S) else {
            let whole = self.whole(index, rate)?;
            let total = whole.num_samples();
            let start = start_of(total);
            let end = start.saturating_add(len).min(total);
            let channels = whole.channels.iter().map(|channel| channel[start..end].to_vec()).collect();
            return Ok((Waveform { sample_rate: rate, channels }, start));
        };
        // What the header claims may be a little more than there is.
        let claimed = length_s - self.load.length_tolerance_s.min(length_s / 2.0);
        let total = ((claimed * f64::from(rate.get())) as usize).saturating_sub(Self::SPARE);
        let start = start_of(total);
        let seconds = |samples: usize| Seconds::of_samples(samples as u64, rate).get();
        let time = |seconds: f64| Seconds::new(seconds).unwrap_or(Seconds::ZERO);
        // Times are rounded to samples of the file, which may be fewer: a little more is decoded, and cut off again.
        let taken = len.min(total).saturating_add(Self::SPARE);
        let cut = Cut { start: time(cut.start.get() + seconds(start)), duration: Some(time(seconds(taken))) };
        let mut sound = self.decode(index, cut, rate, &self.load)?;
        for channel in &mut sound.channels {
            channel.truncate(len);
        }
        Ok((sound, start))
    }

    /// A recording's length in seconds by its corpus or its header, which is read once.
    fn length_s(&self, index: usize) -> Result<Option<f64>, LoadError> {
        let Recording { location, cut, length_s, .. } = &self.recordings[index];
        if let Some(duration) = cut.duration {
            return Ok(Some(duration.get()));
        }
        if let Some(length_s) = length_s.get() {
            return Ok(*length_s);
        }
        let header = probe_within(location, &self.load.limits())?;
        let length =
            header.num_samples.map(|samples| Seconds::of_samples(samples, header.sample_rate).get() - cut.start.get());
        Ok(*length_s.get_or_init(|| length))
    }

    fn decode(&self, index: usize, cut: Cut, rate: Hertz, load: &Load) -> Result<Waveform, LoadError> {
        let Recording { location, channel, .. } = &self.recordings[index];
        let pick = channel.map_or(Pick::Mix, Pick::Channel);
        let mut decoder = Decoder::open(location, Take { cut, pick, rate: Some(rate) }, load)?;
        let num_channels = if channel.is_some() { 1 } else { usize::from(decoder.num_channels()) };
        let first = Resampler::new(decoder.sample_rate(), rate, &self.method);
        let first = first.map_err(|_| LoadError::UnsupportedFormat { feature: "this sample rate" })?;
        let mut resamplers = vec![first];
        let mut channels = vec![Vec::new(); num_channels];
        let mut blocks = channels.clone();
        for _ in 1..num_channels {
            let another = resamplers[0].another();
            resamplers.push(another.map_err(|_| LoadError::UnsupportedFormat { feature: "this sample rate" })?);
        }
        loop {
            let more = match blocks.as_mut_slice() {
                [block] if channel.is_some() => decoder.read(block)?,
                blocks => decoder.read_channels(blocks)?,
            };
            if !more {
                break;
            }
            for ((block, resampler), channel) in blocks.iter().zip(&mut resamplers).zip(&mut channels) {
                resampler.push(block, channel);
            }
        }
        for (resampler, channel) in resamplers.iter_mut().zip(&mut channels) {
            resampler.finish(channel);
        }
        if load.nan == Nan::Zero {
            let wrong = channels.iter_mut().flatten().filter(|sample| !sample.is_finite());
            wrong.for_each(|sample| *sample = 0.0);
        }
        // A number that is not finite would spread to every clip.
        if channels.iter().flatten().any(|sample| !sample.is_finite()) {
            return Err(LoadError::UnsupportedFormat { feature: "samples that are infinite or not a number" });
        }
        Ok(Waveform { sample_rate: rate, channels })
    }
}

/// A recording's hash, by its id.
fn hash(id: &str) -> u64 {
    let digest = blake3::hash(id.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|place| digest.as_bytes()[place]))
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): each bit of the result depends on every bit of the input.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::augment::testing::{WHO, folder, hiss, is_uniform, write_wav};

    fn bank(root: &Path) -> Bank {
        let cache = Cache::new(1 << 30);
        Bank::open(&folder(root), &Variables::default(), Method::default(), &cache).unwrap()
    }

    /// A folder of so many recordings, of no sound.
    fn names(number: usize) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for number in 0..number {
            std::fs::write(root.path().join(format!("noise-{number:02}.wav")), b"").unwrap();
        }
        root
    }

    fn first(bank: &Bank, point: u64) -> &str {
        bank.id(bank.order(point, "utt-1", |_| true)[0])
    }

    #[test]
    fn each_recording_is_equally_likely() {
        let root = names(20);
        let bank = bank(root.path());
        let mut generator = WHO.stage("points");
        let index = |point: u64| bank.order(point, "utt-1", |_| true)[0] as f64 + 0.5;
        let draws: Vec<f64> = (0..20_000).map(|_| index(generator.bits())).collect();
        assert!(is_uniform(&draws, 0.0, 20.0));
    }

    #[test]
    fn one_more_recording_moves_only_the_draws_that_take_it() {
        let (fewer, more) = (names(20), names(21));
        let (fewer, more) = (bank(fewer.path()), bank(more.path()));
        let mut generator = WHO.stage("points");
        let mut moved = 0;
        for _ in 0..5_000 {
            let point = generator.bits();
            if first(&more, point) == "noise-20" {
                moved += 1;
            } else {
                assert_eq!(first(&fewer, point), first(&more, point));
            }
        }
        assert!((180..300).contains(&moved), "{moved} of 5000, of which a 21st is 238");
    }

    #[test]
    fn an_order_holds_each_recording_once_and_only_those_wanted() {
        let root = names(10);
        let bank = bank(root.path());
        let mut order = bank.order(7, "noise-03", |index| index != 5);
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3, 4, 6, 7, 8, 9], "a noise may have the utterance's id");
        assert_eq!(bank.position("noise-07"), Some(7));
        assert_eq!(bank.position("another"), None);
    }

    #[test]
    fn a_part_of_a_long_recording_is_that_of_the_whole() {
        const SECONDS: usize = 130;
        let root = tempfile::tempdir().unwrap();
        let rate = |hertz| Hertz::new(hertz).unwrap();
        let long = hiss("long", 0.1, 8_000, SECONDS * 8_000);
        write_wav(&root.path().join("long.wav"), &long);
        let bank = bank(root.path());
        assert!(matches!(bank.whole(0, rate(8_000)), Err(LoadError::TooLong { .. })));
        let mut last = 0;
        for unit in [0.0, 0.3, 0.7, 0.999] {
            let (part, start) = bank.part(0, rate(8_000), 4_000, unit).unwrap();
            assert_eq!(part.channels[0], long.channels[0][start..start + 4_000]);
            assert!(start >= last);
            last = start;
        }
        assert!(last > (SECONDS - 3) * 8_000, "parts reach the end: {last}");

        let mut resampler = Resampler::new(rate(8_000), rate(16_000), &Method::default()).unwrap();
        let mut whole = Vec::new();
        resampler.push(&long.channels[0], &mut whole);
        resampler.finish(&mut whole);
        let (part, start) = bank.part(0, rate(16_000), 8_000, 0.5).unwrap();
        // A part begins at a sample of the file, which is every second one here.
        let start = start.next_multiple_of(2);
        let inner = 1_000..7_000;
        let expected = &whole[start + inner.start..start + inner.end];
        assert_eq!(part.num_samples(), 8_000);
        assert!(part.channels[0][inner].iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-4));
    }
}
