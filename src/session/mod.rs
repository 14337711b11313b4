//! Client connections: reading requests, sending their parts, writing answers in order. All waiting of the request
//! path happens here; what a request means is decided in `api`.

mod admission;
pub mod clients;
pub mod context;
pub mod crowd;
pub mod ends;
pub mod fetch;
pub mod followers;
pub mod gate;
pub mod generic;
pub mod habits;
pub mod join;
pub mod known;
pub mod late;
pub mod links;
pub mod listener;
mod login;
pub mod needs;
pub mod orders;
pub mod origin;
pub mod polls;
pub mod produce;
pub mod reader;
pub mod refusals;
mod regulars;
pub mod replies;
mod rights;
pub mod sending;
pub mod shadows;
pub mod shares;
pub mod spans;
pub mod split_shares;
pub mod state;
pub mod subscriptions;
mod through;
pub mod ticket;
pub mod turns;
pub mod underway;

#[cfg(test)]
mod counting_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod nonsense_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod poll_tests;
#[cfg(test)]
mod rights_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod split_shares_tests;
#[cfg(test)]
mod testing;

pub use context::{Context, Limits};
pub use state::Session;
