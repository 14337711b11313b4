//! As whom principals come to clusters: what a right one becomes, and what is found in a wrong one.

use super::*;
use crate::types::Guise;

const SASL: &str = "tls: {}, sasl: { mechanism: PLAIN, username: us, password: hunter2 }";
const GROUPS: &str = "authorization: { groups: { team: ['User:a', 'User:b'], nobody: ['User:x'] } }\n";

/// Cluster `a` with these keys, on a listener where users log in.
fn cluster(keys: &str) -> String {
    let text = BASE.replace("[a.example:1] }", &format!("[a.example:1], {keys} }}"));
    let text = text.replace("9092 }", "9092, sasl: { mechanisms: [SCRAM-SHA-512], users: x } }");
    text + GROUPS
}

/// With identities.
fn with(identities: &str) -> String {
    cluster(&format!("{SASL}, identities: {{ {identities} }}, unmapped: refuse"))
}

fn login(username: &str) -> String {
    format!("sasl: {{ mechanism: SCRAM-SHA-512, username: {username}, password: hunter2 }}")
}

fn config(text: &str) -> Config {
    Config::from_text("/somewhere/c.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn named(config: &Config, principal: &str) -> Option<String> {
    config.clusters[0].identities.of(principal).map(|guise| guise.name().to_owned())
}

#[test]
fn each_principal_has_the_identity_that_names_it() {
    let text = with(&format!(
        "one: {{ principals: ['User:c'], {} }}, two: {{ principals: [team], {} }}",
        login("one"),
        login("two")
    ));
    let config = config(&text);
    let some = |name: &str| Some(name.to_owned());
    assert_eq!((named(&config, "User:c"), named(&config, "User:b")), (some("one"), some("two")));
    assert_eq!((named(&config, "User:x"), named(&config, "User:ANONYMOUS")), (None, None));
    let guise = config.clusters[0].identities.of("User:c").expect("an identity");
    assert_eq!(guise.who(), "SCRAM-SHA-512 as one");
    assert_eq!(config.clusters[1].identities.of("User:c"), Some(Guise::OWN));
}

#[test]
fn an_identity_by_its_certificate_has_all_else_of_the_clusters_tls() {
    let text = cluster(
        "tls: { ca: ca.crt, certificate: us.crt, key: us.key, server_name: k }, identities: { one: { principals: ['User:c'], \
         tls: { certificate: one.crt, key: one.key } } }, unmapped: own",
    );
    let config = config(&text);
    let one = &config.clusters[0].identities.all()[0];
    let own = config.clusters[0].tls.clone().expect("tls");
    let shown = Identity { certificate: "/somewhere/one.crt".into(), key: "/somewhere/one.key".into() };
    assert_eq!(one.tls, Some(ClientTls { identity: Some(shown), ..own }));
    assert_eq!((one.guise.who(), &one.login), ("certificate /somewhere/one.crt", &None));
    assert_eq!(named(&config, "User:x").as_deref(), Some("own"));
}

#[test]
fn what_is_printed_says_the_same_but_for_what_is_secret() {
    let all = format!("one: {{ principals: ['User:c', team], {} }}", login("one"));
    let everyone = format!("one: {{ principals: ['User:*'], {} }}", login("one"));
    let everyone = cluster(&format!("{SASL}, identities: {{ {everyone} }}"));
    let superfluous = with(&format!("one: {{ principals: ['User:*'], {} }}", login("one")));
    for text in [with(&all), everyone, superfluous] {
        let config = config(&text);
        let printed = super::written(&config).to_string();
        assert!(!printed.contains("hunter2"), "{printed}");
        let again = Config::from_text("written.yaml", &printed).expect("a config");
        let told = |config: &Config| format!("{:?}", config.clusters[0].identities.all());
        assert_eq!(told(&again), told(&config));
        assert_eq!(again.clusters[0].identities.unmapped(), config.clusters[0].identities.unmapped());
        let diff = diff::Diff::between(&config, &again);
        assert!(diff.changes.iter().all(|one| one.key != "clusters"), "{diff:?}");
    }
}

#[test]
fn what_a_reload_would_change_is_told_without_secrets() {
    let one = |username: &str, principal: &str| {
        config(&with(&format!("one: {{ principals: ['{principal}'], {} }}", login(username))))
    };
    let how = |then: &Config| diff::Diff::between(&one("one", "User:c"), then).changes.remove(0).how;
    assert_eq!(
        how(&one("other", "User:c")),
        ["identities.one: SCRAM-SHA-512 as one for User:c -> SCRAM-SHA-512 as other for User:c"]
    );
    let text = with(&format!("two: {{ principals: ['User:c'], {} }}", login("one")));
    assert_eq!(
        how(&config(&text)),
        [
            "identities.one: SCRAM-SHA-512 as one for User:c -> none",
            "identities.two: none -> SCRAM-SHA-512 as one for User:c"
        ]
    );
    let other = with(&format!("one: {{ principals: ['User:c'], {} }}", login("one")));
    let other = other.replacen("username: one, password: hunter2", "username: one, password: hunter3", 1);
    assert_eq!(how(&config(&other)), ["identities.one: another password"]);
    assert_eq!(
        how(&config(&cluster(SASL))),
        ["unmapped: refuse -> own", "identities.one: SCRAM-SHA-512 as one for User:c -> none"]
    );
}

#[test]
fn each_mistake_is_found_once() {
    let one = |keys: &str| with(&format!("one: {{ {keys} }}"));
    let right = format!("principals: ['User:c'], {}", login("one"));
    let open =
        |keys: &str| cluster(&format!("identities: {{ one: {{ principals: ['User:c'], {keys} }} }}, unmapped: own"));
    for (text, mistake) in [
        (one(&login("one")), "an identity needs `principals`"),
        (one(&format!("principals: [], {}", login("one"))), "there must be at least one"),
        (one(&format!("principals: [teem], {}", login("one"))), "did you mean `team`?"),
        (one(&format!("principals: ['User:'], {}", login("one"))), "`User:` is no principal"),
        (one("principals: ['User:c']"), "the identity `one` does not say how it logs in"),
        (one("principals: ['User:c'], sasl: { mechanism: PLAIN }"), "sasl with PLAIN needs `username` and `password`"),
        (one(&format!("{right}, tls: {{ certificate: c }}")), "an identity's `tls` needs `key`"),
        (one(&format!("{right}, tls: {{ ca: c, certificate: c, key: k }}")), "an identity's `tls` has no key `ca`"),
        (one(&format!("{right}, users: x")), "an identity has no key `users`"),
        (with(&format!("own: {{ {right} }}")), "`own` cannot be the name of an identity"),
        (with(&format!("several: {{ {right} }}")), "`several` cannot be the name of an identity"),
        (with(&format!("one: {{ {right} }}, two: {{ {right} }}")), "`User:c` would be both `one` and `two`"),
        (
            with(&format!("one: {{ principals: [team], {0} }}, two: {{ principals: ['User:b'], {0} }}", login("one"))),
            "`User:b` would be both `one` and `two` at the cluster `a` -> take it out of one of the two",
        ),
        (with(""), "there must be at least one"),
        (open(&login("one")), "the identity `one` would log in where Fishplate itself does not"),
        (
            open("tls: { certificate: c, key: k }"),
            "the identity `one` has a certificate, and this cluster is entered without",
        ),
        (
            open("").replace("'User:c'],", "'User:c']"),
            "the identity `one` has nothing by which the cluster would know it",
        ),
        (cluster(&format!("{SASL}, unmapped: own")), "this cluster has no identities"),
        (
            cluster(&format!("{SASL}, identities: {{ one: {{ {right} }} }}")),
            "does not say what becomes of principals that have none -> add `unmapped: refuse`",
        ),
        (
            cluster(&format!("{SASL}, identities: {{ one: {{ {right} }} }}, unmapped: refused")),
            "`refused` says nothing of principals without an identity -> did you mean `refuse`?",
        ),
    ] {
        let all = found(&text);
        let mistakes: Vec<_> = all.iter().filter(|one| !one.contains("warning: ")).collect();
        assert!(mistakes.len() == 1 && mistakes[0].contains(mistake), "{mistake}: {all:#?}");
        assert!(all.iter().all(|one| !one.contains("hunter2")), "{all:?}");
    }
}

#[test]
fn what_nobody_can_have_meant_is_warned_of() {
    let right = format!("principals: ['User:c'], {}", login("one"));
    let anonymous = |principal: &str| {
        with(&format!("one: {{ principals: ['{principal}'], {} }}", login("one")))
            .replace(", sasl: { mechanisms: [SCRAM-SHA-512], users: x }", "")
    };
    let certified = |ours: &str, identity: &str| {
        let own = format!("tls: {{ certificate: {ours}, key: k }}");
        cluster(&format!("{own}, identities: {{ {identity} }}, unmapped: own"))
    };
    for (text, warning) in [
        (anonymous("User:c"), Some("nobody has the identity `one`: no listener asks clients who they are")),
        (anonymous("User:ANONYMOUS"), None),
        (with(&format!("one: {{ {right} }}")), None),
        (
            with("one: { principals: ['User:c'], sasl: { mechanism: PLAIN, username: us, password: hunter2 } }"),
            Some("the identity `one` is Fishplate itself"),
        ),
        (certified("ours", "one: { principals: ['User:c'], tls: { certificate: theirs, key: k } }"), None),
        (
            certified("ours", "one: { principals: ['User:c'], tls: { certificate: ours, key: k } }"),
            Some("the identity `one` is Fishplate itself"),
        ),
        (
            with(&format!("one: {{ principals: ['User:*'], {} }}", login("one"))),
            Some("nobody is without an identity: one has `User:*` -> leave `unmapped` out"),
        ),
        (
            with("one: { principals: ['User:c'], sasl: { mechanism: PLAIN, username: one, password: hunter2 } }")
                .replace("tls: {}, ", ""),
            Some("with PLAIN and without TLS everybody on the way can read the password"),
        ),
    ] {
        let all = found(&text);
        let all: Vec<_> = all.iter().filter(|one| one.contains("dentit") || one.contains("PLAIN and")).collect();
        match warning {
            Some(warning) => {
                assert!(all.iter().any(|one| one.contains("warning: ") && one.contains(warning)), "{all:?}")
            }
            None => assert!(all.is_empty(), "{all:?}"),
        }
    }
}
