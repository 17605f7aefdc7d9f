//! What a corpus reader promises: one table, whatever the source.

use super::{CorpusError, CorpusTable};
use crate::variables::Variables;

/// The YAML side of a corpus reader.
pub trait ReadCorpus {
    /// Reads the corpus table: no sound, only names, times and texts. The order of rows depends on the source alone.
    ///
    /// # Errors
    ///
    /// The source is missing or malformed; the error names the file, and the line where there is one.
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError>;
}
