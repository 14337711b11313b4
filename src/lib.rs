//! Fishplate: a Kafka-compatible proxy that shows several clusters as one.
//!
//! The rooms stand here in their order: each may import only those above it (ARCHITECTURE.md, "Rooms").

pub mod types;

pub mod error;

pub mod rights;

pub mod telemetry;

pub mod wire;

pub mod config;

pub mod security;

pub mod upstream;

pub mod placement;

pub mod policy;
pub mod provision;

pub mod api;

pub mod session;

pub mod lag;

pub mod admin;

pub mod app;

#[cfg(feature = "demo")]
pub mod demo;
