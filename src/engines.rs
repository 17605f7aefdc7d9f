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

/// The version of libtorch that the feature `tch` is built with: that of the crate `tch`, which takes no other.
const LIBTORCH: &str = "2.13.0";

/// Each engine with its version. They are part of a plan's hash and stand in the manifest.
#[must_use]
pub fn engines() -> BTreeMap<String, String> {
    let libraries = LIBRARIES.map(|(name, version)| (name.to_owned(), version.to_owned()));
    libraries.into_iter().chain([("processor".to_owned(), processor().to_owned())]).collect()
}

/// What decides the bytes of columns made by TorchScript modules beside that. The same in a wavemill without libtorch, which
/// makes no such column.
#[must_use]
pub fn module_engines() -> BTreeMap<String, String> {
    let engines = [("libtorch", LIBTORCH), ("vectors of libtorch", vectors())];
    engines.into_iter().map(|(name, what)| (name.to_owned(), what.to_owned())).collect()
}

/// The vectors that libtorch and its matrix products choose by the processor.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("fma")
        {
            "avx512"
        } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            "avx2"
        } else {
            "none"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
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
        // This release of tch binds to that of libtorch.
        assert!(lock.contains("name = \"tch\"\nversion = \"0.26.0\"\n") && LIBTORCH == "2.13.0");
    }

    #[test]
    fn libtorch_is_an_engine_of_modules_alone() {
        let torch = module_engines();
        assert_eq!(torch["libtorch"], LIBTORCH);
        assert!(engines().keys().all(|name| !torch.contains_key(name)));
    }
}
