//! Opening a file of a corpus: what is no file is an error, before anything waits for it.

use std::fs::File;
use std::path::Path;

use super::{CorpusError, Place};

/// Opens a file, which must be one, perhaps behind links. A pipe would wait for its other end, for ever.
pub(super) fn open_regular(path: &Path) -> Result<File, CorpusError> {
    let unread = |source| CorpusError::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(unread)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "a pipe or device" };
        let reason = format!("no file, but {what}: name a file");
        return Err(CorpusError::malformed(Place::whole(path), reason));
    }
    File::open(path).map_err(unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_an_error_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let message = |path: &Path| open_regular(path).unwrap_err().to_string();
        assert!(message(&pipe).ends_with("pipe`: no file, but a pipe or device: name a file"), "{}", message(&pipe));
        assert!(message(folder.path()).contains("a folder"));
        assert!(matches!(open_regular(&folder.path().join("none")), Err(CorpusError::Read { .. })));
    }
}
