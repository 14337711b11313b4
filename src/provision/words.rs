//! Words of the languages that files are written in: what a name must look like in each.

use std::fmt::Write as _;

/// `label="value"` as PromQL reads it.
pub(super) fn is(label: &str, value: &str) -> String {
    format!("{label}={}", quoted(value))
}

/// A text in double quotes, as PromQL, YAML and JSON read it alike.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A text in a cell of a Markdown table.
pub(super) fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('`', "\\`").replace('\n', " ")
}

/// So many ten-millionths as a decimal number.
pub(super) fn decimal(ten_millionths: u64) -> String {
    const ONE: u64 = 10_000_000;
    let part = format!("{:07}", ten_millionths % ONE);
    let part = part.trim_end_matches('0');
    let whole = ten_millionths / ONE;
    if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") }
}

/// A dashboard's id, which Grafana wants short: what can be read of the name, and a sum over all of it.
pub(super) fn uid(name: &str) -> String {
    const READABLE: usize = 20;
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(READABLE);
    format!("fishplate-{}-{:08x}", letters.collect::<String>(), crc32c::crc32c(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact() {
        for (number, told) in [(144_000, "0.0144"), (10_000_000, "1"), (5_000_000, "0.5"), (1, "0.0000001"), (0, "0")] {
            assert_eq!(decimal(number), told);
        }
    }

    #[test]
    fn ids_of_dashboards_are_short_and_differ() {
        let long = "x".repeat(100);
        assert!(uid(&long).len() <= 40);
        assert_ne!(uid("a.b"), uid("a-b"));
        assert_eq!(uid("events"), uid("events"), "links to it stay");
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back_by_json(text in ".*") {
            prop_assert_eq!(serde_json::from_str::<String>(&quoted(&text)).ok(), Some(text));
        }

        #[test]
        fn what_is_quoted_is_read_back_by_yaml(text in "[ -~\n\t]*") {
            let read: Result<String, _> = serde_saphyr::from_str(&quoted(&text));
            prop_assert_eq!(read.ok(), Some(text));
        }
    }
}
