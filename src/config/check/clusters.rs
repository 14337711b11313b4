//! The clusters: slots, bootstrap addresses, and who they are when somebody names them.

use std::collections::BTreeMap;

use super::super::Cluster;
use super::super::findings::{At, Findings};
use super::super::raw::{self, File};
use super::super::read::{Number, Text};
use super::super::suggest::nearest;
use super::addresses::host_port;
use super::bounds::links;
use super::identities::{Principals, identities};
use super::{kinds, label, logins, tls};
use crate::types::{HostPort, Name, Slot};

/// So many names stand in a message at most: there are no more slots.
const SHOWN: usize = 31;

/// The clusters that the config names, right or not: who names a wrong one makes no second mistake.
pub(super) struct Known {
    names: BTreeMap<String, Option<Slot>>,
    /// `None` if one of them is wrong.
    clusters: Option<Vec<Cluster>>,
    /// There was no `clusters` to look names up in; that is reported already.
    missing: bool,
}

impl Known {
    pub(super) fn new(raw: &File, findings: &mut Findings) -> Self {
        let list = raw.clusters.as_deref().unwrap_or_default();
        let principals = Principals::of(raw);
        let mut slots = Slots::default();
        let mut addresses = Addresses::default();
        let mut names = BTreeMap::new();
        let mut clusters = Some(Vec::new());
        for raw in list {
            let cluster = cluster(raw, (&mut slots, &mut addresses), &principals, findings);
            names.insert(raw.name.value.clone(), raw.slot.and_then(|slot| small(slot.value)));
            clusters = clusters.zip(cluster).map(|(mut all, one)| {
                all.push(one);
                all
            });
        }
        Self { names, clusters, missing: list.is_empty() }
    }

    /// The slot of the cluster that `name` names.
    pub(super) fn slot(&self, name: &Text, findings: &mut Findings) -> Option<Slot> {
        if let Some(slot) = self.names.get(&name.value) {
            return *slot;
        }
        if !self.missing {
            let known = self.names.keys().map(String::as_str);
            let all = known.clone().take(SHOWN).collect::<Vec<_>>().join(", ");
            let near = name.is_literal().then(|| nearest(&name.value, known)).flatten();
            let instead =
                near.map_or_else(|| format!("the clusters are {all}"), |near| format!("did you mean `{near}`?"));
            findings.mistake(name.at, format!("no cluster is called `{name}`"), instead);
        }
        None
    }

    /// By slot; `None` if one of them is wrong.
    pub(super) fn into_config(self) -> Option<Vec<Cluster>> {
        let mut clusters = self.clusters?;
        clusters.sort_by_key(|cluster| cluster.slot);
        Some(clusters)
    }
}

fn small(number: u64) -> Option<Slot> {
    u8::try_from(number).ok().and_then(Slot::new)
}

fn cluster(
    raw: &raw::Cluster,
    (slots, addresses): (&mut Slots, &mut Addresses),
    principals: &Principals,
    findings: &mut Findings,
) -> Option<Cluster> {
    let name = label(&raw.name, "a cluster", findings);
    let slot = raw.slot.and_then(|slot| slots.take(slot, &raw.name, findings));
    let bootstrap = raw.bootstrap.as_ref().and_then(|list| bootstrap(list, &raw.name, addresses, findings));
    let (kind, racks) = (kinds::kind(raw, findings), kinds::racks(raw, findings));
    let login = logins::login(raw, findings);
    let (max_links, links_per_second) = links(raw, login.as_ref().and_then(Option::as_ref), findings);
    let tls = raw.tls.as_ref().map(|raw| tls::client(raw, findings));
    let own = (login.as_ref().and_then(Option::as_ref), tls.as_ref().and_then(Option::as_ref));
    let identities = identities(raw, own, principals, findings);
    let name = Name::from(name?.value.as_str());
    let (kind, racks, login) = (kind?, racks?, login?);
    let tls = match tls {
        Some(None) => return None,
        tls => tls.flatten(),
    };
    let (slot, bootstrap, identities) = (slot?, bootstrap?, identities?);
    Some(Cluster { slot, name, bootstrap, max_links, links_per_second, kind, racks, tls, login, identities })
}

/// Who has which slot.
#[derive(Default)]
struct Slots(BTreeMap<Slot, (Text, At)>);

impl Slots {
    fn take(&mut self, number: Number, cluster: &Text, findings: &mut Findings) -> Option<Slot> {
        let Some(slot) = small(number.value) else {
            let what = format!("{} is no slot: they go from 0 to {}", number.value, Slot::MAX);
            findings.mistake(
                number.at,
                what,
                format!("write a number from 0 to {} that no other cluster has or had", Slot::MAX),
            );
            return None;
        };
        if let Some((other, at)) = self.0.get(&slot) {
            let what = format!("slot {slot} is the cluster `{other}`'s already ({})", findings.spot(*at));
            findings.mistake(number.at, what, "give each cluster a number of its own, and never change one");
            return None;
        }
        self.0.insert(slot, (cluster.clone(), number.at));
        Some(slot)
    }
}

/// Who has which bootstrap address.
#[derive(Default)]
struct Addresses(BTreeMap<String, (String, At)>);

fn bootstrap(
    list: &[Text],
    cluster: &Text,
    addresses: &mut Addresses,
    findings: &mut Findings,
) -> Option<Vec<HostPort>> {
    list.iter().map(|text| addresses.take(text, cluster, findings)).collect::<Vec<_>>().into_iter().collect()
}

impl Addresses {
    fn take(&mut self, text: &Text, cluster: &Text, findings: &mut Findings) -> Option<HostPort> {
        let address = host_port(text, findings)?;
        let key = address.to_string().to_lowercase();
        let Some((owner, at)) = self.0.get(&key) else {
            self.0.insert(key, (cluster.value.clone(), text.at));
            return Some(address);
        };
        let spot = findings.spot(*at);
        if *owner == cluster.value {
            findings.warning(text.at, format!("`{text}` is listed twice ({spot})"), "leave one of the two out");
        } else {
            let what = format!("`{text}` is an address of the cluster `{owner}` already ({spot})");
            findings.mistake(text.at, what, "one address is one cluster: topics of both would be the same topics");
        }
        Some(address)
    }
}
