//! Which columns the fields of a NeMo manifest fill, for every source that has such fields.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::json_lines::put_json;
use crate::corpus::CorpusError;
use crate::corpus::corpus_table::{Rows, carried_name};

/// The column that a field fills, where the field `id` is the id.
pub(in crate::corpus) fn column_of<'a>(field: &'a str, id: Option<&str>) -> &'a str {
    match field {
        _ if id == Some(field) => "id",
        "audio_filepath" => "audio",
        "offset" => "start_s",
        "duration" => "duration_s",
        "lang" => "language",
        other => other,
    }
}

/// Fills the row at hand with fields, each in the column that carries what `column` names.
pub(in crate::corpus) fn put_fields<'a>(
    rows: &mut Rows,
    fields: impl IntoIterator<Item = &'a (String, Json)>,
    column: impl Fn(&'a str) -> Cow<'a, str>,
) -> Result<(), CorpusError> {
    for (field, json) in fields {
        let name = column(field);
        let Some(name) = carried_name(&name) else { continue };
        let key = rows.column(&name)?;
        put_json(rows, key, json).map_err(|error| error.given_by(field))?;
    }
    Ok(())
}
