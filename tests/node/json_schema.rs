//! A validator for the part of JSON Schema (2020-12) that `proto-notes/console.schema.json` uses.
//!
//! Promises: a keyword that it does not know is a panic, not a pass; keys that the schema does not name are found too,
//! although the contract lets readers ignore them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say something to people only.
const SILENT: &[&str] = &["$schema", "title", "description", "$defs"];

/// A schema and the parts of it that were used.
pub(crate) struct Schema {
    root: Value,
    used: BTreeSet<String>,
}

/// Property names that a schema speaks of at one place of an instance.
type Named = BTreeSet<String>;

impl Schema {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            root: serde_json::from_str(text).expect("the schema is JSON"),
            used: BTreeSet::new(),
        }
    }

    /// What is wrong with an instance; nothing if it is empty.
    pub(crate) fn check(&mut self, instance: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let root = self.root.clone();
        self.place(&root, instance, "", &mut found);
        found
    }

    /// Names of definitions that no instance needed so far, of those that begin so.
    pub(crate) fn unused(&self, prefix: &str) -> Vec<String> {
        let all = self.root["$defs"].as_object().expect("definitions").keys();
        all.filter(|name| name.starts_with(prefix) && !self.used.contains(*name))
            .cloned()
            .collect()
    }

    /// Checks a whole place: what no part of the schema names is wrong as well.
    fn place(&mut self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let named = self.apply(schema, value, path, found);
        for key in value.as_object().into_iter().flat_map(Map::keys) {
            if !named.contains(key) {
                found.push(format!("{path}/{key}: the schema does not name it"));
            }
        }
    }

    fn passes(&mut self, schema: &Value, value: &Value) -> bool {
        let used = self.used.clone();
        let mut found = Vec::new();
        self.apply(schema, value, "", &mut found);
        self.used = used;
        found.is_empty()
    }

    fn apply(&mut self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) -> Named {
        let mut named = Named::new();
        let keywords = schema
            .as_object()
            .unwrap_or_else(|| panic!("{path}: no schema: {schema}"));
        for (keyword, wanted) in keywords {
            match keyword.as_str() {
                "$ref" => named.extend(self.follow(wanted, value, path, found)),
                "allOf" => {
                    for part in wanted.as_array().expect("a list") {
                        named.extend(self.apply(part, value, path, found));
                    }
                }
                "anyOf" => match self.first_that_passes(wanted, value) {
                    Some(part) => named.extend(self.apply(&part, value, path, found)),
                    None => found.push(format!("{path}: fits none of {wanted}: {value}")),
                },
                "if" if self.passes(wanted, value) => named.extend(self.apply(&schema["then"], value, path, found)),
                "if" | "then" => {}
                "properties" => named.extend(self.properties(wanted, value, path, found)),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.place(wanted, item, &format!("{path}/{index}"), found);
                    }
                }
                _ if SILENT.contains(&keyword.as_str()) => {}
                plain if holds(plain, wanted, value) => {}
                _ => found.push(format!("{path}: {keyword} {wanted}, but it is {value}")),
            }
        }
        named
    }

    fn follow(&mut self, target: &Value, value: &Value, path: &str, found: &mut Vec<String>) -> Named {
        let name = target
            .as_str()
            .and_then(|text| text.strip_prefix("#/$defs/"))
            .expect("a definition");
        let schema = self.root["$defs"]
            .get(name)
            .unwrap_or_else(|| panic!("no definition {name}"))
            .clone();
        self.used.insert(name.to_owned());
        self.apply(&schema, value, path, found)
    }

    fn first_that_passes(&mut self, parts: &Value, value: &Value) -> Option<Value> {
        let parts = parts.as_array().expect("a list");
        parts.iter().find(|part| self.passes(part, value)).cloned()
    }

    fn properties(&mut self, wanted: &Value, value: &Value, path: &str, found: &mut Vec<String>) -> Named {
        let wanted = wanted.as_object().expect("properties");
        for (key, schema) in wanted {
            if let Some(inner) = value.get(key) {
                // Other parts of the schema may name keys of the same inner object: only `place` complains of strangers.
                let path = format!("{path}/{key}");
                if schema.get("$ref").is_some() || schema.get("properties").is_some() {
                    self.place(schema, inner, &path, found);
                } else {
                    self.apply(schema, inner, &path, found);
                }
            }
        }
        wanted.keys().cloned().collect()
    }
}

/// The keywords that look at one value alone.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> bool {
    let number = wanted.as_i64();
    let length = |text: &str| i64::try_from(text.chars().count()).ok();
    match keyword {
        "type" => match wanted.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("unknown type {other}"),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().expect("a list").contains(value),
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

/// Patterns of the form `^…$` made of characters and classes, each at most repeated; the longest repetition counts.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    let mut rest = inner.unwrap_or_else(|| panic!("a whole pattern: {pattern}"));
    let mut text = text.chars().peekable();
    while !rest.is_empty() {
        let (class, behind) = match rest.strip_prefix('[') {
            Some(open) => open.split_once(']').expect("a class ends"),
            None => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
        };
        let (least, most, behind) = repetition(behind);
        let mut count = 0;
        while count < most && text.next_if(|c| is_in(class, *c)).is_some() {
            count += 1;
        }
        if count < least {
            return false;
        }
        rest = behind;
    }
    text.next().is_none()
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

#[test]
fn the_validator_finds_what_is_wrong() {
    let schema = r##"{"type":"object","required":["a"],"properties":{"a":{"$ref":"#/$defs/n"},"b":{"type":"array","items":{"enum":["x"]}}},
        "allOf":[{"if":{"properties":{"a":{"const":7}}},"then":{"required":["c"],"properties":{"c":{"anyOf":[{"type":"null"},{"const":1}]}}}}],
        "$defs":{"n":{"type":"integer","minimum":2,"maximum":9},"unused":{}}}"##;
    let wrong = |text: &str| {
        Schema::new(schema)
            .check(&serde_json::from_str(text).expect("JSON"))
            .len()
    };
    for good in [
        r#"{"a":2}"#,
        r#"{"a":3,"b":["x","x"]}"#,
        r#"{"a":7,"c":null}"#,
        r#"{"a":7,"c":1}"#,
    ] {
        assert_eq!(wrong(good), 0, "{good}");
    }
    for bad in [
        "[]",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":10}"#,
        r#"{"a":2.5}"#,
        r#"{"a":"2"}"#,
        r#"{"a":2,"b":["y"]}"#,
        r#"{"a":7}"#,
        r#"{"a":7,"c":2}"#,
        r#"{"a":2,"c":1}"#,
        r#"{"a":2,"z":0}"#,
    ] {
        assert_ne!(wrong(bad), 0, "{bad}");
    }
    let mut used = Schema::new(schema);
    used.check(&serde_json::json!({"a": 2}));
    assert_eq!(used.unused(""), ["unused"]);
}

#[test]
fn patterns_match_whole_texts() {
    let hash = "^[0-9a-f]{4}$";
    assert!(matches(hash, "09af") && !matches(hash, "09a") && !matches(hash, "09aff") && !matches(hash, "09aF"));
    assert!(matches("^[a-z][a-z0-9_-]{0,3}$", "a-9_") && !matches("^[a-z][a-z0-9_-]{0,3}$", "9a"));
    assert!(matches("^/[!-~]+$", "/ip4") && !matches("^/[!-~]+$", "/") && !matches("^/[!-~]+$", "/a b"));
}
