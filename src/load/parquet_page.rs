//! One page of a Parquet file: a byte-array column is read page by page, so that a value costs its page and not its file.
//!
//! The layout is that of the format's documents (`apache/parquet-format`: `parquet.thrift`, `Encodings.md`, `Compression.md`).
//! Read are pages of a column of byte arrays that does not repeat: of version 1 and 2, with values as they are (`PLAIN`) or by
//! number in a dictionary, in the codecs that [`Codec`] lists. Claimed sizes are held against the file before anything follows
//! them, and memory comes as bytes arrive.
//!
//! ```text
//! PageHeader   what stands before a page, in Thrift's compact protocol
//! Page         a page with its bytes decompressed: Page::value(row)
//! Hybrid       levels and numbers, as runs and packed in bits
//! ```

mod cache;
mod header;
mod hybrid;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::str::FromStr;

use thiserror::Error;

pub(crate) use self::cache::{PageCache, PageKey};
pub(crate) use self::header::{Encoding, Form, Levels, PageHeader, PageKind, Thrift};
pub(crate) use self::hybrid::Hybrid;

/// The most that a page may hold once it is decompressed: a recording of 100 hours of a telephone is smaller.
pub(crate) const MOST_BYTES: u64 = 1 << 30;

/// Why a page gives no values.
#[derive(Debug, Error)]
pub(crate) enum PageError {
    /// The file could not be read.
    #[error("the Parquet page at byte {page} cannot be read")]
    Read {
        /// Where the page's header stands.
        page: u64,
        /// What the system said, or the decompressor.
        #[source]
        source: io::Error,
    },
    /// The page breaks the rules of the format.
    #[error("the Parquet page at byte {page} is damaged: {reason}")]
    Damaged {
        /// Where the page's header stands.
        page: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The page is of a form that is not read.
    #[error(
        "the Parquet page at byte {page} cannot be read in place: {reason}; write the file again with pyarrow's defaults"
    )]
    Unsupported {
        /// Where the page's header stands.
        page: u64,
        /// What is not read.
        reason: &'static str,
    },
}

/// How the pages of a column chunk are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Not at all.
    Uncompressed,
    /// Snappy's raw form, without frames.
    Snappy,
    /// Gzip, of one or more members.
    Gzip,
    /// Zstandard.
    Zstd,
    /// LZ4 blocks, without frames.
    Lz4Raw,
}

impl Codec {
    const ALL: [Self; 5] = [Self::Uncompressed, Self::Snappy, Self::Gzip, Self::Zstd, Self::Lz4Raw];

    /// The word in a reference.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Snappy => "snappy",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4Raw => "lz4_raw",
        }
    }

    /// Appends to `to` what `from` holds, exactly `length` bytes.
    fn decompress(self, from: &[u8], length: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let before = to.len();
        let most = length as u64 + 1;
        match self {
            Self::Uncompressed => to.extend_from_slice(from),
            Self::Gzip => drop(flate2::read::MultiGzDecoder::new(from).take(most).read_to_end(to)?),
            Self::Zstd => drop(zstd::stream::read::Decoder::with_buffer(from)?.take(most).read_to_end(to)?),
            Self::Snappy => {
                // Three bytes copy at most 64, so that memory follows the bytes that are there and not the claim.
                let claimed = snap::raw::decompress_len(from).map_err(io::Error::other)?;
                follows(claimed == length && length / 32 <= from.len())?;
                to.resize(before + length, 0);
                let filled = snap::raw::Decoder::new().decompress(from, &mut to[before..]).map_err(io::Error::other)?;
                to.truncate(before + filled);
            }
            Self::Lz4Raw => {
                // A byte of a length stands for at most 255.
                follows(length / 256 <= from.len())?;
                to.resize(before + length, 0);
                let filled = lz4_flex::block::decompress_into(from, &mut to[before..]).map_err(io::Error::other)?;
                to.truncate(before + filled);
            }
        }
        follows(to.len() - before == length)
    }
}

/// An error where what is there does not follow what was claimed of it.
fn follows(so: bool) -> io::Result<()> {
    if so {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "its decompressed length is not the one that its header claims"))
}

/// Where one value of a Parquet file is: all that loading it needs, without the file's footer.
///
/// Written as it stands behind the `#` of a reference: `column=audio.bytes&page=4&row=17&codec=snappy&levels=2`, with
/// `&dictionary=BYTE` behind it where the page follows a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageReference {
    /// The column, for people: loading does not need it. `%`, `#`, `&` and `=` in it are written as in a URL.
    pub(crate) column: String,
    /// Where the header of the value's page stands.
    pub(crate) page: u64,
    /// The row, counted from 0 within the page, nulls counted.
    pub(crate) row: u64,
    /// How the page is compressed.
    pub(crate) codec: Codec,
    /// The definition level of a value that is not null.
    pub(crate) levels: u8,
    /// Where the header of the page with the dictionary stands, if any.
    pub(crate) dictionary: Option<u64>,
}

impl fmt::Display for PageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("column=")?;
        for letter in self.column.chars() {
            if matches!(letter, '%' | '#' | '&' | '=') {
                write!(f, "%{:02X}", letter as u32)?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        write!(f, "&page={}&row={}&codec={}&levels={}", self.page, self.row, self.codec.name(), self.levels)?;
        self.dictionary.map_or(Ok(()), |byte| write!(f, "&dictionary={byte}"))
    }
}

/// What stands behind a `#` is no reference to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not `column=…&page=…&row=…&codec=…&levels=…` with or without `&dictionary=…`")]
pub(crate) struct NoPageReference;

impl FromStr for PageReference {
    type Err = NoPageReference;

    fn from_str(text: &str) -> Result<Self, NoPageReference> {
        let (mut column, mut page, mut row, mut codec, mut levels, mut dictionary) =
            (None, None, None, None, None, None);
        for field in text.split('&') {
            let (key, value) = field.split_once('=').ok_or(NoPageReference)?;
            let number = || value.parse::<u64>().map_err(|_| NoPageReference);
            let again = match key {
                "column" => column.replace(value).is_some(),
                "page" => page.replace(number()?).is_some(),
                "row" => row.replace(number()?).is_some(),
                "codec" => codec.replace(value).is_some(),
                "levels" => levels.replace(number()?).is_some(),
                "dictionary" => dictionary.replace(number()?).is_some(),
                _ => return Err(NoPageReference),
            };
            if again {
                return Err(NoPageReference);
            }
        }
        let codec = Codec::ALL.into_iter().find(|known| Some(known.name()) == codec).ok_or(NoPageReference)?;
        let mut name = column.ok_or(NoPageReference)?.to_owned();
        for (written, letter) in [("%23", "#"), ("%26", "&"), ("%3D", "="), ("%25", "%")] {
            name = name.replace(written, letter);
        }
        Ok(Self {
            column: name,
            page: page.ok_or(NoPageReference)?,
            row: row.ok_or(NoPageReference)?,
            codec,
            levels: levels.and_then(|levels| u8::try_from(levels).ok()).ok_or(NoPageReference)?,
            dictionary,
        })
    }
}

/// A stretch of a file, read at its own position, so that threads may share the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    /// The file.
    pub(crate) file: &'a File,
    /// Where the next byte is.
    pub(crate) at: u64,
    /// Where the stretch ends.
    pub(crate) end: u64,
}

impl Stretch<'_> {
    /// The next `length` bytes; memory comes as they arrive.
    pub(crate) fn exactly(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Read for Stretch<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = &mut bytes[..room];
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(self.file, bytes, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(self.file, bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A page of byte arrays, decompressed.
///
/// It is as large as its bytes, with four more a value; so a cache may count [`size`](Self::size).
#[derive(Debug)]
pub(crate) struct Page {
    at: u64,
    /// Levels, then values.
    bytes: Vec<u8>,
    /// How many values there are, nulls counted.
    rows: u64,
    /// The definition level of a value that is not null.
    level: u8,
    levels: Range<usize>,
    values: Values,
}

/// The values of a page that are not null.
#[derive(Debug)]
enum Values {
    /// Where each begins: at its length, four bytes.
    Plain(Vec<u32>),
    /// Numbers in a dictionary: where they begin, and their width in bits.
    Numbers { start: usize, width: u8 },
}

impl Page {
    /// Reads the page whose header stands at byte `at` and which ends at byte `end` at the latest: the end of its column
    /// chunk, or of the file. `levels` is the definition level of a value that is not null.
    pub(crate) fn read(file: &File, at: u64, end: u64, codec: Codec, levels: u8) -> Result<Self, PageError> {
        let header = PageHeader::read(file, at, end)?;
        let read = |source| PageError::Read { page: at, source };
        let mut body = Stretch { file, at: header.body, end: header.end() };
        let mut bytes = Vec::new();
        let mut split = 0;
        if let PageKind::Data { levels: Levels::Apart { definition, .. }, .. } = header.kind {
            bytes = body.exactly(definition).map_err(read)?;
            split = bytes.len();
        }
        let codec = if header.is_compressed { codec } else { Codec::Uncompressed };
        let rest = body.exactly(body.end - body.at).map_err(read)?;
        let length = header.uncompressed.checked_sub(split as u64);
        let length = length.ok_or(PageError::Damaged { page: at, reason: "its levels are longer than it is" })?;
        // A page of nulls alone may have no compressed byte at all.
        if length > 0 || !rest.is_empty() {
            codec.decompress(&rest, length as usize, &mut bytes).map_err(read)?;
        }
        drop(rest);
        Self::of(at, bytes, header.kind, levels)
    }

    fn of(at: u64, bytes: Vec<u8>, kind: PageKind, level: u8) -> Result<Self, PageError> {
        let damaged = |reason| PageError::Damaged { page: at, reason };
        let (rows, encoding, level, levels) = match kind {
            PageKind::Dictionary { values } => (values, Encoding::Plain, 0, 0..0),
            PageKind::Data { values, encoding, levels, .. } => {
                let levels = match levels {
                    Levels::Apart { definition, .. } => 0..definition as usize,
                    Levels::Within if level == 0 => 0..0,
                    Levels::Within => {
                        let length = length_at(&bytes, 0).ok_or(damaged("it ends within its levels"))?;
                        4..4 + length
                    }
                };
                (values, encoding, level, levels)
            }
            PageKind::Other => return Err(damaged("it is no page of values")),
        };
        if levels.end > bytes.len() {
            return Err(damaged("it ends within its levels"));
        }
        let values = match encoding {
            Encoding::Plain => {
                Values::Plain(starts(&bytes, levels.end, rows).ok_or(damaged("it ends within a value"))?)
            }
            Encoding::Dictionary => {
                let width = bytes.get(levels.end).copied().unwrap_or(0);
                if width > 32 {
                    return Err(damaged("its numbers have more than 32 bits"));
                }
                Values::Numbers { start: (levels.end + 1).min(bytes.len()), width }
            }
            Encoding::Other(reason) => return Err(PageError::Unsupported { page: at, reason }),
        };
        Ok(Self { at, bytes, rows, level, levels, values })
    }

    /// The memory that the page takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let starts = if let Values::Plain(starts) = &self.values { starts.capacity() * 4 } else { 0 };
        self.bytes.capacity() + starts
    }

    /// Where among the values that are not null the one of `row` is; none where it is null.
    fn position(&self, row: u64) -> Result<Option<u64>, PageError> {
        let damaged = |reason| PageError::Damaged { page: self.at, reason };
        if row >= self.rows {
            return Err(damaged("it has fewer rows than the reference says"));
        }
        let Some(mut levels) = self.levels() else { return Ok(Some(row)) };
        let level = u32::from(self.level);
        let before = levels.count(row, level).ok_or(damaged("it has fewer levels than rows"))?;
        let own = levels.next_value().ok_or(damaged("it has fewer levels than rows"))?;
        Ok((own == level).then_some(before))
    }

    /// The definition levels of the rows, where any may be null.
    pub(crate) fn levels(&self) -> Option<Hybrid<&[u8]>> {
        (self.level > 0).then(|| Hybrid::of_levels(&self.bytes[self.levels.clone()], self.level))
    }

    /// The value of `row`, counted from 0 within the page with nulls counted; none where it is null. A page that follows a
    /// dictionary needs that page too.
    pub(crate) fn value<'a>(&'a self, row: u64, dictionary: Option<&'a Self>) -> Result<Option<&'a [u8]>, PageError> {
        let Some(position) = self.position(row)? else { return Ok(None) };
        let damaged = |reason| PageError::Damaged { page: self.at, reason };
        match (&self.values, dictionary) {
            (Values::Plain(starts), _) => self.plain(starts, position).map(Some),
            (Values::Numbers { .. }, None) => Err(damaged("it follows a dictionary, and the reference names none")),
            (Values::Numbers { start, width }, Some(dictionary)) => {
                let mut numbers = Hybrid::new(&self.bytes[*start..], *width);
                let number = numbers.count(position, 0).and_then(|_| numbers.next_value());
                let number = number.ok_or(damaged("it ends within its numbers"))?;
                match &dictionary.values {
                    Values::Plain(starts) => dictionary.plain(starts, u64::from(number)).map(Some),
                    Values::Numbers { .. } => Err(damaged("what should be its dictionary is none")),
                }
            }
        }
    }

    fn plain(&self, starts: &[u32], position: u64) -> Result<&[u8], PageError> {
        let start = usize::try_from(position).ok().and_then(|position| starts.get(position));
        let value = start.and_then(|start| {
            let rest = self.bytes.get(*start as usize..)?;
            rest.get(4..)?.get(..length_at(rest, 0)?)
        });
        value.ok_or(PageError::Damaged { page: self.at, reason: "it has fewer values than are asked of it" })
    }
}

/// The length that stands in four bytes at `at`.
fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*length) as usize)
}

/// Where each of at most `most` values begins, from `from` to the end of `bytes`; none where the last is cut.
fn starts(bytes: &[u8], from: usize, most: u64) -> Option<Vec<u32>> {
    let (mut starts, mut at) = (Vec::new(), from);
    while at < bytes.len() && (starts.len() as u64) < most {
        starts.push(u32::try_from(at).ok()?);
        at += 4 + length_at(bytes, at)?;
    }
    (at <= bytes.len()).then_some(starts)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn zigzag(number: i64) -> Vec<u8> {
        let mut rest = ((number << 1) ^ (number >> 63)) as u64;
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    /// Fields 1, 2, … of a struct, all of them whole numbers.
    fn ints(numbers: &[i64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| [vec![0x15], zigzag(*number)].concat()).collect()
    }

    /// A page of version 1 with two plain values and no levels, with sizes of one's choice.
    fn page(uncompressed: i64, compressed: i64, values: i64) -> Vec<u8> {
        let head = [ints(&[0, uncompressed, compressed]), vec![0x2c], ints(&[values, 0, 3, 3]), vec![0, 0]].concat();
        [head, b"\x02\0\0\0hi\x03\0\0\0you".to_vec()].concat()
    }

    fn read(bytes: &[u8], codec: Codec, levels: u8) -> Result<Page, PageError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Page::read(&file, 0, bytes.len() as u64, codec, levels)
    }

    fn message(bytes: &[u8], codec: Codec, levels: u8) -> String {
        read(bytes, codec, levels).unwrap_err().to_string()
    }

    #[test]
    fn the_values_of_a_plain_page_are_those_behind_their_lengths() {
        let page = read(&page(13, 13, 2), Codec::Uncompressed, 0).unwrap();
        assert_eq!((page.value(0, None).unwrap(), page.value(1, None).unwrap()), (Some(&b"hi"[..]), Some(&b"you"[..])));
        assert!(page.value(2, None).unwrap_err().to_string().contains("fewer rows than the reference says"));
        assert!(page.size() >= 13 + 8);
    }

    #[test]
    fn sizes_that_cannot_be_are_errors_before_memory_is_asked_for() {
        let plain = Codec::Uncompressed;
        assert!(message(&page(2 << 30, 13, 2), plain, 0).contains("more than 1 GiB"));
        assert!(message(&page(13, 2 << 30, 2), plain, 0).contains("longer than the file or column chunk"));
        assert!(message(&page(-1, 13, 2), plain, 0).contains("decompressed length is missing or negative"));
        assert!(message(&page(13, -1, 2), plain, 0).contains("its length is missing or negative"));
        assert!(message(&page(13, 13, -2), plain, 0).contains("number of its values is missing or negative"));
        for codec in [Codec::Snappy, Codec::Lz4Raw] {
            assert!(message(&page(1 << 30, 13, 2), codec, 0).contains("cannot be read"));
        }
        assert!(message(&page(14, 13, 2), plain, 0).contains("cannot be read"));
        let mut long_levels = page(13, 13, 2);
        let at = long_levels.len() - 13;
        long_levels[at] = 200;
        assert!(message(&long_levels, plain, 2).contains("it ends within its levels"));
        assert!(read(&page(13, 13, 3), plain, 0).unwrap().value(2, None).is_err());
    }

    #[test]
    fn a_page_that_is_cut_anywhere_is_an_error() {
        let whole = page(13, 13, 2);
        for length in 0..whole.len() {
            let message = message(&whole[..length], Codec::Uncompressed, 0);
            assert!(message.contains("is damaged"), "{length}: {message}");
        }
        let mut long_value = whole.clone();
        let at = whole.len() - 7;
        long_value[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(message(&long_value, Codec::Uncompressed, 0).contains("it ends within a value"));
    }

    #[test]
    fn a_reference_is_read_as_it_was_written() {
        let reference = PageReference {
            column: "a=b&c#%.bytes".to_owned(),
            page: 4,
            row: 17,
            codec: Codec::Lz4Raw,
            levels: 2,
            dictionary: None,
        };
        let written = reference.to_string();
        assert_eq!(written, "column=a%3Db%26c%23%25.bytes&page=4&row=17&codec=lz4_raw&levels=2");
        assert_eq!(written.parse(), Ok(reference.clone()));
        let coded = PageReference { dictionary: Some(1 << 40), ..reference };
        assert_eq!(coded.to_string().parse(), Ok(coded));
        for wrong in ["", "column=a", "column=a&page=1&row=0&codec=lzo&levels=1", "column=a&page=1&page=1", "offset=1"]
        {
            assert_eq!(wrong.parse::<PageReference>(), Err(NoPageReference), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), flip in 0usize..40, with: u8) {
            let mut good = page(13, 13, 2);
            let flip = flip % good.len();
            good[flip] = with;
            for codec in Codec::ALL {
                for levels in [0, 2] {
                    for bytes in [&bytes, &good] {
                        if let Ok(page) = read(bytes, codec, levels) {
                            let _ = (page.value(0, Some(&page)), page.value(u64::MAX, None), page.value(1, None));
                        }
                    }
                }
            }
        }
    }
}
