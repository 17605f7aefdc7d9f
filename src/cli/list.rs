//! `wavemill list`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use crate::augment::{Augments, LEFT_OUT};
use crate::family::{Entry, Family};
use crate::pipeline::Pipeline;
use crate::run;

use super::exit::Failure;
use super::print;

/// List the stages that a pipeline file may name, each with an example
#[derive(Debug, Args)]
pub(super) struct List {
    /// A family, such as `corpus`, or a stage, such as `kaldi_fbank`; everything if none is named
    name: Option<String>,
    /// Print the page of `docs/`
    #[arg(long)]
    markdown: bool,
    /// List the reasons for which an utterance can be left out
    #[arg(long, conflicts_with = "name")]
    rejects: bool,
}

impl List {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        if self.rejects {
            return print(&rejects());
        }
        let families: Vec<Family> = [Pipeline::STAGES].into_iter().chain(Pipeline::FAMILIES).collect();
        let Some(name) = &self.name else {
            return print(&families.iter().map(|family| self.family(family)).collect::<Vec<_>>().join("\n"));
        };
        if let Some(family) = families.iter().find(|family| family.name == name) {
            return print(&self.family(family));
        }
        if let Some(entry) = families.iter().flat_map(|family| family.entries).find(|entry| entry.name == name) {
            return print(&page(entry));
        }
        let known: Vec<&str> = families.iter().map(|family| family.name).collect();
        Err(Failure::NoFamily { name: name.clone(), known: known.join(", ") })
    }

    fn family(&self, family: &Family) -> String {
        if self.markdown { markdown(family) } else { overview(family) }
    }
}

/// The page of reject codes.
fn rejects() -> String {
    let mut text = "# Rejects\n\nWhy an utterance is left out of a dataset: the `stage` and `code` of a line in \
        `rejects.jsonl`. Codes stay the same from version to version.\n\nThis page is made by `make docs` from the code.\n\n\
        | stage | code | reason |\n| --- | --- | --- |\n"
        .to_owned();
    for (stage, codes) in run::reject_codes() {
        for (code, reason) in codes {
            let _ = writeln!(text, "| `{stage}` | `{code}` | {reason} |");
        }
    }
    text.push_str(
        "\n## Warnings\n\nWhat is wrong with a recording that becomes a row all the same. The manifest counts them in \
         `totals.warnings`; the records in `shards/` name each.\n\n| code | what is wrong |\n| --- | --- |\n",
    );
    for (code, meaning) in run::warning_codes() {
        let _ = writeln!(text, "| `{code}` | {meaning} |");
    }
    text
}

/// A family's members, a line each with its example.
fn overview(family: &Family) -> String {
    let mut text = format!("{}\n", family.summary);
    for entry in family.entries {
        let _ = writeln!(text, "\n  {:<20} {}", entry.name, entry.summary());
        for line in entry.example.lines() {
            let _ = writeln!(text, "  {:<20} {line}", "");
        }
    }
    text
}

/// A family's page of `docs/`.
fn markdown(family: &Family) -> String {
    let title = &family.name;
    let mut text = format!("# {title}\n\n{}.\n\nThis page is made by `make docs` from the code.\n", family.summary);
    if family.entries.iter().any(|entry| !entry.peers.is_empty()) {
        text.push_str(&peers(family));
    }
    for entry in family.entries {
        let _ = write!(text, "\n{}", page(entry));
    }
    text
}

/// The members beside what their peers call them, and what is left out.
fn peers(family: &Family) -> String {
    let mut text = "\n| member | what it is | peers |\n| --- | --- | --- |\n".to_owned();
    for entry in family.entries {
        let peers: Vec<String> = entry.peers.iter().map(|peer| format!("`{peer}`")).collect();
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", entry.name, entry.summary(), peers.join(", "));
    }
    if family.name == Augments::FAMILY.name {
        text.push_str("\n### Left out\n\n| peer's transform | why |\n| --- | --- |\n");
        for (name, reason) in LEFT_OUT {
            let _ = writeln!(text, "| `{name}` | {reason} |");
        }
    }
    text
}

/// A member's documentation, its example and its settings.
fn page(entry: &Entry) -> String {
    let schema = entry.schema();
    let mut text = format!("## {}\n\n{}\n\n```yaml\n{}\n```\n", entry.name, entry.documentation(), entry.example);
    let properties = schema.get("properties").and_then(Value::as_object);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
        text.push_str("\n| setting | takes | default | what it is |\n| --- | --- | --- | --- |\n");
        for (name, schema) in properties {
            let default = match schema.get("default") {
                _ if required.contains(&name.as_str()) => "required".to_owned(),
                Some(Value::Null) | None => "none".to_owned(),
                Some(value) => format!("`{value}`"),
            };
            let what = schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
            let _ = writeln!(text, "| `{name}` | {} | {default} | {what} |", takes(schema));
        }
    }
    text
}

/// What a setting takes, in a few words.
fn takes(schema: &Value) -> String {
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(forms) = schema.get("title").and_then(Value::as_str) {
        return forms.to_owned();
    }
    if let Some(alternatives) = alternatives {
        let forms: Vec<String> = alternatives.iter().filter(|form| form["type"] != "null").map(takes).collect();
        return forms.join(", ");
    }
    if let Some(word) = schema.get("const") {
        return format!("`{}`", word.as_str().unwrap_or_default());
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    };
    match name {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        name => name,
    }
    .to_owned()
}
