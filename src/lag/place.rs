//! The topics that lag is told of, out of the placement: what a key in a fact means.

use crate::placement::Placement;
use crate::types::Name;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

/// A topic that clients can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub topic: StrBytes,
    /// Its id, never nil; one that is made again has another.
    pub id: Uuid,
    /// The pipeline that it belongs to.
    pub pipeline: Name,
    /// Its home.
    pub cluster: Name,
    /// How many partitions it has.
    pub partitions: usize,
}

/// All of a placement.
#[must_use]
pub fn places(placement: &Placement) -> Vec<Place> {
    let place = |place: &std::sync::Arc<crate::placement::TopicPlace>| Place {
        topic: place.topic.name.clone(),
        id: place.id,
        pipeline: place.pipeline.clone(),
        cluster: placement.cluster(place.cluster).map_or_else(Name::none, |cluster| cluster.name.clone()),
        partitions: place.topic.partitions.len(),
    };
    placement.topics().filter(|place| !place.topic.internal).map(place).collect()
}
