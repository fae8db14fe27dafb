//! The lanchain node.
fn main() {}
