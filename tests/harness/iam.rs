//! Checks a token of MSK IAM as AWS does: takes the address out of it and computes its signature anew, by AWS's description of
//! Signature Version 4 and with nothing of AWS's crates; then its time, its region and what it is for.

#![allow(unreachable_pub, reason = "also a module of the crate's own tests")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// A secret that AWS knows.
pub struct Account<'a> {
    pub access_key: &'a str,
    pub secret_key: &'a str,
    pub session_token: Option<&'a str>,
}

/// What it must be for.
pub const ACTION: &str = "kafka-cluster:Connect";
pub const SERVICE: &str = "kafka-cluster";

/// Whether a cluster of this region lets its bearer in.
pub fn check(token: &str, account: &Account<'_>, region: &str, now: SystemTime) -> Result<(), String> {
    let url = URL_SAFE_NO_PAD.decode(token).map_err(|error| error.to_string())?;
    let url = String::from_utf8(url).map_err(|error| error.to_string())?;
    let rest = url.strip_prefix("https://").ok_or("it is not of https")?;
    let (host, query) = rest.split_once("/?").ok_or("it has another path than /")?;
    if host != format!("kafka.{region}.amazonaws.com") {
        return Err(format!("it is for the host {host}"));
    }
    let query = pairs(query)?;
    let said = |name: &str| query.get(name).map(String::as_str).ok_or(format!("it lacks {name}"));
    if said("Action")? != ACTION {
        return Err("it is for another action".into());
    }
    if !said("User-Agent")?.contains('/') {
        return Err("its User-Agent is none".into());
    }
    let signed_at = seconds_of(said("X-Amz-Date")?)?;
    let life: u64 = said("X-Amz-Expires")?.parse().map_err(|_| "X-Amz-Expires is no number")?;
    let now = now.duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    if life > 900 || now >= signed_at + life || signed_at > now + 300 {
        return Err(format!("it was signed at {signed_at} for {life} s, and it is {now}"));
    }
    let mut signed = query.clone();
    signed.remove("User-Agent");
    let wanted = signed.remove("X-Amz-Signature").ok_or("it lacks X-Amz-Signature")?;
    if signed.get("X-Amz-Security-Token").map(String::as_str) != account.session_token {
        return Err("its session token is another".into());
    }
    let date = &said("X-Amz-Date")?[..8];
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    if said("X-Amz-Credential")? != format!("{}/{scope}", account.access_key) {
        return Err(format!("its credential is {}", said("X-Amz-Credential")?));
    }
    let signature = signature(account.secret_key, &signed, host, said("X-Amz-Date")?, region, SERVICE);
    if signature == wanted { Ok(()) } else { Err("its signature is wrong".into()) }
}

/// Of a GET of `/` on a host, with the header `host` signed and no body.
pub fn signature(
    secret: &str,
    query: &BTreeMap<String, String>,
    host: &str,
    at: &str,
    region: &str,
    service: &str,
) -> String {
    let mut query: Vec<_> = query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    query.sort();
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let empty = hex(digest::digest(&digest::SHA256, b"").as_ref());
    let canonical = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{empty}", query.join("&"));
    let (date, hashed) = (&at[..8], hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{at}\n{date}/{region}/{service}/aws4_request\n{hashed}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, "aws4_request"] {
        key = keyed(&key, part);
    }
    hex(&keyed(&key, &to_sign))
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").unwrap(),
        }
        encoded
    })
}

/// A query taken apart; each name once.
pub fn pairs(query: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if pairs.insert(decoded(name)?, decoded(value)?).is_some() {
            return Err(format!("it has {name} twice"));
        }
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let number = part.get(..2).ok_or("a % with nothing behind it")?;
        bytes.push(u8::from_str_radix(number, 16).map_err(|error| error.to_string())?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// Of `20150830T123600Z`.
fn seconds_of(date: &str) -> Result<u64, String> {
    let number = |from: usize, to: usize| date.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
    let read = || {
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
        // Days since March of the year 0, so that a leap day is a year's last.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
        if year == 0 || month > 11 || day == 0 {
            return None;
        }
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
        Some(days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second)
    };
    read().filter(|_| date.len() == 16 && date.ends_with('Z')).ok_or(format!("{date} is no time"))
}
