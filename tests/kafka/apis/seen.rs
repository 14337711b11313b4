//! What an answer says beyond ids, addresses and order: its `Debug` text, read back, with what varies put aside. So every
//! field of every message is held against bare Kafka without a list of them.

use std::fmt::Debug;

/// Leaves and lists that are other ids, addresses, times and sizes at each cluster: that they are there is all that counts.
const VARIES: &[&str] = &[
    "broker_id",
    "cluster_id",
    "controller_id",
    "coordinator_epoch",
    "eligible_leader_replicas",
    "error_message",
    "host",
    "isr_nodes",
    "last_known_elr",
    "leader",
    "leader_epoch",
    "leader_id",
    "log_append_time_ms",
    "member_id",
    "node_id",
    "offline_replicas",
    "port",
    "producer_id",
    "rack",
    "replica_nodes",
    "replicas",
    "timestamp",
    "topic_id",
    "unknown_tagged_fields",
];

/// A value in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Leaf(String),
    List(Vec<Value>),
    Struct(String, Vec<(String, Value)>),
}

/// The answer of `way` in words that are the same for every way; `aside` names more fields that may differ.
pub fn seen(answer: &impl Debug, way: &str, aside: &[&str]) -> String {
    let text = format!("{answer:?}");
    let mut rest = text.as_str();
    let mut value = read(&mut rest);
    assert!(rest.is_empty(), "{rest:?} is left of {text}");
    put_aside(&mut value, way, aside);
    render(&value)
}

fn put_aside(value: &mut Value, way: &str, aside: &[&str]) {
    match value {
        Value::Leaf(text) => *text = text.replace(way, "WAY"),
        Value::List(all) => {
            all.iter_mut().for_each(|one| put_aside(one, way, aside));
            all.sort();
        }
        Value::Struct(_, fields) => {
            for (name, value) in fields {
                match VARIES.contains(&name.as_str()) || aside.contains(&name.as_str()) {
                    true => *value = Value::Leaf("(varies)".into()),
                    false => put_aside(value, way, aside),
                }
            }
        }
    }
}

fn render(value: &Value) -> String {
    match value {
        Value::Leaf(text) => text.clone(),
        Value::List(all) => format!("[{}]", all.iter().map(render).collect::<Vec<_>>().join(", ")),
        Value::Struct(name, fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}: {}", render(value)));
            format!("{name} {{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn read(rest: &mut &str) -> Value {
    match rest.chars().next() {
        Some('[') => Value::List(read_until(rest, ']', read)),
        Some('{') => Value::Struct(String::new(), read_until(rest, '}', field)),
        Some('"') => Value::Leaf(quoted(rest)),
        _ => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.')).unwrap_or(rest.len());
            let word = take(rest, end).to_owned();
            match rest.chars().next() {
                Some('"') if word == "b" => Value::Leaf(word + &quoted(rest)),
                Some('(') => Value::Struct(word, read_until(rest, ')', |rest| (String::new(), read(rest)))),
                Some(' ') if rest.starts_with(" {") => {
                    take(rest, 1);
                    Value::Struct(word, read_until(rest, '}', field))
                }
                _ => Value::Leaf(word),
            }
        }
    }
}

fn field(rest: &mut &str) -> (String, Value) {
    let end = rest.find(':').unwrap_or_else(|| panic!("no field in {rest}"));
    let name = take(rest, end).to_owned();
    take(rest, 2);
    (name, read(rest))
}

fn read_until<T>(rest: &mut &str, end: char, one: impl Fn(&mut &str) -> T) -> Vec<T> {
    let mut all = Vec::new();
    take(rest, 1);
    loop {
        *rest = rest.trim_start_matches([' ', ',']);
        if rest.starts_with(end) {
            take(rest, 1);
            return all;
        }
        all.push(one(rest));
    }
}

fn quoted(rest: &mut &str) -> String {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(rest.len(), |(at, _)| at + 1);
    take(rest, end).to_owned()
}

fn take<'t>(rest: &mut &'t str, end: usize) -> &'t str {
    let (taken, left) = rest.split_at(end);
    *rest = left;
    taken
}
