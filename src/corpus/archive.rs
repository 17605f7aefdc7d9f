//! Members of tar archives: their names, and which bytes of the file they are. Sound is never read here.
//!
//! Read are the headers of V7, ustar, GNU (long names, sizes of more than 8 GiB) and PAX (`path`, `size`):
//! POSIX.1-2017, `pax`, "Interchange Format", and the GNU tar manual, "Basic Tar Format".

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::regular_file::open_regular;
use super::{CorpusError, Place};

/// Headers and data begin at multiples of this.
const BLOCK: u64 = 512;

/// The most that a long name or the PAX records of a member may take. Those of real archives take some hundred bytes.
const MOST_EXTENSION: u64 = 1 << 20;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name with folders: relative, and without `..`.
    pub(super) name: String,
    /// Where its data begins.
    pub(super) offset: u64,
    /// Bytes of its data; the archive has them all.
    pub(super) length: u64,
    /// Where its header begins.
    pub(super) at: u64,
}

/// What the `audio` column says of a member of the archive `file`.
pub(super) fn reference(file: &str, member: &Member) -> String {
    format!("{file}#offset={}&length={}", member.offset, member.length)
}

/// The members of the archive `path`, in its order.
pub(super) fn members(path: &Path) -> Result<Members, CorpusError> {
    let unread = |source| CorpusError::Read { path: path.to_owned(), source };
    let file = open_regular(path)?;
    let length = file.metadata().map_err(unread)?.len();
    Ok(Members { path: path.to_owned(), file, length, next: 0, is_done: false })
}

/// The member of the archive `path` whose first header begins at `byte`; none where the archive ends there.
pub(super) fn member_at(path: &Path, byte: u64) -> Result<Option<Member>, CorpusError> {
    let mut members = members(path)?;
    if byte > members.length {
        return Err(members.malformed(byte, format!("the archive ends before, at byte {}", members.length)));
    }
    if byte == members.length {
        return Ok(None);
    }
    members.next = byte;
    members.next_member()
}

/// The members of an archive, read one header at a time.
///
/// Folders are passed over. Links, devices and sparse files are errors, as their data is elsewhere or in pieces. The
/// end is a block of zeros, as every writer of archives leaves it: after it there may be zeros alone, and a file without
/// one was cut off.
pub(super) struct Members {
    path: PathBuf,
    file: File,
    length: u64,
    /// Where the next header begins.
    next: u64,
    is_done: bool,
}

/// What the headers before a member's own say of it.
#[derive(Default)]
struct Extensions {
    /// Where the first of them begins.
    at: Option<u64>,
    long_name: Option<Vec<u8>>,
    pax_name: Option<Vec<u8>>,
    pax_size: Option<u64>,
}

impl Members {
    /// The data of a short member, such as a text: an error where it has more than `most` bytes.
    pub(super) fn read_small(&mut self, member: &Member, most: u64) -> Result<Vec<u8>, CorpusError> {
        if member.length > most {
            let reason =
                format!("`{}` has {} bytes, but at most {most} are read of a text", member.name, member.length);
            return Err(self.malformed(member.at, reason));
        }
        self.read(member.offset, member.length)
    }

    fn malformed(&self, at: u64, reason: impl Into<String>) -> CorpusError {
        CorpusError::malformed(Place::byte(&self.path, at), reason)
    }

    /// Bytes that are known to be few and to lie within the file.
    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, CorpusError> {
        let mut bytes = vec![0; length as usize];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|source| CorpusError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }

    /// The header at `self.next`; none at the end.
    fn header(&mut self) -> Result<Option<Header>, CorpusError> {
        let at = self.next;
        if at == self.length {
            let reason =
                "the archive ends without its end mark, a block of zeros: it is cut off, copy or write it again";
            return Err(self.malformed(at, reason));
        }
        if self.length - at < BLOCK {
            return Err(self.malformed(at, "the archive ends within a header: it is cut off"));
        }
        let bytes = self.read(at, BLOCK)?;
        if bytes.iter().all(|byte| *byte == 0) {
            self.check_rest(at + BLOCK)?;
            return Ok(None);
        }
        let header = Header::from_byte_slice(&bytes);
        let sum = |(index, byte): (usize, &u8)| u32::from(if (148..156).contains(&index) { b' ' } else { *byte });
        if header.cksum().ok() != Some(bytes.iter().enumerate().map(sum).sum()) {
            let reason = match bytes[..] {
                [0x1f, 0x8b, ..] if at == 0 => "the archive is compressed with gzip: unpack it with `gunzip`",
                [0x28, 0xb5, 0x2f, 0xfd, ..] if at == 0 => {
                    "the archive is compressed with zstd: unpack it with `unzstd`"
                }
                _ if at == 0 => "this is no tar archive: the checksum of its first header is wrong",
                _ => "the checksum of the header is wrong: the archive is damaged",
            };
            return Err(self.malformed(at, reason));
        }
        Ok(Some(header.clone()))
    }

    /// Checks that nothing but zeros comes from byte `from` on, which is behind the end mark.
    fn check_rest(&mut self, from: u64) -> Result<(), CorpusError> {
        let unread = |source| CorpusError::Read { path: self.path.clone(), source };
        let mut at = from;
        let mut bytes = vec![0; 1 << 16];
        self.file.seek(SeekFrom::Start(from)).map_err(unread)?;
        loop {
            let there = self.file.read(&mut bytes).map_err(unread)?;
            if there == 0 {
                return Ok(());
            }
            if let Some(byte) = bytes[..there].iter().position(|byte| *byte != 0) {
                let reason = "the archive goes on behind its end mark: concatenated tars are not read as one, give each \
                              a file of its own";
                return Err(self.malformed(at + byte as u64, reason));
            }
            at += there as u64;
        }
    }

    /// Checks that data of `length` bytes from `offset` lies within the file, and moves on to the header after it.
    fn pass(&mut self, at: u64, name: &str, offset: u64, length: u64) -> Result<(), CorpusError> {
        let end = length.checked_next_multiple_of(BLOCK).and_then(|padded| offset.checked_add(padded));
        if let Some(end) = end.filter(|end| *end <= self.length) {
            self.next = end;
            return Ok(());
        }
        let there = self.length.saturating_sub(offset);
        let reason = format!(
            "`{name}` should have {length} bytes, but the archive ends {there} bytes after its header: it is cut off or damaged"
        );
        Err(self.malformed(at, reason))
    }

    fn next_member(&mut self) -> Result<Option<Member>, CorpusError> {
        let mut before = Extensions::default();
        loop {
            let at = self.next;
            let Some(header) = self.header()? else {
                return match before.at {
                    Some(at) => Err(self.malformed(at, "a long name or PAX records, and no member after them")),
                    None => Ok(None),
                };
            };
            let offset = at + BLOCK;
            let size = header.entry_size();
            let size = size.map_err(|_| self.malformed(at, "the size in the header is not a number"))?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    before.at.get_or_insert(at);
                    let mut name = self.extension(at, "long name", offset, size)?;
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    before.long_name = Some(name);
                }
                EntryType::GNULongLink => {
                    before.at.get_or_insert(at);
                    self.extension(at, "long link", offset, size)?;
                }
                EntryType::XHeader => {
                    before.at.get_or_insert(at);
                    let records = self.extension(at, "PAX records", offset, size)?;
                    self.pax(at, &records, &mut before)?;
                }
                EntryType::XGlobalHeader => {
                    let records = self.extension(at, "PAX records", offset, size)?;
                    let mut of_all = Extensions::default();
                    self.pax(at, &records, &mut of_all)?;
                    if of_all.pax_name.is_some() || of_all.pax_size.is_some() {
                        return Err(self.malformed(at, "PAX records give one name or size to all members"));
                    }
                }
                kind => {
                    let name = before.long_name.take().or(before.pax_name.take());
                    let name = self.name(at, name.unwrap_or_else(|| header.path_bytes().into_owned()))?;
                    let length = before.pax_size.take().unwrap_or(size);
                    let first = before.at.take().unwrap_or(at);
                    match kind {
                        // Folders have no data, whatever their size says. V7 knows folders by their names alone.
                        EntryType::Directory => self.next = offset,
                        EntryType::Regular if name.ends_with('/') => self.next = offset,
                        EntryType::Regular | EntryType::Continuous => {
                            self.pass(at, &name, offset, length)?;
                            return Ok(Some(Member { name, offset, length, at: first }));
                        }
                        EntryType::Link | EntryType::Symlink => {
                            let reason = format!(
                                "`{name}` is a link: pack the file itself, with `tar --dereference --hard-dereference`"
                            );
                            return Err(self.malformed(at, reason));
                        }
                        EntryType::GNUSparse => return Err(self.malformed(at, sparse(&name))),
                        other => {
                            let kind = char::from(other.as_byte()).escape_default();
                            return Err(self.malformed(at, format!("`{name}` is no file, but of type `{kind}`")));
                        }
                    }
                }
            }
        }
    }

    /// The data of a header that says something of the next member.
    fn extension(&mut self, at: u64, what: &str, offset: u64, size: u64) -> Result<Vec<u8>, CorpusError> {
        self.pass(at, what, offset, size)?;
        if size > MOST_EXTENSION {
            return Err(self.malformed(at, format!("{what} of {size} bytes: the archive is damaged")));
        }
        self.read(offset, size)
    }

    /// Reads PAX records: `length key=value\n` each, where the length is that of the whole record.
    fn pax(&self, at: u64, mut records: &[u8], into: &mut Extensions) -> Result<(), CorpusError> {
        let broken = || self.malformed(at, "broken PAX records");
        while records.first().is_some_and(|byte| *byte != 0) {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = str::from_utf8(&records[..space]).ok().and_then(|length| length.parse::<usize>().ok());
            let record = length.and_then(|length| records.get(space + 1..length)).ok_or_else(broken)?;
            records = &records[space + 1 + record.len()..];
            let record = record.strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => into.pax_name = Some(value.to_owned()),
                b"size" => {
                    let size = str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    into.pax_size = Some(size.ok_or_else(broken)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => return Err(self.malformed(at, sparse("the member"))),
                _ => {}
            }
        }
        Ok(())
    }

    fn name(&self, at: u64, name: Vec<u8>) -> Result<String, CorpusError> {
        let name = String::from_utf8(name).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            self.malformed(at, format!("the name `{shown}` is not UTF-8"))
        })?;
        let wrong = if name.is_empty() {
            "a member has no name".to_owned()
        } else if name.starts_with('/') {
            format!("the name `{name}` begins with `/`: names in archives are relative")
        } else if name.split('/').any(|part| part == "..") {
            format!("the name `{name}` leads out of the archive by `..`")
        } else {
            return Ok(name);
        };
        Err(self.malformed(at, wrong))
    }
}

fn sparse(name: &str) -> String {
    format!("`{name}` is a sparse file, whose data lies in pieces: pack it again without `--sparse`")
}

impl Iterator for Members {
    type Item = Result<Member, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let next = self.next_member();
        self.is_done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with the members given, and its length without the end blocks.
    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in members {
            let mut header = Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// A header as it is, whatever its name.
    fn header(kind: EntryType, name: &str, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        header
    }

    /// Headers as an archive of nothing else.
    fn ended(headers: &[u8]) -> Vec<u8> {
        [headers, &[0; 1024]].concat()
    }

    fn list(bytes: &[u8]) -> Result<Vec<Member>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        members(file.path()).unwrap().collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn message(bytes: &[u8]) -> String {
        list(bytes).unwrap_err()
    }

    #[test]
    fn members_are_the_bytes_that_were_put_in() {
        let long = format!("{}/b.wav", "folder".repeat(40));
        let bytes = archive(&[("a.txt", b"hello"), (&long, &[7; 600]), ("empty.txt", b"")]);
        let members = list(&bytes).unwrap();
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a.txt", &long, "empty.txt"]);
        assert_eq!((members[0].at, members[0].offset, members[0].length), (0, 512, 5));
        assert_eq!(members[1].at, 1024);
        let data = |member: &Member| &bytes[member.offset as usize..][..member.length as usize];
        assert_eq!((data(&members[0]), data(&members[1]), data(&members[2])), (&b"hello"[..], &[7; 600][..], &b""[..]));
        assert_eq!(reference("x/a.tar", &members[0]), "x/a.tar#offset=512&length=5");
    }

    #[test]
    fn pax_records_give_names_and_sizes() {
        let mut builder = tar::Builder::new(Vec::new());
        let path = "ordner/ä b\nc.wav";
        builder.append_pax_extensions([("path", path.as_bytes()), ("size", b"3"), ("mtime", b"1.5")]).unwrap();
        builder.append(&header(EntryType::Regular, "short", 0), &b""[..]).unwrap();
        let mut bytes = builder.into_inner().unwrap();
        // The header says 0 bytes and the record 3, as of members beyond 8 GiB: the record holds.
        let data = bytes.len() - 1024;
        bytes[data..data + 3].copy_from_slice(b"xyz");
        let members = list(&bytes).unwrap();
        assert_eq!((members[0].name.as_str(), members[0].length, members[0].at), (path, 3, 0));
        assert_eq!(&bytes[members[0].offset as usize..][..3], b"xyz");
    }

    #[test]
    fn a_short_member_is_read_and_a_long_one_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), archive(&[("a.txt", b"hello"), ("b.txt", b"you")])).unwrap();
        let mut members = members(file.path()).unwrap();
        let first = members.next().unwrap().unwrap();
        assert_eq!(members.read_small(&first, 5).unwrap(), b"hello");
        let message = members.read_small(&first, 4).unwrap_err().to_string();
        assert!(message.contains("byte 0: `a.txt` has 5 bytes, but at most 4 are read"), "{message}");
        assert_eq!(members.next().unwrap().unwrap().name, "b.txt");
        assert!(members.next().is_none());
    }

    #[test]
    fn a_member_is_found_by_the_byte_of_its_header() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = archive(&[("a.txt", b"hello"), ("b.txt", b"you")]);
        std::fs::write(file.path(), &bytes).unwrap();
        let second = member_at(file.path(), 1024).unwrap().unwrap();
        assert_eq!((second.name.as_str(), second.offset, second.length), ("b.txt", 1536, 3));
        assert_eq!(member_at(file.path(), bytes.len() as u64).unwrap(), None);
        for (byte, wrong) in [(512, "checksum"), (1 << 60, "ends before")] {
            let message = member_at(file.path(), byte).unwrap_err().to_string();
            assert!(message.contains(&format!("byte {byte}: ")) && message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn an_archive_ends_with_zeros_alone() {
        let bytes = archive(&[("a.txt", b"hello"), ("b.wav", &[1; 1000])]);
        assert_eq!(list(&bytes[..bytes.len() - 512]).unwrap().len(), 2);
        assert_eq!(list(&[&bytes[..], &vec![0; 100_000]].concat()).unwrap().len(), 2);
        let cut = message(&bytes[..bytes.len() - 1024]);
        assert!(cut.contains("byte 2560: the archive ends without its end mark"), "{cut}");
        assert!(message(b"").contains("byte 0: the archive ends without its end mark"));
        let two = message(&[&bytes[..], &bytes].concat());
        assert!(two.contains("byte 3584: the archive goes on behind its end mark: concatenated tars"), "{two}");
    }

    #[test]
    fn an_archive_that_is_cut_within_a_member_is_an_error() {
        let bytes = archive(&[("a.txt", b"hello"), ("b.wav", &[1; 1000])]);
        for (end, at) in [(300, 0), (514, 0), (600, 0), (1100, 1024), (1536, 1024), (2200, 1024), (2558, 1024)] {
            let message = message(&bytes[..end]);
            assert!(message.contains(&format!("byte {at}: ")) && message.contains("cut off"), "{end}: {message}");
        }
    }

    #[test]
    fn a_size_beyond_the_file_is_an_error_of_its_byte() {
        for size in [1 << 31, 1 << 60, u64::MAX] {
            let mut bytes = archive(&[("a.txt", b"hello")]);
            bytes.truncate(1024);
            bytes.extend(header(EntryType::Regular, "b.wav", size).as_bytes());
            let message = message(&bytes);
            assert!(message.contains(&format!("byte 1024: `b.wav` should have {size} bytes")), "{message}");
            for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::GNULongLink, EntryType::XGlobalHeader] {
                assert!(self::message(header(kind, "x", size).as_bytes()).contains("cut off or damaged"));
            }
        }
        let mut long = header(EntryType::GNULongName, "x", 2 << 20).as_bytes().to_vec();
        long.resize(512 + (2 << 20), b'a');
        assert!(message(&long).contains("long name of 2097152 bytes"));
    }

    #[test]
    fn damage_is_an_error_of_its_byte() {
        let mut bytes = archive(&[("a.txt", b"hello"), ("b.txt", b"you")]);
        bytes[1024 + 3] ^= 1;
        assert!(message(&bytes).contains("byte 1024: the checksum of the header is wrong"));
        assert!(message(&[b'R'; 2000]).contains("byte 0: this is no tar archive"));
        let mut packed = vec![0x1f, 0x8b];
        packed.resize(600, 9);
        assert!(message(&packed).contains("unpack it with `gunzip`"));
        let lone = header(EntryType::GNULongName, "x", 0);
        assert!(message(&ended(lone.as_bytes())).contains("no member after them"));
        for records in ["12 path=a", "x path=a\n", "99999999999999999999 path=a\n", "9 size=x\n", "5 abc\n"] {
            let mut bytes = header(EntryType::XHeader, "x", records.len() as u64).as_bytes().to_vec();
            bytes.extend(records.as_bytes());
            bytes.resize(1024, 0);
            bytes.extend(archive(&[("a", b"")]));
            assert!(message(&bytes).contains("byte 0: broken PAX records"), "{records}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_and_what_is_no_file_are_errors() {
        let one = |kind, name| message(header(kind, name, 0).as_bytes());
        assert!(one(EntryType::Regular, "/etc/a.wav").contains("byte 0: the name `/etc/a.wav` begins with `/`"));
        assert!(one(EntryType::Regular, "a/../../b.wav").contains("by `..`"));
        assert!(one(EntryType::Regular, "").contains("no name"));
        assert!(one(EntryType::Symlink, "a.wav").contains("`a.wav` is a link"));
        assert!(one(EntryType::Link, "a.wav").contains("is a link"));
        assert!(one(EntryType::Char, "a.wav").contains("`a.wav` is no file, but of type `3`"));
        assert!(one(EntryType::GNUSparse, "a.wav").contains("sparse"));
        let mut latin = header(EntryType::Regular, "a?.wav", 0);
        latin.as_old_mut().name[1] = 0xe4;
        latin.set_cksum();
        assert!(message(latin.as_bytes()).contains("is not UTF-8"));
        for kind in [EntryType::Directory, EntryType::Regular] {
            assert!(list(&ended(header(kind, "folder/", 0).as_bytes())).unwrap().is_empty());
        }
    }
}
