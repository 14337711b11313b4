//! Who may speak to us and whom we speak to: certificates and keys, names and proofs. Mechanisms only: no sockets, no sessions,
//! and nothing here knows what a request is.

pub mod tls;
