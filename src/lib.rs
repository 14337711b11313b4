//! Fishplate: a Kafka-compatible proxy that shows several clusters as one.
//!
//! The rooms stand here in their order: each may import only those above it (ARCHITECTURE.md, "Rooms").

pub mod config;
pub mod error;
pub mod types;
pub mod upstream;
pub mod wire;
