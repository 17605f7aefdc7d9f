//! Kaldi's lists: a key and what it stands for on every line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::corpus::lines::TextLines;
use crate::corpus::problems::Problems;
use crate::corpus::{CorpusError, Place};

/// A line of a list.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) path: &'a Path,
    pub(super) number: u64,
}

impl Line<'_> {
    pub(super) fn place(self) -> Place {
        Place::line(self.path, self.number)
    }

    pub(super) fn malformed(self, reason: impl Into<String>) -> CorpusError {
        CorpusError::malformed(self.place(), reason)
    }

    /// The problem of a key that line `first` of the same list has already.
    fn again(self, key: &str, first: u64) -> CorpusError {
        let first = Place::line(self.path, first);
        CorpusError::DuplicateId { id: key.to_owned(), first, second: self.place(), derived: false }
    }
}

/// The words of a line.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t']).filter(|word| !word.is_empty())
}

/// Hands every line of a list to `take`, as its key and what stands behind it. What `take` refuses is a problem, and so
/// are lines that are no text; only a file that cannot be read is an error at once.
pub(super) fn each_line(
    path: &Path,
    problems: &mut Problems,
    mut take: impl FnMut(&mut Problems, Line<'_>, &str, &str) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let mut lines = TextLines::open(path)?;
    loop {
        match lines.next_line() {
            Ok(None) => return Ok(()),
            Ok(Some((number, text))) => {
                let text = text.trim_start();
                let (key, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
                take(problems, Line { path, number }, key, rest.trim()).unwrap_or_else(|problem| problems.add(problem));
            }
            Err(problem @ CorpusError::TextNotUtf8 { .. }) => problems.add(problem),
            Err(error) => return Err(error),
        }
    }
}

/// Keys that other lists may say more of, by number.
pub(super) trait Keys {
    /// The list that has the keys.
    fn path(&self) -> &Path;
    /// How many keys there are.
    fn len(&self) -> usize;
    /// The number of a key, counted from 0.
    fn number(&self, key: &str) -> Option<usize>;
}

/// A list whose keys are there once each, in the order of its lines.
pub(super) struct Entries<T> {
    path: PathBuf,
    numbers: HashMap<Rc<str>, usize>,
    all: Vec<Entry<T>>,
}

/// A line of such a list.
pub(super) struct Entry<T> {
    pub(super) key: Rc<str>,
    pub(super) line: u64,
    pub(super) value: T,
}

impl<T> Entries<T> {
    pub(super) fn of(path: PathBuf) -> Self {
        Self { path, numbers: HashMap::new(), all: Vec::new() }
    }

    /// Adds what a line says.
    pub(super) fn add(&mut self, line: Line<'_>, key: &str, value: T) -> Result<(), CorpusError> {
        if let Some(first) = self.number(key) {
            return Err(line.again(key, self.all[first].line));
        }
        self.push(key, line.number, value);
        Ok(())
    }

    fn push(&mut self, key: &str, line: u64, value: T) -> usize {
        let (key, number) = (Rc::<str>::from(key), self.all.len());
        self.numbers.insert(key.clone(), number);
        self.all.push(Entry { key, line, value });
        number
    }

    pub(super) fn entry(&self, number: usize) -> &Entry<T> {
        &self.all[number]
    }
}

impl Entries<()> {
    /// The number of a key, which is added where it is new.
    pub(super) fn number_or_add(&mut self, key: &str) -> usize {
        self.number(key).unwrap_or_else(|| self.push(key, 0, ()))
    }
}

impl<T> Keys for Entries<T> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.numbers.get(key).copied()
    }
}

/// What one list says, by the number of the key; empty where there is no list.
#[derive(Default)]
pub(super) struct Column(Vec<Option<Box<str>>>);

/// What a value of a list must be, where it is not that.
pub(super) type Check = fn(&str) -> Option<&'static str>;

impl Column {
    /// Reads a list with a line for some of the keys.
    pub(super) fn read(
        path: &Path,
        keys: &dyn Keys,
        check: Check,
        problems: &mut Problems,
    ) -> Result<Self, CorpusError> {
        let mut filling = Filling::of(keys);
        each_line(path, problems, |_, line, key, value| {
            filling.fill(keys, line, key, value)?;
            check(value).map_or(Ok(()), |wanted| Err(line.malformed(format!("`{value}` is not {wanted}"))))
        })?;
        Ok(Self(filling.values))
    }

    /// Reads a list with what the column holds before the keys that it holds for: `speaker utterance utterance …`.
    pub(super) fn read_inverse(path: &Path, keys: &dyn Keys, problems: &mut Problems) -> Result<Self, CorpusError> {
        let mut filling = Filling::of(keys);
        each_line(path, problems, |problems, line, value, text| {
            for key in words(text) {
                filling.fill(keys, line, key, value).unwrap_or_else(|problem| problems.add(problem));
            }
            Ok(())
        })?;
        Ok(Self(filling.values))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, number: usize) -> Option<&str> {
        self.0.get(number)?.as_deref()
    }

    /// The column of what `part` takes of each value.
    pub(super) fn part(&self, part: impl Fn(&str) -> Option<&str>) -> Self {
        Self(self.0.iter().map(|value| part(value.as_deref()?).map(Box::from)).collect())
    }
}

/// A column while it is read.
struct Filling {
    values: Vec<Option<Box<str>>>,
    /// The line of each value, or 0.
    lines: Vec<u64>,
}

impl Filling {
    fn of(keys: &dyn Keys) -> Self {
        Self { values: vec![None; keys.len()], lines: vec![0; keys.len()] }
    }

    fn fill(&mut self, keys: &dyn Keys, line: Line<'_>, key: &str, value: &str) -> Result<(), CorpusError> {
        let number = keys.number(key).ok_or_else(|| {
            let known = keys.path().file_name().unwrap_or_default().display();
            line.malformed(format!("`{known}` knows no `{key}`"))
        })?;
        if self.lines[number] > 0 {
            return Err(line.again(key, self.lines[number]));
        }
        self.lines[number] = line.number;
        self.values[number] = Some(value.into());
        Ok(())
    }
}
