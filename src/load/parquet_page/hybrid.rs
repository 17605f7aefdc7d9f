//! Small numbers in a Parquet page: runs of one value, and values packed in bits.
//!
//! `Encodings.md` of `apache/parquet-format` calls it "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

/// The numbers, one after the other; memory is that of their bytes, whatever lengths the runs claim.
#[derive(Debug)]
pub(crate) struct Hybrid<B> {
    bytes: B,
    /// Where the next run begins.
    at: usize,
    /// Bits of a number, 0 to 32.
    width: u8,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    /// One value again and again.
    Repeated { value: u32, left: u64 },
    /// Values side by side, from the lowest bit of the first byte on.
    Packed { bit: u64, left: u64 },
}

impl<B: AsRef<[u8]>> Hybrid<B> {
    /// The numbers in `bytes`, each of `width` bits, at most 32.
    pub(crate) fn new(bytes: B, width: u8) -> Self {
        Self { bytes, at: 0, width: width.min(32), run: Run::Repeated { value: 0, left: 0 } }
    }

    /// Levels of which the highest is `most`.
    pub(crate) fn of_levels(bytes: B, most: u8) -> Self {
        Self::new(bytes, (u8::BITS - most.leading_zeros()) as u8)
    }

    /// The next number; none at the end, and where the bytes are no such runs.
    pub(crate) fn next_value(&mut self) -> Option<u32> {
        loop {
            match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Repeated { value, left } => {
                    *left -= 1;
                    return Some(*value);
                }
                Run::Packed { bit, left } => {
                    let value = packed(self.bytes.as_ref(), *bit, self.width);
                    *bit += u64::from(self.width);
                    *left -= 1;
                    return Some(value);
                }
            }
        }
    }

    /// Passes over `count` numbers, a run of one value at a time, and says how many of them are `wanted`.
    pub(crate) fn count(&mut self, count: u64, wanted: u32) -> Option<u64> {
        let (mut to_pass, mut found) = (count, 0);
        while to_pass > 0 {
            match &mut self.run {
                Run::Repeated { value, left } if *left > 0 => {
                    let passed = to_pass.min(*left);
                    found += if *value == wanted { passed } else { 0 };
                    *left -= passed;
                    to_pass -= passed;
                }
                _ => {
                    found += u64::from(self.next_value()? == wanted);
                    to_pass -= 1;
                }
            }
        }
        Some(found)
    }

    /// The same numbers from the start, with bytes of their own.
    pub(crate) fn to_owned(&self) -> Hybrid<Vec<u8>> {
        Hybrid::new(self.bytes.as_ref().to_vec(), self.width)
    }

    fn next_run(&mut self) -> Option<()> {
        let bytes = self.bytes.as_ref();
        let header = varint(bytes, &mut self.at)?;
        let rest = bytes.get(self.at..)?;
        let width = u64::from(self.width);
        if header & 1 == 0 {
            let length = usize::from(self.width).div_ceil(8);
            let value = rest.get(..length)?.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            self.at += length;
            self.run = Run::Repeated { value, left: header >> 1 };
        } else {
            let groups = header >> 1;
            // The last group may be cut where its numbers end.
            let length = (groups * width).min(rest.len() as u64);
            self.run = match (length * 8).checked_div(width) {
                Some(fit) => Run::Packed { bit: self.at as u64 * 8, left: (groups * 8).min(fit) },
                None => Run::Repeated { value: 0, left: groups * 8 },
            };
            self.at += length as usize;
        }
        Some(())
    }
}

/// An unsigned number of up to 32 bits, seven bits a byte.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).ok().map(u64::from);
        }
    }
    None
}

/// The `width` bits from `bit` on.
fn packed(bytes: &[u8], bit: u64, width: u8) -> u32 {
    let first = (bit / 8) as usize;
    let word = bytes.iter().skip(first).take(5).rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    ((word >> (bit % 8)) & ((1u64 << width) - 1)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_and_packed_numbers_come_in_their_order() {
        // Three times 5, then the numbers 0 to 7 in three bits each: the example of the format's document.
        let bytes = [3 << 1, 5, 1 << 1 | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut numbers = Hybrid::new(bytes, 3);
        let all: Vec<u32> = std::iter::from_fn(|| numbers.next_value()).collect();
        assert_eq!(all, [5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        let mut numbers = Hybrid::new(bytes, 3);
        assert_eq!((numbers.count(9, 5), numbers.next_value(), numbers.next_value()), (Some(4), Some(6), Some(7)));
        assert_eq!(numbers.count(1, 5), None);
    }

    #[test]
    fn numbers_of_no_bits_are_zeros() {
        let mut numbers = Hybrid::new([4 << 1], 0);
        assert_eq!((numbers.count(4, 0), numbers.next_value()), (Some(4), None));
    }

    #[test]
    fn the_width_of_a_level_is_that_of_the_highest() {
        assert_eq!([0, 1, 2, 3, 4].map(|most| Hybrid::of_levels([0; 0], most).width), [0, 1, 2, 2, 3]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_on(bytes in prop::collection::vec(any::<u8>(), 0..40), width in 0u8..=40) {
            let mut numbers = Hybrid::new(&bytes, width);
            prop_assert!(numbers.count(u64::MAX, 1).is_none());
            let mut numbers = Hybrid::new(&bytes, width);
            (0..1000).find(|_| numbers.next_value().is_none());
        }
    }
}
