//! The points of public keys that were computed lately: a key that returns is not decompressed again.
//!
//! Decompressing a key is a square root in the field, which takes longer than anything else that is done with a payment
//! but its signature. The result depends on the key alone, so each thread keeps what it computed: no caller sees a
//! difference but in time.
//!
//! Promises: only keys that may sign are kept, each with all its bytes, so a hit says the same as a check; at most
//! [`POINTS_MAX`] points a thread. Whoever makes keys that share a place pushes out other keys, which are then
//! decompressed again as if they were new.
//! Elsewhere: what a usable key is (`types::key`).

use std::cell::RefCell;

use curve25519_dalek::EdwardsPoint;

/// Points that each thread keeps: two full blocks of payers and payees, 3 MiB. A list of empty places takes 128 KiB.
pub const POINTS_MAX: usize = 16_384;

/// A key and its point.
type Known = ([u8; 32], EdwardsPoint);

/// A table in which each key has two places.
struct Points(Vec<Option<Box<Known>>>);

impl Points {
    const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first place of a key; the second one is its neighbour. The bytes of a key are as good as random.
    fn place(bytes: &[u8; 32]) -> usize {
        let start = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        start % POINTS_MAX
    }

    fn get(&self, bytes: &[u8; 32]) -> Option<EdwardsPoint> {
        let place = Self::place(bytes);
        [place, place ^ 1].into_iter().find_map(|place| {
            let known = self.0.get(place)?.as_ref()?;
            (known.0 == *bytes).then_some(known.1)
        })
    }

    /// Puts a key into its first place. What was there moves to the neighbour, whose key is forgotten.
    fn put(&mut self, bytes: [u8; 32], point: EdwardsPoint) {
        if self.0.is_empty() {
            self.0.resize_with(POINTS_MAX, || None);
        }
        let place = Self::place(&bytes);
        self.0.swap(place, place ^ 1);
        self.0[place] = Some(Box::new((bytes, point)));
    }
}

thread_local! {
    static POINTS: RefCell<Points> = const { RefCell::new(Points::new()) };
}

/// The point of a usable key; `compute` gives it if it is not kept, and an error if the key is not usable.
pub(super) fn of<E>(bytes: &[u8; 32], compute: impl FnOnce() -> Result<EdwardsPoint, E>) -> Result<EdwardsPoint, E> {
    if let Some(point) = POINTS.with_borrow(|points| points.get(bytes)) {
        return Ok(point);
    }
    let point = compute()?;
    POINTS.with_borrow_mut(|points| points.put(*bytes, point));
    Ok(point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as BASE;
    use curve25519_dalek::traits::Identity;

    /// A key in a given place, different by `number`.
    fn key(place: u16, number: u8) -> [u8; 32] {
        let mut key = [number; 32];
        key[..2].copy_from_slice(&place.to_le_bytes());
        key
    }

    #[test]
    fn a_point_is_computed_once_and_an_error_each_time() {
        let wrong = || Err::<EdwardsPoint, _>("not usable");
        for _ in 0..2 {
            assert_eq!(of(&key(7, 1), wrong), Err("not usable"));
        }
        assert_eq!(of(&key(7, 1), || Ok::<_, ()>(BASE)), Ok(BASE));
        assert_eq!(of(&key(7, 1), wrong), Ok(BASE));
        assert_eq!(
            of(&key(7, 2), wrong),
            Err("not usable"),
            "another key of the same place"
        );
    }

    #[test]
    fn keys_that_share_a_place_push_each_other_out_and_are_never_taken_for_each_other() {
        let mut points = Points::new();
        assert_eq!(points.get(&key(4, 1)), None);
        let one = EdwardsPoint::identity();
        points.put(key(4, 1), BASE);
        points.put(key(4, 2), one);
        assert_eq!(
            (points.get(&key(4, 1)), points.get(&key(4, 2))),
            (Some(BASE), Some(one))
        );
        points.put(key(4, 3), BASE + BASE);
        let found = [1, 2, 3].map(|number| points.get(&key(4, number)));
        assert_eq!(found, [None, Some(one), Some(BASE + BASE)]);
        assert_eq!(points.get(&key(5, 2)), None, "the neighbour has other keys");
        assert_eq!(points.0.len(), POINTS_MAX);
    }
}
