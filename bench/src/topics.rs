//! The topics of a synthetic cluster by rule, so that sink and load agree on names without a file: `PREFIX:COUNT`, and
//! for the sink `PREFIX:COUNT:PARTITIONS` or `PREFIX:COUNT:LEAST-MOST`.

use std::str::FromStr;

use uuid::Uuid;

/// `COUNT` topics named by a prefix and a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Topics {
    prefix: String,
    count: usize,
    least: usize,
    most: usize,
}

impl Topics {
    /// Name and number of partitions of each topic; a range of partitions is gone through in turn.
    pub(crate) fn each(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        let spread = self.most - self.least + 1;
        (0..self.count).map(move |at| (format!("{}{at:04}", self.prefix), self.least + at % spread))
    }
}

impl FromStr for Topics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not PREFIX:COUNT[:PARTITIONS or :LEAST-MOST]");
        let mut parts = text.split(':');
        let prefix = parts.next().filter(|prefix| !prefix.is_empty()).ok_or_else(wrong)?.to_owned();
        let count = parts.next().and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
        let partitions = parts.next().unwrap_or("1");
        let (least, most) = partitions.split_once('-').unwrap_or((partitions, partitions));
        let (least, most) = (least.parse().map_err(|_| wrong())?, most.parse().map_err(|_| wrong())?);
        if least == 0 || most < least || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { prefix, count, least, most })
    }
}

/// A topic's id: from its name, so that it is the same at every start.
pub(crate) fn id(name: &str) -> Uuid {
    let half = |seed: u64| name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    uuid::Builder::from_u128(u128::from(half(0xcbf2_9ce4_8422_2325)) << 64 | u128::from(half(0x9e37_79b9_7f4a_7c15)))
        .with_variant(uuid::Variant::RFC4122)
        .with_version(uuid::Version::Random)
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_topics_and_their_partitions() {
        let topics: Topics = "many-a-:3:1-2".parse().unwrap();
        let each: Vec<_> = topics.each().collect();
        assert_eq!(each, [("many-a-0000".into(), 1), ("many-a-0001".into(), 2), ("many-a-0002".into(), 1)]);
        for wrong in ["", "x", "x:y", "x:1:0", "x:1:3-2", "x:1:1:1"] {
            assert!(wrong.parse::<Topics>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_stable_and_differ() {
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
    }
}
