//! Recordings to draw from: noises, rooms, other speakers. Read through `corpus` and `load`, brought to the clip's rate once,
//! and kept within a budget of memory that all threads share.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audio::{Hertz, Seconds, Waveform};
use crate::corpus::{Corpus, CorpusError, CorpusTable};
use crate::load::{Channels, Cut, Decoder, Load, LoadError, Pick, Take, probe_within};
use crate::resample::{Method, Resampler};
use crate::variables::Variables;

/// Which recordings an augmentation draws from.
#[derive(Debug, Clone, Copy)]
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
    path: PathBuf,
    cut: Cut,
    /// One channel of the file, where the corpus says so.
    channel: Option<u16>,
    speaker: Option<String>,
    /// A hash of the id, by which it is drawn.
    hash: u64,
}

/// Recordings to draw from.
#[derive(Debug)]
pub struct Bank {
    recordings: Vec<Recording>,
    load: Load,
    method: Method,
    cache: Arc<Cache>,
    /// Tells the cache whose recording is whose.
    number: usize,
}

impl Bank {
    /// How many recordings a draw tries before the row is rejected.
    pub const TRIES: usize = 16;

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
        Ok(Self::of(&corpus.member().read(variables)?, &Load::default(), method, cache))
    }

    /// The recordings of a table.
    pub(super) fn of(table: &CorpusTable, load: &Load, method: Method, cache: &Arc<Cache>) -> Self {
        let recording = |row: usize| Recording {
            id: table.id(row).to_owned(),
            audio: table.audio(row).to_owned(),
            path: table.audio_path(row),
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
            hash: hash(table.id(row)),
        };
        let recordings = (0..table.len()).map(recording).collect();
        Self { recordings, load: load.clone(), method, number: cache.next_number(), cache: Arc::clone(cache) }
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

    /// The recordings that a draw of `point` takes, first choice first, all but the one called `except`: those of the
    /// highest scores, where the score is a hash of point and id (rendezvous hashing, Thaler and Ravishankar 1998). So
    /// each is equally likely, and adding or removing one changes only the draws that take it.
    pub(super) fn order(&self, point: u64, except: &str) -> Vec<usize> {
        let mut best: Vec<(u64, usize)> = Vec::with_capacity(Self::TRIES + 1);
        for (index, recording) in self.recordings.iter().enumerate() {
            let score = mix(point ^ recording.hash);
            if best.len() == Self::TRIES && best.last().is_some_and(|last| score <= last.0) {
                continue;
            }
            if recording.id == except {
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
    /// [0, 1), each place at which `len` samples fit is equally likely. A recording of fewer samples comes whole.
    ///
    /// # Errors
    ///
    /// It cannot be decoded.
    pub fn part(&self, index: usize, rate: Hertz, len: usize, unit: f64) -> Result<(Waveform, usize), LoadError> {
        let Recording { path, cut, .. } = &self.recordings[index];
        let start_of = |total: usize| (unit * (total.saturating_sub(len) + 1) as f64) as usize;
        let length_s = match cut.duration {
            Some(duration) => Some(duration.get()),
            None => {
                let header = probe_within(path, &self.load.limits())?;
                let samples = header.num_samples;
                samples.map(|samples| Seconds::of_samples(samples, header.sample_rate).get() - cut.start.get())
            }
        };
        let Some(length_s) = length_s.filter(|length_s| *length_s > Self::WHOLE_S) else {
            let whole = self.whole(index, rate)?;
            let total = whole.num_samples();
            let start = start_of(total).min(total);
            let end = (start + len).min(total);
            let channels = whole.channels.iter().map(|channel| channel[start..end].to_vec()).collect();
            return Ok((Waveform { sample_rate: rate, channels }, start));
        };
        // What the header claims may be a little more than there is.
        let claimed = length_s - self.load.length_tolerance_s.min(length_s / 2.0);
        let total = (claimed * f64::from(rate.get())) as usize;
        let start = start_of(total);
        let seconds = |samples: usize| Seconds::of_samples(samples as u64, rate).get();
        let time = |seconds: f64| Seconds::new(seconds).unwrap_or(Seconds::ZERO);
        let cut = Cut { start: time(cut.start.get() + seconds(start)), duration: Some(time(seconds(len.min(total)))) };
        let mut sound = self.decode(index, cut, rate, &self.load)?;
        for channel in &mut sound.channels {
            channel.truncate(len);
        }
        Ok((sound, start))
    }

    fn decode(&self, index: usize, cut: Cut, rate: Hertz, load: &Load) -> Result<Waveform, LoadError> {
        let Recording { path, channel, .. } = &self.recordings[index];
        let pick = channel.map_or(Pick::Mix, Pick::Channel);
        let mut decoder = Decoder::open(path, Take { cut, pick, rate: Some(rate) }, load)?;
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

/// A bank's number, a recording's and a rate.
type Key = (usize, usize, Hertz);

/// Decoded recordings within a budget of memory, those longest unused given up first. Shared by all threads; what it holds changes no
/// result. (Crates of caches count entries, or bring threads and hashers of their own: this is one map and a clock.)
#[derive(Debug)]
pub(super) struct Cache {
    most_bytes: usize,
    state: Mutex<CacheState>,
}

#[derive(Debug, Default)]
struct CacheState {
    sounds: HashMap<Key, (Arc<Waveform>, u64)>,
    bytes: usize,
    clock: u64,
    banks: usize,
}

impl Cache {
    /// A cache of at most so many bytes of samples.
    #[must_use]
    pub(super) fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most_bytes, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> usize {
        let mut state = self.state();
        state.banks += 1;
        state.banks
    }

    fn get(&self, key: Key) -> Option<Arc<Waveform>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let (sound, used) = state.sounds.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(sound))
    }

    fn put(&self, key: Key, sound: &Arc<Waveform>) {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        if state.sounds.insert(key, (Arc::clone(sound), now)).is_none() {
            state.bytes += bytes(sound);
        }
        while state.bytes > self.most_bytes {
            let Some(oldest) = state.sounds.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key) else {
                break;
            };
            if let Some((sound, _)) = state.sounds.remove(&oldest) {
                state.bytes -= bytes(&sound);
            }
        }
    }
}

fn bytes(sound: &Waveform) -> usize {
    sound.channels.iter().map(|channel| size_of_val(channel.as_slice())).sum()
}
