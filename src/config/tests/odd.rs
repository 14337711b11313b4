//! Texts that are no config, or want to be more than one.

use super::*;
use proptest::prelude::*;

#[test]
fn what_would_blow_up_is_refused() {
    let bomb = (1..20).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let before = n - 1;
        text + &format!(
            "a{n}: &a{n} [*a{before},*a{before},*a{before},*a{before},*a{before},*a{before},*a{before},*a{before}]\n"
        )
    });
    for (text, words) in [
        ("[".repeat(100_000), "nested deeper than 32 levels"),
        ("- ".repeat(30_000), "nested deeper than 32 levels"),
        ("{a: ".repeat(40) + &"}".repeat(40), "nested deeper than 32 levels"),
        (bomb, "more than 200000 values"),
        ("a: &a [*a]\n".to_owned(), "an alias inside of what it repeats"),
    ] {
        let all = found(&text).join("\n");
        assert!(all.contains(words), "{words}: {all:.500}");
    }
    let many: String = (0..5_000).map(|n| format!("k{n}: 1\n")).collect();
    let all = found(&many);
    assert!(all.len() < 1_010 && all.last().is_some_and(|last| last.contains("more are not shown")), "{}", all.len());
}

#[test]
fn of_an_endless_line_only_what_is_marked_is_shown() {
    let many: String = (0..2_000).map(|n| format!("k{n}: 1, ")).collect();
    let printed = read(&format!("{{ {many} }}")).found.to_string();
    assert!(printed.contains("\n1 | k999\n  | ^^^^\n"), "{printed:.2000}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read_over() {
    assert_eq!(found(&format!("\u{feff}{}", BASE.replace('\n', "\r\n"))), [""; 0]);
}

#[test]
fn a_terminal_is_not_driven_by_a_config() {
    let shown = read(&base("x: \"\u{1b}[2J\u{7}\"\n\"\\e[2J\": 1\n")).found.to_string();
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
}

#[test]
fn aliases_repeat_values() {
    let text =
        BASE.replace("[a.example:1]", "[&x a.example:1]") + "pipelines: [{ name: &n p, topics: [*n], cluster: a }]\n";
    assert_eq!(found(&text), [""; 0]);
}

proptest! {
    // Each reads a whole config.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    /// Whatever is done to a config, it is either right or it has mistakes; never neither, never a panic.
    #[test]
    fn a_spoilt_config_is_right_or_says_why(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[\\PC\\n\\t{}:,*!&\"$/-]{0,4}"), 1..6),
    ) {
        let mut text: Vec<char> = include_str!("../../../config/full.yaml").chars().collect();
        for (at, remove, insert) in cuts {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        let reading = load::text("config/full.yaml", &text, &variable);
        prop_assert_eq!(reading.config.is_none(), reading.found.count().0 > 0, "{}", reading.found);
    }
}
