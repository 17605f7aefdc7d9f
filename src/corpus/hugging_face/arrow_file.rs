//! Arrow's stream and file formats, as `save_to_disk` and its cache write them, read through a map of the file.
//!
//! The batches are slices of the map, so that of the sound only its lengths are touched, and where a value lies in memory says
//! where it lies in the file. Messages are framed here and not by `arrow`'s own readers, so that what a length claims is held
//! against the file first (`Columnar.rst` of `apache/arrow`, "Serialization and Interprocess Communication").

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use bytes::Bytes;

use super::columns::{Columns, Form};
use super::layout::DataFile;
use super::{HuggingFace, Ids, Reading};
use crate::corpus::corpus_table::Rows;
use crate::corpus::regular_file::open_regular;
use crate::corpus::{CorpusError, Place};
use crate::isolation::isolated;

impl HuggingFace {
    /// Reads the rows of a file, and says what their ids are made of.
    pub(super) fn read_arrow(&self, part: &DataFile, rows: &mut Rows) -> Result<Ids, CorpusError> {
        let fail = |source| CorpusError::Read { path: part.path.clone(), source };
        let file = open_regular(&part.path)?;
        let arrow = ArrowFile { path: &part.path, map: Buffer::from(Bytes::from_owner(mapped(&file).map_err(fail)?)) };
        let Messages { schema, version, dictionaries, batches } = arrow.messages()?;
        let columns = Columns::of(self, &part.path, &schema, rows)?;
        let mut read: Vec<usize> = columns.others.iter().map(|other| other.number).chain([columns.audio]).collect();
        read.sort_unstable();
        let mut decoder = FileDecoder::new(Arc::new(schema), version).with_projection(read.clone());
        let mut reading = Reading { settings: self, part, columns: &columns, rows, number: 0 };
        for message in &dictionaries {
            let (block, bytes) = arrow.block(message)?;
            arrow.guarded(message.at, || decoder.read_dictionary(&block, &bytes))?;
        }
        for message in &batches {
            let (block, bytes) = arrow.block(message)?;
            let batch = arrow.guarded(message.at, || decoder.read_record_batch(&block, &bytes))?;
            if let Some(batch) = batch {
                arrow.read_rows(message, &batch, &read, &mut reading)?;
            }
        }
        Ok(columns.ids(self.ids))
    }
}

/// The bytes of a file, as they are when they are touched: of 2 GB (30,000 sounds) that no cache held, listing took 0.5 s in all, and to
/// read the file would have taken 3.7 s alone.
#[expect(unsafe_code, reason = "a map is how sound of any length is left where it lies")]
fn mapped(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is only read, and only while the corpus table is made. Who writes to a corpus meanwhile gets wrong rows,
    // as with any reader; who cuts it meanwhile ends the process, as the documents of `memmap2` say.
    unsafe { memmap2::Mmap::map(file) }
}

/// A file in one of Arrow's formats.
struct ArrowFile<'a> {
    path: &'a Path,
    map: Buffer,
}

/// What a file says of itself, and where its batches are.
struct Messages {
    schema: Schema,
    version: MetadataVersion,
    dictionaries: Vec<Message>,
    batches: Vec<Message>,
}

/// A message: where it begins, and how long its metadata (with the length before it) and its body are.
struct Message {
    at: usize,
    metadata: usize,
    body: usize,
}

const MARK: [u8; 4] = [0xff; 4];
const FILE_MAGIC: &[u8] = b"ARROW1";

impl ArrowFile<'_> {
    fn fail(&self, at: usize, reason: impl Into<String>) -> CorpusError {
        CorpusError::malformed(Place::byte(self.path, at as u64), reason)
    }

    /// What a step of `arrow` gives; a panic over damaged data is an error like the others.
    fn guarded<T>(&self, at: usize, step: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, CorpusError> {
        match isolated(step) {
            Ok(result) => result.map_err(|error| self.fail(at, format!("the Arrow message is damaged: {error}"))),
            Err(_) => Err(self.fail(at, "the Arrow message is damaged: its reader gave up on it")),
        }
    }

    fn messages(&self) -> Result<Messages, CorpusError> {
        if self.map.starts_with(FILE_MAGIC) { self.in_footer() } else { self.in_stream() }
    }

    /// The messages of a stream, one after the other.
    fn in_stream(&self) -> Result<Messages, CorpusError> {
        let (mut known, mut at) = (None, 0);
        let (mut dictionaries, mut batches) = (Vec::new(), Vec::new());
        // Streams may end with a message of no length, or with the file.
        while at < self.map.len() {
            let Some(message) = self.message(at)? else { break };
            let end = at + message.metadata + message.body;
            match (self.header(&message)?, &known) {
                (MessageHeader::Schema, None) => known = Some(self.schema(&message)?),
                (MessageHeader::DictionaryBatch, Some(_)) if batches.is_empty() => dictionaries.push(message),
                (MessageHeader::DictionaryBatch, Some(_)) => {
                    let reason = "a dictionary changes within the stream, which is not read: save the dataset again";
                    return Err(self.fail(at, reason));
                }
                (MessageHeader::RecordBatch, Some(_)) => batches.push(message),
                _ => return Err(self.fail(at, "an Arrow message that does not belong here")),
            }
            at = end;
        }
        let (schema, version) = known.ok_or_else(|| self.fail(0, "an Arrow stream without a schema"))?;
        Ok(Messages { schema, version, dictionaries, batches })
    }

    /// The messages that the footer of a file lists.
    fn in_footer(&self) -> Result<Messages, CorpusError> {
        let cut = || self.fail(self.map.len(), "the Arrow file has no footer: it is cut, copy or write it again");
        let tail = self.map.last_chunk::<10>().filter(|tail| tail.ends_with(FILE_MAGIC)).ok_or_else(cut)?;
        let end = self.map.len() - 10;
        let length = read_footer_length(*tail).ok().filter(|length| *length <= end).ok_or_else(cut)?;
        let at = end - length;
        let footer = self.guarded(at, || {
            root_as_footer(&self.map[at..end]).map_err(|error| ArrowError::ParseError(error.to_string()))
        })?;
        let schema = footer.schema().ok_or_else(|| self.fail(at, "an Arrow file without a schema"))?;
        let schema = self.guarded(at, || try_fb_to_schema(schema))?;
        let dictionaries = footer.dictionaries().map(|blocks| blocks.iter().collect()).unwrap_or_default();
        let batches = footer.recordBatches().map(|blocks| blocks.iter().collect()).unwrap_or_default();
        Ok(Messages {
            schema,
            version: footer.version(),
            dictionaries: self.listed(at, dictionaries)?,
            batches: self.listed(at, batches)?,
        })
    }

    /// The messages of a list of blocks, whose lengths must be those of the messages.
    fn listed(&self, footer: usize, blocks: Vec<&Block>) -> Result<Vec<Message>, CorpusError> {
        let wrong = || self.fail(footer, "the Arrow file's footer names a place that holds no message");
        let messages = blocks.into_iter().map(|block| {
            let at = usize::try_from(block.offset()).map_err(|_| wrong())?;
            let message = self.message(at)?.ok_or_else(wrong)?;
            // The footer may count padding to the metadata that the message counts itself.
            self.header(&message)?;
            Ok(message)
        });
        messages.collect()
    }

    /// The message at byte `at`, which is whole; none where the stream ends.
    fn message(&self, at: usize) -> Result<Option<Message>, CorpusError> {
        let cut = || self.fail(at, "the Arrow file ends within a message: it is cut, copy or write it again");
        let rest = self.map.get(at..).ok_or_else(cut)?;
        // Before version 0.15 there was no mark before the length.
        let before = if rest.starts_with(&MARK) { 8 } else { 4 };
        let length = rest.get(before - 4..).and_then(|rest| rest.first_chunk::<4>()).ok_or_else(cut)?;
        let length = usize::try_from(i32::from_le_bytes(*length));
        let length = length.map_err(|_| self.fail(at, "an Arrow message of negative length"))?;
        if length == 0 {
            return Ok(None);
        }
        let metadata = rest.get(before..).and_then(|rest| rest.get(..length)).ok_or_else(cut)?;
        let message =
            self.guarded(at, || root_as_message(metadata).map_err(|error| ArrowError::ParseError(error.to_string())))?;
        let body = usize::try_from(message.bodyLength());
        let body = body.map_err(|_| self.fail(at, "an Arrow message of negative length"))?;
        if body > rest.len() - before - length {
            return Err(cut());
        }
        Ok(Some(Message { at, metadata: before + length, body }))
    }

    /// What a message is; an error where its body is compressed.
    fn header(&self, message: &Message) -> Result<MessageHeader, CorpusError> {
        let metadata = self.metadata(message);
        let parsed = root_as_message(metadata).map_err(|_| self.fail(message.at, "the Arrow message is damaged"))?;
        let batch = match parsed.header_type() {
            MessageHeader::RecordBatch => parsed.header_as_record_batch(),
            MessageHeader::DictionaryBatch => parsed.header_as_dictionary_batch().and_then(|batch| batch.data()),
            _ => None,
        };
        if batch.is_some_and(|batch| batch.compression().is_some()) {
            let reason = "the Arrow file is compressed, so its sound cannot be read in place: write it without compression, \
                          or as Parquet";
            return Err(self.fail(message.at, reason));
        }
        Ok(parsed.header_type())
    }

    fn metadata(&self, message: &Message) -> &[u8] {
        let whole = &self.map[message.at..message.at + message.metadata];
        if whole.starts_with(&MARK) { &whole[8..] } else { &whole[4..] }
    }

    fn schema(&self, message: &Message) -> Result<(Schema, MetadataVersion), CorpusError> {
        let parsed = root_as_message(self.metadata(message));
        let parsed = parsed.map_err(|_| self.fail(message.at, "the Arrow message is damaged"))?;
        let schema = parsed.header_as_schema().ok_or_else(|| self.fail(message.at, "the Arrow message is damaged"))?;
        Ok((self.guarded(message.at, || try_fb_to_schema(schema))?, parsed.version()))
    }

    /// A message as `arrow` takes it: a slice of the map.
    fn block(&self, message: &Message) -> Result<(Block, Buffer), CorpusError> {
        let metadata = i32::try_from(message.metadata);
        let metadata = metadata.map_err(|_| self.fail(message.at, "an Arrow message whose metadata is too long"))?;
        let block = Block::new(message.at as i64, metadata, message.body as i64);
        Ok((block, self.map.slice_with_length(message.at, message.metadata + message.body)))
    }

    fn read_rows(
        &self,
        message: &Message,
        batch: &RecordBatch,
        read: &[usize],
        reading: &mut Reading<'_>,
    ) -> Result<(), CorpusError> {
        let array = |number| read.iter().position(|column| *column == number).and_then(|at| batch.columns().get(at));
        let form = reading.columns.form;
        let audio = array(reading.columns.audio);
        let (bytes, paths): (Option<&ArrayRef>, Option<&ArrayRef>) = match form {
            Form::Text => (None, audio),
            Form::Binary => (audio, None),
            Form::Struct { bytes, path } => {
                let structs = audio.and_then(|audio| audio.as_struct_opt());
                let field = |name| structs.and_then(|structs| structs.column_by_name(name));
                (bytes.then(|| field("bytes")).flatten(), path.then(|| field("path")).flatten())
            }
        };
        reading.read_batch(batch.num_rows(), array, paths, |row| {
            let there = audio.is_some_and(|audio| audio.is_valid(row));
            bytes.filter(|_| there).map_or(Ok(None), |bytes| self.place(message, bytes, row))
        })
    }

    /// Where in the file a value lies; none where it is null.
    fn place(&self, message: &Message, array: &ArrayRef, row: usize) -> Result<Option<String>, CorpusError> {
        if array.is_null(row) {
            return Ok(None);
        }
        let value: &[u8] = match array.data_type() {
            DataType::Binary => array.as_binary::<i32>().value(row),
            DataType::LargeBinary => array.as_binary::<i64>().value(row),
            _ => array.as_binary_view().value(row),
        };
        let offset = (value.as_ptr() as usize).checked_sub(self.map.as_ptr() as usize);
        match offset.filter(|offset| offset + value.len() <= self.map.len()) {
            Some(offset) => Ok(Some(format!("offset={offset}&length={}", value.len()))),
            None if value.is_empty() => Ok(Some(format!("offset={}&length=0", message.at))),
            None => {
                let reason = "the sound of a row cannot be read in place: write the dataset again, or as Parquet";
                Err(self.fail(message.at, reason))
            }
        }
    }
}
