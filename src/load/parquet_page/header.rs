//! The header of a Parquet page.
//!
//! `PageHeader` of `parquet.thrift`, in Thrift's compact protocol (`thrift-compact-protocol.md` of `apache/thrift`). Fields that
//! are not needed, statistics among them, are passed over without being kept.

use std::fs::File;
use std::io::{self, BufReader, Read};

use super::{MOST_BYTES, PageError, Stretch};

/// The longest header that is read: its statistics may hold two values of a column of sound.
const MOST_HEADER: u64 = 64 << 20;

/// How deep structs may lie in one another; the format's go down three.
const MOST_DEPTH: u8 = 8;

/// What stands before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// What the page holds.
    pub(crate) kind: PageKind,
    /// Where the page's bytes begin.
    pub(crate) body: u64,
    /// The length of its bytes in the file.
    pub(crate) compressed: u64,
    /// The length of its bytes once decompressed, levels included.
    pub(crate) uncompressed: u64,
    /// Whether the codec of the column chunk was used.
    pub(crate) is_compressed: bool,
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The values that later pages number.
    Dictionary {
        /// How many there are.
        values: u64,
    },
    /// Rows.
    Data {
        /// How many there are, nulls counted.
        values: u64,
        /// How many are null, where the header says so.
        nulls: Option<u64>,
        /// How the values are written.
        encoding: Encoding,
        /// Where the levels are.
        levels: Levels,
    },
    /// Something else, which may be passed over.
    Other,
}

/// Where the levels of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Levels {
    /// Version 1: compressed with the values, behind their length in four bytes.
    Within,
    /// Version 2: before the values and never compressed, without a length.
    Apart {
        /// The length of the definition levels.
        definition: u64,
    },
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Each behind its length in four bytes.
    Plain,
    /// By number in the dictionary.
    Dictionary,
    /// A way that is not read, in words.
    Other(&'static str),
}

impl Encoding {
    fn of(number: i64) -> Self {
        match number {
            0 => Self::Plain,
            2 | 8 => Self::Dictionary,
            6 => Self::Other("its encoding is DELTA_LENGTH_BYTE_ARRAY"),
            7 => Self::Other("its encoding is DELTA_BYTE_ARRAY"),
            _ => Self::Other("its encoding is not one of byte arrays"),
        }
    }
}

impl PageHeader {
    /// Reads the header at byte `at`. What it claims fits before byte `end`, which may be that of the file.
    pub(crate) fn read(file: &File, at: u64, end: u64) -> Result<Self, PageError> {
        let damaged = |reason| PageError::Damaged { page: at, reason };
        let stretch = Stretch { file, at, end: end.min(at.saturating_add(MOST_HEADER)) };
        let mut thrift = Thrift { bytes: BufReader::with_capacity(512, stretch), read: 0 };
        let fields = Fields::read(&mut thrift).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the file or column chunk ends within its header"),
            io::ErrorKind::InvalidData => damaged("its header is not one of a page"),
            _ => PageError::Read { page: at, source },
        })?;
        let size = |size: Option<i64>, reason| size.and_then(|size| u64::try_from(size).ok()).ok_or(damaged(reason));
        let compressed = size(fields.compressed, "its length is missing or negative")?;
        let uncompressed = size(fields.uncompressed, "its decompressed length is missing or negative")?;
        if uncompressed > MOST_BYTES {
            return Err(damaged("it claims to hold more than 1 GiB"));
        }
        let body = at + thrift.read;
        if compressed > end.saturating_sub(body) {
            return Err(damaged("it claims to be longer than the file or column chunk"));
        }
        let kind = fields.kind(at)?;
        if let PageKind::Data { levels: Levels::Apart { definition }, .. } = kind
            && definition > compressed
        {
            return Err(damaged("its levels are longer than it is"));
        }
        Ok(Self { kind, body, compressed, uncompressed, is_compressed: fields.is_compressed })
    }

    /// Where the page ends.
    pub(crate) const fn end(&self) -> u64 {
        self.body + self.compressed
    }
}

/// The fields of a header, as far as they are needed.
struct Fields {
    kind: Option<i64>,
    uncompressed: Option<i64>,
    compressed: Option<i64>,
    values: Option<i64>,
    nulls: Option<i64>,
    encoding: Option<i64>,
    level_encoding: Option<i64>,
    definition: Option<i64>,
    repetition: Option<i64>,
    is_compressed: bool,
}

impl Fields {
    fn read(thrift: &mut Thrift<impl Read>) -> io::Result<Self> {
        let mut fields = Self {
            kind: None,
            uncompressed: None,
            compressed: None,
            values: None,
            nulls: None,
            encoding: None,
            level_encoding: None,
            definition: None,
            repetition: None,
            is_compressed: true,
        };
        let mut id = 0;
        while let Some((next, form)) = thrift.field(id)? {
            id = next;
            match (id, form) {
                (1, Form::Int) => fields.kind = Some(thrift.int()?),
                (2, Form::Int) => fields.uncompressed = Some(thrift.int()?),
                (3, Form::Int) => fields.compressed = Some(thrift.int()?),
                (5 | 7 | 8, Form::Struct) => fields.read_page(thrift, id)?,
                _ => thrift.pass(form, 0)?,
            }
        }
        Ok(fields)
    }

    /// The struct of a page of version 1 (field 5), of a dictionary (7) or of a page of version 2 (8).
    fn read_page(&mut self, thrift: &mut Thrift<impl Read>, page: i64) -> io::Result<()> {
        let mut id = 0;
        while let Some((next, form)) = thrift.field(id)? {
            id = next;
            match (page, id, form) {
                (_, 1, Form::Int) => self.values = Some(thrift.int()?),
                (5 | 7, 2, Form::Int) | (8, 4, Form::Int) => self.encoding = Some(thrift.int()?),
                (5, 3, Form::Int) => self.level_encoding = Some(thrift.int()?),
                (8, 2, Form::Int) => self.nulls = Some(thrift.int()?),
                (8, 5, Form::Int) => self.definition = Some(thrift.int()?),
                (8, 6, Form::Int) => self.repetition = Some(thrift.int()?),
                (8, 7, Form::True) => self.is_compressed = true,
                (8, 7, Form::False) => self.is_compressed = false,
                _ => thrift.pass(form, 0)?,
            }
        }
        Ok(())
    }

    fn kind(&self, page: u64) -> Result<PageKind, PageError> {
        let damaged = |reason| PageError::Damaged { page, reason };
        let unsupported = |reason| PageError::Unsupported { page, reason };
        let kind = self.kind.ok_or(damaged("its header does not say what it is"))?;
        if !matches!(kind, 0 | 2 | 3) {
            return Ok(PageKind::Other);
        }
        let number = |number: Option<i64>, reason| number.and_then(|n| u64::try_from(n).ok()).ok_or(damaged(reason));
        let values = number(self.values, "the number of its values is missing or negative")?;
        let encoding = self.encoding.map(Encoding::of).ok_or(damaged("its header names no encoding"))?;
        match (kind, encoding) {
            (2, Encoding::Plain | Encoding::Dictionary) => Ok(PageKind::Dictionary { values }),
            (2, Encoding::Other(_)) => Err(unsupported("it is a dictionary that is not plain")),
            (0, _) if self.level_encoding == Some(4) => {
                Err(unsupported("its levels are of the old encoding BIT_PACKED"))
            }
            (0, _) => Ok(PageKind::Data { values, nulls: None, encoding, levels: Levels::Within }),
            _ if self.repetition.unwrap_or(0) != 0 => Err(unsupported("its values repeat")),
            _ => {
                let nulls = Some(number(self.nulls, "the number of its nulls is missing or negative")?);
                let definition = number(self.definition, "the length of its levels is missing or negative")?;
                Ok(PageKind::Data { values, nulls, encoding, levels: Levels::Apart { definition } })
            }
        }
    }
}

/// A reader of Thrift's compact protocol that keeps nothing.
pub(crate) struct Thrift<R> {
    pub(crate) bytes: R,
    /// How many bytes were read.
    pub(crate) read: u64,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    True,
    False,
    Byte,
    /// A whole number of 16, 32 or 64 bits.
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Form {
    fn of(number: u8) -> io::Result<Self> {
        Ok(match number {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// A signed number, whose lowest bit is its sign.
    pub(crate) fn int(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field's number, which may count from `last`, and its form; none at the end of the struct.
    pub(crate) fn field(&mut self, last: i64) -> io::Result<Option<(i64, Form)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let form = Form::of(head & 0x0f)?;
        let id = if head >> 4 == 0 { self.int()? } else { last.saturating_add(i64::from(head >> 4)) };
        Ok(Some((id, form)))
    }

    /// How many elements a list says it has, and their form.
    pub(crate) fn list(&mut self) -> io::Result<(u64, Form)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((count, Form::of(head & 0x0f)?))
    }

    fn pass_bytes(&mut self, length: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.bytes.by_ref().take(length), &mut io::sink())?;
        self.read += passed;
        if passed == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Passes over a value. Each element takes a byte at least, so that claimed numbers of them end with the header.
    pub(crate) fn pass(&mut self, form: Form, depth: u8) -> io::Result<()> {
        if depth > MOST_DEPTH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match form {
            Form::True | Form::False => Ok(()),
            Form::Byte => self.pass_bytes(1),
            Form::Int => self.varint().map(drop),
            Form::Double => self.pass_bytes(8),
            Form::Binary => {
                let length = self.varint()?;
                self.pass_bytes(length)
            }
            Form::List => {
                let (count, form) = self.list()?;
                (0..count).try_for_each(|_| self.pass_element(form, depth))
            }
            Form::Map => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let forms = self.byte()?;
                let (key, value) = (Form::of(forms >> 4)?, Form::of(forms & 0x0f)?);
                (0..count).try_for_each(|_| {
                    self.pass_element(key, depth)?;
                    self.pass_element(value, depth)
                })
            }
            Form::Struct => {
                let mut id = 0;
                while let Some((next, form)) = self.field(id)? {
                    id = next;
                    self.pass(form, depth + 1)?;
                }
                Ok(())
            }
        }
    }

    /// Truth values stand in the head of a field, but in a byte of their own in a list.
    fn pass_element(&mut self, form: Form, depth: u8) -> io::Result<()> {
        match form {
            Form::True | Form::False => self.pass_bytes(1),
            other => self.pass(other, depth + 1),
        }
    }
}
