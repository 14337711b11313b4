//! What an operator asks: `operations` has every question that is typed, the rest is the running process's own: is it
//! alive, is it ready, what did it count. Knows nothing of the request path; facts are told to it.

mod accept;
pub mod backlog;
pub mod guard;
pub mod http;
pub mod identities;
pub mod lag;
pub mod limits;
pub mod live;
pub mod operations;
mod operator;
pub mod outlook;
mod readiness;
pub mod rights;
mod sheet;
pub mod tables;
pub mod tokens;

pub use operator::{Admitted, By, Door, Refusal};
pub use readiness::{Readiness, Ready};
