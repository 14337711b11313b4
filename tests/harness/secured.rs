//! What a cluster's encrypted listeners need: a CA of its own, certificates in PEM, users, and the brokers' settings for them.
//! SECURED asks who comes by every mechanism of SASL over TLS, MUTUAL for a client's certificate.

use super::ports::Ports;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::PathBuf;

/// Who Fishplate is at the clusters, under every mechanism of passwords.
pub const USER: &str = "fishplate";
/// Its password.
pub const PASSWORD: &str = "planted-Secret-1";
/// Others whom the clusters know, for who comes to them as somebody else than Fishplate: by their names, with [`password_of`].
pub const OTHERS: [&str; 2] = ["capture", "replay"];
/// Whom the clusters know by a certificate besides: `CN=duke`.
pub const DUKE: &str = "duke";

/// The password of one of [`OTHERS`].
#[allow(dead_code, reason = "not in every test program")]
pub fn password_of(user: &str) -> String {
    format!("planted-Secret-of-{user}")
}

/// So long is a login believed that was made with SCRAM-SHA-512.
pub const LIFETIME_MS: u32 = 5_000;

/// The files of one cluster's PKI.
pub struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// Makes a CA, a certificate for 127.0.0.1 and localhost, and one for a client, in this folder.
    pub fn make(directory: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "tests of Fishplate");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self { directory };
        fs::write(pki.ca(), ca.pem())?;
        let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for (name, usage) in [("broker", &both[0]), ("client", &both[1]), (DUKE, &both[1])] {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage.clone()];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &ca)?.pem();
            fs::write(pki.file(name, "crt"), &certificate)?;
            fs::write(pki.file(name, "key"), key.serialize_pem())?;
            // As Kafka wants it: both in one.
            fs::write(pki.file(name, "pem"), key.serialize_pem() + &certificate)?;
        }
        Ok(pki)
    }

    /// Whom to trust.
    pub fn ca(&self) -> PathBuf {
        self.file("ca", "crt")
    }

    /// The client's certificate and key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.file("client", "crt"), self.file("client", "key"))
    }

    /// Another client's, who is `CN=duke`.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn duke(&self) -> (PathBuf, PathBuf) {
        (self.file(DUKE, "crt"), self.file(DUKE, "key"))
    }

    /// A certificate and key for 127.0.0.1, as brokers have them.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        (self.file("broker", "crt"), self.file("broker", "key"))
    }

    /// The client's certificate and key in one file, as Java's clients want it.
    pub fn client_in_one(&self) -> PathBuf {
        self.file("client", "pem")
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.directory.join(format!("{name}.{kind}"))
    }

    /// `tls` of a cluster in Fishplate's config, which trusts this CA.
    pub fn tls(&self) -> String {
        format!("tls: {{ ca: \"{}\" }}", self.ca().display())
    }

    /// The same, showing the client's certificate.
    pub fn mutual_tls(&self) -> String {
        let (certificate, key) = self.client();
        let [ca, certificate, key] = [self.ca(), certificate, key].map(|path| path.display().to_string());
        format!("tls: {{ ca: \"{ca}\", certificate: \"{certificate}\", key: \"{key}\" }}")
    }
}

/// A broker's ports for who comes over TLS.
#[derive(Clone, Copy)]
pub struct Doors {
    /// SASL over TLS.
    pub secured: u16,
    /// TLS with client certificates.
    pub mutual: u16,
}

impl Doors {
    /// On free ports.
    pub fn take(ports: &Ports) -> Self {
        Self { secured: ports.take(), mutual: ports.take() }
    }

    /// For `listeners` and `advertised.listeners`.
    pub fn listeners(self) -> String {
        format!(",SECURED://127.0.0.1:{},MUTUAL://127.0.0.1:{}", self.secured, self.mutual)
    }
}

/// For `listener.security.protocol.map`.
pub const PROTOCOLS: &str = ",SECURED:SASL_SSL,MUTUAL:SSL";

/// What a broker needs for both listeners.
pub fn settings(pki: &Pki) -> String {
    let (store, ca) = (pki.file("broker", "pem"), pki.ca());
    let (store, ca) = (store.display(), ca.display());
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";";
    format!(
        "ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.mutual.ssl.client.auth=required
listener.name.secured.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.secured.plain.sasl.jaas.config={plain} user_{USER}=\"{PASSWORD}\";
listener.name.secured.scram-sha-256.sasl.jaas.config={scram}
listener.name.secured.scram-sha-512.sasl.jaas.config={scram}
listener.name.secured.oauthbearer.sasl.jaas.config={oauth}
listener.name.secured.scram-sha-512.connections.max.reauth.ms={LIFETIME_MS}
"
    )
}

/// What Kafka's own tool is told so that the first users exist: arguments of `StorageTool format`.
pub fn first_users() -> Vec<String> {
    let user = |mechanism: &str, name: &str, password: &str| format!("{mechanism}=[name={name},password={password}]");
    let of = |mechanism| {
        let others = OTHERS.into_iter().map(move |name| user(mechanism, name, &password_of(name)));
        [user(mechanism, USER, PASSWORD)].into_iter().chain(others)
    };
    let all = of("SCRAM-SHA-256").chain(of("SCRAM-SHA-512"));
    all.flat_map(|user| ["--add-scram".to_owned(), user]).collect()
}
