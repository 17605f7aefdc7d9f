//! A row as lhotse's manifests: a cut, its supervision, and what tells of its data.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use super::Kind;
use crate::write::contract::{CellChannels, Row, RowSchema, WriteError};
use crate::write::key_escape::file_stem;
use crate::write::metadata::Metadata;
use crate::write::npy;

/// What stands in a supervision and not in the custom fields.
const SUPERVISED: [&str; 3] = ["text", "speaker", "language"];

/// A row on its way into manifests.
pub(super) struct Cut<'r> {
    row: &'r Row<'r>,
    schema: &'r RowSchema,
    id: Cow<'r, str>,
    /// As the row says, where it says.
    channels: Option<usize>,
}

impl<'r> Cut<'r> {
    pub(super) fn of(row: &'r Row<'r>, schema: &'r RowSchema) -> Self {
        Self { row, schema, id: id(row.key), channels: npy::row_channels(row, schema) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn channels(&self) -> Option<usize> {
        self.channels
    }

    /// What tells of the row's data of one kind; where the data stands, lhotse fills in.
    pub(super) fn manifest(&self, kind: Kind) -> Json {
        let Row { num_samples, sample_rate, .. } = *self.row;
        let duration = self.row.duration_s();
        match kind {
            Kind::Recording(_) => {
                let channels = self.channel_list();
                json!({
                    "id": self.id,
                    "sources": [{ "type": "shar", "channels": channels, "source": "" }],
                    "sampling_rate": sample_rate.get(),
                    "num_samples": num_samples,
                    "duration": duration,
                    "channel_ids": channels,
                })
            }
            Kind::Features(place) => {
                let (column, frames) = (&self.schema.features[place], self.row.cells[place].frames);
                let shift = hop(u64::from(frames), num_samples, u64::from(sample_rate.get()))
                    .map_or_else(|| shift(duration, frames), |hop| hop as f64 / f64::from(sample_rate.get()));
                json!({
                    "type": column.name,
                    "num_frames": frames,
                    "num_features": column.bins,
                    "frame_shift": shift,
                    "sampling_rate": sample_rate.get(),
                    "start": 0,
                    "duration": duration,
                    "storage_type": "shar",
                    "storage_path": "",
                    "storage_key": "",
                    "recording_id": self.id,
                    "channels": self.channel(),
                })
            }
            Kind::Array(place) => {
                let (column, cell) = (&self.schema.features[place], &self.row.cells[place]);
                let shape = npy::shape(column, cell.frames, cell.bytes.len(), self.channels);
                let array = json!({ "storage_type": "shar", "storage_path": "", "storage_key": "", "shape": shape });
                match column.channels {
                    // Lhotse cuts time out of the first dimension alone.
                    CellChannels::All => array,
                    CellChannels::One => json!({
                        "array": array,
                        "temporal_dim": 0,
                        "frame_shift": shift(duration, cell.frames),
                        "start": 0,
                    }),
                }
            }
        }
    }

    /// The cut, with what tells of its data.
    pub(super) fn line(&self, manifests: Vec<(&str, Kind, Json)>) -> Json {
        let duration = self.row.duration_s();
        let mut supervision = json!({
            "id": self.id,
            "recording_id": self.id,
            "start": 0,
            "duration": duration,
            "channel": self.channel(),
        });
        let Metadata(mut custom) = Metadata::of(self.row, self.schema);
        for name in SUPERVISED {
            if let Some(value) = custom.shift_remove(name).filter(|value| !value.is_null()) {
                supervision[name] = value;
            }
        }
        custom.retain(|_, value| !value.is_null());
        let mut cut = json!({
            "id": self.id,
            "start": 0,
            "duration": duration,
            "channel": self.channel(),
            "supervisions": [supervision],
        });
        for (name, kind, manifest) in manifests {
            if matches!(kind, Kind::Array(_)) {
                custom.insert(name.to_owned(), manifest);
            } else {
                cut[name] = manifest;
            }
        }
        cut["custom"] = Json::Object(custom);
        cut["type"] = if self.channels.unwrap_or(1) > 1 { "MultiCut" } else { "MonoCut" }.into();
        cut
    }

    fn channel_list(&self) -> Vec<usize> {
        (0..self.channels.unwrap_or(1)).collect()
    }

    /// The channel of a cut of one, or the list of them.
    fn channel(&self) -> Json {
        if self.channels.unwrap_or(1) > 1 { self.channel_list().into() } else { 0.into() }
    }
}

/// The metadata of the row behind a cut.
pub(super) fn metadata(cut: &[u8]) -> Result<(String, Metadata), WriteError> {
    let Metadata(mut cut) = Metadata::parse(cut)?;
    let (Some(Json::String(id)), Some(Json::Object(mut row))) = (cut.remove("id"), cut.remove("custom")) else {
        return Err(WriteError::Damaged("a cut has no `id` or no `custom`".to_owned()));
    };
    let supervision = cut.get("supervisions").and_then(|supervisions| supervisions.get(0)).and_then(Json::as_object);
    for name in SUPERVISED {
        let value = supervision.and_then(|supervision: &Map<String, Json>| supervision.get(name));
        row.insert(name.to_owned(), value.cloned().unwrap_or_default());
    }
    Ok((id, Metadata(row)))
}

/// The cut's id of a key: the key, if Python's `pathlib` gives it back from the name of a file.
pub(super) fn id(key: &str) -> Cow<'_, str> {
    let plain = !key.contains(['%', '\0']) && key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if plain { Cow::Borrowed(key) } else { file_stem(key) }
}

/// Samples between frames such that lhotse counts the frames that there are, if there can be:
/// `compute_num_frames` in `lhotse/utils.py`.
fn hop(frames: u64, samples: u64, rate: u64) -> Option<u64> {
    /// Frames that windows of some 10 ms, that do not go over the edges, are short of.
    const EDGES: u64 = 4;
    if frames == 0 {
        return None;
    }
    let fits = |hop: u64| hop > 0 && samples.checked_add(hop / 2).is_some_and(|samples| samples / hop == frames);
    let nearest = |step: u64| samples.saturating_add(frames * step / 2) / (frames * step) * step;
    let usual = (rate / 100).max(1);
    // In whole milliseconds if that can be, and in whole samples.
    let steps = [(rate / 1000).max(1), 1];
    let near =
        steps.into_iter().flat_map(|step| [nearest(step), nearest(step).saturating_sub(step), nearest(step) + step]);
    // Where no number of samples does, the edges of windows may be missing.
    let edges = (samples / usual).abs_diff(frames) <= EDGES;
    let closest = if edges { usual } else { nearest(1).max(1) };
    std::iter::once(usual).chain(near).find(|hop| fits(*hop)).or(Some(closest))
}

/// The time between frames that fill `duration`, in seconds; any where there are none.
fn shift(duration: f64, frames: u32) -> f64 {
    /// What most features have.
    const USUAL: f64 = 0.01;
    if frames == 0 || duration == 0.0 { USUAL } else { duration / f64::from(frames) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hop_gives_lhotse_the_frames_that_there_are() {
        assert_eq!(hop(100, 16_000, 16_000), Some(160));
        assert_eq!(hop(63, 10_000, 16_000), Some(160));
        assert_eq!(hop(50, 16_000, 16_000), Some(320));
        // Without the edges, 25 ms windows every 10 ms.
        assert_eq!(hop(98, 16_000, 16_000), Some(163));
        assert_eq!(hop(16_000, 16_000, 16_000), Some(1));
        assert_eq!(hop(0, 16_000, 16_000), None);
        // None does: a minute without the edges is 10 ms a frame all the same.
        assert_eq!(hop(5998, 960_000, 16_000), Some(160));
        assert_eq!(hop(399, 16_000, 16_000), Some(40));
        for frames in 1..100 {
            let hop = hop(frames, 16_000, 16_000).unwrap();
            assert_eq!((16_000 + hop / 2) / hop, frames, "{hop}");
        }
    }

    #[test]
    fn ids_are_keys_that_come_back_from_a_path() {
        for key in ["a", "a/b.c", "a b~1@3", ".hidden", "..."] {
            assert_eq!(id(key), key);
        }
        assert_eq!(id("a//b"), "a%2F%2Fb");
        assert_eq!(id("../b"), "%2E%2E%2Fb");
        assert_eq!(id("/b"), "%2Fb");
        assert_eq!(id("a%2F%2Fb"), "a%252F%252Fb");
    }
}
