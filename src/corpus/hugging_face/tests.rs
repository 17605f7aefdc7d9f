//! The reader on what `datasets` 5.2 and pyarrow 26 wrote (`fixtures/golden/corpora/hugging_face.py` makes it again).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, Int64Array, LargeBinaryArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::super::Kind;
use super::*;
use crate::load::parquet_page::{Page, PageReference, Stretch};

const FIXTURES: &str = "fixtures/hugging_face";

fn read_with(path: &Path, settings: &str) -> Result<CorpusTable, CorpusError> {
    let text = format!("{{ path: '{}', {settings} }}", path.display());
    serde_saphyr::from_str::<HuggingFace>(&text).unwrap().read(&Variables::default())
}

fn fixture(name: &str, settings: &str) -> CorpusTable {
    read_with(&Path::new(FIXTURES).join(name), settings).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn message(path: &Path, settings: &str) -> String {
    read_with(path, settings).unwrap_err().to_string()
}

/// The bytes that a row's reference leads to.
fn sound(table: &CorpusTable, row: usize) -> Vec<u8> {
    let audio = table.audio(row);
    let Some((_, place)) = audio.rsplit_once('#') else { return std::fs::read(table.audio_path(row)).unwrap() };
    let file = File::open(table.location(row).file().expect("a file")).unwrap();
    let end = file.metadata().unwrap().len();
    if let Ok(PageReference { page, row, codec, levels, dictionary, .. }) = place.parse() {
        let dictionary = dictionary.map(|page| Page::read(&file, page, end, codec, levels).unwrap());
        let page = Page::read(&file, page, end, codec, levels).unwrap();
        return page.value(row, dictionary.as_ref()).unwrap().expect("a value").to_vec();
    }
    let fields: BTreeMap<&str, u64> = place
        .split('&')
        .map(|field| field.split_once('=').map(|(key, n)| (key, n.parse().unwrap())).unwrap())
        .collect();
    let mut bytes = Vec::new();
    let at = fields["offset"];
    Stretch { file: &file, at, end: at + fields["length"] }.read_to_end(&mut bytes).unwrap();
    bytes
}

fn wav(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FIXTURES).join("wavs").join(name).with_extension("wav")).unwrap()
}

fn ids(table: &CorpusTable) -> Vec<&str> {
    (0..table.len()).map(|row| table.id(row)).collect()
}

fn column(table: &CorpusTable, name: &str) -> Vec<String> {
    let number = table.extras().position(|(column, _)| column == name).unwrap_or_else(|| panic!("no `{name}`"));
    (0..table.len()).map(|row| table.extra(number, row).to_string()).collect()
}

const NAMES: [&str; 3] = ["five_a", "six_b", "six_c"];

#[test]
fn a_repository_of_parquet_files_is_read_with_its_splits_and_classes() {
    let table = fixture("repository", "");
    assert_eq!(ids(&table), ["six_c", "five_a", "six_b"]);
    assert_eq!(column(&table, "split"), ["test", "train", "train"]);
    assert_eq!(column(&table, "digit"), ["null", "five", "six"]);
    assert_eq!(column(&table, "tags"), ["null", r#"["a","b"]"#, "[]"]);
    assert_eq!((table.text(1), table.speaker(1), table.speaker(0)), (Some("five"), Some("7"), Some("8")));
    for row in 0..3 {
        assert_eq!(sound(&table, row), wav(table.id(row)), "{}", table.audio(row));
        assert!(table.audio(row).contains(".parquet#offset="), "{}", table.audio(row));
    }
    assert!(table.audio(0).starts_with("data/test-00000-of-00001.parquet#"));
}

#[test]
fn one_split_is_read_without_a_column_that_says_so() {
    let table = fixture("repository", "split: train, drop: [tags, digit], ids: row, columns: { words: text }");
    assert_eq!(ids(&table), ["data/train-00000-of-00002-0", "data/train-00001-of-00002-0"]);
    assert_eq!(table.extras().collect::<Vec<_>>(), [("words", Kind::String), ("audio_path", Kind::String)]);
    assert_eq!(column(&table, "audio_path"), ["five_a.wav", "six_b.wav"]);
    assert!(message(&Path::new(FIXTURES).join("repository"), "split: dev").ends_with("it has `test`, `train`"));
}

#[test]
fn what_save_to_disk_wrote_is_read_in_place() {
    let (one, dict) = (fixture("saved", ""), fixture("saved_dict", ""));
    for table in [&one, &dict] {
        assert_eq!(ids(table), NAMES);
        assert_eq!(column(table, "digit"), ["five", "six", "null"]);
        assert_eq!(column(table, "tags"), [r#"["a","b"]"#, "[]", "null"]);
        for (row, name) in NAMES.iter().enumerate() {
            assert_eq!(sound(table, row), wav(name), "{}", table.audio(row));
        }
    }
    assert_eq!(one.extras().count(), 2);
    assert_eq!(column(&dict, "split"), ["train", "train", "test"]);
    assert!(dict.audio(2).starts_with("test/data-00000-of-00001.arrow#offset="));
    assert_eq!(ids(&fixture("saved_dict", "split: test")), ["six_c"]);
}

#[test]
fn every_codec_version_and_encoding_of_pyarrow_gives_the_true_bytes() {
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"] {
        for version in ["v1", "v2"] {
            for encoding in ["coded", "plain"] {
                let name = format!("{codec}_{version}_{encoding}.parquet");
                let table = fixture(&name, "");
                assert_eq!(ids(&table), ["five_a", "wavs/six_b", "again"], "{name}");
                assert_eq!(table.audio(1), "wavs/six_b.wav");
                for (row, sound_of) in ["five_a", "six_b", "five_a"].iter().enumerate() {
                    assert_eq!(sound(&table, row), wav(sound_of), "{name}: {}", table.audio(row));
                }
                let place = table.audio(2);
                assert_eq!(place.contains("#offset="), codec == "none", "{place}");
                assert_eq!(place.contains("&dictionary="), codec != "none" && encoding == "coded", "{place}");
            }
        }
    }
}

#[test]
fn pages_and_row_groups_are_walked() {
    let table = fixture("pages.parquet", "");
    assert_eq!(ids(&table), NAMES);
    for (row, name) in NAMES.iter().enumerate() {
        assert_eq!(sound(&table, row), wav(name), "{}", table.audio(row));
        assert!(table.audio(row).contains("column=audio.bytes&page="), "{}", table.audio(row));
    }
}

#[test]
fn recordings_that_are_not_embedded_are_files_of_the_folder() {
    let table = fixture("linked.parquet", "");
    assert_eq!(ids(&table), NAMES.map(|name| format!("wavs/{name}")));
    assert_eq!((table.audio(0), sound(&table, 2)), ("wavs/five_a.wav", wav("six_c")));
    assert_eq!(table.extras().count(), 0);
}

#[test]
fn arrow_files_are_read_in_place_and_compressed_ones_are_refused() {
    let table = fixture("file.arrow", "");
    assert_eq!(ids(&table), ["five_a", "wavs/six_b", "again"]);
    assert_eq!((sound(&table, 0), sound(&table, 1), sound(&table, 2)), (wav("five_a"), wav("six_b"), wav("five_a")));
    let message = message(&Path::new(FIXTURES).join("compressed.arrow"), "");
    assert!(message.contains("write it without compression, or as Parquet"), "{message}");
}

#[test]
fn an_audio_folder_is_read_by_its_tables() {
    let table = fixture("audio_folder", "");
    assert_eq!(ids(&table), ["test/six_c", "train/five_a", "train/six_b"]);
    assert_eq!(column(&table, "split"), ["test", "train", "train"]);
    assert_eq!((table.audio(1), table.text(1)), ("train/five_a.wav", Some("five")));
    assert_eq!(ids(&fixture("audio_folder", "split: test")), ["test/six_c"]);
}

/// A Parquet file in a folder of its own.
struct Made {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn made(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Made {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    Made { _folder: folder, path }
}

fn audio(bytes: ArrayRef, paths: Vec<Option<&str>>) -> ArrayRef {
    let paths: ArrayRef = Arc::new(StringArray::from(paths));
    let fields = [("bytes", bytes), ("path", paths)];
    let fields = fields.map(|(name, array)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array));
    Arc::new(StructArray::from(fields.to_vec()))
}

fn binary(values: Vec<Option<&[u8]>>) -> ArrayRef {
    Arc::new(BinaryArray::from(values))
}

fn plain() -> WriterProperties {
    WriterProperties::builder().set_dictionary_enabled(false).build()
}

#[test]
fn many_rows_of_every_binary_type_are_found() {
    let sounds: Vec<Vec<u8>> = (0..300u32).map(|row| vec![row as u8; (row * 7 % 50) as usize]).collect();
    let some: Vec<Option<&[u8]>> =
        sounds.iter().enumerate().map(|(row, sound)| (row % 3 != 1).then_some(sound.as_slice())).collect();
    let there: ArrayRef = Arc::new(Int64Array::from_iter_values(0..300));
    let names: Vec<String> = (0..300).map(|row| format!("f{row}.wav")).collect();
    let paths: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let arrays: [ArrayRef; 3] = [
        binary(some.clone()),
        Arc::new(LargeBinaryArray::from(some.clone())),
        Arc::new(BinaryViewArray::from(some.clone())),
    ];
    for (array, with_dictionary) in arrays.into_iter().zip([true, false, true]) {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(with_dictionary)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_data_page_row_count_limit(17)
            .set_write_batch_size(17)
            .set_max_row_group_row_count(Some(110))
            .build();
        let made = made(vec![("audio", audio(array, paths.clone())), ("id", there.clone())], properties);
        let table = read_with(&made.path, "").unwrap();
        assert_eq!(table.len(), 300);
        for row in 0..300 {
            match some[row] {
                Some(bytes) => assert_eq!(sound(&table, row), bytes, "{}", table.audio(row)),
                None => assert_eq!(table.audio(row), names[row]),
            }
        }
    }
}

#[test]
fn a_file_without_sound_says_which_column_is_wanted() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let file = made(vec![("id", numbers.clone())], plain());
    assert!(message(&file.path, "").contains("no column holds sound"));
    assert!(message(&file.path, "audio: ids").contains("did you mean `id`?"));
    assert!(message(&file.path, "audio: id").contains("the audio column `id` is of type Int64"));
    let sound = || audio(binary(vec![Some(b"x")]), vec![Some("x.wav")]);
    let two = made(vec![("audio", sound()), ("other", sound())], plain());
    assert!(message(&two.path, "").contains("there are `audio`, `other`"));
    assert_eq!(read_with(&two.path, "audio: other, drop: [audio]").unwrap().id(0), "x");
    assert!(
        message(&two.path, "audio: other, columns: { second: audio }").contains("the column `audio` is of type Struct")
    );
    assert!(message(&two.path, "columns: { audio: other }").contains("write `audio: other` beside it"));
}

#[test]
fn rows_without_sound_or_id_are_named() {
    let one = |bytes: Option<&[u8]>, path: Option<&str>| {
        let file = made(vec![("audio", audio(binary(vec![bytes]), vec![path]))], plain());
        (read_with(&file.path, "").map(|table| table.audio(0).to_owned()).map_err(|error| error.to_string()), file)
    };
    assert!(one(None, Some("../x.wav")).0.unwrap_err().contains("leads out of the dataset's folder"));
    assert!(one(None, Some("https://x/y.wav")).0.unwrap_err().contains("is no file"));
    assert_eq!(one(None, Some("/x/y.wav")).0.unwrap(), "/x/y.wav");
    let (error, file) = one(Some(b"x"), None);
    assert!(error.unwrap_err().contains("write `ids: row`"));
    assert_eq!(read_with(&file.path, "ids: row").unwrap().id(0), "x-0");
}

#[test]
fn a_row_without_sound_is_an_utterance_that_names_none() {
    let bytes = || binary(vec![Some(b"x"), None]);
    let file = made(vec![("audio", audio(bytes(), vec![Some("a.wav"), None]))], plain());
    let table = read_with(&file.path, "").unwrap();
    assert_eq!((ids(&table), table.audio(1)), (vec!["a", "x-1"], "x.parquet#null"));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["one", "two"]));
    let file = made(vec![("id", names), ("audio", audio(bytes(), vec![None, None]))], plain());
    let table = read_with(&file.path, "").unwrap();
    assert_eq!((ids(&table), table.audio(1)), (vec!["one", "two"], "x.parquet#null"));
}

#[test]
fn columns_that_every_dataset_has_are_renamed_or_left_out() {
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let sounds = audio(binary(vec![Some(b"x")]), vec![Some("x.wav")]);
    let reserved = ["key", "num_samples", "sample_rate"].map(|name| (name, number.clone()));
    let file = made([("audio", sounds)].into_iter().chain(reserved).collect(), plain());
    let table = read_with(&file.path, "").unwrap();
    assert_eq!(table.extras().collect::<Vec<_>>(), [("source_key", Kind::Int64)]);
}

#[test]
fn two_sounds_of_one_path_say_which_ids_tell_them_apart() {
    let file =
        made(vec![("audio", audio(binary(vec![Some(b"x"), Some(b"y")]), vec![Some("a.wav"), Some("a.wav")]))], plain());
    let text = message(&file.path, "");
    assert!(text.contains("row 2: the id `a`, the `path` of the sound, is also that of"), "{text}");
    assert!(text.ends_with("row 1: write `ids: row`"), "{text}");
    assert_eq!(ids(&read_with(&file.path, "ids: row").unwrap()), ["x-0", "x-1"]);
}

#[test]
fn a_table_of_recordings_may_not_lead_out_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (name, table) in [
        ("metadata.csv", "file_name,text\na.wav,a\n../../x.wav,b\n"),
        ("metadata.jsonl", "{\"file_name\": \"a.wav\"}\n{\"file_name\": \"b/../../x.wav\"}\n"),
    ] {
        std::fs::write(folder.path().join(name), table).unwrap();
        let text = message(folder.path(), "");
        assert!(text.contains("leads out of the dataset's folder") && text.contains("line "), "{text}");
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
}

#[test]
fn bytes_and_paths_may_be_columns_of_their_own() {
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let file = made(vec![("id", ids.clone()), ("sound", binary(vec![Some(b"one"), Some(b"two")]))], plain());
    let table = read_with(&file.path, "audio: sound").unwrap();
    assert_eq!((sound(&table, 0), sound(&table, 1)), (b"one".to_vec(), b"two".to_vec()));
    let file = made(vec![("file", ids)], plain());
    assert_eq!(read_with(&file.path, "audio: file").unwrap().audio(1), "b");
}

#[test]
fn an_encoding_that_is_not_read_is_named() {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .build();
    let file = made(vec![("audio", audio(binary(vec![Some(b"x")]), vec![Some("x.wav")]))], properties);
    assert!(message(&file.path, "").contains("BYTE_ARRAY; write the file again with pyarrow's defaults"));
}

#[test]
fn a_class_that_is_not_there_is_an_error() {
    let features =
        r#"{"info": {"features": {"audio": {"_type": "Audio"}, "x": {"_type": "ClassLabel", "names": ["a"]}}}}"#;
    let read = |features: &str| {
        let sounds = audio(binary(vec![Some(b"x")]), vec![Some("x.wav")]);
        let fields = [("audio", sounds.data_type().clone()), ("x", DataType::Int64)];
        let fields: Vec<Field> = fields.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
        let metadata = std::collections::HashMap::from([("huggingface".to_owned(), features.to_owned())]);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let batch = RecordBatch::try_new(schema.clone(), vec![sounds, Arc::new(Int64Array::from(vec![3]))]).unwrap();
        let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        message(file.path(), "")
    };
    assert!(read(features).contains("row 1: `x` is `3`, but must be the number of one of its classes"));
    assert!(read("{").contains("the schema's metadata `huggingface` is not JSON"));
}

#[test]
fn files_that_are_cut_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["saved/data-00000-of-00002.arrow", "file.arrow", "snappy_v1_coded.parquet", "none_v2_plain.parquet"] {
        let whole = std::fs::read(Path::new(FIXTURES).join(name)).unwrap();
        let path = folder.path().join("cut");
        for length in [0, 4, 7, 8, 100, whole.len() / 2, whole.len() - 9] {
            std::fs::write(&path, &whole[..length]).unwrap();
            // A stream of Arrow may end without its last mark, and then nothing is missing.
            let read = read_with(&path, "");
            let is_stream_without_mark = name.starts_with("saved") && length == whole.len() - 9;
            assert!(read.is_err() || is_stream_without_mark, "{name}, {length} bytes");
        }
    }
    let text = message(&folder.path().join("cut"), "");
    assert!(text.contains("cut"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_flipped_byte_makes_a_panic(seed: prop::sample::Index, with: u8, at: prop::sample::Index, which in 0usize..5) {
        let names = ["file.arrow", "saved/data-00000-of-00002.arrow", "pages.parquet", "zstd_v2_coded.parquet",
            "none_v1_coded.parquet"];
        let mut bytes = std::fs::read(Path::new(FIXTURES).join(names[which])).unwrap();
        let (first, second) = (at.index(bytes.len()), seed.index(bytes.len().min(400)));
        bytes[first] = with;
        bytes[second] ^= with;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        let _ = read_with(&path, "");
    }
}
