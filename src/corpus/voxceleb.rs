//! VoxCeleb 1 and 2, as their archives unpack: a folder a speaker, in it a folder a video, in it the utterances.
//!
//! A. Nagrani, J. S. Chung and A. Zisserman, "VoxCeleb: a large-scale speaker identification dataset", Interspeech 2017;
//! J. S. Chung, A. Nagrani and A. Zisserman, "VoxCeleb2: deep speaker recognition", Interspeech 2018;
//! <https://www.robots.ox.ac.uk/~vgg/data/voxceleb/>.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corpus_table::{Cell, ColumnKey, CorpusTable, RESERVED, Rows, STANDARD, Value};
use super::folder::{Folder, stem};
use super::lines::TextLines;
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, has_extension};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// VoxCeleb 1 and 2: `id10001/video/00001.wav`, and what `vox1_meta.csv` and `vox2_meta.csv` say of the speakers.
///
/// Speakers' folders stand in `root`, or below it in `wav`, `aac`, `dev`, `test`, `dev/wav`, `dev/aac`, `test/wav` or
/// `test/aac`; all of these that are there are read. The id is `id10001/video/00001`, the speaker `id10001`; the column
/// `video` is the video it was cut from. From the lists of speakers, where they stand in `root`, come `gender`,
/// `nationality`, `set` and any other column, with `_` for spaces and in lower case (`vggface1_id`). Without a list,
/// `set` is `dev` or `test` where that is a folder's name. Folders that are not named `id` and digits are left out.
///
/// There are no texts. Recordings may have been converted: any extension that wavemill decodes will do, but a recording
/// that is there twice is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Voxceleb {
    /// The folder that holds the speakers' folders, or `wav`, `aac`, `dev` and `test`.
    pub root: Template,
}

impl Member for Voxceleb {
    const EXAMPLE: &'static str = r#"voxceleb: { root: "${CORPUS}/voxceleb1" }"#;
}

/// Where speakers' folders may stand, and which set they are then of.
const PLACES: [(&str, Option<&str>); 9] = [
    ("", None),
    ("wav", None),
    ("aac", None),
    ("dev", Some("dev")),
    ("dev/wav", Some("dev")),
    ("dev/aac", Some("dev")),
    ("test", Some("test")),
    ("test/wav", Some("test")),
    ("test/aac", Some("test")),
];

/// The lists of speakers.
const LISTS: [&str; 2] = ["vox1_meta.csv", "vox2_meta.csv"];

impl ReadCorpus for Voxceleb {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        if !root.is_dir() {
            return Err(CorpusError::NoFolder { path: root.to_owned() });
        }
        let mut reading = Reading::of(root)?;
        let mut utterances = 0;
        for (place, set) in PLACES {
            if root.join(place).is_dir() {
                utterances += reading.speakers(place, set)?;
            }
        }
        if utterances == 0 {
            let looked_for = "recordings in `id10001/video/`, there or in `wav`, `aac`, `dev` or `test`".to_owned();
            return Err(CorpusError::NoRecordings { root: root.to_owned(), looked_for });
        }
        reading.rows.finish()
    }
}

/// A VoxCeleb tree while it is read.
struct Reading {
    root: PathBuf,
    rows: Rows,
    video: ColumnKey,
    speakers: Speakers,
}

/// What the lists say of the speakers.
#[derive(Default)]
struct Speakers {
    /// The names of the columns.
    columns: Vec<String>,
    /// By speaker, the number of a column and its value.
    values: HashMap<String, Vec<(usize, String)>>,
}

impl Reading {
    fn of(root: &Path) -> Result<Self, CorpusError> {
        let mut rows = Rows::new(root, root);
        let video = rows.column("video")?;
        let mut speakers = Speakers::default();
        for list in LISTS.into_iter().map(|list| root.join(list)).filter(|list| list.is_file()) {
            speakers.read(&list)?;
        }
        Ok(Self { root: root.to_owned(), rows, video, speakers })
    }

    /// Reads the speakers' folders in one place; the number of their utterances.
    fn speakers(&mut self, place: &str, set: Option<&str>) -> Result<usize, CorpusError> {
        let above = self.root.join(place);
        let mut utterances = 0;
        for speaker in Folder::list(&above)?.folders.iter().filter(|name| is_speaker(name)) {
            for video in Folder::list(&above.join(speaker))?.folders {
                let files = Folder::list(&above.join(speaker).join(&video))?.files;
                for file in files.iter().filter(|file| has_extension(Path::new(file), &AUDIO_EXTENSIONS)) {
                    let place = if place.is_empty() { String::new() } else { format!("{place}/") };
                    self.rows.begin(Position::Whole);
                    self.rows.put(ColumnKey::AUDIO, Cell::string(&format!("{place}{speaker}/{video}/{file}")))?;
                    self.rows.put(ColumnKey::ID, Cell::string(&format!("{speaker}/{video}/{}", stem(file))))?;
                    self.rows.put(ColumnKey::SPEAKER, Cell::string(speaker))?;
                    self.rows.put(self.video, Cell::string(&video))?;
                    self.put_speaker(speaker, set)?;
                    self.rows.end()?;
                    utterances += 1;
                }
            }
        }
        Ok(utterances)
    }

    /// What the lists say of a speaker; his set is that of the folder where they say none.
    fn put_speaker(&mut self, speaker: &str, set: Option<&str>) -> Result<(), CorpusError> {
        for (column, value) in self.speakers.values.get(speaker).into_iter().flatten() {
            let key = self.rows.column(&self.speakers.columns[*column])?;
            self.rows.put(key, if value.is_empty() { Cell::Typed(Value::Null) } else { Cell::string(value) })?;
        }
        if let Some(set) = set {
            let key = self.rows.column("set")?;
            if !self.rows.has(key) {
                self.rows.put(key, Cell::string(set))?;
            }
        }
        Ok(())
    }
}

/// Whether a folder is one of a speaker: `id10001`.
fn is_speaker(name: &str) -> bool {
    name.strip_prefix("id")
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

impl Speakers {
    /// Reads a list with a header, with tabs or commas between its fields.
    fn read(&mut self, path: &Path) -> Result<(), CorpusError> {
        let mut lines = TextLines::open(path)?;
        let Some((first, header)) = lines.next_line()? else { return Ok(()) };
        let delimiter = if header.contains('\t') { '\t' } else { ',' };
        let header: Vec<String> = header.split(delimiter).map(column_name).collect();
        let names = ["voxceleb_id", "voxceleb1_id", "voxceleb2_id"];
        let id = header.iter().position(|name| names.contains(&name.as_str())).ok_or_else(|| {
            CorpusError::malformed(
                Place::line(path, first),
                "the header names no column `VoxCeleb1 ID` or `VoxCeleb2 ID`",
            )
        })?;
        let mut columns = Vec::with_capacity(header.len());
        for (number, name) in header.iter().enumerate() {
            let taken = name == "video" || STANDARD.contains(&name.as_str()) || RESERVED.contains(&name.as_str());
            if number != id && (name.is_empty() || taken || header[..number].contains(name)) {
                let reason =
                    format!("the header's column `{name}` is empty, there twice or taken: give it another name");
                return Err(CorpusError::malformed(Place::line(path, first), reason));
            }
            columns.push(self.column(name));
        }
        while let Some((number, line)) = lines.next_line()? {
            let place = || Place::line(path, number);
            let fields: Vec<&str> = line.split(delimiter).map(str::trim).collect();
            if fields.len() > header.len() || fields.len() <= id {
                let (expected, found) = (header.len() as u64, fields.len() as u64);
                return Err(CorpusError::RecordLength { place: place(), expected, found });
            }
            let of_speaker = columns.iter().zip(&fields).enumerate().filter(|(field, _)| *field != id);
            let of_speaker = of_speaker.map(|(_, (column, value))| (*column, (*value).to_owned())).collect();
            if self.values.insert(fields[id].to_owned(), of_speaker).is_some() {
                let reason = format!("the speaker `{}` is there twice", fields[id]);
                return Err(CorpusError::malformed(place(), reason));
            }
        }
        Ok(())
    }

    /// The number of the column `name`.
    fn column(&mut self, name: &str) -> usize {
        self.columns.iter().position(|there| there == name).unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        })
    }
}

/// A name of a list's header as one of a column: `VGGFace1 ID` is `vggface1_id`.
fn column_name(written: &str) -> String {
    written.trim().to_lowercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<CorpusTable, CorpusError> {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Voxceleb { root: tree.path().to_str().unwrap().into() }.read(&Variables::default())
    }

    fn message(files: &[(&str, &str)]) -> String {
        read(files).unwrap_err().to_string()
    }

    const META_1: &str =
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\nid10001\tA.J._Buckley\tm\tIreland\tdev\n";
    const META_2: &str = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,f ,test \n";

    #[test]
    fn both_corpora_are_read_with_what_their_lists_say() {
        let table = read(&[
            ("vox1_meta.csv", META_1),
            ("vox2_meta.csv", META_2),
            ("dev/wav/id10001/1zcIwhmdeo4/00002.wav", ""),
            ("dev/wav/id10001/1zcIwhmdeo4/00001.wav", ""),
            ("test/aac/id00012/21Uxsk56VDQ/00001.m4a", ""),
            ("test/aac/id00013/21Uxsk56VDQ/00001.m4a", ""),
            ("test/aac/README/x/00001.m4a", ""),
        ])
        .unwrap();
        let ids: Vec<_> = (0..table.len()).map(|row| table.id(row)).collect();
        let video = "21Uxsk56VDQ/00001";
        assert_eq!(ids[..2], ["id10001/1zcIwhmdeo4/00001", "id10001/1zcIwhmdeo4/00002"]);
        assert_eq!(ids[2..], [format!("id00012/{video}"), format!("id00013/{video}")]);
        assert_eq!(table.audio(2), "test/aac/id00012/21Uxsk56VDQ/00001.m4a");
        assert_eq!(table.speaker(0), Some("id10001"));
        let of = |column, row| table.cell(column, row).unwrap().1;
        assert_eq!([of("video", 0), of("gender", 0)], [Value::String("1zcIwhmdeo4"), Value::String("m")]);
        assert_eq!([of("nationality", 0), of("nationality", 2)], [Value::String("Ireland"), Value::Null]);
        assert_eq!([of("set", 0), of("set", 2), of("set", 3)], ["dev", "test", "test"].map(Value::String));
        assert_eq!([of("vggface1_id", 0), of("vggface2_id", 2)], ["A.J._Buckley", "n000012"].map(Value::String));
        assert_eq!(of("gender", 3), Value::Null);
    }

    #[test]
    fn speakers_may_stand_in_the_root_itself() {
        let table = read(&[("id10001/v/00001.wav", ""), ("id10001/v/00001.txt", ""), ("idle/v/1.wav", "")]).unwrap();
        assert_eq!((table.len(), table.id(0), table.audio(0)), (1, "id10001/v/00001", "id10001/v/00001.wav"));
        assert_eq!(table.extras().map(|(name, _)| name).collect::<Vec<_>>(), ["video"]);
    }

    #[test]
    fn a_recording_that_is_there_twice_is_an_error() {
        let twice = message(&[("wav/id1/v/1.wav", ""), ("aac/id1/v/1.m4a", "")]);
        assert!(twice.starts_with("the id `id1/v/1` is given twice, by") && twice.contains("1.m4a"), "{twice}");
    }

    #[test]
    fn what_is_no_voxceleb_is_refused() {
        let wav = ("id1/v/1.wav", "");
        assert!(message(&[("dev/a.txt", "")]).contains("looked for recordings in `id10001/video/`"));
        assert!(message(&[wav, ("vox1_meta.csv", "name,gender\n")]).contains("line 1: the header names no column"));
        assert!(
            message(&[wav, ("vox1_meta.csv", "VoxCeleb1 ID,Text\n")]).contains("column `text` is empty, there twice")
        );
        let long = message(&[wav, ("vox2_meta.csv", "VoxCeleb2 ID,Gender\nid1,m,x\n")]);
        assert!(long.contains("vox2_meta.csv`, line 2: the record has 3 cells, the header has 2"), "{long}");
        let twice = message(&[wav, ("vox2_meta.csv", "VoxCeleb2 ID,Gender\nid1,m\nid1,f\n")]);
        assert!(twice.ends_with("line 3: the speaker `id1` is there twice"), "{twice}");
        let missing = Voxceleb { root: "/no/such".into() };
        assert!(matches!(missing.read(&Variables::default()), Err(CorpusError::NoFolder { .. })));
    }
}
