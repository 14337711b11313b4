//! Sample records, shaped like what PostHog's ingestion writes: the same headers, null where unset, and a payload that
//! is made up. Each carries its number in its `uuid` header, and a fingerprint that the reader can compare.

use super::sample::{Flow, NOISY};
use crate::types::moment::rfc3339;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// One record to send.
pub(super) struct Event {
    pub(super) key: String,
    pub(super) payload: String,
    /// Names with values; PostHog writes null for what is unset.
    pub(super) headers: Vec<(&'static str, Option<String>)>,
}

/// The header that carries a record's number.
const UUID: &str = "uuid";

const NAMES: [&str; 6] = ["$pageview", "$autocapture", "$identify", "signed_up", "report_opened", "invoice_paid"];
const TOKENS: u64 = 20;
const PEOPLE: u64 = 500;

impl Event {
    /// Record `number` of `flow` in the demo run `run`, made at `now`.
    pub(super) fn new(flow: Flow, run: u64, number: u64, now: SystemTime) -> Self {
        match flow {
            Flow::Events => Self::capture(run, number, now, format!("phc_demo_{:02}", fastrand::u64(0..TOKENS))),
            Flow::Logs => Self::log_rows(run, number, now),
        }
    }

    /// Record `number` of the token that floods.
    pub(super) fn noisy(run: u64, number: u64, now: SystemTime) -> Self {
        Self::capture(run, number, now, NOISY.to_owned())
    }

    fn capture(run: u64, number: u64, now: SystemTime, token: String) -> Self {
        let uuid = Uuid::from_u64_pair(run, number).to_string();
        let person = fastrand::u64(0..PEOPLE);
        let distinct_id = format!("person-{person}");
        let name = NAMES[fastrand::usize(0..NAMES.len())];
        let (millis, rfc3339) = times(now);
        let data = json!({
            "event": name,
            "properties": {
                "$current_url": format!("https://shop.example/products/{}", fastrand::u32(1..900)),
                "$browser": "Demo", "$lib": "fishplate-demo", "$screen_width": 1440,
            },
        });
        let payload = json!({
            "uuid": uuid, "distinct_id": distinct_id, "ip": "192.0.2.7", "site_url": "https://shop.example",
            "data": data.to_string(), "now": rfc3339, "sent_at": rfc3339, "token": token,
        });
        Self {
            key: format!("{token}:{distinct_id}"),
            payload: payload.to_string(),
            headers: vec![
                ("token", Some(token)),
                ("distinct_id", Some(distinct_id)),
                ("session_id", Some(Uuid::from_u64_pair(run, person).to_string())),
                ("timestamp", Some(millis)),
                ("event", Some(name.to_owned())),
                (UUID, Some(uuid)),
                ("now", Some(rfc3339)),
                ("force_disable_person_processing", None),
                ("historical_migration", None),
            ],
        }
    }

    /// PostHog's log pipeline: one record holds many rows, and two headers say how many and how large.
    fn log_rows(run: u64, number: u64, now: SystemTime) -> Self {
        let token = format!("phc_demo_{:02}", fastrand::u64(0..TOKENS));
        let (millis, rfc3339) = times(now);
        let rows = fastrand::usize(1..8);
        let row = |index| json!({ "severity": "info", "body": format!("request {index} served"), "at": millis });
        let payload = (0..rows).map(row).collect::<serde_json::Value>().to_string();
        Self {
            key: token.clone(),
            headers: vec![
                ("token", Some(token)),
                (UUID, Some(Uuid::from_u64_pair(run, number).to_string())),
                ("now", Some(rfc3339)),
                ("bytes_uncompressed", Some(payload.len().to_string())),
                ("record_count", Some(rows.to_string())),
            ],
            payload,
        }
    }

    /// What the reader computes again from what it was given.
    pub(super) fn fingerprint(&self) -> u32 {
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_deref().map(str::as_bytes)));
        fingerprint(Some(self.key.as_bytes()), Some(self.payload.as_bytes()), headers)
    }
}

/// A checksum over all that a record carries, each part with its length so that nothing can shift between parts.
pub(super) fn fingerprint<'a>(
    key: Option<&[u8]>,
    payload: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> u32 {
    let part = |sum, bytes: Option<&[u8]>| match bytes {
        Some(bytes) => crc32c::crc32c_append(crc32c::crc32c_append(sum, &bytes.len().to_be_bytes()), bytes),
        None => crc32c::crc32c_append(sum, b"null"),
    };
    let sum = part(part(0, key), payload);
    headers.fold(sum, |sum, (name, value)| part(part(sum, Some(name.as_bytes())), value))
}

/// The number of a record that this demo run wrote, from its headers; `None` when somebody else wrote it.
pub(super) fn number<'a>(run: u64, headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<u64> {
    let mut uuids = headers.filter(|(name, _)| *name == UUID);
    let (_, value) = uuids.next()?;
    let (of_run, number) = Uuid::try_parse_ascii(value?).ok()?.as_u64_pair();
    (of_run == run).then_some(number)
}

/// Milliseconds since 1970 as text, and the same instant as RFC 3339 in UTC.
fn times(now: SystemTime) -> (String, String) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_millis().to_string(), rfc3339(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn headers(event: &Event) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        event.headers.iter().map(|(name, value)| (*name, value.as_deref().map(str::as_bytes)))
    }

    #[test]
    fn dates_are_what_the_calendar_says() {
        let date = |seconds: u64| rfc3339(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(date(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(date(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(date(951_868_799), "2000-02-29T23:59:59.007Z");
        assert_eq!(date(1_709_251_200), "2024-03-01T00:00:00.007Z");
        assert_eq!(date(1_798_761_599), "2026-12-31T23:59:59.007Z");
    }

    #[test]
    fn a_record_carries_its_number_and_what_posthog_writes() {
        let event = Event::new(Flow::Events, 7, 42, SystemTime::now());
        assert_eq!(number(7, headers(&event)), Some(42));
        assert_eq!(number(8, headers(&event)), None, "of another run");
        assert_eq!(number(7, std::iter::once(("uuid", Some(&b"not one"[..])))), None);
        let names: Vec<_> = event.headers.iter().map(|(name, _)| *name).collect();
        let wanted = "token distinct_id session_id timestamp event uuid now force_disable_person_processing historical_migration";
        assert_eq!(names.join(" "), wanted);
        let logs = Event::new(Flow::Logs, 7, 1, SystemTime::now());
        assert_eq!(number(7, headers(&logs)), Some(1));
        let size = logs.headers.iter().find(|(name, _)| *name == "bytes_uncompressed").unwrap().1.clone().unwrap();
        assert_eq!(size, logs.payload.len().to_string());
    }

    #[test]
    fn a_fingerprint_sees_every_part() {
        let mut event = Event::new(Flow::Events, 7, 42, SystemTime::now());
        let mut seen = vec![event.fingerprint()];
        event.headers[8].1 = Some(String::new());
        seen.push(event.fingerprint());
        event.headers.push(("token", None));
        seen.push(event.fingerprint());
        let moved = event.payload.pop().unwrap();
        seen.push(event.fingerprint());
        event.key.push(moved);
        seen.push(event.fingerprint());
        let mut different = seen.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), seen.len(), "{seen:?}");
    }
}
