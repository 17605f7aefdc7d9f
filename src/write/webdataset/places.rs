//! Where the cells of a tar archive lie: each is the end of a member.

use serde::Deserialize;

use super::read::Samples;
use crate::write::contract::{CellChannels, NUM_CHANNELS, RowSchema, WriteError};
use crate::write::key_escape::file_stem;
use crate::write::npy;
use crate::write::places::{CellColumn, CellPlace, ShardPlaces};

/// All that is needed of what a sample says of itself: the rest need not be held.
#[derive(Deserialize)]
struct Sample {
    key: String,
    num_channels: Option<u64>,
}

/// Whether the places of the cells of `columns` can be told; not where a row does not say how many channels its cells hold.
pub(super) fn can_tell(schema: &RowSchema, columns: &[&str]) -> bool {
    let counted = schema.sound.iter().any(|column| column.name == NUM_CHANNELS);
    let columns = CellColumn::find(schema, columns);
    columns.is_some_and(|columns| {
        columns.iter().all(|column| match column {
            CellColumn::Feature(_, column) => column.channels == CellChannels::One || counted,
            CellColumn::Audio(..) => true,
        })
    })
}

impl Samples {
    /// Where the cells of `columns` lie. Of the archive are read the members' headers, what a sample says of itself and what
    /// stands before the numbers of arrays.
    pub(super) fn places(mut self, schema: &RowSchema, columns: &[&str]) -> Result<ShardPlaces, WriteError> {
        let mut features: Vec<Vec<CellPlace>> = vec![Vec::new(); schema.features.len()];
        let mut audio: Vec<Vec<CellPlace>> = vec![Vec::new(); schema.audio.len()];
        let mut rows = 0;
        while let Some((first, json)) = self.next_sample()? {
            let sample = serde_json::from_slice(&json);
            let Sample { key, num_channels } = sample.map_err(|error| {
                WriteError::Damaged(format!("the metadata of a row is no JSON object with its key: {error}"))
            })?;
            let channels = num_channels.and_then(|channels| usize::try_from(channels).ok());
            let stem = file_stem(&key);
            self.check_first(&first, &key, &stem)?;
            for (number, column) in schema.features.iter().enumerate() {
                let member = self.tar.expect(&format!("{stem}{}", self.names.features[number]))?;
                if self.wanted.features[number] {
                    let offset = self.tar.content_position();
                    let tar = &mut self.tar;
                    let head = npy::head_bytes(member.size, column, channels, |length| tar.content_part(length))?;
                    features[number].push(CellPlace { file: 0, offset: offset + head, bytes: member.size - head });
                }
            }
            for (number, cells) in audio.iter_mut().enumerate() {
                let member = self.tar.expect(&format!("{stem}{}", self.names.audio[number]))?;
                let offset = self.tar.content_position();
                cells.push(CellPlace { file: 0, offset, bytes: member.size });
            }
            rows += 1;
        }
        let columns = CellColumn::find(schema, columns).unwrap_or_default();
        let cells = columns.into_iter().map(|column| match column {
            CellColumn::Feature(number, _) => features[number].clone(),
            CellColumn::Audio(number, _) => audio[number].clone(),
        });
        Ok(ShardPlaces { rows, cells: cells.collect(), groups: Vec::new() })
    }
}
