//! The parts of the engine: each keeps its own state, and none knows the engine.
//!
//! A part is a value with private fields. It is told what happened (`handle`, or a method for each fact), gives orders when
//! it is polled, and says when time alone would change something (`next_wakeup`). It sees chain, pool and other parts by
//! reference only, and writes only what is its own.
//!
//! Promises: nothing here names the engine (`tests/tidy/` holds that); no part imports, by way of others, itself.
//! Elsewhere: who routes facts to the parts and carries out their orders (the files of `engine`).
//! Why the cut is as it is: `proto-notes/decisions/engine-parts.md`.

pub(crate) mod ahead;
pub(crate) mod clock;
pub(crate) mod clocks;
pub(crate) mod compact;
pub mod dial;
pub(crate) mod drops;
pub(crate) mod effort;
pub(crate) mod exchange;
pub(crate) mod links;
pub(crate) mod mining;
pub(crate) mod mode;
pub(crate) mod notices;
pub(crate) mod offer;
pub(crate) mod out;
pub(crate) mod own;
pub(crate) mod pace;
pub(crate) mod payments;
pub(crate) mod peers;
pub(crate) mod pools;
pub(crate) mod relay;
pub(crate) mod remembered;
pub(crate) mod requests;
pub(crate) mod room;
pub(crate) mod runs;
pub(crate) mod seen;
pub mod standing;
pub(crate) mod storage;
pub(crate) mod sync;
pub(crate) mod tips;
