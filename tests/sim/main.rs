//! A simulated network: real engines and stores in one thread, one seed decides everything.
//!
//! Promises: the same seed gives the same trace, byte for byte; a failure prints the seed and the command that repeats
//! it. Two phases: first safety while things go wrong, then agreement once they no longer do.
//! Elsewhere: how to run more of it (`proto-notes/simulation.md`).

#[cfg(test)]
mod bursts;
#[cfg(test)]
mod checkers;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod dice;
#[cfg(test)]
#[cfg(test)]
mod fate;
#[cfg(test)]
mod full;
#[cfg(test)]
mod history;
#[cfg(test)]
mod net;
#[cfg(test)]
mod node;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod pow;
#[cfg(test)]
mod roam;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod run;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod store;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod voices;
#[cfg(test)]
mod wires;
#[cfg(test)]
mod world;
#[cfg(test)]
mod writer;
