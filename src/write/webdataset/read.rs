//! Samples read back, one after the other.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::MemberNames;
use crate::write::contract::{RowSchema, WriteError};
use crate::write::key_escape::file_stem;
use crate::write::metadata::Metadata;
use crate::write::npy;
use crate::write::open_file;
use crate::write::rows_back::{StoredRow, StoredRows, Wanted};
use crate::write::tar_member::{TarMember, TarReader};

/// The samples of a shard.
pub(super) struct Samples {
    schema: RowSchema,
    pub(super) names: MemberNames,
    pub(super) wanted: Wanted,
    pub(super) tar: TarReader,
    index: BufReader<File>,
}

impl Samples {
    pub(super) fn open(schema: &RowSchema, wanted: Wanted, tar: &Path, index: &Path) -> Result<Self, WriteError> {
        Ok(Self {
            schema: schema.clone(),
            names: MemberNames::of(schema),
            wanted,
            tar: TarReader::open(tar)?,
            index: BufReader::new(open_file(index)?),
        })
    }

    /// Holds the index against where the tar stands.
    fn check_index(&mut self) -> Result<(), WriteError> {
        let (mut offset, position) = ([0; 8], self.tar.position());
        self.index.read_exact(&mut offset)?;
        if u64::from_le_bytes(offset) == position {
            return Ok(());
        }
        Err(self.tar.damaged(&format!("has a sample, or its end, at byte {position}, and its index does not")))
    }

    /// The first member of the next sample, and what it holds: its metadata. None at the end.
    pub(super) fn next_sample(&mut self) -> Result<Option<(TarMember, Vec<u8>)>, WriteError> {
        self.check_index()?;
        let Some(first) = self.tar.member()? else {
            let more = self.index.read(&mut [0])? > 0;
            return if more { Err(self.tar.damaged("has fewer samples than its index")) } else { Ok(None) };
        };
        let json = self.tar.content(&first)?;
        Ok(Some((first, json)))
    }

    /// Holds the first member of a sample against its key and the stem of that, and passes over the member with its text.
    pub(super) fn check_first(&mut self, first: &TarMember, key: &str, stem: &str) -> Result<(), WriteError> {
        if first.name.strip_suffix(".json") != Some(stem) {
            return Err(self.tar.damaged(&format!("has the sample of `{key}` under `{}`", first.name)));
        }
        self.tar.expect(&format!("{stem}.txt")).map(drop)
    }

    /// The bytes of a member, where they are wanted.
    fn content(&mut self, member: &TarMember, wanted: bool) -> Result<Option<Vec<u8>>, WriteError> {
        wanted.then(|| self.tar.content(member)).transpose()
    }
}

impl StoredRows for Samples {
    fn next_row(&mut self) -> Result<Option<StoredRow>, WriteError> {
        let Some((first, json)) = self.next_sample()? else { return Ok(None) };
        let metadata = Metadata::parse(&json)?;
        let key = metadata.key()?;
        let stem = file_stem(key).into_owned();
        self.check_first(&first, key, &stem)?;
        let channels = npy::stored_channels(&metadata);
        let mut cells = Vec::with_capacity(self.schema.features.len());
        for number in 0..self.schema.features.len() {
            let member = self.tar.expect(&format!("{stem}{}", self.names.features[number]))?;
            let npy = self.content(&member, self.wanted.features[number])?;
            let column = &self.schema.features[number];
            let numbers = npy.map(|npy| npy::numbers(npy, column, metadata.frames(column)?, channels));
            cells.push(numbers.transpose()?.unwrap_or_default());
        }
        let mut audio = Vec::with_capacity(self.schema.audio.len());
        for number in 0..self.schema.audio.len() {
            let member = self.tar.expect(&format!("{stem}{}", self.names.audio[number]))?;
            audio.push(self.content(&member, self.wanted.audio[number])?.unwrap_or_default());
        }
        Ok(Some(StoredRow { metadata, cells, audio }))
    }
}
