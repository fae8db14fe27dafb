//! Compares the readable fields of an exported block with what its bytes say.
//!
//! Promises: every key that the export writes is compared wherever it stands in the line, and as often as it stands
//! there; the first difference is named. The expected value comes from the very type that the export writes, so a new
//! key is compared without a change here. Keys of no meaning are skipped and take no memory.
//! Elsewhere: the rules of the chain (`chain`), the lines (`tools::lines`).
//! Spec: `proto-notes/events.md`, "Tasks".

use core::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::contract::BlockView;

/// Keys of a block that its bytes do not determine: where the exporting node had the block. Only their form is checked.
const NOT_IN_THE_BYTES: &[&str] = &["active"];
/// The key of the sum of work up to and including a block.
const WORK: &str = "work";
/// Longer values are shown from shortly before the first difference on.
const SHOWN_CHARS: usize = 40;
/// What is shown before the first difference.
const BEFORE_CHARS: usize = 8;

/// The first field of a line that does not say what the bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The key in the JSON object.
    key: String,
    /// The position of the transaction in the block, if the key is one of a transaction.
    transaction: Option<usize>,
    /// The value in the line, as JSON.
    given: String,
    /// The value that the bytes have, as JSON.
    expected: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            transaction,
            given,
            expected,
        } = self;
        let (given, expected) = shown(given, expected);
        write!(f, "{key} is {given}, its bytes say {expected}")?;
        transaction.map_or(Ok(()), |at| write!(f, " (transaction {at})"))
    }
}

/// Both values, cut to the part where they begin to differ.
fn shown(given: &str, expected: &str) -> (String, String) {
    let same = given.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(BEFORE_CHARS);
    let cut = |text: &str| {
        let count = text.chars().count();
        if count <= SHOWN_CHARS {
            return text.to_owned();
        }
        let part: String = text.chars().skip(from).take(SHOWN_CHARS / 2).collect();
        let left = if from > 0 { "…" } else { "" };
        let right = if from + SHOWN_CHARS / 2 < count { "…" } else { "" };
        format!("{left}{part}{right}")
    };
    (cut(given), cut(expected))
}

/// Compares a line with the block that its bytes are; returns the first difference.
///
/// # Errors
/// [`serde_json::Error`]: the line is no JSON.
pub(super) fn compare(line: &[u8], block: &BlockView) -> Result<Option<Difference>, serde_json::Error> {
    compare_with(line, block, &mut None)
}

/// Compares as [`compare`] does, but for the sum of work, which depends on the blocks before: each value of it in the
/// line is put into the list.
///
/// # Errors
/// As [`compare`].
pub(super) fn compare_but_work(
    line: &[u8],
    block: &BlockView,
) -> Result<(Option<Difference>, Vec<String>), serde_json::Error> {
    let mut works = Some(Vec::new());
    let difference = compare_with(line, block, &mut works)?;
    Ok((difference, works.unwrap_or_default()))
}

fn compare_with(
    line: &[u8],
    block: &BlockView,
    works: &mut Option<Vec<String>>,
) -> Result<Option<Difference>, serde_json::Error> {
    let expected = serde_json::to_value(block).expect("a block is JSON");
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(line);
    let field = Field {
        key: "",
        transaction: None,
        expected: &expected,
        found: &mut found,
        works,
    };
    let read = field.deserialize(&mut json);
    if found.is_some() {
        return Ok(found);
    }
    read.and_then(|()| json.end()).map(|()| None)
}

/// One value of a line, read against the expected one. The first difference ends the reading with an error.
struct Field<'a> {
    key: &'a str,
    transaction: Option<usize>,
    expected: &'a Value,
    found: &'a mut Option<Difference>,
    /// The sums of work in the line, if they are not compared here.
    works: &'a mut Option<Vec<String>>,
}

impl Field<'_> {
    fn scalar<E: Error>(self, given: &Value) -> Result<(), E> {
        if given == self.expected {
            return Ok(());
        }
        self.differs(given.to_string())
    }

    fn differs<E: Error>(self, given: String) -> Result<(), E> {
        *self.found = Some(Difference {
            key: self.key.to_owned(),
            transaction: self.transaction,
            given,
            expected: self.expected.to_string(),
        });
        Err(E::custom("a value differs"))
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let is_free = self.transaction.is_none() && NOT_IN_THE_BYTES.contains(&self.key);
        if is_free && self.expected.is_boolean() {
            return Ok(());
        }
        self.scalar(&Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        if let (None, WORK, Some(works)) = (self.transaction, self.key, &mut *self.works) {
            works.push(value.to_owned());
            return Ok(());
        }
        if self.expected.as_str() == Some(value) {
            return Ok(());
        }
        self.differs(Value::from(value).to_string())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(&Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Value::Object(expected) = self.expected else {
            return self.differs("an object".to_owned());
        };
        while let Some(key) = map.next_key::<String>()? {
            let Some(expected) = expected.get(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            map.next_value_seed(Field {
                key: &key,
                transaction: self.transaction,
                expected,
                found: &mut *self.found,
                works: &mut *self.works,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value::Array(expected) = self.expected else {
            return self.differs("a list".to_owned());
        };
        for (at, expected) in expected.iter().enumerate() {
            let field = Field {
                key: self.key,
                transaction: Some(at),
                expected,
                found: &mut *self.found,
                works: &mut *self.works,
            };
            if list.next_element_seed(field)?.is_none() {
                return self.differs(format!("a list of {at}"));
            }
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(IgnoredAny) => self.differs("a longer list".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples;

    /// What a line with one value replaced is refused with; none if it is accepted.
    fn refused(pointer: &str, value: Value) -> Option<String> {
        let mut line = serde_json::to_value(samples::block()).unwrap();
        *line.pointer_mut(pointer).unwrap() = value;
        let found = compare(line.to_string().as_bytes(), &samples::block()).unwrap();
        found.map(|found| found.to_string())
    }

    /// The places of all values in a line, as JSON pointers.
    fn places(value: &Value, at: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => map
                .iter()
                .for_each(|(key, value)| places(value, &format!("{at}/{key}"), into)),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .for_each(|(index, value)| places(value, &format!("{at}/{index}"), into)),
            _ => into.push(at.to_owned()),
        }
    }

    #[test]
    fn every_field_of_a_block_and_of_its_transactions_is_compared() {
        let line = serde_json::to_value(samples::block()).unwrap();
        let mut all = Vec::new();
        places(&line, "", &mut all);
        assert!(all.len() > 25, "{all:?}");
        for place in all.iter().filter(|place| *place != "/active") {
            let key = place.rsplit('/').next().unwrap();
            // Another value of the same form, and values of other forms.
            let given = line.pointer(place).unwrap();
            let like = match given {
                Value::String(text) => Value::from(format!("{text}0")),
                Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
                _ => Value::from("x"),
            };
            for other in [
                like,
                Value::from(true),
                Value::from(0.5),
                serde_json::json!({}),
                serde_json::json!([1]),
            ] {
                let refused = refused(place, other.clone()).unwrap_or_else(|| panic!("{place}: {other} is accepted"));
                assert!(refused.starts_with(&format!("{key} is ")), "{refused}");
                assert!(refused.contains(", its bytes say "), "{refused}");
            }
            if !given.is_null() {
                assert!(refused(place, Value::Null).is_some(), "{place}: null");
            }
        }
    }

    #[test]
    fn only_the_form_of_a_field_that_the_bytes_do_not_determine_is_checked() {
        assert_eq!(refused("/active", false.into()), None);
        assert!(refused("/active", "yes".into()).is_some());
        // A new key that depends on the node, and not on the bytes, belongs to the list.
        let view = |active| {
            serde_json::to_value(BlockView {
                active,
                ..samples::block()
            })
            .unwrap()
        };
        let (here, there) = (view(true), view(false));
        let differing = here
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, value)| there[key.as_str()] != **value);
        assert_eq!(
            differing.map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            NOT_IN_THE_BYTES
        );
    }

    #[test]
    fn the_difference_is_named_by_its_key_with_both_values() {
        let place = "/transactions/1/amount";
        assert_eq!(
            refused(place, 6.into()).unwrap(),
            "amount is 6, its bytes say 5 (transaction 1)"
        );
        assert_eq!(
            refused(place, "5".into()).unwrap(),
            "amount is \"5\", its bytes say 5 (transaction 1)"
        );
        assert_eq!(
            refused(place, 5.0.into()).unwrap(),
            "amount is 5.0, its bytes say 5 (transaction 1)"
        );
        let long = format!("{}1{}", "0".repeat(150), "0".repeat(41));
        assert_eq!(
            refused("/header", long.into()).unwrap(),
            "header is …00000000100000000000…, its bytes say …00000000000000000000…"
        );
    }

    #[test]
    fn a_key_is_compared_as_often_as_it_stands_there_and_unknown_ones_are_skipped() {
        let line = serde_json::to_string(&samples::block()).unwrap();
        let check = |line: &str| {
            compare(line.as_bytes(), &samples::block())
                .unwrap()
                .map(|found| found.key)
        };
        let changed = |from: &str, to: &str| {
            assert!(line.contains(from), "{line}");
            line.replacen(from, to, 1)
        };
        assert_eq!(check(&line), None);
        assert_eq!(
            check(&changed("\"height\":3", "\"note\":[{\"height\":4}],\"height\":3")),
            None
        );
        assert_eq!(check(&changed("\"height\":3,", "")), None, "a key may be missing");
        let twice = changed("\"height\":3", "\"height\":4,\"height\":3");
        assert_eq!(check(&twice).as_deref(), Some("height"));
    }
}
