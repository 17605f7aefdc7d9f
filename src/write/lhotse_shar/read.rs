//! Cuts read back, each with its part of every archive.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use flate2::bufread::GzDecoder;

use super::{Field, Kind, cut, extension, fields};
use crate::write::contract::{RowSchema, WriteError};
use crate::write::npy;
use crate::write::open_file;
use crate::write::rows_back::{StoredRow, StoredRows, Wanted, next_line};
use crate::write::tar_member::TarReader;
use crate::write::unlike;

/// The cuts of a shard.
pub(super) struct Cuts {
    schema: RowSchema,
    wanted: Wanted,
    lines: BufReader<GzDecoder<BufReader<File>>>,
    fields: Vec<(Field, TarReader)>,
    line: Vec<u8>,
}

impl Cuts {
    pub(super) fn open(schema: &RowSchema, wanted: Wanted, files: &[PathBuf]) -> Result<Self, WriteError> {
        let fields = fields(schema);
        let Some((cuts, paths)) = files.split_first().filter(|(_, paths)| paths.len() == fields.len()) else {
            return Err(unlike(files.len()));
        };
        let cuts = BufReader::new(GzDecoder::new(BufReader::new(open_file(cuts)?)));
        let archive = |(field, path): (Field, &PathBuf)| Ok((field, TarReader::open(path)?));
        let fields = fields.into_iter().zip(paths).map(archive).collect::<Result<Vec<_>, WriteError>>()?;
        Ok(Self { schema: schema.clone(), wanted, lines: cuts, fields, line: Vec::new() })
    }
}

impl StoredRows for Cuts {
    fn next_row(&mut self) -> Result<Option<StoredRow>, WriteError> {
        if !next_line(&mut self.lines, &mut self.line)? {
            for (_, tar) in &mut self.fields {
                if tar.member()?.is_some() {
                    return Err(tar.damaged("has more than there are cuts"));
                }
            }
            return Ok(None);
        }
        let (id, metadata) = cut::metadata(&self.line)?;
        if id != cut::id(metadata.key()?) {
            return Err(WriteError::Damaged(format!("the cut `{id}` has the key of another")));
        }
        let channels = npy::stored_channels(&metadata);
        let mut cells = vec![Vec::new(); self.schema.features.len()];
        let mut audio = vec![Vec::new(); self.schema.audio.len()];
        for (field, tar) in &mut self.fields {
            let data = tar.expect(&format!("{id}.{}", extension(&self.schema, field.kind)))?;
            match field.kind {
                Kind::Recording(place) if self.wanted.audio[place] => audio[place] = tar.content(&data)?,
                Kind::Features(place) | Kind::Array(place) if self.wanted.features[place] => {
                    let column = &self.schema.features[place];
                    cells[place] = npy::numbers(tar.content(&data)?, column, metadata.frames(column)?, channels)?;
                }
                _ => {}
            }
            tar.expect(&format!("{id}.json"))?;
        }
        Ok(Some(StoredRow { metadata, cells, audio }))
    }
}
