//! TLS: what a right one becomes, and what is found in a wrong one.

use super::*;

fn listener(tls: &str) -> String {
    BASE.replace("9092 }", &format!("9092, tls: {{ certificate: c.crt, key: /k.key{tls} }} }}"))
}

fn cluster(tls: &str) -> String {
    BASE.replace("[a.example:1] }", &format!("[a.example:1], tls: {{ {tls} }} }}"))
}

#[test]
fn paths_start_from_the_files_directory_and_what_is_not_said_is_the_default() {
    let config = Config::from_text("/somewhere/c.yaml", &listener("")).expect("a config");
    let tls = config.listeners[0].tls.clone().expect("tls");
    let identity = Identity { certificate: "/somewhere/c.crt".into(), key: "/k.key".into() };
    assert_eq!(tls, Tls { identity, clients: None, min_version: TlsVersion::Tls12 });
    let config = Config::from_text("c.yaml", &cluster("")).expect("a config");
    assert_eq!(config.clusters[0].tls, Some(ClientTls::default()));
    assert_eq!(config.clusters[1].tls, None);
}

#[test]
fn what_clients_are_asked_is_what_is_written() {
    let all = ", client_ca: ca.crt, client_auth: optional, principal_mapping: 'RULE:CN=(.*)/$1/L, DEFAULT', min_version: '1.3'";
    let config = Config::from_text("/c.yaml", &listener(all)).expect("a config");
    let Some(Tls { clients: Some(clients), min_version, .. }) = config.listeners[0].tls.clone() else {
        panic!("clients")
    };
    assert_eq!((clients.auth, min_version), (ClientAuth::Optional, TlsVersion::Tls13));
    assert_eq!(clients.principals.principal("CN=Duke").as_deref(), Some("duke"));
    let again = Config::from_text("written.yaml", &written(&config).to_string()).expect("a config");
    assert_eq!(again, config);
    let all = "ca: ca.crt, certificate: c.crt, key: c.key, server_name: k.example";
    let config = Config::from_text("/c.yaml", &cluster(all)).expect("a config");
    assert_eq!(Config::from_text("written.yaml", &written(&config).to_string()).expect("a config"), config);
    let told = diff::Diff::between(&Config::from_text("/c.yaml", BASE).expect("a config"), &config);
    assert_eq!(
        told.changes[0].how,
        ["tls: none -> ca /ca.crt, certificate /c.crt, key /c.key, server_name k.example, 1.2 and later"]
    );
}

#[test]
fn what_does_not_belong_together_is_found() {
    for (text, mistake) in [
        (listener(", client_auth: required"), "`client_auth` is of clients' certificates, and they are asked for none"),
        (listener(", principal_mapping: DEFAULT"), "`principal_mapping` is of clients' certificates"),
        (listener(", client_ca: a, client_auth: requierd"), "did you mean `required`?"),
        (listener(", client_ca: a, principal_mapping: [DEFAULT, 'RULE:a/b']"), "`RULE:a/b` lacks a slash"),
        (listener(", client_ca: a, principal_mapping: ['RULE:(/b/']"), "`(` is no pattern"),
        (listener(", client_ca: a, principal_mapping: []"), "there must be at least one"),
        (listener(", client_ca: a, principal_mapping: ','"), "there is no rule here"),
        (listener(", min_version: 1.2"), "put it in quotes: \"1.2\""),
        (listener(", min_version: '1.1'"), "`1.1` is no version of TLS that is spoken"),
        (listener(", verify: false"), "has no key `verify`"),
        (BASE.replace("9092 }", "9092, proxy_protocol: optional }"), "`optional` is no way to take the PROXY protocol"),
        (cluster("certificate: a"), "`a` is of no use without its `key`"),
        (cluster("key: a"), "`a` is of no use without its `certificate`"),
        (cluster("server_name: 'a:1'"), "`a:1` is no host name"),
        (cluster("insecure: true"), "has no key `insecure`"),
    ] {
        let all = found(&text);
        assert!(all.len() == 1 && all[0].contains(mistake), "{mistake}: {all:?}");
    }
    assert!(read(&BASE.replace("9092 }", "9092, tls: { key: a } }")).config.is_none());
}
