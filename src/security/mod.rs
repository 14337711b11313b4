//! Who may speak to us and whom we speak to: mechanisms that prove it, to us and by us. Mechanisms only: no sockets, no sessions,
//! and nothing here knows what a request is.

pub mod client;
pub mod plain;
pub mod scram;
pub mod server;
pub mod users;
