//! The admin address: what a right one becomes, and what would travel where everybody can read it.

use super::*;

const TLS: &str = "tls: { certificate: c.crt, key: c.key }";

fn of(admin: &str) -> String {
    base(&format!("admin: {{ {admin} }}\n"))
}

fn admin(text: &str) -> Admin {
    Config::from_text("/somewhere/c.yaml", &of(text)).expect(text).admin.expect("an admin address")
}

#[test]
fn what_it_has_is_what_is_written() {
    let file = PathBuf::from("/somewhere/tokens");
    assert_eq!(admin("bind: 127.0.0.1:1, token_file: tokens").operators, Some(TextFrom::File(file)));
    assert_eq!(admin("bind: 127.0.0.1:1").operators, None);
    let full = format!(
        "bind: '0.0.0.0:1', token_file: tokens, {}",
        TLS.replace(" }", ", client_ca: ca.crt, client_auth: optional, min_version: '1.3' }")
    );
    let tls = admin(&full).tls.expect("tls");
    assert_eq!(
        (tls.clients.map(|clients| clients.auth), tls.min_version),
        (Some(ClientAuth::Optional), TlsVersion::Tls13)
    );
    let config = Config::from_text("/c.yaml", &of(&full)).expect("a config");
    assert_eq!(Config::from_text("written.yaml", &written(&config).to_string()).expect("a config"), config);
}

#[test]
fn a_token_is_sent_nowhere_where_everybody_can_read_it() {
    let local = ["127.0.0.1:1", "'[::1]:1'", "127.9.9.9:1", "'[::ffff:127.0.0.1]:1'"];
    let open = ["0.0.0.0:1", "'[::]:1'", "10.0.0.1:1"];
    for (bind, is_local) in local.map(|bind| (bind, true)).into_iter().chain(open.map(|bind| (bind, false))) {
        let token = found(&of(&format!("bind: {bind}, token_file: t")));
        let plain = found(&of(&format!("bind: {bind}")));
        if is_local {
            assert_eq!((token, plain), (vec![], vec![]), "{bind}");
        } else {
            assert!(token.len() == 1 && token[0].contains("everybody on the way could read the token"), "{token:?}");
            assert!(!token[0].contains("warning"), "{token:?}");
            assert!(plain.len() == 1 && plain[0].contains("warning: who reaches"), "{plain:?}");
        }
        assert_eq!(found(&of(&format!("bind: {bind}, token_file: t, {TLS}"))), [""; 0], "{bind}");
    }
    assert!(read(&of("bind: 0.0.0.0:1, token_file: t")).config.is_none());
    assert!(read(&of("bind: 0.0.0.0:1")).config.is_some());
}

#[test]
fn what_does_not_belong_together_is_found() {
    for (text, mistake) in [
        ("bind: 127.0.0.1:1, token_file: t, token: '${SECRET}'", "there are tokens in `token_file` already"),
        ("bind: 127.0.0.1:1, tls: { certificate: c }", "admin's `tls` needs `key`"),
        ("bind: 127.0.0.1:1, tls: { certificate: c, key: k, client_auth: optional }", "they are asked for none"),
        (
            "bind: 127.0.0.1:1, tls: { certificate: c, key: k, principal_mapping: DEFAULT }",
            "has no key `principal_mapping`",
        ),
        ("bind: 127.0.0.1:1, tokens: t", "did you mean `token`?"),
    ] {
        let all = found(&of(text));
        assert!(all.len() == 1 && all[0].contains(mistake), "{mistake}: {all:?}");
    }
}

#[test]
fn tokens_are_told_to_nobody_and_another_needs_a_restart() {
    let of =
        |tokens: &str| Config::from_text("/c.yaml", &of(&format!("bind: 127.0.0.1:1, {tokens}"))).expect("a config");
    let (one, two) = (of("token: planted-0123456789abcdef"), of("token: planted-another-of-them"));
    for text in [written(&one).to_string(), format!("{one:?}"), format!("{:?}", diff::Diff::between(&one, &two))] {
        assert!(!text.contains("planted"), "{text}");
    }
    let restart = |now: &Config, then: &Config| {
        diff::Diff::between(now, then).needs_restart.iter().map(diff::Fixed::words).collect::<Vec<_>>()
    };
    assert_eq!(restart(&one, &two), ["admin.token is one and would be another: this needs a restart"]);
    assert_eq!(restart(&one, &one), [""; 0]);
    let running = Config::from_text("running", &written(&one).to_string()).expect("a config");
    assert_eq!(restart(&running, &two), [""; 0], "which one runs is not known");
    assert_eq!(
        restart(&one, &of("token_file: t")),
        ["admin.token_file is in the config and would be /t: this needs a restart"]
    );
    let tls = restart(&of("token_file: t"), &of(&format!("token_file: t, {TLS}")));
    assert!(tls.len() == 1 && tls[0].starts_with("admin.tls is none and would be "), "{tls:?}");
}
