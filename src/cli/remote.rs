//! Asks a running proxy at its admin address.

use anyhow::{Context, anyhow};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long each step may take: a table of groups is asked of the clusters.
const WITHIN: Duration = Duration::from_secs(30);
/// Larger than any answer.
const MOST: u64 = 256 << 20;

/// The answer to `GET path`.
pub(super) fn get(admin: &str, path: &str) -> anyhow::Result<Value> {
    let body = ask(admin, path).with_context(|| {
        format!("cannot reach a running proxy at {admin}; is its `admin.bind` there? (--admin, FISHPLATE_ADMIN)")
    })?;
    serde_json::from_str(&body).with_context(|| format!("{admin} did not answer as Fishplate does"))
}

fn ask(admin: &str, path: &str) -> anyhow::Result<String> {
    let address = admin.to_socket_addrs()?.next().ok_or_else(|| anyhow!("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    // 1.0: the body is what comes until the end, in one piece.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {admin}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        anyhow::bail!("it answers {status}: {}", body.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}
