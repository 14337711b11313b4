//! Records: written, and what is asked of a partition's leader about them. Reading them is `fetch`.

pub mod by_leader;
pub mod produce;
pub mod stamp;
pub mod written;
