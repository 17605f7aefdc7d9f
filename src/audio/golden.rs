//! For tests: the references that `make golden` made with the peers.

use std::fs;
use std::path::PathBuf;

/// An array of `fixtures/golden`: its shape and its numbers in row-major order.
pub(crate) fn golden(name: &str) -> (Vec<usize>, Vec<f32>) {
    let path = PathBuf::from("fixtures/golden").join(format!("{name}.npy"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make golden` makes it", path.display()));
    // NumPy format 1.0: magic, version, the header's length in two bytes, the header, the numbers.
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{name}");
    let (header, numbers) = bytes[10..].split_at(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])));
    let header = std::str::from_utf8(header).expect("a header in ASCII");
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{name}: {header}");
    let (_, shape) = header.split_once("'shape': (").expect("a shape");
    let (shape, _) = shape.split_once(')').expect("the shape's end");
    let shape = shape.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    (shape, numbers.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}
