//! Text that the other side of a connection says: fit for one line of a log, and without what is secret.

/// So many characters of it are kept.
const LONGEST: usize = 200;
/// What stands in the place of a secret.
const STRUCK: &str = "***";

/// The beginning of a text without line breaks and the like; a secret that its sender may have heard from us is struck out.
#[must_use]
pub fn cleaned(text: &str, secret: Option<&str>) -> String {
    let text = match secret.filter(|secret| !secret.is_empty()) {
        // Before it is cut: half a secret is one too.
        Some(secret) => text.replace(secret, STRUCK),
        None => text.to_owned(),
    };
    text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_makes_a_line_of_its_own_or_repeats_a_secret() {
        let said = "no\n2026-01-01 INFO a client has logged in with hunter2\u{1b}[31m";
        assert_eq!(cleaned(said, Some("hunter2")), "no?2026-01-01 INFO a client has logged in with ***?[31m");
        assert_eq!(cleaned("a", Some("")), "a");
        let long = format!("{}hunter2{}", "x".repeat(LONGEST - 3), "y".repeat(1_000_000));
        let cut = cleaned(&long, Some("hunter2"));
        assert!(cut.chars().count() == LONGEST && !cut.contains("hun"), "{cut}");
    }
}
