//! What a folder holds, in an order that is the same on every machine.

use std::path::Path;

use super::CorpusError;

/// What a folder holds, by name, each list in the order of its bytes; hidden names are left out.
pub(super) struct Folder {
    pub(super) folders: Vec<String>,
    pub(super) files: Vec<String>,
}

impl Folder {
    pub(super) fn list(path: &Path) -> Result<Self, CorpusError> {
        let fail = |source| CorpusError::Read { path: path.to_owned(), source };
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        for entry in path.read_dir().map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path.file_name().and_then(std::ffi::OsStr::to_str);
            let name = name.ok_or_else(|| CorpusError::NameNotUtf8 { path: path.clone() })?;
            if !name.starts_with('.') {
                if path.is_dir() { &mut folders } else { &mut files }.push(name.to_owned());
            }
        }
        folders.sort_unstable();
        files.sort_unstable();
        Ok(Self { folders, files })
    }
}

/// A file's name without its last extension.
pub(super) fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}
