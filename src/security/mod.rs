//! Who is who, and how that is proven: pure mechanisms for both sides, Fishplate's clients and the clusters. Who sends and reads is `session`
//! and `upstream`.

pub mod client;
pub mod plain;
pub mod scram;
