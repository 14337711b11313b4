//! Regular expressions as brokers read them (RE2/J; KIP-848), so that we know which topics a subscription means. What reads
//! otherwise here is written anew: quoting, and what `[`, `&`, `~` and `-` mean among the characters of a class.

use regex::bytes::{Regex, RegexBuilder};

/// Longer ones are not read, in bytes: reading takes memory that nobody has counted.
pub(super) const LONGEST: usize = 4_096;
/// What a compiled one may take, in bytes: room for 4 KiB of topics' names, whatever their case. It bounds what a single name takes,
/// too: with 1 MiB `(a?b?){3000}` took 36 ms for one of 249 letters, with this no more than 0.5 ms.
const MOST: usize = 256 << 10;
/// How deep groups may stand in each other.
const DEEPEST: u32 = 50;

/// A regular expression that matches whole names of topics, or why it cannot be read.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST {
        return Err(format!("it has {} bytes, and may have {LONGEST}", pattern.len()));
    }
    let read = translated(pattern);
    let compile = |text: &str| RegexBuilder::new(text).unicode(false).size_limit(MOST).nest_limit(DEEPEST).build();
    // Alone first: what it lacks must not be found in what is written around it.
    let whole = compile(&read).and_then(|_| compile(&format!(r"\A(?:{read})\z")));
    whole.map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
}

fn translated(pattern: &str) -> String {
    let (mut read, mut rest) = (String::with_capacity(pattern.len()), pattern);
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix(r"\Q") {
            let (quoted, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            read.push_str(&regex::escape(quoted));
            rest = after;
            continue;
        }
        let taken = match c {
            '\\' => escaped(rest),
            '[' => {
                rest = class(rest, &mut read);
                continue;
            }
            _ => c.len_utf8(),
        };
        let (one, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        read.push_str(one);
        rest = after;
    }
    read
}

/// The length of a backslash and what it escapes.
fn escaped(rest: &str) -> usize {
    rest.chars().take(2).map(char::len_utf8).sum()
}

/// Takes a class of characters, from its bracket on, and gives what follows it.
fn class<'t>(class: &'t str, read: &mut String) -> &'t str {
    let negated = class.starts_with("[^");
    let (open, mut rest) = class.split_at(if negated { 2 } else { 1 });
    read.push_str(open);
    let mut first = true;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let named = rest.starts_with("[:").then(|| rest.find(":]")).flatten();
        let taken = match (c, named) {
            (_, Some(end)) => end + 2,
            ('\\', None) => escaped(rest),
            (']', None) if !first => {
                read.push(c);
                return rest.get(1..).unwrap_or_default();
            }
            _ => c.len_utf8(),
        };
        // Elsewhere a class in a class, or what two of them have in common.
        if named.is_none() && (matches!(c, '[' | '&' | '~' | ']') || (c == '-' && before == '-')) {
            read.push('\\');
        }
        let (one, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        read.push_str(one);
        (rest, first, before) = (after, false, c);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(name.as_bytes())
    }

    #[test]
    fn a_whole_name_is_matched() {
        for (pattern, name, does) in [
            ("events_.*", "events_eu", true),
            ("events_", "events_eu", false),
            ("vents_.*", "events_eu", false),
            ("a|b", "ab", false),
            ("(?i)EVENTS", "events", true),
            (r"t\d+", "t12", true),
            (r"\pL", "t", false),
            ("^t$", "t", true),
            ("", "t", false),
        ] {
            match compile(pattern) {
                Ok(regex) => assert_eq!(regex.is_match(name.as_bytes()), does, "{pattern} {name}"),
                Err(_) => assert!(!does, "{pattern}"),
            }
        }
    }

    #[test]
    fn what_is_quoted_is_itself() {
        assert!(matches(r"\Qa.b\E.*", "a.b-1") && !matches(r"\Qa.b\E.*", "a-b-1"));
        assert!(matches(r"\Qa.b", "a.b") && matches(r"x\Q\Ey", "xy"));
    }

    #[test]
    fn what_is_of_a_class_is_as_brokers_read_it() {
        assert!(matches("[a&&b]", "&") && matches("[a&&b]", "a"));
        assert!(matches("[[a]", "[") && matches("[a~~b]", "a"));
        assert!(matches("[]a]+", "a]") && matches("[^]a]", "b") && !matches("[^]a]", "]"));
        assert!(matches("[[:digit:]_]+", "1_2") && matches(r"[\w.-]+", "a.b-c"));
        assert!(matches("[+--]", ",") && matches("[a-c]", "b"));
    }

    #[test]
    fn as_many_names_as_it_may_have_bytes_can_be_read() {
        let names: Vec<_> = (0..).map(|number| format!("Some_Topic.{number:03}")).take(LONGEST / 15 - 1).collect();
        let pattern = format!("(?i){}", names.join("|"));
        assert!(pattern.len() > LONGEST - 50 && matches(&pattern, "some_topic.007"));
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        for wrong in
            ["(", "a)(b", "[a", "x{2000000}", "(a?b?){1000}", "(?=a)", &"a".repeat(LONGEST + 1), &"(".repeat(100)]
        {
            let why = compile(wrong).unwrap_err();
            assert!(!why.is_empty() && why.len() < 300, "{why}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_literals_match_themselves(pattern in "\\PC{0,40}", name in "[a-zA-Z0-9._-]{1,20}") {
            let _read_or_not = compile(&pattern);
            let quoted = format!(r"\Q{name}\E");
            prop_assert!(matches(&quoted, &name) && matches(&name.replace('.', r"\."), &name));
        }
    }
}
