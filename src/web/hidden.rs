//! What answers and events do not show: the token and paths of this machine to nobody, its addresses to nobody elsewhere.
//!
//! Promises: a key that is hidden is null; everything else stays as it is.
//! Spec: `proto-notes/web.md`, "Security".

use serde_json::Value;

use super::guard::Visitor;

/// Keys with the token, at any depth.
const TOKENS: &[&str] = &["web"];
/// Keys with paths of this machine.
const PATHS: &[&str] = &["data_dir"];
/// Keys with addresses of this machine and of others.
const ADDRESSES: &[&str] = &["address", "addresses"];

/// An answer as a visitor may see it.
#[must_use]
pub fn for_visitor(json: &str, visitor: Visitor) -> String {
    let mut keys = vec![TOKENS];
    if !visitor.may_command() {
        keys.push(PATHS);
    }
    if !visitor.is_here {
        keys.push(ADDRESSES);
    }
    without(json, &keys.concat())
}

/// An event as anybody on this machine may see it: whoever reads a stream shows no token.
#[must_use]
pub fn for_stream(json: String) -> String {
    if TOKENS.iter().chain(PATHS).any(|key| names(&json, key)) {
        return without(&json, &[TOKENS, PATHS].concat());
    }
    json
}

/// An event of [`for_stream`] as others may see it.
#[must_use]
pub fn for_others(json: &str) -> Option<String> {
    let hides = ADDRESSES.iter().any(|key| names(json, key));
    hides.then(|| without(json, ADDRESSES))
}

/// Whether a text in JSON may have this key. A look at each event costs less than reading it.
fn names(json: &str, key: &str) -> bool {
    json.contains(&format!("\"{key}\":"))
}

fn without(json: &str, keys: &[&str]) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        // It was made by this program. If it cannot be read all the same, nobody sees it.
        return "null".into();
    };
    hide(&mut value, keys);
    value.to_string()
}

fn hide(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if keys.contains(&key.as_str()) {
                    *value = Value::Null;
                } else {
                    hide(value, keys);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        r#"{"addresses":["/ip4/10.0.0.1/tcp/1"],"data_dir":"/home/anna","height":3,"web":"http://h/#t=1"}"#;

    fn visitor(is_here: bool, knows_token: bool) -> Visitor {
        Visitor { is_here, knows_token }
    }

    #[test]
    fn nobody_sees_the_token_and_paths_are_for_those_who_may_command() {
        let rows = [
            (
                visitor(true, true),
                r#"{"addresses":["/ip4/10.0.0.1/tcp/1"],"data_dir":"/home/anna","height":3,"web":null}"#,
            ),
            (
                visitor(true, false),
                r#"{"addresses":["/ip4/10.0.0.1/tcp/1"],"data_dir":null,"height":3,"web":null}"#,
            ),
            (
                visitor(false, false),
                r#"{"addresses":null,"data_dir":null,"height":3,"web":null}"#,
            ),
            (
                visitor(false, true),
                r#"{"addresses":null,"data_dir":null,"height":3,"web":null}"#,
            ),
        ];
        for (visitor, wanted) in rows {
            assert_eq!(for_visitor(STATUS, visitor), wanted, "{visitor:?}");
        }
    }

    #[test]
    fn events_hide_the_same_at_any_depth_and_others_are_left_as_they_are() {
        let event = r#"{"event":"peers","peers":[{"address":"/ip4/10.0.0.1/tcp/1","name":"ben"}]}"#;
        assert_eq!(for_stream(event.into()), event);
        assert_eq!(
            for_others(event).unwrap(),
            r#"{"event":"peers","peers":[{"address":null,"name":"ben"}]}"#
        );
        assert_eq!(for_others(r#"{"event":"mined"}"#), None);
        assert!(!for_stream(STATUS.into()).contains("/home/anna"));
        assert!(!for_stream(STATUS.into()).contains("#t="));
    }
}
