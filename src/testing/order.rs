//! In which order the keys of a JSON text stand: `serde_json` sorts them when it reads.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The keys of each object by the object's place, such as `/data/blocks/0`.
pub(super) type Orders = BTreeMap<String, Vec<String>>;

/// Reads one value at a place.
struct Place<'a> {
    path: String,
    orders: &'a mut Orders,
}

/// The order of the keys of every object in a text that is JSON.
pub(super) fn orders(text: &str) -> Orders {
    let mut orders = Orders::new();
    let place = Place {
        path: String::new(),
        orders: &mut orders,
    };
    let read = place.deserialize(&mut serde_json::Deserializer::from_str(text));
    read.unwrap_or_else(|error| panic!("{error}: {text}"));
    orders
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A value with nothing inside says nothing about order.
macro_rules! plain {
    ($($name:ident: $kind:ty),*) => { $(fn $name<E>(self, _: $kind) -> Result<(), E> { Ok(()) })* };
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let place = Place {
                path: format!("{}/{index}", self.path),
                orders: &mut *self.orders,
            };
            if seq.next_element_seed(place)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = Place {
                path: format!("{}/{key}", self.path),
                orders: &mut *self.orders,
            };
            keys.push(key);
            map.next_value_seed(place)?;
        }
        self.orders.insert(self.path, keys);
        Ok(())
    }
}
