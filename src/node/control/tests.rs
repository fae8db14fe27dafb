//! The hub: what a client does not read has a limit, and each session has its own replies.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;
use crate::console::output::LogWriter;
use crate::node::client_words::gap_line;
use crate::node::session::tests::any_status;
use crate::node::telling::LogLines;

/// A reader that takes a write when it is asked for one, and not before.
struct Reader(SyncSender<String>);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(to: SyncSender<String>) -> Sink {
    let lost = Box::new(|missing| gap_line(RunId::new([0; 8]), missing));
    Sink::lines(CLIENT, lost, Reader(to), |_| {}).expect("a thread")
}

#[test]
fn lines_of_the_log_that_a_client_does_not_read_take_a_mebibyte_and_leave_a_gap() {
    let switches = Switches::default();
    switches.control_log("info", Box::new(|_| true));
    let reply_to = || ReplyTo {
        mailbox: Mailbox::default(),
        tells: ReplyTells::default(),
    };
    let hub = Hub::new(
        switches.clone(),
        reply_to(),
        0,
        (RunId::new([0; 8]), Arc::new(Page::off())),
    );
    let (out, reader) = sync_channel(0);
    let client = sink(out);
    let number = hub
        .enter(reply_to(), client.clone(), Box::new(|| {}))
        .expect("there is room");
    hub.set_form(number, Form::Words);
    if let Some(entry) = hub.state().sessions.get_mut(&number) {
        entry.joined = true;
    }
    assert_eq!(hub.switch(number, &Telling::Log("trace")).log, "trace");
    let (nowhere, _unread) = sync_channel(0);
    let mut log = LogLines {
        own: LogWriter(sink(nowhere)),
        switches,
    };
    // 1,024 bytes of text each, and some around them: fewer than 1,024 of them wait.
    let line = format!("{}\n", "x".repeat(1_024));
    for _ in 0..3_000 {
        log.write_all(line.as_bytes()).expect("it takes all");
    }
    client.must("the reply".into(), None);
    let told: Vec<String> = (0..3_000)
        .map_while(|_| reader.recv().ok())
        .take_while(|text| text != "the reply\n")
        .collect();
    let gap = told.last().expect("a gap");
    let kept = told.len() - 1;
    assert!((900..1_024).contains(&kept), "{kept}");
    assert!(
        gap.contains("events_dropped") && gap.contains(&(3_000 - kept).to_string()),
        "{gap}"
    );
    assert!(told[..kept].iter().all(|text| text.contains("xxx")));
}

#[test]
fn each_session_has_its_own_replies_and_the_console_is_the_first_of_them() {
    let to = || ReplyTo {
        mailbox: Mailbox::default(),
        tells: ReplyTells::default(),
    };
    let (console, client) = (to(), to());
    let hub = Hub::new(
        Switches::default(),
        console.clone(),
        0,
        (RunId::new([0; 8]), Arc::new(Page::off())),
    );
    let (nowhere, _unread) = sync_channel(0);
    let number = hub
        .enter(client.clone(), sink(nowhere), Box::new(|| {}))
        .expect("there is room");
    let mining = || Box::new(Ok(Reply::Mining { mining: true }));
    let status = || Box::new(Ok(Reply::Status(Box::new(any_status()))));
    for (to, other, number) in [(&console, &client, CONSOLE), (&client, &console, number)] {
        to.tells.expect();
        other.tells.expect();
        // How a long search goes stands before its reply.
        hub.reply(command_id(number, 2), status());
        assert!(to.tells.get(), "the reply is still to come");
        hub.reply(command_id(number, 1), mining());
        assert!(!to.tells.get(), "behind the reply all is news");
        assert!(other.tells.get(), "another session's reply");
        other.tells.came();
        let taken: Vec<In> = std::iter::from_fn(|| to.mailbox.take(Some(Duration::ZERO))).collect();
        assert!(
            matches!(taken[..], [In::Reply { id: 2, .. }, In::Reply { id: 1, .. }]),
            "{taken:?}"
        );
        assert!(other.mailbox.take(Some(Duration::ZERO)).is_none());
    }
    hub.reply(command_id(number + 1, 1), mining());
    hub.leave(number);
    hub.reply(command_id(number, 3), mining());
    for to in [&console, &client] {
        assert!(
            to.mailbox.take(Some(Duration::ZERO)).is_none(),
            "nobody has that number"
        );
    }
}
