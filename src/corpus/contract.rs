//! What a corpus reader promises: one table, whatever the source.

use std::collections::HashSet;
use std::path::Path;

use super::lines::TextLines;
use super::{CorpusError, CorpusTable};
use crate::variables::Variables;

/// The ids that a file lists, one a line, without white space around them; blank lines are skipped.
///
/// # Errors
///
/// The file cannot be read, or is no text.
pub fn read_ids(path: &Path) -> Result<HashSet<String>, CorpusError> {
    let mut lines = TextLines::open(path)?;
    let mut ids = HashSet::new();
    while let Some((_, line)) = lines.next_line()? {
        ids.insert(line.trim().to_owned());
    }
    Ok(ids)
}

/// The YAML side of a corpus reader.
pub trait ReadCorpus {
    /// Reads the corpus table: no sound, only names, times and texts. The order of rows depends on the source alone.
    ///
    /// # Errors
    ///
    /// The source is missing or malformed; the error names the file, and the line where there is one.
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError>;
}
