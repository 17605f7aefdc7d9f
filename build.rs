//! With the feature `tch`: says where libtorch is missing before anything is compiled against it, and lets programs find it.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["LIBTORCH", "LIBTORCH_USE_PYTORCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if env::var_os("CARGO_FEATURE_TCH").is_none() || env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        return;
    }
    let Some(prefix) = env::var_os("LIBTORCH") else {
        // torch-sys looks there too.
        if Path::new("/usr/lib/libtorch.so").exists() {
            return;
        }
        return println!(
            "cargo::error=the feature `tch` needs libtorch 2.13.0: run `make libtorch`, or set LIBTORCH to its folder"
        );
    };
    let libraries = Path::new(&prefix).join("lib");
    let names = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll", "torch_cpu.lib"];
    if !names.iter().any(|name| libraries.join(name).is_file()) {
        let prefix = Path::new(&prefix).display();
        return println!(
            "cargo::error=there is no libtorch in LIBTORCH, which is {prefix}: run `make libtorch`, or set it anew"
        );
    }
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libraries.display());
    // No symbol of it is named, and without it there is no GPU.
    if libraries.join("libtorch_cuda.so").is_file() {
        println!("cargo::rustc-link-arg=-Wl,--no-as-needed,-L{},-ltorch_cuda", libraries.display());
    }
}
