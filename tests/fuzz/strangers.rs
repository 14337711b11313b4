//! What comes before a client is known: headers of load balancers, and certificates.

use super::messages::damage::damage;
use bytes::Bytes;
use fastrand::Rng;
use fishplate::security::tls::Certificate;
use fishplate::wire::proxy_protocol::{HEAD, LONGEST, SIGNATURE, read, rest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::LazyLock;

/// A header of the PROXY protocol with any command, family and extensions, mostly damaged.
pub fn proxy_header(rng: &mut Rng) -> bool {
    let mut body: Vec<u8> = (0..rng.usize(..60)).map(|_| rng.u8(..)).collect();
    for _ in 0..rng.usize(..4) {
        let value: Vec<u8> = (0..rng.usize(..8)).map(|_| rng.u8(..)).collect();
        let length = u8::try_from(value.len()).unwrap() + u8::from(rng.u8(..8) == 0);
        body.extend([rng.u8(..6), 0, length]);
        body.extend(value);
    }
    let [command, family] = [[0x20, 0x21, rng.u8(..)], [0x11, 0x21, rng.u8(..)]].map(|these| these[rng.usize(..3)]);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let whole = [&SIGNATURE[..], &[command, family], &length, &body].concat();
    let bytes = if rng.bool() { damage(rng, &Bytes::from(whole)).to_vec() } else { whole };
    let told = read(&bytes);
    // What is read as a whole is told so by its first bytes, and is bounded.
    if told.is_ok() {
        let length = HEAD + rest(&bytes).unwrap().unwrap();
        assert!(length <= bytes.len() && length <= LONGEST);
    }
    told.is_ok()
}

/// A damaged certificate.
pub fn certificate(rng: &mut Rng) -> bool {
    static SAMPLE: LazyLock<Bytes> = LazyLock::new(|| {
        let pem = include_bytes!("../vectors/tls/rsa.crt");
        Bytes::from(CertificateDer::from_pem_slice(pem).expect("a certificate").to_vec())
    });
    let read = Certificate::read(&damage(rng, &SAMPLE));
    read.is_some_and(|read| !read.subject.to_string().is_empty() || read.not_after > read.not_before)
}
