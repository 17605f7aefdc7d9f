//! Where the bytes of a recording are: a file, a part of one, or what a command writes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::LoadError;
use super::parquet_page::{PageCache, PageError, PageHeader, PageKey, PageReference};
use super::source::Source;
use crate::error::chain;

/// Where the bytes of a recording are. A corpus names it by a text, relative to the corpus's root:
///
/// | text | what it is |
/// |---|---|
/// | `a/b.flac` | a file |
/// | `a/shard.tar#offset=512&length=10240` | bytes of a file: a member of an archive, read where it lies |
/// | `x.parquet#column=audio.bytes&page=4096&row=17&codec=snappy&levels=2` | a value of a Parquet file (`parquet_page.rs`) |
/// | `x.parquet#null` | nothing: a row that has no sound |
/// | `sph2pipe -f wav a.sph \|` | what a command writes to its standard output |
#[derive(Debug, Clone)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// Bytes of a file.
    Part {
        /// The file.
        file: PathBuf,
        /// The first byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// A value in a page of a Parquet file.
    Page {
        /// The file.
        file: PathBuf,
        /// The value, as the name of the recording says it.
        value: String,
    },
    /// Nothing: a row of this file has no sound.
    Null(PathBuf),
    /// A command, without the `|` at its end. Whoever names it answers for it: see [`Location::of`].
    Command(String),
    /// What is not read as a file: a row of a dataset.
    Fetched {
        /// What it is called.
        name: String,
        /// Who fetches it.
        source: Arc<dyn FetchSound>,
        /// Which row.
        row: u64,
    },
}

/// Whoever has sound as bytes that are no part of a file as they stand there.
pub trait FetchSound: fmt::Debug + Send + Sync {
    /// The bytes of the sound number `row`: those of a file of sound.
    ///
    /// # Errors
    ///
    /// What is wrong with whatever holds them.
    fn fetch(&self, row: u64) -> Result<Vec<u8>, String>;
}

/// Whether sound that is the output of a command may be had by running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Commands {
    /// A command in the source is an error.
    #[default]
    Refuse,
    /// Commands are run with the rights of whoever runs wavemill, without a shell where they are plain words: allow them only
    /// where the source is trusted.
    Allow,
}

impl Location {
    /// What a corpus whose recordings lie below `root` means by `audio`. A URL stays as it is.
    #[must_use]
    pub fn of(root: &Path, audio: &str, commands: Commands) -> Self {
        if commands == Commands::Allow
            && let Some(command) = audio.trim_end().strip_suffix('|')
        {
            return Self::Command(command.trim_end().to_owned());
        }
        let whole = |name: &str| if name.contains("://") { PathBuf::from(name) } else { root.join(name) };
        let part = || {
            let (file, part) = audio.rsplit_once('#')?;
            if part == "null" {
                return Some(Self::Null(whole(file)));
            }
            if part.parse::<PageReference>().is_ok() {
                return Some(Self::Page { file: whole(file), value: part.to_owned() });
            }
            let (offset, length) = part.strip_prefix("offset=")?.split_once("&length=")?;
            Some(Self::Part { file: whole(file), offset: offset.parse().ok()?, length: length.parse().ok()? })
        };
        part().unwrap_or_else(|| Self::File(whole(audio)))
    }

    /// The file that must be there, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) | Self::Part { file, .. } | Self::Page { file, .. } | Self::Null(file) => Some(file),
            Self::Command(_) | Self::Fetched { .. } => None,
        }
    }

    /// The bytes, ready to be read as often as need be: a command is run once, now, for at most `most` bytes of output.
    pub(super) fn resolve(&self, most: u64) -> Result<Medium, LoadError> {
        match self {
            Self::File(file) => Ok(Medium::File(file.clone())),
            Self::Part { file, offset, length } => {
                Ok(Medium::Part { file: file.clone(), offset: *offset, length: *length })
            }
            Self::Null(_) => Err(LoadError::NoSound),
            Self::Page { file, value } => value_of(file, value, most).map(Medium::Bytes),
            Self::Command(command) => kept_output_of(command, most).map(Medium::Open),
            Self::Fetched { source, row, .. } => match source.fetch(*row) {
                Ok(bytes) if bytes.len() as u64 > most => Err(LoadError::TooMuchData { mib: most >> 20 }),
                Ok(bytes) => Ok(Medium::Bytes(bytes.into())),
                Err(reason) => Err(LoadError::Unreadable { source: io::Error::other(reason) }),
            },
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Part { file, offset, length } => write!(f, "{}#offset={offset}&length={length}", file.display()),
            Self::Null(file) => write!(f, "{}#null", file.display()),
            Self::Page { file, value } => write!(f, "{}#{value}", file.display()),
            Self::Command(command) => write!(f, "{command} |"),
            Self::Fetched { name, .. } => f.write_str(name),
        }
    }
}

impl From<&Path> for Location {
    fn from(file: &Path) -> Self {
        Self::File(file.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(file: &PathBuf) -> Self {
        Self::File(file.clone())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

/// Bytes that can be read, several times if need be.
#[derive(Debug, Clone)]
pub(super) enum Medium {
    /// A file, opened each time.
    File(PathBuf),
    /// Bytes of a file.
    Part {
        /// The file.
        file: PathBuf,
        /// The first byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// A file that has no name any more.
    Open(Arc<File>),
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
}

/// The bytes of a recording, counted; none where that cannot be told without a command or a decoder.
#[must_use]
pub fn content_length(location: &Location) -> Option<u64> {
    match location {
        Location::File(file) => std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|file| file.len()),
        Location::Part { length, .. } => Some(*length),
        Location::Page { .. } | Location::Fetched { .. } => match location.resolve(u64::MAX).ok()? {
            Medium::Bytes(bytes) => Some(bytes.len() as u64),
            _ => None,
        },
        Location::Null(_) | Location::Command(_) => None,
    }
}

/// A hash of the bytes of a recording; none where they cannot be read, or are what a command writes.
#[must_use]
pub fn content_hash(location: &Location) -> Option<[u8; 32]> {
    if matches!(location, Location::Command(_)) {
        return None;
    }
    let mut source = Source::open(&location.resolve(u64::MAX).ok()?).ok()?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut source, &mut hasher).ok()?;
    Some(*hasher.finalize().as_bytes())
}

impl From<&Path> for Medium {
    fn from(file: &Path) -> Self {
        Self::File(file.to_owned())
    }
}

/// The bytes of a value of a Parquet file. Its neighbours are asked for next, so pages are kept: for all threads, since a page
/// can hold a hundred recordings.
fn value_of(path: &Path, value: &str, most: u64) -> Result<Arc<[u8]>, LoadError> {
    static PAGES: PageCache = PageCache::new();
    let Ok(PageReference { page, row, codec, levels, dictionary, .. }) = value.parse() else {
        return Err(LoadError::NotFound);
    };
    let file = File::open(path).map_err(LoadError::opening)?;
    let end = file.metadata().map_err(LoadError::opening)?.len();
    let read = |page, levels| PAGES.page(&PageKey::new(path, page, codec, levels), &file, end);
    for page in dictionary.into_iter().chain([page]) {
        if PageHeader::read(&file, page, end)?.uncompressed > most {
            return Err(LoadError::TooMuchData { mib: most >> 20 });
        }
    }
    let dictionary = dictionary.map(|page| read(page, 0)).transpose()?;
    let page = read(page, levels)?;
    page.value(row, dictionary.as_deref())?.map(Arc::from).ok_or(LoadError::NoSound)
}

impl From<PageError> for LoadError {
    fn from(error: PageError) -> Self {
        match error {
            // What a decompressor says of bytes that it does not know has these kinds.
            PageError::Read { source, .. }
                if !matches!(
                    source.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other
                ) =>
            {
                Self::Unreadable { source }
            }
            error => Self::DamagedPage { reason: chain(&error) },
        }
    }
}

/// What of a command's complaint is told.
const COMPLAINT: usize = 2_000;

/// What commands wrote last: of a recording that is cut into segments, the command runs once.
static OUTPUTS: Mutex<Vec<(String, Output)>> = Mutex::new(Vec::new());

/// What a command wrote, or the wait for it: one thread runs it, and others that want it wait.
type Output = Arc<Mutex<Option<Arc<File>>>>;

/// How many are kept.
const OUTPUTS_KEPT: usize = 8;

fn kept_output_of(command: &str, most: u64) -> Result<Arc<File>, LoadError> {
    let output = {
        let mut outputs = OUTPUTS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = outputs.iter().position(|(there, _)| there == command);
        let entry = found.map_or_else(|| (command.to_owned(), Output::default()), |at| outputs.remove(at));
        let output = Arc::clone(&entry.1);
        outputs.push(entry);
        let forgotten = outputs.len().saturating_sub(OUTPUTS_KEPT);
        outputs.drain(..forgotten);
        output
    };
    let mut there = output.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = there.as_ref() {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(output_of(command, most)?);
    *there = Some(Arc::clone(&file));
    Ok(file)
}

/// Runs a command and gives what it wrote, in a file without a name.
fn output_of(command: &str, most: u64) -> Result<File, LoadError> {
    let failed = |source: io::Error| LoadError::CommandFailed { reason: source.to_string() };
    let world = |source| LoadError::Unreadable { source };
    let mut command = parsed(command).ok_or_else(|| LoadError::CommandFailed { reason: "it is empty".to_owned() })?;
    let mut spool = tempfile::tempfile().map_err(world)?;
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // Read beside what it writes, or a command that complains much would wait for ever.
    let stderr = child.stderr.take();
    let complaint = std::thread::spawn(move || stderr.map(last_words).unwrap_or_default());
    let copied = match child.stdout.take() {
        Some(stdout) => io::copy(&mut stdout.take(most.saturating_add(1)), &mut spool),
        None => Ok(0),
    };
    if !matches!(copied, Ok(copied) if copied <= most) {
        // It may still want to write. If it cannot be killed, it has ended.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    if copied.map_err(world)? > most {
        return Err(LoadError::TooMuchData { mib: most >> 20 });
    }
    if !status.success() {
        let text = complaint.join().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        return Err(LoadError::CommandFailed { reason: format!("{status}{said}") });
    }
    Ok(spool)
}

/// The last of what a command complains of.
fn last_words(mut stderr: impl Read) -> Vec<u8> {
    let (mut last, mut block) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stderr.read(&mut block) {
        last.extend_from_slice(&block[..read]);
        let forgotten = last.len().saturating_sub(COMPLAINT);
        last.drain(..forgotten);
    }
    last
}

/// A command line made ready: without a shell where it is nothing but words.
fn parsed(line: &str) -> Option<Command> {
    let assigns = line.split_whitespace().next().is_some_and(|word| word.contains('='));
    let shell = assigns || line.contains(|letter| "|&;<>()$`*?[]{}~#!\n".contains(letter));
    let words = if shell { None } else { shlex::split(line) };
    let mut words = match words {
        Some(words) => words,
        None => ["sh", "-c", line].map(str::to_owned).to_vec(),
    }
    .into_iter();
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(audio: &str) -> Location {
        Location::of(Path::new("/corpus"), audio, Commands::Allow)
    }

    #[test]
    fn a_text_names_a_file_a_part_of_one_or_a_command() {
        let file = |location: Location, path: &str| matches!(location, Location::File(file) if file == Path::new(path));
        assert!(file(of("a/b.wav"), "/corpus/a/b.wav"));
        assert!(file(of("/a#1.wav"), "/a#1.wav"));
        assert!(file(of("https://host/a.wav"), "https://host/a.wav"));
        assert!(file(of("x.tar#offset=-1&length=7"), "/corpus/x.tar#offset=-1&length=7"));
        let Location::Part { file: archive, offset, length } = of("x.tar#offset=512&length=7") else { panic!() };
        assert_eq!((archive.as_path(), offset, length), (Path::new("/corpus/x.tar"), 512, 7));
        assert!(matches!(of("sox a.wav -t wav - | "), Location::Command(line) if line == "sox a.wav -t wav -"));
        let refused = Location::of(Path::new("/corpus"), "rm -r x |", Commands::Refuse);
        assert!(file(refused, "/corpus/rm -r x |"));
        for audio in ["/a/b.wav", "/x.tar#offset=512&length=7", "true |"] {
            assert_eq!(of(audio).to_string(), audio);
        }
    }

    fn output(command: &str, most: u64) -> Result<Vec<u8>, LoadError> {
        let medium = Medium::Open(kept_output_of(command, most)?);
        let mut bytes = Vec::new();
        Source::open(&medium)?.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    #[cfg(unix)]
    #[test]
    fn the_output_of_a_command_is_what_it_writes() {
        assert_eq!(output("printf 'a b'", 10).unwrap(), b"a b");
        assert_eq!(output("printf abc | tr b x", 10).unwrap(), b"axc");
        assert_eq!(output("printf abc", 2).unwrap_err().code(), "too_much_data");
        assert_eq!(output("cat /dev/zero", 1 << 20).unwrap_err().code(), "too_much_data");
        let failed = output("ls /no/such/file", 10).unwrap_err();
        assert_eq!(failed.code(), "command_failed");
        assert!(failed.to_string().contains("/no/such/file"), "{failed}");
        assert_eq!(output("A=b env | grep ^A=", 100).unwrap(), b"A=b\n");
        assert_eq!(
            output("sh -c 'yes complaint | head -c 1000000 >&2; exit 3'", 10).unwrap_err().code(),
            "command_failed"
        );
        assert_eq!(output("no-such-command", 10).unwrap_err().code(), "command_failed");
        assert_eq!(output("", 10).unwrap_err().code(), "command_failed");
    }
}
