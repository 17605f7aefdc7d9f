//! Bits, the highest first, and the checksums over them.

/// Bits that become bytes.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// The bits that are no whole word yet, from the highest on.
    word: u64,
    /// How many they are, fewer than 32.
    filled: u32,
}

impl BitWriter {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.word, self.filled) = (0, 0);
    }

    /// Writes the lowest `count` bits of a number that has no higher ones, up to 32.
    #[inline]
    pub(super) fn put(&mut self, number: u64, count: u32) {
        debug_assert!(count <= 32 && number >> count == 0, "{number} in {count} bits");
        self.filled += count;
        self.word |= number << (64 - self.filled) % 64;
        if self.filled >= 32 {
            self.bytes.extend_from_slice(&((self.word >> 32) as u32).to_be_bytes());
            self.word <<= 32;
            self.filled -= 32;
        }
    }

    /// Writes the lowest `count` bits of a number in two's complement, up to 32.
    pub(super) fn put_signed(&mut self, number: i32, count: u32) {
        let mask = (1_u64 << count) - 1;
        self.put(number as u32 as u64 & mask, count);
    }

    /// Writes a number in the Rice code: all but its lowest `parameter` bits as so many zeros and a one, then those bits.
    #[inline]
    pub(super) fn put_rice(&mut self, number: i32, parameter: u32) {
        let folded = ((number << 1) ^ (number >> 31)) as u32;
        let mut zeros = folded >> parameter;
        let low = u64::from(folded) & ((1 << parameter) - 1) | 1 << parameter;
        while zeros + parameter + 1 > 32 {
            let now = zeros.min(32);
            self.put(0, now);
            zeros -= now;
        }
        self.put(low, zeros + parameter + 1);
    }

    /// Fills the last byte with zeros, and makes bytes of all bits.
    pub(super) fn align(&mut self) {
        let bytes = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.word.to_be_bytes()[..bytes]);
        (self.word, self.filled) = (0, 0);
    }

    /// Bytes written, once whole bytes are.
    pub(super) fn len(&mut self) -> usize {
        self.align();
        self.bytes.len()
    }

    /// The bytes from `start` on, once whole bytes are.
    pub(super) fn since(&mut self, start: usize) -> &[u8] {
        self.align();
        self.bytes.get(start..).unwrap_or_default()
    }
}

/// The checksum of a frame's header: x⁸ + x² + x + 1.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc: u8, _| crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 }))
}

/// What a byte adds to the checksum of a frame that so many bytes follow it in.
const CRC16: [[u16; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut table = 0;
        while table < 8 {
            let mut bit = 0;
            while bit < 8 {
                crc = crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x8005 };
                bit += 1;
            }
            tables[table][byte] = crc;
            table += 1;
        }
        byte += 1;
    }
    tables
};

/// The checksum of a frame: x¹⁶ + x¹⁵ + x² + 1.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    let (groups, rest) = bytes.as_chunks::<8>();
    let crc = groups.iter().fold(0_u16, |crc, group| {
        let [high, low] = crc.to_be_bytes();
        let mut group = *group;
        group[0] ^= high;
        group[1] ^= low;
        (0..8).fold(0, |crc, at| crc ^ CRC16[7 - at][usize::from(group[at])])
    });
    rest.iter().fold(crc, |crc, byte| crc << 8 ^ CRC16[0][usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_their_catalogued_values() {
        // CRC-8/SMBUS and CRC-16/UMTS of "123456789", in the catalogue of Greg Cook.
        assert_eq!(crc8(b"123456789"), 0xF4);
        assert_eq!(crc16(b"123456789"), 0xFEE8);
    }

    #[test]
    fn bits_are_written_highest_first() {
        let mut writer = BitWriter::default();
        writer.put(0b101, 3);
        writer.put_signed(-2, 5);
        writer.put(0xDEAD_BEEF, 32);
        // 5 folds to 10: two zeros, a one, and 10 in binary. −40 folds to 79: 79 zeros and a one.
        writer.put_rice(5, 2);
        writer.put_rice(-40, 0);
        assert_eq!(writer.since(0)[..5], [0b1011_1110, 0xDE, 0xAD, 0xBE, 0xEF]);
        assert_eq!(writer.since(5), [0b0011_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0b0000_1000]);
    }
}
