//! What every fuzz target is: a body of `lanchain::fuzzing` under libFuzzer.

#[doc(hidden)]
pub use {lanchain, libfuzzer_sys};

/// Makes a program of a body by its name. `panics: caught`: the code under test catches panics of a library; only
/// those that leave the body are finds.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::lanchain::fuzzing::$name(input));
    };
    ($name:ident, panics: caught) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
            |input: &[u8]| $crate::lanchain::fuzzing::$name(input)
        );
    };
}
