//! Starts threads with a name, and with a callback for their end if that is a panic.
//!
//! Promises: a panic in a thread started here is always reported, and the rest of the process goes on.
//! Elsewhere: the consequences for the node (`engine::parts`, `node`), the network's task (`net`).

pub mod in_order;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. If `body` panics, `ended` is called with the panic's message, on the same thread.
///
/// # Errors
/// The error of the system if it cannot start a thread.
pub fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
    ended: impl FnOnce(&str) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            ended(&message_of(&*panic));
        }
    })
}

/// The message of a panic.
#[must_use]
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// A place where a test can make a part fail: it panics once if the file named by `LANCHAIN_PANIC_FILE` contains the
/// part's name. Without the feature `panics` this does nothing.
#[cfg(feature = "panics")]
pub fn panic_point(part: &str) {
    static FILE: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os("LANCHAIN_PANIC_FILE")) else {
        return;
    };
    if std::fs::read_to_string(file).is_ok_and(|wanted| wanted == part) && std::fs::remove_file(file).is_ok() {
        panic!("a test asked for this");
    }
}

/// Does nothing, because this program was built without the feature `panics`.
#[cfg(not(feature = "panics"))]
pub const fn panic_point(_part: &str) {}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_of_a_thread_by_a_panic_is_told_with_its_message() {
        let (tell, told) = channel();
        let body = || panic!("number {}", 7);
        let thread = spawn("fails", body, move |message| tell.send(message.to_owned()).unwrap()).unwrap();
        thread.join().unwrap();
        assert_eq!(told.recv().unwrap(), "number 7");
    }

    #[test]
    fn an_ordinary_end_is_not_told() {
        let (tell, told) = channel::<String>();
        let thread = spawn("ends", || {}, move |message| tell.send(message.to_owned()).unwrap()).unwrap();
        thread.join().unwrap();
        assert!(told.recv().is_err());
    }
}
