//! Bytes on the wire: frames, heads, the shape check, the codec, our tables of versions and features, record batches.
//! The only room that calls kafka-protocol's encode and decode. Knows nothing of clusters or policy; nothing in here
//! panics on what a peer sends.

pub mod batch;
pub mod budget;
pub mod client_id;
pub mod codec;
pub mod compression;
pub mod features;
pub mod fetch;
pub mod frame;
pub mod glance;
pub mod head;
pub mod malformed;
pub mod outlet;
pub mod pieces;
pub mod pool;
pub mod proxy_protocol;
pub mod shape;
mod strangers;
pub mod transport;
pub mod versions;
