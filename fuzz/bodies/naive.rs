//! Twins: hashes and numbers of the specification once more, written for the eye and not for speed.
//!
//! Nothing here calls what it is held against. Elsewhere: layouts and ledger (`testing::twin`).

use std::sync::OnceLock;

/// SHA-256 by FIPS 180-4.
pub(super) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    let bits = u64::try_from(message.len()).unwrap() * 8;
    padded.extend_from_slice(&bits.to_be_bytes());
    let (mut state, constants) = start_and_constants().clone();
    for chunk in padded.chunks(64) {
        compress(&mut state, &constants, chunk);
    }
    let digest: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    digest.try_into().unwrap()
}

/// The square roots of the first 8 primes and the cube roots of the first 64.
fn start_and_constants() -> &'static (Vec<u32>, Vec<u32>) {
    static BOTH: OnceLock<(Vec<u32>, Vec<u32>)> = OnceLock::new();
    BOTH.get_or_init(|| {
        let primes: Vec<u32> = (2..).filter(|n| (2..*n).all(|d| n % d != 0)).take(64).collect();
        let start = primes[..8].iter().map(|prime| root_fraction(*prime, 2)).collect();
        (start, primes.iter().map(|prime| root_fraction(*prime, 3)).collect())
    })
}

/// The first 32 bits behind the point of a square or cube root.
fn root_fraction(prime: u32, degree: u32) -> u32 {
    // The largest r with r^degree <= prime * 2^(32 * degree), without its whole part.
    let scaled = Big::from(u64::from(prime)).shifted(32 * degree);
    let mut root = 0_u64;
    for bit in (0..36).rev() {
        let more = root | (1 << bit);
        let power = (1..degree).fold(Big::from(more), |power, _| power.times(&Big::from(more)));
        if power <= scaled {
            root = more;
        }
    }
    u32::try_from(root & 0xffff_ffff).unwrap()
}

fn compress(state: &mut [u32], constants: &[u32], chunk: &[u8]) {
    let mut w: Vec<u32> = chunk
        .chunks(4)
        .map(|b| u32::from_be_bytes(b.try_into().unwrap()))
        .collect();
    for i in 16..64 {
        let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
        let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
        w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
    }
    let mut v: [u32; 8] = state.try_into().unwrap();
    for i in 0..64 {
        let [a, b, c, d, e, f, g, h] = v;
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let t1 = h
            .wrapping_add(s1)
            .wrapping_add(choice)
            .wrapping_add(constants[i])
            .wrapping_add(w[i]);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        v = [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g];
    }
    state
        .iter_mut()
        .zip(v)
        .for_each(|(out, word)| *out = out.wrapping_add(word));
}

/// An unsigned number of any size: digits of 16 bits, the least first, none of them zero at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Big(Vec<u16>);

impl Big {
    pub(super) fn from_be_bytes(bytes: &[u8]) -> Self {
        bytes.iter().fold(Self(Vec::new()), |sum, byte| {
            sum.shifted(8).plus(&Self::from(u64::from(*byte)))
        })
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn digit(&self, at: usize) -> u32 {
        self.0.get(at).copied().map_or(0, u32::from)
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut carry = 0;
        for at in 0..=self.0.len().max(other.0.len()) {
            let sum = self.digit(at) + other.digit(at) + carry;
            out.push(u16::try_from(sum & 0xffff).unwrap());
            carry = sum >> 16;
        }
        Self(out).trimmed()
    }

    /// The difference; the other is not larger.
    fn minus(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut borrow = 0;
        for at in 0..self.0.len() {
            let sum = 0x1_0000 + self.digit(at) - other.digit(at) - borrow;
            out.push(u16::try_from(sum & 0xffff).unwrap());
            borrow = 1 - (sum >> 16);
        }
        Self(out).trimmed()
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut sum = Self(Vec::new());
        for (at, digit) in other.0.iter().enumerate() {
            let mut part = vec![0; at];
            let mut carry = 0_u32;
            for mine in &self.0 {
                let product = u32::from(*mine) * u32::from(*digit) + carry;
                part.push(u16::try_from(product & 0xffff).unwrap());
                carry = product >> 16;
            }
            part.push(u16::try_from(carry).unwrap());
            sum = sum.plus(&Self(part).trimmed());
        }
        sum
    }

    pub(super) fn shifted(&self, bits: u32) -> Self {
        let mut digits = vec![0; usize::try_from(bits / 16).unwrap()];
        digits.extend_from_slice(&self.0);
        (0..bits % 16).fold(Self(digits).trimmed(), |value, _| value.plus(&value))
    }

    /// The quotient, rounded down.
    pub(super) fn over(&self, divisor: &Self) -> Self {
        let bits = u32::try_from(self.0.len() * 16).unwrap();
        let (mut quotient, mut rest) = (Self(Vec::new()), self.clone());
        for bit in (0..=bits).rev() {
            let part = divisor.shifted(bit);
            if part <= rest {
                rest = rest.minus(&part);
                quotient = quotient.plus(&Self::from(1).shifted(bit));
            }
        }
        quotient
    }

    /// Thirty-two bytes, big-endian; all ones if it does not fit.
    pub(super) fn to_be_bytes(&self) -> [u8; 32] {
        if self.0.len() > 16 {
            return [0xff; 32];
        }
        let mut out = [0; 32];
        for (at, digit) in self.0.iter().enumerate() {
            out[30 - 2 * at..32 - 2 * at].copy_from_slice(&digit.to_be_bytes());
        }
        out
    }
}

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        let digits = (0..4).map(|at| u16::try_from((value >> (16 * at)) & 0xffff).unwrap());
        Self(digits.collect()).trimmed()
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        let by_size = self.0.len().cmp(&other.0.len());
        Some(by_size.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())))
    }
}
