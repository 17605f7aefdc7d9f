//! Lines of Lhotse's manifests: cuts and supervisions as they are written.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::recording::Recording;
use crate::corpus::{CorpusError, Place};

/// A part of a recording, with all that is said of it.
#[derive(Debug, Deserialize)]
pub(in crate::corpus) struct Cut {
    #[serde(deserialize_with = "word")]
    pub(in crate::corpus) id: String,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(in crate::corpus) channel: Channels,
    /// As written, for the column that holds several.
    #[serde(default)]
    pub(super) supervisions: Vec<Json>,
    #[serde(default)]
    pub(in crate::corpus) recording: Option<Recording>,
    #[serde(default)]
    pub(in crate::corpus) custom: Option<Map<String, Json>>,
    #[serde(flatten)]
    pub(super) further: Map<String, Json>,
}

/// What is said in a part of a recording, or of a cut.
#[derive(Debug, Deserialize)]
pub(in crate::corpus) struct Supervision {
    #[serde(deserialize_with = "word")]
    pub(super) id: String,
    #[serde(deserialize_with = "word")]
    pub(super) recording_id: String,
    pub(super) start: f64,
    pub(super) duration: f64,
    #[serde(default)]
    pub(super) channel: Channels,
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) text: Option<String>,
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) speaker: Option<String>,
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) language: Option<String>,
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) gender: Option<String>,
    #[serde(default)]
    pub(super) alignment: Option<Map<String, Json>>,
    #[serde(default)]
    pub(super) custom: Option<Map<String, Json>>,
    #[serde(flatten)]
    pub(super) further: Map<String, Json>,
}

/// Fields of a cut without anything for the corpus table.
const UNREAD: [&str; 2] = ["type", "features"];

/// The most channels that one list may name, far beyond every microphone array.
const MOST_CHANNELS: usize = 1024;

/// Channels of a recording, written as a number or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::corpus) struct Channels(Vec<u32>);

impl Channels {
    pub(in crate::corpus) fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// Where in the list the channel is.
    pub(super) fn position(&self, channel: u32) -> Option<usize> {
        self.0.iter().position(|there| *there == channel)
    }
}

/// The channel of a supervision that names none, as in Lhotse.
impl Default for Channels {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        let number = |json: &Json| json.as_u64().and_then(|number| u32::try_from(number).ok());
        let numbers = match &json {
            Json::Array(numbers) if numbers.len() > MOST_CHANNELS => {
                let message = format!("a list of {} channels, but at most {MOST_CHANNELS} are read", numbers.len());
                return Err(D::Error::custom(message));
            }
            Json::Array(numbers) => numbers.iter().map(number).collect(),
            other => number(other).map(|number| vec![number]),
        };
        numbers
            .map(Self)
            .ok_or_else(|| D::Error::custom("must be a channel's number, counted from 0, or a list of them"))
    }
}

/// Text, also where a tool wrote a number for it.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_word(deserializer)?.ok_or_else(|| D::Error::custom("must be a text, but is null"))
}

fn optional_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(None),
        Json::String(text) => Ok(Some(text)),
        Json::Number(number) => Ok(Some(number.to_string())),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => Err(D::Error::custom("must be a text")),
    }
}

/// What the fields of a line say, where each is there once.
pub(super) fn parsed<T: DeserializeOwned>(place: &Place, fields: Vec<(String, Json)>) -> Result<T, CorpusError> {
    let mut object = Map::with_capacity(fields.len());
    for (field, json) in fields {
        if object.contains_key(&field) {
            return Err(CorpusError::GivenTwice { place: place.clone(), column: field, also: None });
        }
        object.insert(field, json);
    }
    typed(place, "", Json::Object(object))
}

/// What the object at `path` of a line says.
pub(super) fn typed<T: DeserializeOwned>(place: &Place, path: &str, json: Json) -> Result<T, CorpusError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let within = error.path().to_string();
        let parts = [path, &within].into_iter().filter(|part| !matches!(*part, "" | "."));
        let path = parts.collect::<Vec<_>>().join(".");
        let path = if path.is_empty() { path } else { format!("`{path}`: ") };
        CorpusError::malformed(place.clone(), format!("{path}{}", error.inner()))
    })
}

impl Cut {
    /// The cut of a line, where the line is one of a kind that can be read.
    pub(in crate::corpus) fn of(place: &Place, fields: Vec<(String, Json)>) -> Result<Self, CorpusError> {
        let malformed = |reason: &str| Err(CorpusError::malformed(place.clone(), reason));
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, json)| json);
        match field("type").map(|kind| kind.as_str().unwrap_or_default()) {
            // `Cut` was the name of a `MonoCut` up to Lhotse 0.7.
            Some("MonoCut" | "MultiCut" | "Cut") => {
                let mut cut: Self = parsed(place, fields)?;
                cut.further.retain(|field, _| !UNREAD.contains(&field.as_str()));
                Ok(cut)
            }
            Some("MixedCut") => malformed(
                "a `MixedCut`, whose sound is mixed while it is loaded: write it to a file with Lhotse's `save_audios`, and read its manifest",
            ),
            Some("PaddingCut") => malformed("a `PaddingCut`, which has no recording: leave it out"),
            Some(other) => {
                malformed(&format!("a cut of the unknown type `{other}`: known are `MonoCut` and `MultiCut`"))
            }
            None if field("sources").is_some() => {
                malformed("a recording, where a cut should be: name this manifest under `recordings`")
            }
            None if field("recording_id").is_some() => malformed(
                "a supervision, where a cut should be: name this manifest under `supervisions`, beside `recordings`",
            ),
            None => malformed("no cut: the field `type` is missing"),
        }
    }

    /// The supervisions of the cut, in its order.
    pub(in crate::corpus) fn supervisions(&self, place: &Place) -> Result<Vec<Supervision>, CorpusError> {
        let all = self.supervisions.iter().enumerate();
        all.map(|(number, json)| typed(place, &format!("supervisions[{number}]"), json.clone())).collect()
    }
}
