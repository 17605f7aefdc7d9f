//! Recordings of Lhotse: where their sound is, and which channel of which file is meant.

use std::path::PathBuf;

use serde::Deserialize;

use super::manifest::{Channels, word};
use crate::corpus::{CorpusError, Place, archive};
use crate::load::Commands;

/// A recording, which may be spread over several files.
#[derive(Debug, Deserialize)]
pub(in crate::corpus) struct Recording {
    #[serde(deserialize_with = "word")]
    pub(in crate::corpus) id: String,
    pub(super) sources: Vec<Source>,
    #[serde(default)]
    pub(super) duration: Option<f64>,
    /// Effects that Lhotse would apply while it loads.
    #[serde(default)]
    transforms: Option<Vec<serde_json::Value>>,
}

/// A file, address or command with some of a recording's channels.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    kind: String,
    channels: Channels,
    #[serde(rename = "source")]
    place: String,
}

/// A recording's channels, all or one, within one of its sources.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::corpus) struct Pick {
    /// The number of the source.
    source: usize,
    /// The channel in the file, counted from 0; none is all that it has.
    pub(super) channel: Option<usize>,
    /// The recording's channel, where this is one of several picks of an utterance.
    pub(super) one_of: Option<u32>,
}

impl Pick {
    /// All channels of the only source.
    pub(in crate::corpus) const WHOLE: Self = Self { source: 0, channel: None, one_of: None };
}

impl Recording {
    /// The channels of every source.
    pub(super) fn channels(&self) -> Vec<u32> {
        self.sources.iter().flat_map(|source| source.channels.numbers()).copied().collect()
    }

    /// Checks that the sound in the sources is the sound that is meant.
    pub(in crate::corpus) fn check(&self, place: &Place) -> Result<(), CorpusError> {
        if self.transforms.as_ref().is_some_and(|transforms| !transforms.is_empty()) {
            let reason = format!(
                "the recording `{}` has `transforms`, which Lhotse applies while it loads: write their sound to files with Lhotse's `save_audios`, and read its manifest",
                self.id
            );
            return Err(CorpusError::malformed(place.clone(), reason));
        }
        Ok(())
    }

    /// Where the channels `wanted` are: together if they are all that one source has, else each alone.
    pub(in crate::corpus) fn picks(&self, wanted: &[u32], place: &Place) -> Result<Vec<Pick>, CorpusError> {
        let found = wanted.iter().map(|channel| {
            let mut sources = self.sources.iter().enumerate();
            let found = sources.find_map(|(source, file)| Some((source, file.channels.position(*channel)?)));
            found.ok_or_else(|| {
                let reason = format!("the recording `{}` has no channel {channel}", self.id);
                CorpusError::malformed(place.clone(), reason)
            })
        });
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let Some(&(first, _)) = found.first() else {
            return Err(CorpusError::malformed(place.clone(), format!("no channel of the recording `{}`", self.id)));
        };
        let is_whole = found.iter().all(|(source, _)| *source == first)
            && self.sources[first].channels.numbers().iter().all(|channel| wanted.contains(channel));
        if is_whole {
            return Ok(vec![Pick { source: first, ..Pick::WHOLE }]);
        }
        let several = found.len() > 1;
        let pick = |(&number, (source, position)): (&u32, (usize, usize))| {
            let is_mono = self.sources[source].channels.numbers().len() == 1;
            Pick { source, channel: (!is_mono).then_some(position), one_of: several.then_some(number) }
        };
        Ok(wanted.iter().zip(found).map(pick).collect())
    }

    /// What the `audio` column says of a pick.
    pub(super) fn audio(&self, pick: &Pick, sound: &Sound, place: &Place) -> Result<String, CorpusError> {
        sound.of(&self.sources[pick.source], place)
    }
}

/// How sources become values of the `audio` column.
pub(super) struct Sound {
    pub(super) root: PathBuf,
    pub(super) commands: Commands,
}

impl Sound {
    fn of(&self, source: &Source, place: &Place) -> Result<String, CorpusError> {
        let malformed = |reason: String| CorpusError::malformed(place.clone(), reason);
        let text = source.place.as_str();
        match source.kind.as_str() {
            // A file of such a name would be run as a command.
            "file" | "url" if text.trim_end().ends_with('|') => {
                Err(malformed(format!("`{text}` ends with `|`, as commands do, but is a source of type `{}`", source.kind)))
            }
            "file" | "url" => Ok(text.to_owned()),
            "command" if text.trim().is_empty() => Err(malformed("a source of type `command` is empty".to_owned())),
            "command" => match self.commands {
                Commands::Allow => Ok(format!("{text} |")),
                Commands::Refuse => {
                    Err(malformed(format!("the sound is the output of the command `{text}`: write `commands: allow` to run such commands")))
                }
            },
            "shar_ptr" => self.pointer(text, place),
            "memory" => Err(malformed(
                "a source of type `memory`, whose sound is in no file: write it to files with Lhotse's `save_audios`, and read its manifest".to_owned(),
            )),
            "shar" => Err(malformed(
                "a source of type `shar`, whose sound is in the tar files beside these cuts: read their folder with `lhotse_shar: { dir: … }`".to_owned(),
            )),
            other => Err(malformed(format!(
                "a source of the unknown type `{other}`: known are `file`, `url`, `command` and `shar_ptr`"
            ))),
        }
    }

    /// A member of a Shar archive, as `audio.000000.tar?o=HEADER&e=END`.
    fn pointer(&self, text: &str, place: &Place) -> Result<String, CorpusError> {
        let parsed = text.rsplit_once('?').and_then(|(tar, bytes)| {
            let (from, to) = bytes.split_once('&')?;
            let from = from.strip_prefix("o=")?.parse::<u64>().ok()?;
            Some((tar, from, to.strip_prefix("e=")?.parse::<u64>().ok()?))
        });
        let Some((tar, from, to)) = parsed else {
            let reason = format!("the pointer `{text}` is not of the form `file.tar?o=BYTE&e=BYTE`");
            return Err(CorpusError::malformed(place.clone(), reason));
        };
        let path = self.root.join(tar);
        let member = archive::member_at(&path, from)?;
        let within = |member: &archive::Member| member.offset.checked_add(member.length).is_some_and(|end| end <= to);
        let reason = || format!("no member of the archive lies between here and byte {to}, as {place} says");
        let member = member.filter(within);
        let member = member.ok_or_else(|| CorpusError::malformed(Place::byte(&path, from), reason()))?;
        Ok(archive::reference(tar, &member))
    }
}
