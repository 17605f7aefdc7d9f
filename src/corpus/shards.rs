//! The files of a corpus that comes in shards: `train-{000000..000127}.tar`, several of such, or a folder of them.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CorpusError, Place, has_extension};
use crate::variables::{Template, Variables};

/// More files than any corpus has: a range beyond it is a slip of the keyboard.
const MOST_FILES: usize = 1 << 20;

/// Files of one kind: a path with ranges, several of them, or a folder.
///
/// `{000000..000127}` stands for every number of the range, with the zeros as written; `{dev,test}` for either word.
/// `_OP_` and `_CL_` may stand for the braces, as in NeMo. A folder stands for its files with the right ending, in the
/// order of their bytes. A file that is there under the very name is itself, whatever braces its name has.
#[derive(Debug, Clone, PartialEq)]
pub struct Shards(Vec<Template>);

impl Shards {
    /// The files in their order; in a folder those that end in `extension`.
    pub(super) fn files(&self, variables: &Variables, extension: &str) -> Result<Vec<PathBuf>, CorpusError> {
        let mut files = Vec::new();
        for template in &self.0 {
            let path = template.fill(variables)?;
            let as_written = Path::new(path.as_ref());
            if as_written.is_dir() {
                files.extend(folder(as_written, extension)?);
            } else if as_written.is_file() {
                files.push(as_written.to_owned());
            } else {
                let braces = path.replace("_OP_", "{").replace("_CL_", "}");
                expand(&braces, &braces, &mut files)?;
            }
        }
        Ok(files)
    }
}

impl From<&str> for Shards {
    fn from(path: &str) -> Self {
        Self(vec![path.into()])
    }
}

/// The folder that all of `files` lie below.
pub(super) fn common_folder(files: &[PathBuf]) -> PathBuf {
    let parent = |file: &PathBuf| file.parent().map(Path::to_owned).unwrap_or_default();
    let mut folder = files.first().map(parent).unwrap_or_default();
    for file in files {
        while !file.starts_with(&folder) && folder.pop() {}
    }
    folder
}

/// The name of `file` below `root`, as references to its bytes have it.
pub(super) fn name_below<'a>(root: &Path, file: &'a Path) -> Result<&'a str, CorpusError> {
    let below = file.strip_prefix(root).unwrap_or(file);
    below.to_str().ok_or_else(|| CorpusError::NameNotUtf8 { path: file.to_owned() })
}

fn folder(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, CorpusError> {
    let unread = |source| CorpusError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if has_extension(&path, &[extension]) && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let looked_for = format!("files that end in {extension}");
        return Err(CorpusError::NoRecordings { root: folder.to_owned(), looked_for });
    }
    files.sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(files)
}

/// Adds what `rest` stands for, its first brace first; `written` is for messages.
fn expand(rest: &str, written: &str, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    let braces = rest.split_once('{').and_then(|(before, from)| Some((before, from.split_once('}')?)));
    let Some((before, (inside, after))) = braces else {
        files.push(PathBuf::from(rest));
        return Ok(());
    };
    let wrong = |reason: String| CorpusError::malformed(Place::whole(Path::new(written)), reason);
    for word in words(inside).map_err(wrong)? {
        if files.len() >= MOST_FILES {
            return Err(wrong(format!("the ranges stand for more than {MOST_FILES} files")));
        }
        // A name of a range is done with its braces; those after it may hold further ones.
        expand(&format!("{before}{word}{after}"), written, files)?;
    }
    Ok(())
}

/// What `inside` of braces stands for.
fn words(inside: &str) -> Result<Vec<String>, String> {
    let Some((from, to)) = inside.split_once("..") else {
        return if inside.contains(',') {
            Ok(inside.split(',').map(str::to_owned).collect())
        } else {
            Err(format!("`{{{inside}}}` is no range: write `{{000000..000127}}` or `{{dev,test}}`"))
        };
    };
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = (from.parse::<u64>().ok()).zip(to.parse::<u64>().ok()).filter(|_| is_number(from) && is_number(to));
    let Some((first, last)) = numbers else {
        return Err(format!("`{{{inside}}}` is no range of whole numbers: write `{{000000..000127}}`"));
    };
    if first > last {
        return Err(format!("the range `{{{inside}}}` runs backwards"));
    }
    if last - first >= MOST_FILES as u64 {
        return Err(format!("the range `{{{inside}}}` stands for more than {MOST_FILES} files"));
    }
    // As in the shell: zeros in front of either end are zeros in front of all.
    let has_zeros = |word: &str| word.len() > 1 && word.starts_with('0');
    let width = if has_zeros(from) || has_zeros(to) { from.len().max(to.len()) } else { 0 };
    Ok((first..=last).map(|number| format!("{number:0width$}")).collect())
}

impl Serialize for Shards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

/// Reads a path or a list by hand: serde's `untagged` would forget where in the file a mistake stands.
impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Shards;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, such as `train-{000000..000127}.tar`, or a list of paths")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<Shards, E> {
                Ok(Shards::from(path))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shards, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                if paths.is_empty() { Err(Error::invalid_length(0, &self)) } else { Ok(Shards(paths)) }
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

impl JsonSchema for Shards {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Shards".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(path: &str) -> Result<Vec<String>, String> {
        let files = Shards::from(path).files(&Variables::default(), "tar").map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| file.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn ranges_stand_for_their_numbers_with_zeros_as_written() {
        assert_eq!(files("a-{8..11}.tar").unwrap(), ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]);
        assert_eq!(files("a-{0098..100}.tar").unwrap(), ["a-0098.tar", "a-0099.tar", "a-0100.tar"]);
        assert_eq!(files("audio__OP_0..1_CL_.tar").unwrap(), ["audio_0.tar", "audio_1.tar"]);
        assert_eq!(files("{x,y}/{1..2}.tar").unwrap(), ["x/1.tar", "x/2.tar", "y/1.tar", "y/2.tar"]);
        assert_eq!(files("plain.tar").unwrap(), ["plain.tar"]);
    }

    #[test]
    fn a_range_that_is_none_is_an_error() {
        for wrong in ["{3..1}", "{a..c}", "{+1..2}", "{1..}", "{x}", "{0..18446744073709551615}", "{0..2000000000}"] {
            let message = files(wrong).unwrap_err();
            assert!(message.contains(wrong), "{message}");
        }
        assert!(files("{0..99999}{0..99999}").unwrap_err().contains("more than 1048576 files"));
    }

    #[test]
    fn a_folder_stands_for_its_files_in_the_order_of_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(files(path).unwrap_err().contains("looked for files that end in tar"));
        for name in ["b.tar", "a10.tar", "a2.tar", "c.json", ".d.tar"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let braces = format!("{path}/{{c}}.json");
        std::fs::write(&braces, "").unwrap();
        assert_eq!(files(&braces).unwrap(), [braces]);
        let names = files(path).unwrap();
        assert_eq!(names, ["a10.tar", "a2.tar", "b.tar"].map(|name| format!("{path}/{name}")));
    }

    #[test]
    fn a_list_is_read_and_written_as_it_is() {
        for (written, count) in [(r#""a.tar""#, 1), (r#"["a.tar","b-{0..1}.tar"]"#, 3)] {
            let shards: Shards = serde_json::from_str(written).unwrap();
            assert_eq!(shards.files(&Variables::default(), "tar").unwrap().len(), count);
            assert_eq!(serde_json::to_string(&shards).unwrap(), written);
        }
        assert!(serde_json::from_str::<Shards>("[]").is_err() && serde_json::from_str::<Shards>("3").is_err());
    }

    #[test]
    fn the_common_folder_holds_every_file() {
        let common = |files: &[&str]| common_folder(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(common(&["/a/b/1.tar", "/a/b/2.tar"]), Path::new("/a/b"));
        assert_eq!(common(&["/a/b/1.tar", "/a/c/2.tar"]), Path::new("/a"));
        assert_eq!(common(&["a/1.tar", "b/2.tar"]), Path::new(""));
        assert_eq!(name_below(Path::new("/a"), Path::new("/a/b/1.tar")).unwrap(), "b/1.tar");
    }
}
