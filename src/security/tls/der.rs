//! DER, as little of it as a certificate's validity and names need: elements one after the other, none longer than what is
//! there. By hand, since names must keep the very bytes of what is no text (`#` and hex in RFC 2253), and since the rest of a
//! certificate is rustls' business.

/// An element: its tag, what is in it, and all of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0] EXPLICIT`.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Elements<'a> {
    /// The next one; `None` at the end, and where there is none.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        // Of more than one byte: nothing in a certificate has one.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = length(rest)?;
        let content = rest.get(..length)?;
        let (whole, behind) = self.0.split_at_checked(self.0.len() - rest.len() + length)?;
        self.0 = behind;
        Some(Element { tag, content, whole })
    }

    /// The next one, if it is of this kind; what is in it.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// Passes over the next one if it is of this kind.
    pub(super) fn skip(&mut self, tag: u8) {
        let mut behind = *self;
        if behind.expect(tag).is_some() {
            *self = behind;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let (bytes, rest) = rest.split_at_checked(count)?;
    Some((bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest))
}

/// An object identifier in dots and numbers.
pub(super) fn oid(content: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let (mut arc, mut begun) = (0_u64, false);
    for byte in content {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        begun = byte & 0x80 != 0;
        if !begun {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let (first, rest) = arcs.split_first().filter(|_| !begun)?;
    let root = (first / 40).min(2);
    let head = [root, first - root * 40];
    Some(head.iter().chain(rest).map(ToString::to_string).collect::<Vec<_>>().join("."))
}

/// A time of a certificate, in seconds since 1970.
pub(super) fn time(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let text = match element.tag {
        // Two digits of a year (RFC 5280: 1950 to 2049).
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (month, day) = (number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    fits.then_some(days(number(0, 4)?, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970 (Gregorian).
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the day that some lack.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_follow_one_another_and_never_leave_what_is_there() {
        let mut elements = Elements(&[0x02, 1, 7, 0x30, 0x81, 2, 5, 0]);
        assert_eq!(elements.expect(INTEGER), Some(&[7][..]));
        assert_eq!(elements.next().map(|one| (one.tag, one.whole)), Some((SEQUENCE, &[0x30, 0x81, 2, 5, 0][..])));
        assert!(elements.is_empty() && elements.next().is_none());
        for short in
            [&[0x02][..], &[0x02, 2, 1], &[0x02, 0x84, 0xff, 0xff, 0xff, 0xff, 1], &[0x02, 0x80, 1], &[0x1f, 1, 1]]
        {
            assert_eq!(Elements(short).next(), None, "{short:?}");
        }
    }

    #[test]
    fn identifiers_and_times_are_read() {
        assert_eq!(oid(&[0x55, 4, 3]).as_deref(), Some("2.5.4.3"));
        assert_eq!(oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]).as_deref(), Some("1.2.840.113549.1.9.1"));
        assert_eq!(oid(&[0x88, 0x37, 1]).as_deref(), Some("2.999.1"));
        assert_eq!((oid(&[]), oid(&[0x55, 0x84])), (None, None));
        let at = |tag, text: &'static str| time(Element { tag, content: text.as_bytes(), whole: &[] });
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "240229120000Z"), Some(1_709_208_000));
        assert_eq!(at(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(at(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for bad in ["", "Z", "2401010000Z", "240101000000", "241301000000Z", "24010100000é"] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
    }
}
