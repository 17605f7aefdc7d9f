//! What Lhotse knows of an utterance, as columns of the corpus table.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::manifest::{Cut, Supervision};
use super::recording::Pick;
use crate::corpus::corpus_table::{Cell, ColumnKey, Rows, STANDARD, Value, carried_name};
use crate::corpus::jsonl::json_lines::put_json;
use crate::corpus::{CorpusError, Position};

/// Columns that these readers fill themselves, beside the standard ones.
const OWN: [&str; 5] = ["gender", "recording_id", "supervision_id", "supervisions", "alignment"];

/// The column of a field with a name of its user's choice; none where it is left out.
fn column_name(field: &str) -> Option<Cow<'_, str>> {
    let is_taken = field.is_empty() || [&STANDARD[..], &OWN].iter().any(|names| names.contains(&field));
    if is_taken { Some(Cow::Owned(format!("source_{field}"))) } else { carried_name(field) }
}

/// Whether a value says where data is, as of an array, an image or a second recording.
fn is_data(json: &Json) -> bool {
    let Json::Object(object) = json else { return false };
    let inner = |name: &str| object.get(name).and_then(|inner| inner.get("storage_type"));
    object.contains_key("storage_type")
        || inner("array").is_some()
        || (object.contains_key("sources") && object.contains_key("sampling_rate"))
}

/// Where an utterance is.
pub(super) struct Span<'a> {
    pub(super) id: &'a str,
    pub(super) audio: &'a str,
    pub(super) pick: &'a Pick,
    pub(super) start: f64,
    pub(super) duration: Option<f64>,
}

pub(super) fn put_text(rows: &mut Rows, column: &str, text: Option<&str>) -> Result<(), CorpusError> {
    match text {
        Some(text) => {
            let key = rows.column(column)?;
            rows.put(key, Cell::string(text))
        }
        None => Ok(()),
    }
}

fn put_fields(rows: &mut Rows, fields: &Map<String, Json>) -> Result<(), CorpusError> {
    for (field, json) in fields {
        if json.is_null() || is_data(json) {
            continue;
        }
        let Some(name) = column_name(field) else { continue };
        let mut key = rows.column(&name)?;
        if rows.has(key) {
            // The cut has a field of this name as well.
            key = rows.column(&format!("supervision_{field}"))?;
        }
        put_json(rows, key, json).map_err(|error| error.given_by(field))?;
    }
    Ok(())
}

/// Begins a row: its id, and where it is. The id of one channel of several ends in `-c` and the channel.
pub(super) fn begin(rows: &mut Rows, position: Position, span: &Span<'_>) -> Result<(), CorpusError> {
    rows.begin(position);
    rows.put(ColumnKey::AUDIO, Cell::string(span.audio))?;
    match span.pick.one_of {
        Some(channel) => rows.put(ColumnKey::ID, Cell::string(&format!("{}-c{channel}", span.id)))?,
        None => rows.put(ColumnKey::ID, Cell::string(span.id))?,
    }
    if span.start != 0.0 {
        let start = rows.column("start_s")?;
        rows.put(start, Cell::Typed(Value::Float64(span.start)))?;
    }
    if let Some(duration) = span.duration {
        let key = rows.column("duration_s")?;
        rows.put(key, Cell::Typed(Value::Float64(duration)))?;
    }
    if let Some(channel) = span.pick.channel {
        let key = rows.column("channel")?;
        rows.put(key, Cell::Typed(Value::Int64(channel as i64)))?;
    }
    Ok(())
}

/// What a supervision says of the row, but for its id.
pub(super) fn put_supervision(rows: &mut Rows, supervision: &Supervision) -> Result<(), CorpusError> {
    put_words(rows, |word| word(supervision))?;
    put_text(rows, "text", supervision.text.as_deref())?;
    if let Some(alignment) = supervision.alignment.as_ref().filter(|alignment| !alignment.is_empty()) {
        let key = rows.column("alignment")?;
        put_json(rows, key, &Json::Object(alignment.clone()))?;
    }
    for fields in [supervision.custom.as_ref(), Some(&supervision.further)].into_iter().flatten() {
        put_fields(rows, fields)?;
    }
    Ok(())
}

/// One of the words that a supervision has beside its text.
type Word = fn(&Supervision) -> Option<&str>;

fn put_words<'a>(rows: &mut Rows, value: impl Fn(Word) -> Option<&'a str>) -> Result<(), CorpusError> {
    let words: [(&str, Word); 3] = [
        ("speaker", |supervision| supervision.speaker.as_deref()),
        ("language", |supervision| supervision.language.as_deref()),
        ("gender", |supervision| supervision.gender.as_deref()),
    ];
    for (column, word) in words {
        put_text(rows, column, value(word))?;
    }
    Ok(())
}

/// Adds the row of one pick of a cut, whose supervisions are parsed already.
pub(in crate::corpus) fn put_cut(
    rows: &mut Rows,
    position: Position,
    (cut, supervisions): (&Cut, &[Supervision]),
    pick: &Pick,
    audio: &str,
) -> Result<(), CorpusError> {
    let span = Span { id: &cut.id, audio, pick, start: cut.start, duration: Some(cut.duration) };
    begin(rows, position, &span)?;
    put_text(rows, "recording_id", cut.recording.as_ref().map(|recording| recording.id.as_str()))?;
    for fields in [cut.custom.as_ref(), Some(&cut.further)].into_iter().flatten() {
        put_fields(rows, fields)?;
    }
    let counts =
        |supervision: &Supervision| pick.one_of.is_none_or(|channel| supervision.channel.position(channel).is_some());
    let with_json = supervisions.iter().zip(&cut.supervisions);
    let mut supervisions: Vec<_> = with_json.filter(|(supervision, _)| counts(supervision)).collect();
    match supervisions[..] {
        [] => {}
        [(supervision, _)] => {
            put_text(rows, "supervision_id", Some(&supervision.id))?;
            put_supervision(rows, supervision)?;
        }
        [(first, _), ref others @ ..] => {
            put_words(rows, |word| {
                let agreed = others.iter().all(|(other, _)| word(other) == word(first));
                word(first).filter(|_| agreed)
            })?;
            let all = Json::Array(supervisions.iter().map(|(_, json)| (*json).clone()).collect());
            let key = rows.column("supervisions")?;
            put_json(rows, key, &all)?;
            supervisions.sort_by(|(a, _), (b, _)| a.start.total_cmp(&b.start));
            let texts = supervisions.iter().filter_map(|(supervision, _)| supervision.text.as_deref());
            let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
            put_text(rows, "text", (!texts.is_empty()).then(|| texts.join(" ")).as_deref())?;
        }
    }
    rows.end()
}
