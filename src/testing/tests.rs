//! The console contract is one file, and the program writes what stands in it: no key less, none more, in its order.

use super::samples;
use super::schema::Schema;
use crate::miner::bench::Report;
use crate::miner::kernel::Kernel;

#[test]
fn every_line_is_as_the_schema_says_and_all_that_it_names_is_written() {
    let mut schema = Schema::console();
    for line in samples::lines() {
        schema.hold(&line);
    }
    let measured = Report {
        kernels: vec![(Kernel::Portable, 20_000_000)],
        chosen: Kernel::Portable,
        threads: 2,
        rate: 65_536_000,
    };
    schema.hold(&measured.to_json());
    for line in crate::tools::tests::lines() {
        schema.hold(&line);
    }
    assert_eq!(
        schema.unused(),
        Vec::<String>::new(),
        "the schema names it, nothing writes it"
    );
}

#[test]
fn a_changed_line_is_found() {
    let right = r#"{"v":1,"type":"reply","line":1,"command":"net","ok":true,"data":{"net":true}}"#;
    Schema::console().hold(right);
    for (from, to) in [
        (r#""v":1"#, r#""v":2"#),
        (r#"{"net":true}"#, r#"{"net":"on"}"#),
        (r#"{"net":true}"#, "{}"),
        (r#"{"net":true}"#, r#"{"net":true,"more":1}"#),
        (r#""net","ok""#, r#""nonsense","ok""#),
        (r#""ok":true"#, r#""ok":false"#),
        (r#""line":1"#, r#""line":null"#),
        (r#""v":1,"type":"reply""#, r#""type":"reply","v":1"#),
    ] {
        let wrong = right.replace(from, to);
        assert_ne!(wrong, right);
        assert_ne!(Schema::console().check(&wrong), Vec::<String>::new(), "{wrong}");
    }
}
