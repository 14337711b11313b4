//! Logging in to clusters: what goes with which mechanism, and what is told of it without its secrets.

use super::super::oauth::{Endpoint, MskIam, TokensFrom};
use super::super::url::Url;
use super::*;
use crate::types::Mechanism;

const LOGINS: [&str; 6] = [
    "mechanism: PLAIN, username: u, password: hunter2",
    "mechanism: SCRAM-SHA-512, username: u, password: hunter2",
    "mechanism: OAUTHBEARER, token_file: token",
    "mechanism: OAUTHBEARER, token_url: 'https://idp.example.com/token', client_id: c, client_secret: hunter2",
    "mechanism: OAUTHBEARER, token_url: 'https://idp.example.com/token', client_id: c, client_secret: hunter2, scope: 'a b', \
     audience: kafka, ca: ca.pem",
    "mechanism: AWS_MSK_IAM, region: eu-central-1, role: 'arn:aws:iam::1:role/r', profile: p",
];

fn cluster(sasl: &str) -> String {
    BASE.replace("[a.example:1] }", &format!("[a.example:1], tls: {{}}, sasl: {{ {sasl} }} }}"))
}

fn read(sasl: &str) -> Config {
    Config::from_text("/somewhere/c.yaml", &cluster(sasl)).unwrap_or_else(|mistakes| panic!("{sasl}: {mistakes}"))
}

fn login(sasl: &str) -> Login {
    read(sasl).clusters[0].login.clone().expect("a login")
}

#[test]
fn each_way_is_what_is_written() {
    let logins = LOGINS.map(login);
    assert!(matches!(&logins[1], Login::Password { mechanism: Mechanism::ScramSha512, .. }));
    assert_eq!(logins[2], Login::Tokens(TokensFrom::File("/somewhere/token".into())));
    let endpoint = Endpoint {
        url: Url::parse("https://idp.example.com/token").expect("a URL"),
        client_id: "c".into(),
        client_secret: Secret::new("hunter2".into()),
        scope: Some("a b".into()),
        audience: Some("kafka".into()),
        ca: Some("/somewhere/ca.pem".into()),
    };
    assert_eq!(logins[4], Login::Tokens(TokensFrom::Endpoint(endpoint.clone())));
    let bare = Endpoint { scope: None, audience: None, ca: None, ..endpoint };
    assert_eq!(logins[3], Login::Tokens(TokensFrom::Endpoint(bare)));
    let whom =
        MskIam { region: "eu-central-1".into(), role: Some("arn:aws:iam::1:role/r".into()), profile: Some("p".into()) };
    assert_eq!(logins[5], Login::Tokens(TokensFrom::MskIam(whom)));
}

#[test]
fn what_is_printed_says_the_same_but_for_what_is_secret() {
    for sasl in LOGINS {
        let config = read(sasl);
        let printed = super::written(&config).to_string();
        assert!(
            !printed.contains("hunter2") && !config.clusters[0].login.as_ref().expect("it").words().contains("hunter2")
        );
        let again = Config::from_text("written.yaml", &printed).expect("a config");
        let hidden = |login: &Login| format!("{login:?}").replace("Secret(...)", "");
        let (then, now) =
            (again.clusters[0].login.as_ref().expect("it"), config.clusters[0].login.as_ref().expect("it"));
        assert_eq!(hidden(then), hidden(now));
        assert!(diff::Diff::between(&config, &again).changes.is_empty(), "{sasl}");
    }
}

#[test]
fn a_change_of_it_is_told() {
    let how = |now: usize, then: &str| diff::Diff::between(&read(LOGINS[now]), &read(then)).changes[0].how.clone();
    assert_eq!(
        how(2, LOGINS[3]),
        ["sasl: OAUTHBEARER from /somewhere/token -> OAUTHBEARER from https://idp.example.com/token as c"]
    );
    assert_eq!(how(3, &LOGINS[3].replace("hunter2", "other")), ["sasl: another password"]);
    let ends = how(5, LOGINS[0]);
    assert_eq!(ends[0], "links: 3000, 100 a second -> 20000, 1000 a second");
    assert_eq!(ends[1..], ["sasl: AWS_MSK_IAM in eu-central-1 as arn:aws:iam::1:role/r with profile p -> PLAIN as u"]);
}

#[test]
fn what_does_not_belong_together_is_found() {
    for (sasl, mistake) in [
        ("username: u", "sasl needs `mechanism`"),
        ("mechanism: PLAIN, password: x", "sasl with PLAIN needs `username`"),
        ("mechanism: SCRAM-SHA-256, username: u", "sasl with SCRAM-SHA-256 needs `password`"),
        ("mechanism: PLAIN, username: u, password: x, token_file: t", "`token_file` does not go with PLAIN"),
        ("mechanism: OAUTHBEARER", "sasl with OAUTHBEARER needs `token_file`, or `token_url`"),
        ("mechanism: OAUTHBEARER, token_file: t, username: u", "`username` does not go with OAUTHBEARER"),
        ("mechanism: OAUTHBEARER, token_file: t, client_id: u", "`client_id` does not go with OAUTHBEARER"),
        ("mechanism: OAUTHBEARER, token_url: 'https://a/'", "sasl with OAUTHBEARER needs `client_id`"),
        (
            "mechanism: OAUTHBEARER, token_url: 'http://a/', client_id: a, client_secret: b",
            "`http://a/` is not encrypted",
        ),
        ("mechanism: OAUTHBEARER, token_url: a, client_id: a, client_secret: b", "`a` is no URL of http"),
        ("mechanism: AWS_MSK_IAM", "sasl with AWS_MSK_IAM needs `region`"),
        ("mechanism: AWS_MSK_IAM, region: 'EU Central'", "`EU Central` is no region of AWS"),
        ("mechanism: AWS_MSK_IAM, region: eu-central-1, role: admin", "`admin` is no role of AWS"),
        ("mechanism: AWS_MSK_IAM, region: eu-central-1, password: x", "`password` does not go with AWS_MSK_IAM"),
        ("mechanism: OAUTH, token_file: t", "`OAUTH` is no mechanism that Fishplate logs in with"),
        ("mechanism: aws-msk-iam, region: r", "did you mean `AWS_MSK_IAM`?"),
        ("mechanism: scram_sha_512, username: u, password: x", "did you mean `SCRAM-SHA-512`?"),
        ("mechanism: PLAIN, user: u, password: x", "did you mean `username`?"),
    ] {
        let all = found(&cluster(sasl)).join("\n");
        assert!(all.contains(mistake), "{sasl}: {all}");
    }
}

#[test]
fn what_is_said_of_a_secret_says_nothing_of_it() {
    for sasl in [
        "mechanism: PLAIN, username: u, password: *hunter2",
        "mechanism: PLAIN, username: u, password: !hunter2 x",
        "mechanism: PLAIN, username: u, password: [hunter2]",
        "mechanism: PLAIN, username: u, passwrod: hunter2",
        "mechanism: OAUTHBEARER, token_url: 'https://u:hunter2@a/', client_id: a, client_secret: { hunter2: hunter2 }",
    ] {
        let found = Reading::of_text("c.yaml", &cluster(sasl)).found;
        let shown = format!("{found} {}", serde_json::to_string(&found).unwrap());
        assert!(!found.is_empty() && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_everybody_could_read_is_warned_of() {
    for (sasl, warned) in
        LOGINS.into_iter().zip([Some("the password"), None, Some("the token"), Some("the token"), None, None])
    {
        let text = cluster(sasl).replace(", tls: {}", "");
        let found = Reading::of_text("c.yaml", &text).found.to_string();
        if let Some(what) = warned {
            assert!(found.contains(&format!("without TLS everybody on the way can read {what}")), "{found}");
        }
        assert_eq!(found.contains("without TLS"), !sasl.contains("SCRAM"), "{found}");
    }
}

#[test]
fn users_in_the_config_are_shown_to_nobody_and_noticed_all_the_same() {
    let of = |names: &str| listener(&format!("mechanisms: [SCRAM-SHA-256], users: '{names}'"));
    let read = |text: &str| Config::from_text("c.yaml", text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let (now, then) = (read(&of("alice")), read(&of("bob")));
    let fixed = diff::Diff::between(&now, &then).needs_restart;
    assert_eq!(fixed.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["listeners.sasl.users"]);
    // What a running proxy tells of its config is no other one
    let told = read(&written(&now).to_string());
    assert!(diff::Diff::between(&told, &now).needs_restart.is_empty());
}

#[test]
fn brokers_of_msk_get_as_many_connections_with_iam_as_they_take() {
    let paces = [LOGINS[0], LOGINS[5]].map(|sasl| {
        let config = Reading::of_text("c.yaml", &cluster(sasl)).config.expect("a config");
        (config.clusters[0].max_links, config.clusters[0].links_per_second)
    });
    assert_eq!(paces, [(20_000, 1_000), (3_000, 100)]);
    let own = cluster(LOGINS[5]).replace("slot: 0", "slot: 0, max_links: 1000, links_per_second: 33");
    let config = Reading::of_text("c.yaml", &own).config.expect("a config");
    assert_eq!((config.clusters[0].max_links, config.clusters[0].links_per_second), (1_000, 33));
}

#[cfg(not(feature = "msk-iam"))]
#[test]
fn without_the_feature_it_is_said_what_to_do() {
    let found = Reading::of_text("c.yaml", &cluster(LOGINS[5])).found.to_string();
    assert!(found.contains("was built without AWS_MSK_IAM") && found.contains("--features msk-iam"), "{found}");
}

fn listener(sasl: &str) -> String {
    BASE.replace("9092 }", &format!("9092, tls: {{ certificate: c.crt, key: c.key }}, sasl: {{ {sasl} }} }}"))
}

#[test]
fn which_tokens_a_listener_takes_is_what_is_written() {
    use super::super::oauth::{JwksAt, Oauthbearer};
    let takes = |keys: &str| {
        let text = listener(&format!("mechanisms: [OAUTHBEARER], oauthbearer: {{ issuer: i, {keys} }}"));
        let config =
            Config::from_text("/somewhere/c.yaml", &text).unwrap_or_else(|mistakes| panic!("{keys}: {mistakes}"));
        let again = Config::from_text("written.yaml", &super::written(&config).to_string()).expect("a config");
        assert_eq!(again, config);
        config.listeners[0].sasl.clone().and_then(|sasl| sasl.oauthbearer).expect("tokens")
    };
    let least = Oauthbearer {
        jwks: JwksAt::File("/somewhere/keys.json".into()),
        issuer: "i".into(),
        audience: vec![],
        clock_skew: std::time::Duration::from_secs(30),
        principal_claim: "sub".into(),
    };
    assert_eq!(takes("jwks: keys.json"), least);
    let all =
        takes("jwks: 'https://idp.example.com/k', ca: ca.pem, audience: [a, b], clock_skew: 5s, principal_claim: azp");
    let url = Url::parse("https://idp.example.com/k").expect("a URL");
    let jwks = JwksAt::Url { url, ca: Some("/somewhere/ca.pem".into()) };
    let clock_skew = std::time::Duration::from_secs(5);
    let audience = vec!["a".into(), "b".into()];
    assert_eq!(all, Oauthbearer { jwks, audience, clock_skew, principal_claim: "azp".into(), ..least });
    assert_eq!(takes("jwks: k, audience: a").audience, ["a".into()]);
}

#[test]
fn tokens_that_a_listener_could_not_take_are_found() {
    let with = |keys: &str| format!("mechanisms: [OAUTHBEARER], oauthbearer: {{ {keys} }}");
    for (sasl, mistake) in [
        ("mechanisms: [OAUTHBEARER]".to_owned(), "OAUTHBEARER needs `oauthbearer`"),
        (
            "mechanisms: [PLAIN], users_file: u, oauthbearer: { jwks: k, issuer: i }".to_owned(),
            "is of no use without OAUTHBEARER",
        ),
        (
            "mechanisms: [OAUTHBEARER], users_file: u, oauthbearer: { jwks: k, issuer: i }".to_owned(),
            "nobody logs in with a password",
        ),
        (with("issuer: i"), "oauthbearer needs `jwks`"),
        (with("jwks: k"), "oauthbearer needs `issuer`"),
        (with("jwks: 'http://idp.example.com/k', issuer: i"), "`http://idp.example.com/k` is not encrypted"),
        (with("jwks: k, ca: c, issuer: i"), "`ca` is of no use with a file of keys"),
        (with("jwks: k, issuer: i, clock_skew: 11m"), "with a clock skew of 660s tokens would hardly expire"),
        (with("jwks: k, issuer: i, jku: x"), "oauthbearer has no key `jku`"),
    ] {
        let all = found(&listener(&sasl)).join("\n");
        assert!(all.contains(mistake), "{sasl}: {all}");
    }
    let open = listener(&with("jwks: k, issuer: i")).replace("tls: { certificate: c.crt, key: c.key }, ", "");
    assert!(
        found(&open)
            .join("")
            .contains("with OAUTHBEARER and without TLS everybody on the way can read the clients' tokens")
    );
}
