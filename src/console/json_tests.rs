//! JSON lines: what the schema of the console cannot say of them.
//!
//! Elsewhere: every key of every line (`testing::schema` and `testing::samples`).

use super::*;
use crate::contract::Reply;
use crate::testing::samples::block;
use crate::testing::samples::stamp;

#[test]
fn replies_stand_in_their_envelope() {
    let ok: Result<Reply, CommandError> = Ok(Reply::Net { net: true });
    let line = json_reply(3, Some("net"), &ok);
    assert_eq!(
        line,
        r#"{"v":1,"type":"reply","line":3,"command":"net","ok":true,"data":{"net":true}}"#
    );
    let refused: Result<Reply, CommandError> = Err(CommandError {
        code: "overdraft",
        message: "a \"b\"\n\u{1b}".into(),
        hint: "mine".into(),
    });
    assert_eq!(
        json_reply(4, None, &refused),
        r#"{"v":1,"type":"reply","line":4,"command":null,"ok":false,"error":{"code":"overdraft","message":"a \"b\"\n\u001b","hint":"mine"}}"#
    );
}

#[test]
fn dropped_events_are_told_with_their_number() {
    assert_eq!(
        events_dropped(12, stamp(5, 13)),
        r#"{"v":1,"type":"event","event":"warning","time_ms":5,"run":"5a5a5a5a5a5a5a5a","seq":13,"code":"events_dropped","message":"12 events were dropped: the output is not read fast enough","count":12}"#
    );
}

/// A reader of JSON gets the text as the stranger wrote it; a terminal that shows the line is not deceived.
#[test]
fn adv_c20_no_character_that_deceives_stands_in_a_line_as_it_is() {
    let text = "a\u{202e}b\u{200b}c\u{85}d\u{7f}e\u{feff}f\u{e0041}g\u{e4}\u{1f600}";
    let error = CommandError {
        code: "internal",
        message: text.to_owned(),
        hint: text.to_owned(),
    };
    let reply = json_reply::<QuitReply>(1, Some("tx"), &Err(error));
    let event = Event::Warning {
        code: "internal",
        message: text.to_owned(),
    };
    for (line, path) in [(reply, "/error/message"), (json_event(&event, stamp(1, 1)), "/message")] {
        assert!(!line.chars().any(is_deceptive), "{line:?}");
        assert!(
            line.contains("\\u202e") && line.contains("\\udb40\\udc41") && line.contains("\u{e4}\u{1f600}"),
            "{line}"
        );
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value.pointer(path).unwrap(), text);
    }
}

#[test]
fn a_reply_that_is_written_block_by_block_is_the_same_line() {
    let blocks = |count: usize| vec![block(); count];
    let chain = |blocks| Reply::Chain {
        length: 4,
        blocks,
        rest: Vec::new(),
    };
    let mined = |blocks| Reply::Mined {
        message: "New Block Forged".into(),
        count: 3,
        blocks,
        rest: Vec::new(),
    };
    for (first, whole) in [
        (chain(blocks(1)), chain(blocks(3))),
        (mined(blocks(1)), mined(blocks(3))),
    ] {
        let mut line = open_reply(7, Some("chain"), &first).unwrap();
        for _ in 0..2 {
            line.push_str(&further_block(&block()));
        }
        line.push_str(close_reply());
        assert_eq!(line, json_reply(7, Some("chain"), &Ok(whole)));
    }
    assert_eq!(open_reply(1, None, &Reply::Net { net: true }), None);
}
