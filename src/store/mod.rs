//! The disk: data folders, the node's key, and the chain's store on redb.
//!
//! Promises: what was committed survives a crash; a batch is written whole or not at all; a folder or file that cannot
//! be opened is unchanged, byte for byte; no content of the disk makes the process panic.
//! Elsewhere: what is stored, and when (`chain`, `engine`).
//! Spec: `proto-notes/store.md`.

pub(crate) mod addresses;
mod backend;
mod beside;
mod blocks;
mod checked;
pub mod error;
pub(crate) mod files;
pub mod folder;
mod histories;
mod index;
pub(crate) mod inputs;
pub(crate) mod key;
mod late;
pub mod older;
mod opening;
pub mod places;
pub mod privacy;
mod reading;
pub(crate) mod records;
pub mod redb_store;
mod stale;
mod tables;
#[cfg(test)]
mod tests;
mod trust;

pub use error::{FolderError, OpenError};
pub use folder::{Folder, FolderChoice};
pub use histories::Progress;
pub use places::{FindError, FoundFolder, Sought};
pub use privacy::Trust;
pub use reading::Reading;
pub use redb_store::RedbStore;

/// The version of the format of folders.
pub const FORMAT: u32 = 2;
/// The version of the format of chain files. Those of formats 2 and 3, which have other indexes, are brought up to date.
pub const CHAIN_FORMAT: u32 = 4;
/// The oldest format of chain files that is brought up to date.
const CHAIN_FORMAT_MIN: u32 = 2;
