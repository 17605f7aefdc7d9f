//! What the code says of itself: pages, schema and help.

use std::fs;
use std::path::Path;

use crate::support::wavemill;

fn printed(arguments: &[&str]) -> String {
    let output = wavemill(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_pages_made_from_the_code_are_up_to_date() {
    let docs = Path::new("docs");
    for (page, arguments) in [
        ("stages.md", &["list", "--markdown", "stages"][..]),
        ("corpus.md", &["list", "--markdown", "corpus"][..]),
        ("segment.md", &["list", "--markdown", "segment"]),
        ("augment.md", &["list", "--markdown", "augment"]),
        ("featurize.md", &["list", "--markdown", "featurize"]),
        ("transform.md", &["list", "--markdown", "transform"]),
        ("write.md", &["list", "--markdown", "write"]),
        ("rejects.md", &["list", "--rejects"]),
        ("pipeline.schema.json", &["schema"]),
    ] {
        let written = fs::read_to_string(docs.join(page)).unwrap_or_default();
        assert!(written == printed(arguments), "docs/{page} is out of date: run `make docs`");
    }
}

#[test]
fn every_example_of_every_family_is_a_valid_pipeline() {
    let mut checked = 0;
    for family in wavemill::pipeline::Pipeline::FAMILIES {
        for entry in family.entries {
            if entry.name == "torchscript" && !cfg!(feature = "tch") {
                continue; // `torchscript.rs` looks at what is said of it
            }
            let pipeline = match family.name {
                "corpus" => format!(
                    "version: 1\ncorpus: {{ {} }}\nfeaturize: {{ sound: [waveform: {{}}] }}\n",
                    flow(entry.example)
                ),
                "featurize" => format!(
                    "version: 1\ncorpus: {{ audio_folder: {{ root: x }} }}\nresample: {{ rate_hz: 16000 }}\nfeaturize: {{ column: [{}] }}\n",
                    flow(entry.example)
                ),
                "augment" | "segment" => format!(
                    "version: 1\ncorpus: {{ audio_folder: {{ root: x }} }}\n{}\nfeaturize: {{ sound: [waveform: {{}}] }}\n",
                    match family.name {
                        "segment" => format!("segment: [{}]", flow(entry.example)),
                        _ => format!("augment: {{ chain: [{}] }}", flow(entry.example)),
                    }
                ),
                "transform" => format!(
                    "version: 1\ncorpus: {{ audio_folder: {{ root: x }} }}\nresample: {{ rate_hz: 16000 }}\nfeaturize: {{ column: [kaldi_fbank: {{}}, {}] }}\n",
                    flow(entry.example)
                ),
                _ => format!(
                    "version: 1\ncorpus: {{ audio_folder: {{ root: x }} }}\nfeaturize: {{ sound: [waveform: {{}}] }}\nwrite: {{ {} }}\n",
                    flow(entry.example)
                ),
            };
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &pipeline).unwrap();
            let variables =
                ["CORPUS", "COMMON_VOICE", "LIBRISPEECH", "MANIFEST", "NOISE", "RIR"].map(|name| (name, "x"));
            let variables = variables.into_iter().chain([("MODULE", "fixtures/torchscript/frames.pt")]);
            let variables = variables.map(|(name, value)| format!("{name}={value}"));
            let mut command = wavemill(&["check", file.path().to_str().unwrap()]);
            for variable in variables {
                command.args(["--var", &variable]);
            }
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "{}:\n{pipeline}\n{}",
                entry.name,
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(!entry.summary().is_empty() && entry.example.starts_with(entry.name), "{}", entry.name);
            checked += 1;
        }
    }
    assert!(checked >= 8, "checked {checked} examples");
}

/// An example is written in one line of flow style.
fn flow(example: &str) -> &str {
    assert!(!example.contains('\n'), "an example of more than one line: {example}");
    example
}

#[test]
fn files_of_a_family_and_rows_of_its_list_are_the_same() {
    for family in wavemill::pipeline::Pipeline::FAMILIES {
        let folder = Path::new("src").join(family.name);
        for entry in family.entries {
            assert!(folder.join(format!("{}.rs", entry.name)).exists(), "{}/{} has no file", family.name, entry.name);
        }
    }
}

#[test]
fn help_man_page_and_completions_come_from_one_definition() {
    let help = printed(&["--help"]);
    for (command, sign) in [("run", "--worker"), ("plan", "--out"), ("verify", "DIR"), ("inspect", "KEY")] {
        assert!(help.contains(command));
        assert!(printed(&[command, "--help"]).contains(sign));
    }
    assert!(printed(&["man"]).contains(".TH wavemill"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&["completions", shell]).contains("wavemill"));
    }
    assert!(printed(&["list"]).contains("kaldi_fbank"));
    assert!(printed(&["list", "log_mel"]).contains("n_mels"));
}

#[test]
fn progress_for_machines_is_json_lines() {
    let out = tempfile::tempdir().unwrap();
    let output = wavemill(&["run", "pipelines/sample.yaml", "--log", "json", "--out", out.path().to_str().unwrap()])
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!(lines.lines().count() >= 2, "{lines}");
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}
