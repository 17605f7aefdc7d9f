//! What `wavemill check` says of broken pipeline files: the place, the reason and the remedy.

use std::fs;
use std::path::Path;

use crate::support::wavemill;

/// Each file of `tests/broken_pipelines/` with its message kept as a snapshot beside this file.
#[test]
fn every_broken_pipeline_is_explained() {
    let folder = Path::new("tests/broken_pipelines");
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 20, "saw {} broken pipelines", names.len());
    for name in names {
        let output = wavemill(&["check", &format!("tests/broken_pipelines/{name}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(&name) && message.contains("mistake"), "{name}: {message}");
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".yaml"), message);
        });
    }
}

#[test]
fn a_missing_pipeline_file_is_named() {
    let output = wavemill(&["check", "pipelines/none.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pipelines/none.yaml cannot be read: No such file"));
}
