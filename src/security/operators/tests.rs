//! Files of tokens that are right and wrong, and whose a token is.

use super::file::{load, survey};
use super::*;
use crate::config::{Config, Secret, TextFrom};
use proptest::prelude::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const ONE: &str = "planted-0123456789abcdef";
const TWO: &str = "planted+/AAAAAAAAAAAAA==";

fn wrong(text: &str) -> Vec<String> {
    Operators::read(text).expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_token_is_known_by_its_name_or_by_its_line() {
    let operators =
        Operators::read(&format!("# for deployments\n{ONE}\r\n\n  alice@example.com \t {TWO}  \n")).unwrap();
    let of = |token: &str| operators.of(token).map(ToString::to_string);
    assert_eq!(
        (operators.len(), of(ONE).as_deref(), of(TWO).as_deref()),
        (2, Some("line 2"), Some("alice@example.com"))
    );
    for other in ["", "alice@example.com", "planted-0123456789abcdeg", "planted-0123456789abcde", &format!("{ONE} ")] {
        assert_eq!(of(other), None, "{other}");
    }
    let shown = format!("{operators:?}");
    assert!(!shown.contains("planted") && shown.contains("alice"), "{shown}");
}

#[test]
fn what_is_wrong_with_tokens_is_told_without_them() {
    for (text, told) in [
        ("", "there is no token in it"),
        ("# nobody\n\n", "there is no token in it"),
        ("short-planted-1", "line 1: its token has 15 characters"),
        ("a b planted-0123456789abcdef", "line 1 is no token, nor a name and a token"),
        ("a\u{1}b planted-0123456789abcdef", "line 1 begins with what cannot be a name"),
        ("\nplanted:0123456789abcdef", "line 2: its token has characters"),
        ("plantedé0123456789abcdef", "line 1: its token has characters"),
    ] {
        let all = wrong(text);
        assert!(all.len() == 1 && all[0].starts_with(told) && !all[0].contains("planted"), "{text:?}: {all:?}");
    }
    assert_eq!(wrong(&format!("{ONE}\na {ONE}")), ["line 2 has the token of line 1"]);
    assert_eq!(
        wrong(&format!("x{}", "y".repeat(LONGEST))),
        ["line 1: its token has 1025 characters; more than 1024 are not taken"]
    );
    let many: String = (0..=MOST).map(|number| format!("planted-planted-{number}\n")).collect();
    assert_eq!(wrong(&many), ["there are more than 1000 tokens in it"]);
    assert_eq!(wrong("x\ny").len(), 2, "all of it is told");
}

#[test]
fn who_sends_one_takes_the_first_of_such_a_file() {
    assert_eq!(first(&format!("# new\nbob {TWO}\n{ONE}\n")), Some(TWO));
    assert_eq!(first(ONE), Some(ONE));
    assert_eq!(first("# none\n"), None);
}

#[test]
fn check_tells_of_files_that_are_missing_wrong_or_everybodys() {
    let file = std::env::temp_dir().join(format!("fishplate-operators-{}", std::process::id()));
    let text = format!(
        "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\n\
         clusters: {{ a: {{ slot: 0, bootstrap: ['a.example:1'] }} }}\nadmin: {{ bind: '127.0.0.1:0', token_file: '{}' }}\n",
        file.display()
    );
    let config = Config::from_text("c.yaml", &text).unwrap();
    let told = || {
        let found = survey(&config, "c.yaml");
        found.iter().map(|one| format!("{:?} {}", one.severity, one.what)).collect::<Vec<_>>()
    };
    let missing = told();
    assert!(missing.len() == 1 && missing[0].starts_with("Warning the admin tokens in"), "{missing:?}");
    fs::write(&file, "planted-").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let short = told();
    assert!(short.len() == 1 && short[0].starts_with("Mistake") && !short[0].contains("planted-"), "{short:?}");
    fs::write(&file, ONE).unwrap();
    assert_eq!(told(), [""; 0]);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    assert!(told()[0].contains("everybody on this machine can read"), "{:?}", told());
    fs::write(&file, "x".repeat((1 << 20) + 1)).unwrap();
    assert!(load(&TextFrom::File(file.clone())).is_err_and(|why| why.to_string().contains("larger than 1024 KiB")));
    fs::remove_file(file).unwrap();
    let inline = TextFrom::Text(Secret::new(format!("carol {ONE}")));
    assert_eq!(load(&inline).unwrap().of(ONE).map(ToString::to_string).as_deref(), Some("carol"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_no_token_is_told(text in "[ -~\\n\\u{e4}]{0,80}") {
        if let Err(wrong) = Operators::read(&text) {
            prop_assert!(!wrong.is_empty());
        }
        let _ = first(&text);
    }
}
