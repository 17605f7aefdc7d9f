//! Tar archives, member by member, the same bytes for the same members: mode 0644, and no time, user or group.
//!
//! Headers are ustar. A name of more than 100 bytes stands in a PAX header before the member's own, as Python's `tarfile`
//! writes it (POSIX.1-2017, `pax`, "pax Interchange Format").

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use tar::{EntryType, Header, PaxExtensions};

use super::ShardFile;
use super::contract::WriteError;

/// Everything in an archive is a whole number of these.
const BLOCK: usize = 512;
/// What a header has room for.
const NAME: usize = 100;
/// An archive ends with two blocks of zeros.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// An archive being written, front to back.
pub(super) struct TarWriter {
    file: BufWriter<ShardFile>,
    /// The header of every member, but for its name and its size.
    header: Header,
}

impl TarWriter {
    pub(super) fn new(file: ShardFile) -> Self {
        /// What is small is gathered to this many bytes; what is larger goes into the file as it is.
        const GATHERED: usize = 1 << 16;
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        Self { file: BufWriter::with_capacity(GATHERED, file), header }
    }

    /// Where the next member's first header will stand.
    pub(super) fn position(&self) -> u64 {
        self.file.get_ref().len() + self.file.buffer().len() as u64
    }

    /// Adds the member `name`, which holds `parts` one after the other.
    pub(super) fn member(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut fits = name.len().min(NAME);
        if name.len() > NAME {
            let path = pax_record("path", name);
            self.header("././@PaxHeader", EntryType::XHeader, path.len())?;
            self.file.write_all(&path)?;
            self.pad(path.len())?;
            while !name.is_char_boundary(fits) {
                fits -= 1;
            }
        }
        let size = parts.iter().map(|part| part.len()).sum();
        self.header(&name[..fits], EntryType::Regular, size)?;
        for part in parts {
            self.file.write_all(part)?;
        }
        self.pad(size)
    }

    /// Writes the archive's end.
    pub(super) fn finish(mut self) -> io::Result<ShardFile> {
        self.file.write_all(&END)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn header(&mut self, name: &str, kind: EntryType, size: usize) -> io::Result<()> {
        let mut header = self.header.clone();
        // The crate's own way to set a name refuses `..` and absolute paths, which these names are not meant as.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_cksum();
        self.file.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: usize) -> io::Result<()> {
        self.file.write_all(&END[..size.next_multiple_of(BLOCK) - size])
    }
}

/// One record of a PAX header: its own length in decimal digits, the name, the value.
fn pax_record(name: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {name}={value}\n");
    let mut length = rest.len();
    loop {
        let record = format!("{length}{rest}");
        if record.len() == length {
            return record.into_bytes();
        }
        length = record.len();
    }
}

/// An archive being read, front to back: one of those that [`TarWriter`] writes.
pub(super) struct TarReader {
    file: BufReader<File>,
    place: String,
    length: u64,
    /// Where the next byte comes from.
    at: u64,
    /// Where the next header stands.
    next: u64,
}

/// A member's name and how many bytes it has: no more than the file has left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TarMember {
    pub(super) name: String,
    pub(super) size: u64,
}

impl TarReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let place = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { file: BufReader::new(file), place, length, at: 0, next: 0 })
    }

    /// Where the next member's first header stands.
    pub(super) const fn position(&self) -> u64 {
        self.next
    }

    /// The next member, if there is one.
    pub(super) fn member(&mut self) -> Result<Option<TarMember>, WriteError> {
        let mut long_name = None;
        loop {
            self.file.seek_relative((self.next - self.at) as i64)?;
            self.at = self.next;
            if self.length - self.at < BLOCK as u64 {
                return Err(self.damaged("ends before its end mark"));
            }
            let mut block = [0; BLOCK];
            self.read(&mut block)?;
            if block == END[..BLOCK] {
                return self.end(long_name.is_some());
            }
            let header = Header::from_byte_slice(&block);
            let mut summed = header.clone();
            summed.set_cksum();
            if header.as_old().cksum != summed.as_old().cksum {
                return Err(self.damaged("has a header whose checksum is wrong"));
            }
            let size = header.entry_size().map_err(|_| self.damaged("has a header without a size"))?;
            if size > self.length - self.at {
                return Err(self.damaged("has a member that is longer than the file"));
            }
            self.next = self.at + size.next_multiple_of(BLOCK as u64);
            if self.next > self.length {
                return Err(self.damaged("ends in the middle of a member"));
            }
            match header.entry_type() {
                EntryType::XHeader if long_name.is_none() => long_name = Some(self.long_name(size)?),
                EntryType::Regular => {
                    let name = match long_name {
                        Some(name) => name,
                        None => self.text(&header.path_bytes())?,
                    };
                    return Ok(Some(TarMember { name, size }));
                }
                _ => return Err(self.damaged("has a member that is no file")),
            }
        }
    }

    /// The bytes of the member just met.
    pub(super) fn content(&mut self, member: &TarMember) -> Result<Vec<u8>, WriteError> {
        let mut bytes = vec![0; member.size as usize];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Where the bytes of the member just met stand.
    pub(super) const fn content_position(&self) -> u64 {
        self.at
    }

    /// The next bytes of the member just met, of those that it has.
    pub(super) fn content_part(&mut self, length: usize) -> Result<Vec<u8>, WriteError> {
        if length as u64 > self.next - self.at {
            return Err(self.damaged("has a member that ends too early"));
        }
        let mut bytes = vec![0; length];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// The next member, which must be there and be called `name`.
    pub(super) fn expect(&mut self, name: &str) -> Result<TarMember, WriteError> {
        match self.member()? {
            Some(member) if member.name == name => Ok(member),
            Some(member) => Err(self.damaged(&format!("has `{}` where `{name}` belongs", member.name))),
            None => Err(self.damaged(&format!("ends where `{name}` belongs"))),
        }
    }

    /// An error that names the file.
    pub(super) fn damaged(&self, what: &str) -> WriteError {
        WriteError::Damaged(format!("{} {what}", self.place))
    }

    fn end(&mut self, pending: bool) -> Result<Option<TarMember>, WriteError> {
        let mut block = [0; BLOCK];
        if pending || self.length - self.at != BLOCK as u64 {
            return Err(self.damaged("does not end where its end mark says"));
        }
        self.read(&mut block)?;
        self.at = self.length - END.len() as u64;
        self.next = self.at;
        self.file.seek_relative(-(END.len() as i64))?;
        if block == END[..BLOCK] { Ok(None) } else { Err(self.damaged("does not end with its end mark")) }
    }

    fn long_name(&mut self, size: u64) -> Result<String, WriteError> {
        /// Far more than any key has.
        const LONGEST: u64 = 1 << 16;
        if size > LONGEST {
            return Err(self.damaged("has a PAX header that is too long"));
        }
        let mut bytes = vec![0; size as usize];
        self.read(&mut bytes)?;
        let path = PaxExtensions::new(&bytes).filter_map(Result::ok).find(|record| record.key_bytes() == b"path");
        match path {
            Some(path) => self.text(path.value_bytes()),
            None => Err(self.damaged("has a PAX header without a path")),
        }
    }

    fn text(&self, name: &[u8]) -> Result<String, WriteError> {
        String::from_utf8(name.to_vec()).map_err(|_| self.damaged("has a name that is not UTF-8"))
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn archive(folder: &Path) -> (PathBuf, Vec<(String, Vec<u8>)>) {
        let members = vec![
            ("a.json".to_owned(), b"{}".to_vec()),
            (format!("{}/{}.txt", "ä".repeat(60), "b".repeat(200)), vec![7; 1000]),
            ("../up.npy".to_owned(), Vec::new()),
            ("x".repeat(100), vec![1; 512]),
        ];
        let mut tar = TarWriter::new(ShardFile::create(folder, "x.tar").unwrap());
        for (name, bytes) in &members {
            let (front, back) = bytes.split_at(bytes.len() / 2);
            tar.member(name, &[front, back]).unwrap();
        }
        tar.finish().unwrap().commit().unwrap();
        (folder.join("x.tar"), members)
    }

    fn read(path: &Path) -> Result<Vec<(String, Vec<u8>)>, WriteError> {
        let mut tar = TarReader::open(path)?;
        let mut members = Vec::new();
        while let Some(member) = tar.member()? {
            let bytes = tar.content(&member)?;
            members.push((member.name, bytes));
        }
        assert_eq!(tar.member().unwrap(), None);
        Ok(members)
    }

    #[test]
    fn members_come_back_and_another_reader_sees_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (path, members) = archive(folder.path());
        assert_eq!(read(&path).unwrap(), members);
        let mut other = tar::Archive::new(File::open(&path).unwrap());
        let names: Vec<_> = other.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, members.iter().map(|(name, _)| PathBuf::from(name)).collect::<Vec<_>>());
    }

    #[test]
    fn an_archive_cut_anywhere_or_changed_in_a_header_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = archive(folder.path());
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(7).chain((0..whole.len()).step_by(BLOCK)) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(read(&path), Err(WriteError::Damaged(_))), "{length} bytes");
        }
        for place in [0, 124, 130, 156, 300] {
            let mut changed = whole.clone();
            changed[place] ^= 0x11;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(read(&path), Err(WriteError::Damaged(_))), "byte {place}");
        }
    }
}
