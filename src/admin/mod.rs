//! What an operator asks the running process. So far: is it alive, is it ready, what did it count.
//! Knows nothing of the request path; facts are told to it.

pub mod http;
mod readiness;

pub use readiness::{Readiness, Ready};
