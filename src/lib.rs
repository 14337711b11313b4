//! Fishplate: a Kafka-compatible proxy that shows several clusters as one.
//!
//! The rooms stand here in their order: each may import only those above it (ARCHITECTURE.md, "Rooms").

pub mod types;

pub mod error;

pub mod telemetry;

pub mod config;

pub mod admin;

#[cfg(feature = "demo")]
pub mod demo;
