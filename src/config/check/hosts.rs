//! How a listener shows nodes, and the addresses that they are given.

use std::ops::RangeInclusive;

use super::super::findings::{At, Findings};
use super::super::raw::{self, HostPorts};
use super::super::read::Text;
use super::super::suggest::nearest;
use super::super::{Hosts, Nodes};
use super::addresses::host_port;
use crate::types::View;

/// Each port is a socket.
const MOST_PORTS: usize = 2_000;

const NAMES: &str = "write for example \"n{node}.kafka.example.com:9092\"";
const PORTS: &str = "write for example { name: \"kafka.example.com:{port}\", ports: 19092-19155 }";

/// Who decides what clients see, if that can be.
pub(super) fn nodes(raw: &raw::Listener, findings: &mut Findings) -> Option<Nodes> {
    let Some(text) = &raw.nodes else { return Some(Nodes::Auto) };
    let Some(view) = View::named(&text.value) else {
        if text.value == "auto" {
            return Some(Nodes::Auto);
        }
        let words = ["auto", "brokers", "single", "hosts"];
        let near = text.is_literal().then(|| nearest(&text.value, words)).flatten();
        let instead =
            near.map_or("write auto, brokers, single or hosts".to_owned(), |near| format!("did you mean `{near}`?"));
        findings.mistake(text.at, format!("`{text}` is no way to show nodes"), instead);
        return None;
    };
    match (view, &raw.hosts) {
        (View::Hosts, None) => {
            let instead = format!("add `hosts:` to this listener: {NAMES}, or {PORTS}");
            findings.mistake(text.at, "`nodes: hosts` needs an address for each node", instead);
            return None;
        }
        (View::Brokers | View::Single, Some(hosts)) => {
            let what = format!("no client is shown these: the listener says `nodes: {view}` for all");
            findings.warning(at(hosts), what, "leave `hosts` out, or write `nodes: auto` or `nodes: hosts`");
        }
        _ => {}
    }
    Some(Nodes::All(view))
}

/// The addresses of nodes, if they are right.
pub(super) fn hosts(written: &raw::Hosts, clusters: usize, findings: &mut Findings) -> Option<Hosts> {
    match written {
        raw::Hosts::Names(text) => names(text, findings),
        raw::Hosts::Ports(written) => ports(written, clusters, findings),
    }
}

/// The ports that are bound, where they can be read, and where they stand.
pub(super) fn range(written: &raw::Hosts) -> Option<(RangeInclusive<u16>, At)> {
    let raw::Hosts::Ports(HostPorts { ports: Some(text), .. }) = written else { return None };
    let ports = parse_range(&text.value)?;
    (ports.len() <= MOST_PORTS).then_some((ports, text.at))
}

fn at(written: &raw::Hosts) -> At {
    match written {
        raw::Hosts::Names(text) => text.at,
        raw::Hosts::Ports(written) => written.at,
    }
}

fn names(text: &Text, findings: &mut Findings) -> Option<Hosts> {
    if text.value.contains(Hosts::PORT) {
        findings.mistake(text.at, format!("`{text}` has {{port}} and no range of ports"), PORTS);
        return None;
    }
    if !braces_are_only(text, Hosts::NODE, findings, NAMES) {
        return None;
    }
    let address = host_port(text, findings)?;
    if !address.host.contains(Hosts::NODE) {
        let what = format!("`{text}` has no {{node}} in its name: every node would be at one address");
        findings.mistake(text.at, what, format!("{NAMES}, or {PORTS}"));
        return None;
    }
    Some(Hosts::Names { template: address.host, port: address.port })
}

fn ports(written: &HostPorts, clusters: usize, findings: &mut Findings) -> Option<Hosts> {
    let host = written.name.as_ref().and_then(|text| host_with_port(text, findings));
    let ports = written.ports.as_ref().and_then(|text| some_ports(text, clusters, findings));
    Some(Hosts::Ports { host: host?, ports: ports? })
}

/// `HOST:{port}`.
fn host_with_port(text: &Text, findings: &mut Findings) -> Option<std::sync::Arc<str>> {
    if !text.value.ends_with(&format!(":{}", Hosts::PORT)) {
        let what = format!("`{text}` does not end in :{{port}}: every node would be at one address");
        findings.mistake(text.at, what, "write for example \"kafka.example.com:{port}\"");
        return None;
    }
    if !braces_are_only(text, Hosts::PORT, findings, PORTS) {
        return None;
    }
    let like = Text::of(text.value.replace(Hosts::PORT, "1"), text);
    host_port(&like, findings).map(|address| address.host)
}

/// What else stands in braces means nothing.
fn braces_are_only(text: &Text, known: &str, findings: &mut Findings, instead: &str) -> bool {
    if text.value.replace(known, "").contains(['{', '}']) {
        findings.mistake(text.at, format!("in `{text}`, only {known} may stand in braces"), instead);
        return false;
    }
    true
}

fn some_ports(text: &Text, clusters: usize, findings: &mut Findings) -> Option<RangeInclusive<u16>> {
    let Some(ports) = parse_range(&text.value) else {
        let what = format!("`{text}` is no range of ports");
        findings.mistake(text.at, what, "write the first and the last, from 1 to 65535: 19092-19155");
        return None;
    };
    if ports.len() < clusters {
        let what = format!("{} ports are too few for {clusters} clusters", ports.len());
        findings.mistake(text.at, what, "give one to each broker that there will ever be: 64 are a good number");
        return None;
    }
    if ports.len() > MOST_PORTS {
        let what = format!("{} ports are more than the {MOST_PORTS} that one listener binds", ports.len());
        findings.mistake(text.at, what, "give one to each broker that there will ever be: 64 are a good number");
        return None;
    }
    Some(ports)
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}
