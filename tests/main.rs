//! Integration tests: the real command over real files.

mod augment;
mod broken_files;
mod broken_pipelines;
mod codecs;
mod corpora;
mod docs;
mod features;
mod formats;
mod interruption;
mod layers;
mod loader;
mod peers_corpora;
mod pipelines;
mod policies;
mod same_bytes;
mod support;
mod torchscript;
mod workers;
