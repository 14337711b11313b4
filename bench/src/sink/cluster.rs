//! What a synthetic cluster consists of: nodes, topics, who leads what.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use bytes::Bytes;
use uuid::Uuid;

use crate::batch;
use crate::topics::{self, Topics};

use super::groups::Groups;

/// `host:port` of a node.
#[derive(Clone, Debug)]
pub(crate) struct Address(pub(crate) String);

impl Address {
    pub(super) fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(host, _)| host)
    }

    pub(super) fn port(&self) -> i32 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = Self(text.to_owned());
        if address.port() > 0 { Ok(address) } else { Err(format!("`{text}` is not HOST:PORT")) }
    }
}

/// Which set of ports a connection came in on: the cluster's own, or those that a copier stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Own,
    Copied,
}

/// A topic and how many records each of its partitions was sent.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) id: Uuid,
    ends: Vec<AtomicI64>,
    /// Its place among all of them.
    pub(super) number: usize,
}

/// What a Metadata answer and its like depend on, beside the cluster: api, version, side and the request's bytes.
type Asked = (i16, i16, Side, Vec<u8>);

/// The whole of it; shared by all connections.
pub(super) struct Cluster {
    pub(super) id: String,
    own: Vec<Address>,
    copied: Vec<Address>,
    pub(super) topics: Vec<Topic>,
    by_name: HashMap<Vec<u8>, usize>,
    by_id: HashMap<[u8; 16], usize>,
    /// The batch that every Fetch gets, as often as fits.
    pub(super) batch: Vec<u8>,
    pub(super) groups: Groups,
    /// The id of the fetch session opened last.
    sessions: AtomicI32,
    remembered: Mutex<HashMap<Asked, Bytes>>,
}

impl Cluster {
    pub(super) fn new(id: String, own: Vec<Address>, copied: Vec<Address>, rules: &[Topics]) -> Self {
        let topics: Vec<_> = rules
            .iter()
            .flat_map(Topics::each)
            .enumerate()
            .map(|(number, (name, partitions))| Topic {
                id: topics::id(&name),
                name,
                ends: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
                number,
            })
            .collect();
        Self {
            id,
            own,
            copied,
            by_name: topics.iter().enumerate().map(|(at, topic)| (topic.name.clone().into_bytes(), at)).collect(),
            by_id: topics.iter().enumerate().map(|(at, topic)| (topic.id.into_bytes(), at)).collect(),
            topics,
            batch: batch::build(batch::SMALL),
            groups: Groups::default(),
            sessions: AtomicI32::new(0),
            remembered: Mutex::default(),
        }
    }

    pub(super) fn addresses(&self, side: Side) -> &[Address] {
        match side {
            Side::Own => &self.own,
            Side::Copied => &self.copied,
        }
    }

    pub(super) fn by_name(&self, name: &[u8]) -> Option<&Topic> {
        self.topics.get(*self.by_name.get(name)?)
    }

    pub(super) fn by_id(&self, id: &[u8]) -> Option<&Topic> {
        self.topics.get(*self.by_id.get(id)?)
    }

    /// The node, counted from 0, that leads a partition.
    pub(super) fn leader(&self, topic: &Topic, partition: usize) -> usize {
        (topic.number + partition) % self.own.len()
    }

    /// Error code of a request for a partition at `node`: 0, 3 (unknown) or 6 (led by another).
    pub(super) fn check(&self, topic: Option<&Topic>, partition: i32, node: usize) -> i16 {
        let known = topic.zip(usize::try_from(partition).ok()).filter(|(topic, at)| *at < topic.partitions());
        match known {
            None => 3,
            Some((topic, at)) if self.leader(topic, at) != node => 6,
            Some(_) => 0,
        }
    }

    /// The fetch session that an answer names: a new one at epoch 0, none at -1, the one that goes on at others, or error
    /// 70 where there is no such session.
    pub(super) fn session(&self, id: i32, epoch: i32) -> Result<i32, i16> {
        match epoch {
            0 => Ok(self.sessions.fetch_add(1, Ordering::Relaxed) + 1),
            -1 => Ok(0),
            _ if (1..=self.sessions.load(Ordering::Relaxed)).contains(&id) => Ok(id),
            _ => Err(70),
        }
    }

    /// The answer to a question asked before, or a new one that is kept.
    pub(super) fn remember<E>(&self, asked: Asked, make: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        let kept = |map: &HashMap<Asked, Bytes>| map.get(&asked).cloned();
        if let Some(answer) = self.remembered.lock().ok().and_then(|map| kept(&map)) {
            return Ok(answer);
        }
        let answer = make()?;
        if let Ok(mut map) = self.remembered.lock() {
            if map.len() > 64 {
                map.clear();
            }
            map.insert(asked, answer.clone());
        }
        Ok(answer)
    }
}

impl Topic {
    pub(super) fn partitions(&self) -> usize {
        self.ends.len()
    }

    /// The base offset that `records` more records get.
    pub(super) fn append(&self, partition: usize, records: i32) -> i64 {
        self.ends.get(partition).map_or(-1, |end| end.fetch_add(records.into(), Ordering::Relaxed))
    }

    pub(super) fn end(&self, partition: usize) -> i64 {
        self.ends.get(partition).map_or(-1, |end| end.load(Ordering::Relaxed))
    }
}
