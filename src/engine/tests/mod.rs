//! The engine among others of its kind: each test is a course of events in a small world.

mod abuse;
mod adversary;
mod adversary_sync;
mod ahead;
mod bodies;
mod claims;
mod commands;
mod dialling;
mod doctor;
mod doubles;
mod mining;
mod neighbours;
mod network;
mod parts;
mod pools;
mod records;
mod relay;
mod silence;
mod storage;
mod sync;
mod twins;
mod visible;
mod world;
