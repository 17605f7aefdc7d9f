//! What decides the bytes of a dataset beside wavemill itself: the libraries that decode, encode, resample, transform, judge
//! (`keep_if`) and write, and the kind of processor.
//!
//! The FFT and the mathematics of the C library choose their instructions at run time, and with fused multiply-add the last
//! bit of a result may be another. So processors with and without it make two kinds of machine, which do not share a run.

use std::collections::BTreeMap;

/// Each library with its version, in alphabetic order.
const LIBRARIES: [(&str, &str); 18] = [
    ("aotuv_lancer_vorbis_sys", "0.1.6"),
    ("ebur128", "0.1.11"),
    ("libflac-sys", "0.3.4"),
    ("ogg", "0.9.2"),
    ("ogg_next_sys", "0.1.5"),
    ("opusic-c", "1.6.1"),
    ("opusic-sys", "0.7.7"),
    ("parquet", "60.1.0"),
    ("polars", "0.55.2"),
    ("realfft", "3.5.1"),
    ("rubato", "5.0.1"),
    ("rustfft", "6.4.1"),
    ("rusty_mp3", "1.0.5"),
    ("symphonia", "0.6.1"),
    ("symphonia-core", "0.6.1"),
    ("vorbis_rs", "0.5.6"),
    ("zlib-rs", "0.6.8"),
    ("zstd-sys", "2.1.3+zstd.1.5.7"),
];

/// Each engine with its version. They are part of a plan's hash and stand in the manifest.
#[must_use]
pub fn engines() -> BTreeMap<String, String> {
    let libraries = LIBRARIES.map(|(name, version)| (name.to_owned(), version.to_owned()));
    libraries.into_iter().chain([("processor".to_owned(), processor().to_owned())]).collect()
}

/// The kind of processor, by what libraries ask it before they choose their instructions.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx") && std::is_x86_feature_detected!("fma") {
            "x86_64 with avx and fma"
        } else if std::is_x86_feature_detected!("sse4.1") {
            "x86_64 with sse4.1"
        } else {
            "x86_64"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_built() {
        let lock = include_str!("../Cargo.lock");
        for (name, version) in LIBRARIES {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} is locked to another version than {version}");
        }
        assert!(LIBRARIES.is_sorted());
    }
}
