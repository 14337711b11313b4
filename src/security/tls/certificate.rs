//! What a certificate says of itself: whose it is, who signed it, and when it holds. Whether that is true is for rustls to find
//! out; nothing here is believed of a peer before it has.

use super::der::{self, CONTEXT_0, Elements, INTEGER, SEQUENCE};
use super::name::Name;

/// What is read of an X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// From when on it holds, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
}

impl Certificate {
    /// `None` where it is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Elements(Elements(der).expect(SEQUENCE)?);
        let mut signed = Elements(certificate.expect(SEQUENCE)?);
        // Its version and serial number, and how it is signed.
        signed.skip(CONTEXT_0);
        let _serial = signed.expect(INTEGER)?;
        let _algorithm = signed.expect(SEQUENCE)?;
        let issuer = Name::read(signed.expect(SEQUENCE)?)?;
        let mut validity = Elements(signed.expect(SEQUENCE)?);
        let (not_before, not_after) = (der::time(validity.next()?)?, der::time(validity.next()?)?);
        let subject = Name::read(signed.expect(SEQUENCE)?)?;
        Some(Self { subject, issuer, not_before, not_after })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Authority, Validity};
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        Authority::new("Test CA").client("duke", Validity::Good).der
    }

    #[test]
    fn whose_it_is_and_how_long_it_holds_is_read() {
        let read = Certificate::read(&sample()).expect("a certificate");
        assert_eq!((read.subject.to_string().as_str(), read.issuer.to_string().as_str()), ("CN=duke", "CN=Test CA"));
        assert!(read.not_before < read.not_after);
    }

    proptest! {
        #[test]
        fn bytes_that_are_none_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Certificate::read(&bytes);
        }

        #[test]
        fn a_damaged_one_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
            static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sample);
            let mut bytes = SAMPLE.clone();
            let place = at.index(bytes.len());
            bytes[place] = with;
            if let Some(read) = Certificate::read(&bytes) {
                let _ = (read.subject.to_string(), read.issuer.to_string());
            }
            let _ = Certificate::read(&bytes[..cut.index(bytes.len())]);
        }
    }
}
