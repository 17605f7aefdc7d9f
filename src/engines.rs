//! The libraries whose version decides the bytes of a dataset: decoders, resampler, FFT and file format.

/// Each library with its version, in alphabetic order. They are part of a plan's hash and stand in the manifest.
pub const ENGINES: [(&str, &str); 7] = [
    ("opusic-sys", "0.7.7"),
    ("parquet", "60.1.0"),
    ("realfft", "3.5.1"),
    ("rubato", "5.0.1"),
    ("rustfft", "6.4.1"),
    ("symphonia", "0.6.1"),
    ("symphonia-adapter-libopus", "0.3.0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_built() {
        let lock = include_str!("../Cargo.lock");
        for (name, version) in ENGINES {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} is locked to another version than {version}");
        }
        assert!(ENGINES.is_sorted());
    }
}
