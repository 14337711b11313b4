//! Who may speak to us and whom we speak to: certificates and keys, names and proofs, tokens, for both sides. Mechanisms only: no
//! sessions, and nothing here knows what a request is. Whatever asks an issuer or AWS for keys and tokens says so in its first lines.

#[cfg(feature = "msk-iam")]
pub mod aws;
pub mod brake;
pub mod client;
pub mod foreign;
pub mod https;
pub mod jwks;
pub mod jwks_task;
pub mod jws;
pub mod jwt;
pub mod look;
#[cfg(feature = "msk-iam")]
pub mod msk_iam;
pub mod oauthbearer;
pub mod operators;
pub mod plain;
pub mod refused;
pub mod scram;
pub mod server;
pub mod source;
pub mod tls;
pub mod token;
pub mod token_source;
pub mod tokens_task;
pub mod users;

#[cfg(test)]
mod testing;
