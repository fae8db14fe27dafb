//! The console contract as a check: every line against `proto-notes/console.schema.json`, which alone describes it.
//!
//! Promises: a keyword that it does not know is a panic, not a pass; keys that the schema does not name are found too,
//! although the contract lets readers ignore them, and so are keys in another order; what of the schema no line needed
//! is told by name. It knows the part of JSON Schema (2020-12) that the file uses.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::order::{Orders, orders};

/// The contract.
pub const CONSOLE: &str = include_str!("../../proto-notes/console.schema.json");

/// Keywords that say something to people only.
const SILENT: &[&str] = &["$schema", "title", "description", "$defs"];

/// What a program that reads numbers as floats still tells from its neighbour, plus one.
const EXACT: u64 = 1 << 53;

/// A schema and the parts of it that were needed, by their place in it.
pub struct Schema {
    root: Value,
    used: BTreeSet<String>,
    /// So many questions are open of which the answer may be no: meanwhile nothing counts as needed.
    trying: usize,
}

/// Keys that a schema speaks of at one place of a line: those that must be there in the contract's order.
#[derive(Default)]
struct Named {
    required: Vec<String>,
    all: BTreeSet<String>,
}

impl Named {
    fn extend(&mut self, other: Self) {
        self.required.extend(other.required);
        self.all.extend(other.all);
    }
}

/// A value, where it stands in its line, and the order of keys there.
#[derive(Clone, Copy)]
struct Spot<'a> {
    value: &'a Value,
    path: &'a str,
    orders: &'a Orders,
}

impl<'a> Spot<'a> {
    fn inner(self, value: &'a Value, path: &'a str) -> Self {
        Self { value, path, ..self }
    }
}

impl Schema {
    /// The contract of the console.
    pub fn console() -> Self {
        Self::new(CONSOLE)
    }

    pub(super) fn new(text: &str) -> Self {
        Self {
            root: serde_json::from_str(text).expect("the schema is JSON"),
            used: BTreeSet::new(),
            trying: 0,
        }
    }

    /// What is wrong with a line; nothing if it is empty.
    pub fn check(&mut self, line: &str) -> Vec<String> {
        let Ok(value) = serde_json::from_str(line) else {
            return vec!["it is no JSON".to_owned()];
        };
        let mut found = Vec::new();
        // Taken out, so that it can be read while what is needed of it is noted.
        let root = std::mem::take(&mut self.root);
        let spot = Spot {
            value: &value,
            path: "",
            orders: &orders(line),
        };
        self.place(&root, &root, "", spot, &mut found);
        self.root = root;
        found
    }

    /// Panics if anything is wrong with a line.
    pub fn hold(&mut self, line: &str) {
        let wrong = self.check(line);
        assert!(wrong.is_empty(), "{line}\n{}", wrong.join("\n"));
    }

    /// What no line needed so far: keys, values, alternatives and conditions, each by its place in the schema.
    pub fn unused(&self) -> Vec<String> {
        let mut places = Vec::new();
        list(&self.root, "", &mut places);
        places.retain(|place| !self.used.contains(place));
        places
    }

    fn uses(&mut self, place: String) {
        if self.trying == 0 {
            self.used.insert(place);
        }
    }

    /// Checks a whole place: what no part of the schema names is wrong as well.
    fn place(&mut self, root: &Value, schema: &Value, at: &str, spot: Spot<'_>, found: &mut Vec<String>) {
        let named = self.apply(root, schema, at, spot, found);
        let path = spot.path;
        for key in spot.value.as_object().into_iter().flat_map(Map::keys) {
            if !named.all.contains(key) {
                found.push(format!("{path}/{key}: the schema does not name it"));
            }
        }
        if let Some(keys) = spot.orders.get(path) {
            let stand: Vec<&String> = keys.iter().filter(|key| named.required.contains(*key)).collect();
            let wanted: Vec<&String> = named.required.iter().filter(|key| keys.contains(*key)).collect();
            if stand != wanted {
                found.push(format!("{path}: the order is {stand:?}, not {wanted:?}"));
            }
        }
    }

    fn passes(&mut self, root: &Value, schema: &Value, spot: Spot<'_>) -> bool {
        self.trying += 1;
        let mut found = Vec::new();
        self.apply(root, schema, "", spot, &mut found);
        self.trying -= 1;
        found.is_empty()
    }

    fn apply(&mut self, root: &Value, schema: &Value, at: &str, spot: Spot<'_>, found: &mut Vec<String>) -> Named {
        let mut named = Named::default();
        let path = spot.path;
        let keywords = schema
            .as_object()
            .unwrap_or_else(|| panic!("{path}: no schema: {schema}"));
        let required = keywords.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        named.required.extend(required.map(str::to_owned));
        for (keyword, wanted) in keywords {
            let at = format!("{at}/{keyword}");
            match keyword.as_str() {
                "$ref" => {
                    let name = wanted.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
                    let name = name.expect("a definition");
                    let schema = &root["$defs"][name];
                    named.extend(self.apply(root, schema, &format!("/$defs/{name}"), spot, found));
                }
                "allOf" => {
                    for (index, part) in wanted.as_array().expect("a list").iter().enumerate() {
                        named.extend(self.apply(root, part, &format!("{at}/{index}"), spot, found));
                    }
                }
                "anyOf" => {
                    let parts = wanted.as_array().expect("a list");
                    match parts.iter().position(|part| self.passes(root, part, spot)) {
                        Some(index) => {
                            let at = format!("{at}/{index}");
                            named.extend(self.apply(root, &parts[index], &at, spot, found));
                            self.uses(at);
                        }
                        None => found.push(format!("{path}: fits none of {wanted}: {}", spot.value)),
                    }
                }
                "not" if self.passes(root, wanted, spot) => {
                    found.push(format!("{path}: must not be {wanted}: {}", spot.value));
                }
                "if" if self.passes(root, wanted, spot) => {
                    let at = at.replace("/if", "/then");
                    named.extend(self.apply(root, &schema["then"], &at, spot, found));
                    self.uses(at);
                }
                "if" | "then" | "not" => {}
                "properties" => named.all.extend(self.properties(root, wanted, &at, spot, found)),
                "items" => {
                    for (index, item) in spot.value.as_array().into_iter().flatten().enumerate() {
                        let path = format!("{path}/{index}");
                        self.place(root, wanted, &at, spot.inner(item, &path), found);
                        self.uses(at.clone());
                    }
                }
                "enum" => match wanted
                    .as_array()
                    .expect("a list")
                    .iter()
                    .position(|one| one == spot.value)
                {
                    Some(index) => self.uses(format!("{at}/{index}")),
                    None => found.push(format!("{path}: none of {wanted}: {}", spot.value)),
                },
                _ if SILENT.contains(&keyword.as_str()) => {}
                plain if holds(plain, wanted, spot.value) => {}
                _ => found.push(format!("{path}: {keyword} {wanted}, but it is {}", spot.value)),
            }
        }
        named
    }

    fn properties(
        &mut self,
        root: &Value,
        wanted: &Value,
        at: &str,
        spot: Spot<'_>,
        found: &mut Vec<String>,
    ) -> Vec<String> {
        let wanted = wanted.as_object().expect("properties");
        for (key, schema) in wanted {
            if let Some(inner) = spot.value.get(key) {
                let (at, path) = (format!("{at}/{key}"), format!("{}/{key}", spot.path));
                let inner = spot.inner(inner, &path);
                // Other parts of the schema may name keys of the same inner object: only `place` complains of strangers.
                if schema.get("$ref").is_some() || schema.get("properties").is_some() {
                    self.place(root, schema, &at, inner, found);
                } else {
                    self.apply(root, schema, &at, inner, found);
                }
                self.uses(at);
            }
        }
        wanted.keys().cloned().collect()
    }
}

/// Every place of a schema that some line must need.
fn list(schema: &Value, at: &str, places: &mut Vec<String>) {
    for (keyword, inner) in schema.as_object().into_iter().flatten() {
        let at = format!("{at}/{keyword}");
        match (keyword.as_str(), inner) {
            ("$defs" | "properties", Value::Object(parts)) => {
                for (name, part) in parts {
                    let at = format!("{at}/{name}");
                    list(part, &at, places);
                    if keyword == "properties" {
                        places.push(at);
                    }
                }
            }
            ("anyOf" | "allOf", Value::Array(parts)) => {
                for (index, part) in parts.iter().enumerate() {
                    let at = format!("{at}/{index}");
                    list(part, &at, places);
                    if keyword == "anyOf" {
                        places.push(at);
                    }
                }
            }
            ("enum", Value::Array(values)) => places.extend((0..values.len()).map(|index| format!("{at}/{index}"))),
            ("then" | "items", part) => {
                list(part, &at, places);
                places.push(at);
            }
            _ => {}
        }
    }
}

/// The keywords that look at one value alone.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> bool {
    let number = wanted.as_i64();
    let length = |text: &str| i64::try_from(text.chars().count()).ok();
    match keyword {
        "type" => match wanted {
            Value::Array(types) => types.iter().any(|one| holds(keyword, one, value)),
            one => is_of(one.as_str().expect("a type"), value),
        },
        "const" => value == wanted,
        "required" => {
            let keys = wanted.as_array().expect("a list").iter().filter_map(Value::as_str);
            value
                .as_object()
                .is_none_or(|object| keys.into_iter().all(|key| object.contains_key(key)))
        }
        "minimum" => value.as_i64().is_none_or(|value| Some(value) >= number),
        "maximum" => value.as_i64().is_none_or(|value| Some(value) <= number),
        "minLength" => value.as_str().is_none_or(|text| length(text) >= number),
        "maxLength" => value.as_str().is_none_or(|text| length(text) <= number),
        "maxItems" => value
            .as_array()
            .is_none_or(|items| i64::try_from(items.len()).ok() <= number),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(wanted.as_str().expect("a pattern"), text)),
        other => panic!("unknown keyword {other}"),
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.as_u64().is_some_and(|number| number < EXACT),
        other => panic!("unknown type {other}"),
    }
}

/// Whether a text fits a pattern of the form `^…$` made of characters and classes, each perhaps repeated.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    let inner = inner.unwrap_or_else(|| panic!("a whole pattern: {pattern}"));
    fits(inner, &text.chars().collect::<Vec<_>>())
}

fn fits(pattern: &str, text: &[char]) -> bool {
    let (class, behind) = match pattern.strip_prefix('[') {
        Some(open) => open.split_once(']').expect("a class ends"),
        None => match pattern.chars().next() {
            Some(first) => pattern.split_at(first.len_utf8()),
            None => return text.is_empty(),
        },
    };
    let (least, most, behind) = repetition(behind);
    let longest = text.iter().take(most).take_while(|c| is_in(class, **c)).count();
    (least..=longest).rev().any(|count| fits(behind, &text[count..]))
}

fn repetition(rest: &str) -> (usize, usize, &str) {
    if let Some(behind) = rest.strip_prefix('+') {
        return (1, usize::MAX, behind);
    }
    if let Some(behind) = rest.strip_prefix('*') {
        return (0, usize::MAX, behind);
    }
    let Some((counts, behind)) = rest.strip_prefix('{').and_then(|open| open.split_once('}')) else {
        return (1, 1, rest);
    };
    let number = |text: &str| text.parse().expect("a count");
    let (least, most) = counts.split_once(',').unwrap_or((counts, counts));
    (number(least), number(most), behind)
}

fn is_in(class: &str, c: char) -> bool {
    let chars: Vec<char> = class.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        if chars.get(at + 1) == Some(&'-') && at + 2 < chars.len() {
            if (chars[at]..=chars[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else if chars[at] == c {
            return true;
        } else {
            at += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r##"{"type":"object","required":["a"],
        "properties":{"a":{"$ref":"#/$defs/n"},"b":{"type":"array","items":{"enum":["x","y"]}}},
        "allOf":[{"if":{"properties":{"a":{"const":7}}},"then":{"required":["c"],"properties":{"c":{"anyOf":[{"type":"null"},{"const":1}]}}}}],
        "$defs":{"n":{"type":"integer","minimum":2,"maximum":9,"not":{"const":4}}}}"##;

    #[test]
    fn the_validator_finds_what_is_wrong() {
        for good in [
            r#"{"a":2}"#,
            r#"{"b":["x","x"],"a":3}"#,
            r#"{"a":7,"c":null}"#,
            r#"{"a":7,"c":1}"#,
        ] {
            Schema::new(SMALL).hold(good);
        }
        for bad in [
            "[]",
            "{}",
            "{",
            r#"{"a":1}"#,
            r#"{"a":4}"#,
            r#"{"a":10}"#,
            r#"{"a":2.5}"#,
            r#"{"a":"2"}"#,
            r#"{"a":2,"b":["z"]}"#,
            r#"{"a":7}"#,
            r#"{"a":7,"c":2}"#,
            r#"{"c":1,"a":7}"#,
            r#"{"a":2,"c":1}"#,
            r#"{"a":2,"z":0}"#,
        ] {
            assert_ne!(Schema::new(SMALL).check(bad), Vec::<String>::new(), "{bad}");
        }
    }

    #[test]
    fn what_no_line_needed_is_told_by_its_place() {
        let mut schema = Schema::new(SMALL);
        schema.hold(r#"{"a":7,"c":1}"#);
        let list = "/properties/b/items";
        let mut unused = vec![
            "/allOf/0/then/properties/c/anyOf/0".to_owned(),
            format!("{list}/enum/0"),
            format!("{list}/enum/1"),
            list.to_owned(),
            "/properties/b".to_owned(),
        ];
        assert_eq!(schema.unused(), unused);
        schema.hold(r#"{"a":7,"c":null,"b":["y"]}"#);
        unused.retain(|place| place.ends_with("enum/0"));
        assert_eq!(schema.unused(), unused);
    }

    #[test]
    fn patterns_match_whole_texts() {
        let hash = "^[0-9a-f]{4}$";
        assert!(matches(hash, "09af") && !matches(hash, "09a") && !matches(hash, "09aff") && !matches(hash, "09aF"));
        assert!(matches("^[a-z][a-z0-9_-]{0,3}$", "a-9_") && !matches("^[a-z][a-z0-9_-]{0,3}$", "9a"));
        assert!(matches("^/[!-~]+$", "/ip4") && !matches("^/[!-~]+$", "/") && !matches("^/[!-~]+$", "/a b"));
        assert!(matches("^/[!-~]+/p$", "/a/p/p") && !matches("^/[!-~]+/p$", "/p"));
    }
}
