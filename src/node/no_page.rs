//! In the place of the page, in a program that was built without it.

use std::sync::Arc;

use super::StartError;
use super::control::Hub;
use super::inbox::Inbox;
use crate::cli::WebWish;
use crate::contract::{CommandError, Event, EventStamp, RunId, WebReply};
use crate::net::NetError;

/// The page of a program that was built without one.
pub(super) struct Page;

impl Page {
    pub(super) fn bind(wish: Option<WebWish>, _: &[String], _: (RunId, String)) -> Result<Self, StartError> {
        match wish {
            None => Ok(Self),
            Some(_) => Err(StartError::Net(NetError::Page {
                address: "--web".into(),
                reason: "this program was built without the page".into(),
            })),
        }
    }

    pub(super) const fn warning(&self) -> Option<(&'static str, String)> {
        None
    }

    pub(super) const fn serve(&self, _: &Arc<Hub>, _: &Arc<Inbox>) -> Result<(), StartError> {
        Ok(())
    }

    pub(super) fn open(&self) -> Result<WebReply, CommandError> {
        Err(CommandError::new(
            "unavailable",
            "this program was built without the page",
            "tree",
        ))
    }

    pub(super) const fn url(&self) -> Option<String> {
        None
    }

    pub(super) const fn event(&self, _: &Event, _: EventStamp) {}

    pub(super) const fn stop(&self) {}

    #[cfg(test)]
    pub(super) const fn off() -> Self {
        Self
    }
}
