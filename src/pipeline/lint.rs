//! The pipeline file held against its JSON Schema, so that every mistake is found in one go and each at its own place.
//!
//! Serde stops at its first error and points at the mapping around an unknown key. The schema comes from the same types
//! that serde reads into, so what passes here is what they accept, but for the rules that a schema cannot say.

use serde_json::Value;

use super::mistake::Mistake;
use super::tree::{Key, Kind, Node};
use crate::nearest::nearest;

/// The mistakes of `node`, a value called `name`, under `schema`.
pub(crate) fn lint(node: &Node, schema: &Value, name: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    Lint { root: schema }.check(node, schema, name, &mut mistakes);
    mistakes
}

/// A schema at work.
struct Lint<'s> {
    /// The whole of it, where the definitions stand that its parts refer to.
    root: &'s Value,
}

impl Lint<'_> {
    /// What a schema says, or the one that it refers to: `{ "$ref": "#/$defs/Augments" }`.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        reference.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn check(&self, node: &Node, schema: &Value, name: &str, mistakes: &mut Vec<Mistake>) {
        let schema = self.resolved(schema);
        if let Some(alternatives) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            return self.check_alternatives(node, schema, alternatives, name, mistakes);
        }
        let words = words(schema);
        if !words.is_empty() {
            return check_word(node, &words, name, mistakes);
        }
        if let Some(types) = schema.get("type")
            && !type_names(types).any(|expected| has_type(node, expected))
        {
            let expected: Vec<_> = type_names(types).filter(|name| *name != "null").map(with_article).collect();
            let message = format!("{name} takes {}, found {}", expected.join(" or "), describe(node));
            mistakes.push(Mistake::at(node.span.clone(), message));
            return;
        }
        match &node.kind {
            Kind::Map(entries) => self.check_mapping(node, entries, schema, name, mistakes),
            Kind::List(items) => self.check_list(node, items, schema, name, mistakes),
            Kind::Scalar(value) => check_bounds(node, value, schema, name, mistakes),
        }
    }

    fn check_mapping(
        &self,
        node: &Node,
        entries: &[(Key, Node)],
        schema: &Value,
        name: &str,
        mistakes: &mut Vec<Mistake>,
    ) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in entries {
            let quoted = format!("`{}`", key.name);
            match (properties.and_then(|properties| properties.get(&key.name)), others) {
                (Some(property), _) => self.check(value, property, &quoted, mistakes),
                (None, Some(Value::Bool(false))) => {
                    let known = properties.into_iter().flatten().map(|(known, _)| known.as_str());
                    mistakes.push(unknown(key, &format!("unknown key {quoted}"), "keys here", known));
                }
                (None, Some(schema)) => self.check(value, schema, &quoted, mistakes),
                (None, None) => {}
            }
        }
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            // An unknown key that is nearly this one was already told.
            let meant = |key: &Key| key.name == required || nearest(&key.name, [required]).is_some();
            if !entries.iter().any(|(key, _)| meant(key)) {
                let place = entries.first().map_or(&node.span, |(key, _)| &key.span);
                mistakes.push(Mistake::at(place.clone(), format!("{name} lacks the key `{required}`")));
            }
        }
        if schema.get("minProperties").is_some() && entries.is_empty() {
            mistakes.push(Mistake::at(node.span.clone(), format!("{name} is empty")));
        }
    }

    fn check_list(&self, node: &Node, items: &[Node], schema: &Value, name: &str, mistakes: &mut Vec<Mistake>) {
        let first = schema.get("prefixItems").and_then(Value::as_array).and_then(|schemas| schemas.first());
        let further = schema.get("items");
        for (index, item) in items.iter().enumerate() {
            let (here, elsewhere) = if index == 0 && first.is_some() { (first, further) } else { (further, first) };
            match (here, elsewhere) {
                (_, Some(elsewhere)) if names_member(item, self.resolved(elsewhere)) => {
                    mistakes.push(misplaced(item, index));
                }
                (Some(here), _) => self.check(item, here, name, mistakes),
                (None, _) => {}
            }
        }
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        let (least, most) = (bound("minItems").unwrap_or(0), bound("maxItems").unwrap_or(u64::MAX));
        let count = items.len() as u64;
        if count < least || count > most {
            let wanted = match (least, most) {
                (least, most) if least == most => format!("{least}"),
                (least, u64::MAX) => format!("at least {least}"),
                (least, most) => format!("{least} to {most}"),
            };
            mistakes.push(Mistake::at(node.span.clone(), format!("{name} takes {wanted} entries, found {count}")));
        }
    }

    fn check_alternatives(
        &self,
        node: &Node,
        schema: &Value,
        alternatives: &[Value],
        name: &str,
        mistakes: &mut Vec<Mistake>,
    ) {
        let alternatives: Vec<&Value> = alternatives.iter().map(|alternative| self.resolved(alternative)).collect();
        let all_words: Vec<&str> = alternatives.iter().copied().flat_map(words).collect();
        if alternatives.iter().all(|alternative| !words(alternative).is_empty()) {
            return check_word(node, &all_words, name, mistakes);
        }
        let members: Vec<(&str, &Value)> = alternatives.iter().copied().filter_map(member).collect();
        if members.len() == alternatives.len() {
            return self.check_row(node, &alternatives, &members, name, mistakes);
        }
        let attempts: Vec<Vec<Mistake>> =
            alternatives.iter().map(|alternative| self.alone(node, alternative, name)).collect();
        if attempts.iter().any(Vec::is_empty) {
            return;
        }
        // `null` beside one other form is an optional value: its mistakes are those of the other form.
        let forms: Vec<_> = alternatives.iter().zip(attempts).filter(|(form, _)| form["type"] != "null").collect();
        // So are those of a mapping, where a mapping is one of the forms.
        let mapping = |form: &Value| matches!(node.kind, Kind::Map(_)) && form["type"] == "object";
        let meant = if forms.len() == 1 { forms.first() } else { forms.iter().find(|(form, _)| mapping(form)) };
        if let Some((_, attempt)) = meant {
            mistakes.extend(attempt.iter().cloned());
        } else {
            let wanted = schema.get("title").and_then(Value::as_str).unwrap_or("another form");
            let message = format!("{name} takes {wanted}, found {}", describe(node));
            mistakes.push(Mistake::at(node.span.clone(), message));
        }
    }

    /// A row of a family, beside keys that are the same for all of its members.
    fn check_row(
        &self,
        node: &Node,
        alternatives: &[&Value],
        members: &[(&str, &Value)],
        name: &str,
        mistakes: &mut Vec<Mistake>,
    ) {
        let first = alternatives.first().and_then(|alternative| alternative.get("properties")?.as_object());
        let beside = |key: &Key| {
            let schema = first.and_then(|properties| properties.get(&key.name));
            schema.filter(|_| members.iter().all(|(word, _)| *word != key.name))
        };
        let Kind::Map(entries) = &node.kind else { return self.check_member(node, members, name, mistakes) };
        let (shared, row): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(key, _)| beside(key).is_some());
        for (key, value) in &shared {
            if let Some(schema) = beside(key) {
                self.check(value, schema, &format!("`{}`", key.name), mistakes);
            }
        }
        let of_row = |word: &&str| members.iter().all(|(member, _)| member != word);
        let siblings = || first.into_iter().flatten().map(|(word, _)| word.as_str()).filter(of_row);
        let meant =
            |key: &Key| members.iter().all(|(word, _)| *word != key.name) && nearest(&key.name, siblings()).is_some();
        let (misspelt, row): (Vec<_>, Vec<_>) = row.into_iter().partition(|(key, _)| meant(key));
        for (key, _) in &misspelt {
            mistakes.push(unknown(key, &format!("unknown key `{}`", key.name), "keys beside the stage", siblings()));
        }
        if row.is_empty()
            && let Some((key, _)) = shared.first().or(misspelt.first())
        {
            let mistake = Mistake::at(key.span.clone(), format!("{name} names no stage beside `{}`", key.name));
            let words = members.iter().map(|(word, _)| *word);
            return mistakes.push(mistake.help(format!("stages here: {}", listed(words))));
        }
        self.check_member(&Node { kind: Kind::Map(row), span: node.span.clone() }, members, name, mistakes);
    }

    /// A row of a family: a mapping whose one key names the member.
    fn check_member(&self, node: &Node, members: &[(&str, &Value)], name: &str, mistakes: &mut Vec<Mistake>) {
        let words = || members.iter().map(|(word, _)| *word);
        match &node.kind {
            Kind::Map(entries) if entries.len() == 1 => {
                let (key, value) = &entries[0];
                match members.iter().find(|(word, _)| *word == key.name) {
                    Some((word, schema)) => self.check(value, schema, &format!("`{word}`"), mistakes),
                    None => {
                        mistakes.push(unknown(key, &format!("unknown stage `{}`", key.name), "stages here", words()));
                    }
                }
            }
            Kind::Map(entries) if entries.len() > 1 => {
                let keys = listed(entries.iter().map(|(key, _)| key.name.as_str()));
                let second = entries[1].0.span.clone();
                let mistake =
                    Mistake::at(second, format!("{name} takes one stage here, found {}: {keys}", entries.len()));
                mistakes.push(mistake.help("settings of a stage are indented below its name"));
            }
            Kind::Scalar(Value::String(word)) if words().any(|known| known == word) => {
                let mistake = Mistake::at(node.span.clone(), format!("`{word}` stands here without its settings"));
                mistakes.push(mistake.help(format!("write `{word}: {{}}` for the defaults")));
            }
            _ => {
                let mistake = Mistake::at(node.span.clone(), format!("{name} takes a stage, found {}", describe(node)));
                mistakes.push(mistake.help(format!("stages here: {}", listed(words()))));
            }
        }
    }

    /// The mistakes under one of several schemas.
    fn alone(&self, node: &Node, schema: &Value, name: &str) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        self.check(node, schema, name, &mut mistakes);
        mistakes
    }
}

/// Whether `node` is a row that names a member of the family of `schema`.
fn names_member(node: &Node, schema: &Value) -> bool {
    let members = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(member);
    let Kind::Map(entries) = &node.kind else { return false };
    matches!(entries.as_slice(), [(key, _)] if members.map(|(word, _)| word).any(|word| word == key.name))
}

/// A row that would be right elsewhere in its column.
fn misplaced(node: &Node, index: usize) -> Mistake {
    let (word, span) = match &node.kind {
        Kind::Map(entries) => entries.first().map(|(key, _)| (key.name.as_str(), key.span.clone())),
        _ => None,
    }
    .unwrap_or_else(|| ("", node.span.clone()));
    if index == 0 {
        let mistake = Mistake::at(span, format!("`{word}` transforms frames, and there are none yet"));
        return mistake.help("a column starts with an extractor: `wavemill list featurize` names them");
    }
    let mistake = Mistake::at(span, format!("`{word}` is the second extractor of its column"));
    mistake.help("a column has one extractor: give this one a column of its own")
}

fn check_bounds(node: &Node, value: &Value, schema: &Value, name: &str, mistakes: &mut Vec<Mistake>) {
    let Some(number) = value.as_f64() else { return };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let complaint = match (bound("minimum"), bound("maximum"), bound("exclusiveMinimum"), bound("exclusiveMaximum")) {
        (Some(least), _, _, _) if number < least => format!("at least {least}"),
        (_, Some(most), _, _) if number > most => format!("at most {most}"),
        (_, _, Some(below), _) if number <= below => format!("above {below}"),
        (_, _, _, Some(above)) if number >= above => format!("below {above}"),
        _ => return,
    };
    mistakes.push(Mistake::at(node.span.clone(), format!("{name} must be {complaint}, found {value}")));
}

fn check_word(node: &Node, words: &[&str], name: &str, mistakes: &mut Vec<Mistake>) {
    match &node.kind {
        Kind::Scalar(Value::String(word)) if words.contains(&word.as_str()) => {}
        Kind::Scalar(Value::String(word)) => {
            let key = Key { name: word.clone(), span: node.span.clone() };
            mistakes.push(unknown(&key, &format!("{name} cannot be `{word}`"), "it takes", words.iter().copied()));
        }
        _ => {
            let message = format!("{name} takes a word, found {}", describe(node));
            mistakes.push(
                Mistake::at(node.span.clone(), message).help(format!("it takes: {}", listed(words.iter().copied()))),
            );
        }
    }
}

/// A mistake about a word that is none of `known`.
fn unknown<'a>(key: &Key, message: &str, kind: &str, known: impl Iterator<Item = &'a str> + Clone) -> Mistake {
    match nearest(&key.name, known.clone()) {
        Some(word) => Mistake::at(key.span.clone(), format!("{message}, did you mean `{word}`?")),
        None => Mistake::at(key.span.clone(), message),
    }
    .help(format!("{kind}: {}", listed(known)))
}

/// The word and schema of a family's member: an object of exactly one required key, its first.
fn member(alternative: &Value) -> Option<(&str, &Value)> {
    let properties = alternative.get("properties")?.as_object()?;
    let required = alternative.get("required")?.as_array()?;
    let (word, schema) = properties.iter().next()?;
    let closed = properties.len() == 1 || alternative.get("additionalProperties") == Some(&Value::Bool(false));
    (closed && required.len() == 1 && required[0] == *word).then_some((word.as_str(), schema))
}

/// The words that a schema of constants accepts; none for any other schema.
fn words(schema: &Value) -> Vec<&str> {
    let constants =
        schema.get("const").into_iter().chain(schema.get("enum").and_then(Value::as_array).into_iter().flatten());
    constants.filter_map(Value::as_str).collect()
}

fn type_names(types: &Value) -> impl Iterator<Item = &str> {
    types.as_str().into_iter().chain(types.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn has_type(node: &Node, name: &str) -> bool {
    match (&node.kind, name) {
        (Kind::Map(_), "object")
        | (Kind::List(_), "array")
        | (Kind::Scalar(Value::Null), "null")
        | (Kind::Scalar(Value::Bool(_)), "boolean")
        | (Kind::Scalar(Value::Number(_)), "number")
        | (Kind::Scalar(Value::String(_)), "string") => true,
        (Kind::Scalar(Value::Number(number)), "integer") => !number.is_f64(),
        _ => false,
    }
}

fn with_article(name: &str) -> &'static str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "a string",
    }
}

fn describe(node: &Node) -> String {
    match &node.kind {
        Kind::Map(_) => "a mapping".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Scalar(Value::Null) => "nothing".to_owned(),
        Kind::Scalar(Value::String(text)) => format!("the string `{text}`"),
        Kind::Scalar(value) => format!("{value}"),
    }
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
