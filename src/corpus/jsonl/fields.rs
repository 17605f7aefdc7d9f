//! Which columns the fields of a NeMo manifest fill, for every source that has such fields.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::json_lines::put_json;
use crate::corpus::CorpusError;
use crate::corpus::corpus_table::Rows;

/// Fields that many tools write and that say of the file what decoding it tells for certain.
pub(in crate::corpus) const DECODED: [&str; 2] = ["sample_rate", "num_samples"];

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

/// Fills the row at hand with fields, each in the column that `column` names; what decoding tells is left out.
pub(in crate::corpus) fn put_fields<'a>(
    rows: &mut Rows,
    fields: impl IntoIterator<Item = &'a (String, Json)>,
    column: impl Fn(&'a str) -> Cow<'a, str>,
) -> Result<(), CorpusError> {
    for (field, json) in fields.into_iter().filter(|(field, _)| !DECODED.contains(&field.as_str())) {
        let key = rows.column(&column(field))?;
        put_json(rows, key, json).map_err(|error| error.given_by(field))?;
    }
    Ok(())
}
