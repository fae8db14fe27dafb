//! The pool against the rules that it promises.

mod adding;
mod fairness;
mod limits;
