//! Which topics there are, how many partitions they have, where these lie and who leads them: made, changed, moved and told.

pub mod elections;
pub mod log_dirs;
pub mod partitions;
pub mod reassignments;
pub mod topics;
