//! Who may speak to us and whom we speak to: certificates and keys, names and proofs, for both sides. Mechanisms only: no sockets, no
//! sessions, and nothing here knows what a request is.

pub mod client;
pub mod plain;
pub mod scram;
pub mod server;
pub mod tls;
pub mod users;
