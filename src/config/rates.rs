//! Another rate for a limit of a config: checked as the file would be that says it.

use super::policy::{Limit, Rate};
use super::{Config, written};
use serde_json::{Value, json};

/// A rate that is wanted, as it would be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Of which pipeline.
    pub pipeline: &'a str,
    /// Of which limit of it.
    pub limit: &'a str,
    /// Of which key alone.
    pub token: Option<&'a str>,
    /// Such as `500/s`.
    pub rate: &'a str,
    /// Such as `1000`; where it is left out: as before, or a second's worth where it was that.
    pub burst: Option<&'a str>,
}

/// The rate, and what may come at once, once they stood in the file.
///
/// # Errors
///
/// In words: there is no such limit, or the file would be refused.
pub fn rate(config: &Config, wanted: Wanted<'_>) -> Result<(Rate, u64), String> {
    let known = limit(config, wanted)?;
    let mut file = written(config);
    let pipelines = file["pipelines"].as_array_mut();
    let pipeline = pipelines.and_then(|all| all.iter_mut().find(|one| one["name"] == quoted(wanted.pipeline)));
    let limits = pipeline.and_then(|pipeline| pipeline["limits"].as_array_mut());
    let found = limits.and_then(|all| all.iter_mut().find(|one| one["name"] == quoted(wanted.limit)));
    let found = found.ok_or("the limit is not in the config as it is written: a mistake of Fishplate's")?;
    match wanted.token {
        Some(_) if wanted.burst.is_some() => {
            return Err("a key's own rate has the limit's burst, or a second's worth: leave `burst` out".to_owned());
        }
        // No secret goes into a text that mistakes are told of: as many parts as it has.
        Some(token) => {
            let parts = token.split('+').map(|_| "x").collect::<Vec<_>>().join("+");
            found["overrides"] = json!({ parts: quoted(wanted.rate) });
        }
        None => {
            found["rate"] = quoted(wanted.rate);
            match wanted.burst {
                Some(burst) => found["burst"] = burst.parse::<u64>().map_or_else(|_| quoted(burst), Value::from),
                None if known.burst == known.rate.in_a_second() => drop(found["burst"].take()),
                None => {}
            }
            if found["burst"].is_null() {
                found.as_object_mut().and_then(|limit| limit.remove("burst"));
            }
        }
    }
    let then = Config::from_text("the rate", &file.to_string()).map_err(|mistakes| {
        let first = mistakes.iter().next();
        first.map_or_else(String::new, |mistake| format!("{}: {}", mistake.what, mistake.instead))
    })?;
    let then = limit(&then, wanted)?;
    let own = then.overrides.last().filter(|_| wanted.token.is_some()).map(|(_, rate)| *rate);
    Ok(own.map_or((then.rate, then.burst), |own| (own, own.in_a_second().max(then.burst))))
}

fn limit<'a>(config: &'a Config, wanted: Wanted<'_>) -> Result<&'a Limit, String> {
    let of = |names: Vec<&str>| if names.is_empty() { "none has any".to_owned() } else { names.join(", ") };
    let limited = config.pipelines.iter().filter(|pipeline| !pipeline.policy.limits.is_empty());
    let pipeline = limited.clone().find(|pipeline| pipeline.name.as_str() == wanted.pipeline);
    let Some(pipeline) = pipeline else {
        let names = of(limited.map(|pipeline| pipeline.name.as_str()).collect());
        return Err(format!("no pipeline of that name has limits; those that have: {names}"));
    };
    let found = pipeline.policy.limits.iter().find(|limit| limit.name.as_str() == wanted.limit);
    found.ok_or_else(|| {
        let names = of(pipeline.policy.limits.iter().map(|limit| limit.name.as_str()).collect());
        format!("the pipeline {} has no limit of that name; its limits: {names}", pipeline.name)
    })
}

/// `${` would be looked up.
fn quoted(plain: &str) -> Value {
    Value::String(plain.replace("${", "$${"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "\
virtual_cluster: v
default_cluster: a
listeners: [{ bind: 127.0.0.1:1 }]
clusters: { a: { slot: 0, bootstrap: ['a.example:1'] } }
pipelines:
  - name: events
    topics: [events]
    cluster: a
    limits:
      - { name: per-token, key: header(token)+header(region), rate: 5000/s, burst: 20000 }
      - { name: bytes, key: client_id, unit: bytes, rate: 1MiB/s, overrides: { x: 2MiB/s } }
";
        Config::from_text("c.yaml", text).expect("a config")
    }

    fn told(limit: &str, token: Option<&str>, rate: &str, burst: Option<&str>) -> Result<(String, u64), String> {
        let wanted = Wanted { pipeline: "events", limit, token, rate, burst };
        super::rate(&config(), wanted).map(|(rate, burst)| (rate.to_string(), burst))
    }

    fn fine(rate: &str, burst: u64) -> Result<(String, u64), String> {
        Ok((rate.to_owned(), burst))
    }

    #[test]
    fn a_rate_is_what_the_file_would_make_of_it() {
        assert_eq!(told("per-token", None, "100/m", None), fine("100/m", 20_000), "the burst was said");
        assert_eq!(told("per-token", None, "100/m", Some("7")), fine("100/m", 7));
        assert_eq!(told("bytes", None, "2KiB/s", None), fine("2048/s", 2048), "the burst was a second's worth");
        assert_eq!(told("per-token", Some("phc_a+eu"), "30000/s", None), fine("30000/s", 30_000));
    }

    #[test]
    fn what_the_file_could_not_say_is_refused_with_its_words_and_without_the_token() {
        let error = |limit, token, rate, burst| told(limit, token, rate, burst).expect_err("a refusal");
        assert!(error("per-token", None, "0/s", None).contains("lets nothing through"));
        assert!(error("per-token", None, "fast", None).contains("is not a rate"));
        assert!(error("per-token", None, "${HOME}", None).contains("is not a rate"), "nothing is looked up");
        assert!(error("per-token", None, "1/h", None).contains("days to come back"));
        assert!(error("per-token", None, "1MiB/s", None).contains("not counted in bytes"));
        assert!(error("per-token", Some("a+b"), "1/s", Some("3")).contains("leave `burst` out"));
        let parts = error("per-token", Some("phc_secret"), "1/s", None);
        assert!(parts.contains("has 2 values") && !parts.contains("secret"), "{parts}");
        assert!(error("per-tokn", None, "1/s", None).contains("its limits: per-token, bytes"));
    }
}
