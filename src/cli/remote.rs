//! Asks a running proxy at its admin address.

use anyhow::{Context, anyhow};
use serde::Serialize;
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
    answer(admin, &format!("GET {path} HTTP/1.0\r\nhost: {admin}\r\n\r\n"))
}

/// The answer to `POST path`.
pub(super) fn post(admin: &str, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
    let body = serde_json::to_string(body)?;
    let head = format!("POST {path} HTTP/1.0\r\nhost: {admin}\r\ncontent-type: application/json");
    answer(admin, &format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// What a running proxy refused, in its words: it was reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

fn answer(admin: &str, request: &str) -> anyhow::Result<Value> {
    let unreached =
        || format!("cannot reach a running proxy at {admin}; is its `admin.bind` there? (--admin, FISHPLATE_ADMIN)");
    let answer = ask(admin, request).with_context(unreached)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("no HTTP")).with_context(unreached)?;
    let why = || body.lines().next().unwrap_or_default();
    match head.split(' ').nth(1).unwrap_or_default() {
        "200" => serde_json::from_str(body).with_context(|| format!("{admin} did not answer as Fishplate does")),
        "400" | "403" => Err(Refused(why().to_owned()).into()),
        status => Err(anyhow!("it answers {status}: {}", why())).with_context(unreached),
    }
}

fn ask(admin: &str, request: &str) -> anyhow::Result<String> {
    let address = admin.to_socket_addrs()?.next().ok_or_else(|| anyhow!("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    // 1.0: the body is what comes until the end, in one piece.
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    Ok(answer)
}
