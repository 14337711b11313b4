//! Addresses: what is one, what clients may be told, and which must not meet.

use std::net::SocketAddr;

use super::super::Listener;
use super::super::findings::{At, Findings};
use super::super::raw::{self, File};
use super::super::read::Text;
use super::{hosts, sasl, tls};
use crate::types::HostPort;

/// Where a cluster can be reached or a client be sent.
pub(super) fn host_port(text: &Text, findings: &mut Findings) -> Option<HostPort> {
    let instead = "write host:port, for example kafka-1.example.com:9092 or [::1]:9092";
    match text.value.parse::<HostPort>() {
        Ok(address) if address.port == 0 => {
            findings.mistake(text.at, format!("`{text}` has port 0, which nobody can connect to"), instead)
        }
        Ok(address) if is_wildcard(&address.host) => {
            findings.mistake(text.at, format!("`{text}` is no address that somebody can connect to"), instead);
        }
        Ok(address) => return Some(address),
        Err(_) if text.value.contains("://") => {
            findings.mistake(text.at, format!("`{text}` has a scheme before the host"), instead)
        }
        Err(_) if text.value.contains(',') => {
            findings.mistake(
                text.at,
                format!("`{text}` is more than one address"),
                "write a list with one address in each item",
            );
        }
        Err(_) => findings.mistake(text.at, format!("`{text}` is not host:port"), instead),
    }
    None
}

fn is_wildcard(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// Where to listen.
pub(super) fn bind(text: &Text, findings: &mut Findings) -> Option<SocketAddr> {
    if let Ok(address) = text.value.parse() {
        return Some(address);
    }
    let instead = match text.value.parse::<HostPort>() {
        Ok(named) if text.is_literal() && named.host.as_ref() == "localhost" => {
            format!("write 127.0.0.1:{}", named.port)
        }
        Ok(_) => "write the IP address of an interface, or 0.0.0.0 for all; a name belongs in `advertised`".to_owned(),
        Err(_) => "write an IP address and a port, for example 127.0.0.1:9092 or [::1]:9092".to_owned(),
    };
    findings.mistake(text.at, format!("`{text}` is not an IP address with a port"), instead);
    None
}

/// `None` if one of them is wrong or there is none.
pub(super) fn listeners(raw: &File, findings: &mut Findings) -> Option<Vec<Listener>> {
    let clusters = raw.clusters.as_ref().map_or(0, Vec::len);
    let listener = |raw| listener(raw, clusters, findings);
    raw.listeners.as_deref()?.iter().map(listener).collect::<Vec<_>>().into_iter().collect()
}

fn listener(raw: &raw::Listener, clusters: usize, findings: &mut Findings) -> Option<Listener> {
    let address = raw.bind.as_ref().and_then(|text| bind(text, findings));
    let told = raw.advertised.as_ref().map(|text| host_port(text, findings));
    let nodes = hosts::nodes(raw, findings);
    let hosts = raw.hosts.as_ref().map(|written| hosts::hosts(written, clusters, findings));
    let tls = raw.tls.as_ref().map(|raw| tls::server(raw, findings));
    let sasl = sasl::sasl(raw, findings);
    let proxy_protocol = proxy_protocol(raw.proxy_protocol.as_ref(), findings);
    let address = address?;
    if let (Some(text), None, true) = (&raw.bind, &raw.advertised, address.ip().is_unspecified()) {
        let what = format!("clients cannot be told `{text}`, which means every address of this machine");
        let instead = format!(
            "add `advertised: kafka.example.com:{}`, the name and port that clients reach it by",
            address.port()
        );
        findings.mistake(text.at, what, instead);
        return None;
    }
    match (told, hosts, tls) {
        (Some(None), ..) | (_, Some(None), _) | (.., Some(None)) => None,
        (told, hosts, tls) => Some(Listener {
            bind: address,
            advertised: told.flatten(),
            nodes: nodes?,
            hosts: hosts.flatten(),
            tls: tls.flatten(),
            sasl: sasl?,
            proxy_protocol: proxy_protocol?,
        }),
    }
}

/// Whether a header says who clients are. There is no "if it comes": who leaves it out would be whom it likes.
fn proxy_protocol(text: Option<&Text>, findings: &mut Findings) -> Option<bool> {
    match text {
        None => Some(false),
        Some(text) if text.value == "required" => Some(true),
        Some(text) => {
            let what = format!("`{text}` is no way to take the PROXY protocol");
            findings.mistake(
                text.at,
                what,
                "write `required`, or leave the key out where no load balancer sends its header",
            );
            None
        }
    }
}

/// No two sockets may be one, and no cluster may be this proxy itself.
pub(super) fn apart(raw: &File, findings: &mut Findings) {
    let listeners = raw.listeners.as_deref().unwrap_or_default();
    let binds = listeners
        .iter()
        .filter_map(|one| one.bind.as_ref())
        .chain(raw.admin.as_ref().and_then(|admin| admin.bind.as_ref()));
    let mut taken: Vec<(SocketAddr, At)> = Vec::new();
    for text in binds {
        let Ok(address) = text.value.parse::<SocketAddr>() else { continue };
        if let Some((_, first)) = taken.iter().find(|(other, _)| collide(*other, address)) {
            let what = format!("`{text}` is bound already ({})", findings.spot(*first));
            findings.mistake(text.at, what, "give each listener and `admin` a port of its own");
        }
        taken.push((address, text.at));
    }
    for listener in listeners {
        ranges_apart(listener, &mut taken, findings);
    }
    let own: Vec<String> = listeners
        .iter()
        .flat_map(|one| [&one.bind, &one.advertised])
        .flatten()
        .map(|text| text.value.to_lowercase())
        .collect();
    for text in raw.clusters.iter().flatten().flat_map(|cluster| cluster.bootstrap.iter().flatten()) {
        if own.contains(&text.value.to_lowercase()) {
            findings.mistake(
                text.at,
                format!("`{text}` is a listener of this proxy"),
                "write the address of the real cluster",
            );
        }
    }
}

/// The ports of a range are bound like any other.
fn ranges_apart(listener: &raw::Listener, taken: &mut Vec<(SocketAddr, At)>, findings: &mut Findings) {
    let bind = listener.bind.as_ref().and_then(|text| text.value.parse::<SocketAddr>().ok());
    let Some((ports, at)) = listener.hosts.as_ref().and_then(hosts::range) else { return };
    let Some(bind) = bind else { return };
    let mine: Vec<_> = ports.map(|port| SocketAddr::new(bind.ip(), port)).collect();
    let met = mine.iter().find_map(|address| {
        taken.iter().find(|(other, _)| collide(*other, *address)).map(|(_, first)| (address.port(), *first))
    });
    if let Some((port, first)) = met {
        let what = format!("port {port} of this range is bound already ({})", findings.spot(first));
        findings.mistake(at, what, "give each range ports of its own, apart from those of every `bind`");
    }
    taken.extend(mine.into_iter().map(|address| (address, at)));
}

/// One of them could not be bound while the other is.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    let all = one.ip().is_unspecified() || other.ip().is_unspecified();
    same_port && one.is_ipv4() == other.is_ipv4() && (all || one.ip() == other.ip())
}
