//! What a header's value may have to be. Values are read and never kept or shown.

pub use crate::config::policy::HeaderType;

/// The shortest and the longest epoch in milliseconds.
const EPOCH_MS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

impl HeaderType {
    /// Whether a value is one.
    #[must_use]
    pub fn is(&self, value: &[u8]) -> bool {
        match self {
            Self::Utf8 => std::str::from_utf8(value).is_ok(),
            Self::Uuid => is_uuid(value),
            Self::Integer => integer(value).is_some(),
            Self::EpochMs => integer(value).is_some_and(|ms| EPOCH_MS.contains(&ms)),
            Self::Rfc3339 => is_rfc3339(value),
            Self::Bool => matches!(value, b"true" | b"false"),
            Self::Enum(values) => values.iter().any(|known| known.as_bytes() == value),
            Self::Regex(pattern) => pattern.is_match(value),
        }
    }
}

fn is_uuid(value: &[u8]) -> bool {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, &u8)| if HYPHENS.contains(&at) { *byte == b'-' } else { byte.is_ascii_hexdigit() };
    value.len() == 36 && value.iter().enumerate().all(fits)
}

/// A number as headers have it.
#[must_use]
pub fn integer(value: &[u8]) -> Option<i64> {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // Nineteen digits hold every number of 64 bits.
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        // Below zero all the way: there is one more number there than above.
        number.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
    })
}

fn is_rfc3339(value: &[u8]) -> bool {
    let Some((moment, rest)) = value.split_at_checked(19) else { return false };
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', mi1, mi2, b':', s1, s2] =
        moment
    else {
        return false;
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(**digit - b'0')))
    };
    let fields = (
        number(&[y1, y2, y3, y4]),
        number(&[mo1, mo2]),
        number(&[d1, d2]),
        number(&[h1, h2]),
        number(&[mi1, mi2]),
        number(&[s1, s2]),
    );
    let (Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)) = fields else { return false };
    let is_date = (1..=days_of(year, month)).contains(&day);
    // A leap second may be anywhere: which ones there were is not ours to know.
    is_date && hour < 24 && minute < 60 && second <= 60 && is_offset(behind_fraction(rest))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    }
}

fn behind_fraction(rest: &[u8]) -> &[u8] {
    match rest {
        [b'.', digit, ..] if digit.is_ascii_digit() => {
            let end = rest.iter().skip(1).position(|byte| !byte.is_ascii_digit());
            end.and_then(|end| rest.get(1 + end..)).unwrap_or_default()
        }
        _ => rest,
    }
}

fn is_offset(rest: &[u8]) -> bool {
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit());
            digits && [*h1, *h2] <= *b"23" && *m1 <= b'5'
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::Expression;

    /// That these are of the kind, and those are not.
    fn judge(kind: &HeaderType, are: &[&str], are_not: &[&str]) {
        are.iter().for_each(|value| assert!(kind.is(value.as_bytes()), "{value:?} is {kind}"));
        are_not.iter().for_each(|value| assert!(!kind.is(value.as_bytes()), "{value:?} is not {kind}"));
    }

    #[test]
    fn texts() {
        judge(&HeaderType::Utf8, &["", "a", "ä"], &[]);
        assert!(!HeaderType::Utf8.is(b"\xff"));
    }

    #[test]
    fn uuids() {
        let are = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057"];
        let are_not = [
            "",
            "01890a5dac96774bbcceb302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a805",
            "01890a5d-ac96-774b-bcce-b302099a805g",
            "01890a5d-ac96-774b-bcce-b302099a80577",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "01890a5d_ac96-774b-bcce-b302099a8057",
        ];
        judge(&HeaderType::Uuid, &are, &are_not);
    }

    #[test]
    fn integers() {
        let are = ["0", "-0", "007", "9223372036854775807", "-9223372036854775808"];
        let are_not = [
            "",
            "-",
            "+1",
            " 1",
            "1.0",
            "1e3",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "00000000000000000001",
        ];
        judge(&HeaderType::Integer, &are, &are_not);
        assert_eq!(integer(b"-42"), Some(-42));
    }

    #[test]
    fn epochs_in_milliseconds() {
        let are = ["1760000000000", "100000000000", "99999999999999"];
        judge(&HeaderType::EpochMs, &are, &["1760000000", "1760000000000000", "-1760000000000", "1760000000000.5", ""]);
    }

    #[test]
    fn dates_and_times() {
        let are = [
            "2026-11-27T19:47:00Z",
            "2026-11-27T19:47:00.123456789Z",
            "2026-11-27t19:47:00z",
            "2026-11-27 19:47:00+05:30",
            "2026-11-27T19:47:00.1-23:59",
            "2024-02-29T23:59:60Z",
            "2000-02-29T00:00:00Z",
        ];
        let are_not = [
            "",
            "2026-11-27",
            "2026-11-27T19:47:00",
            "2026-11-27T19:47Z",
            "2026-13-27T19:47:00Z",
            "2026-00-27T19:47:00Z",
            "2026-11-31T19:47:00Z",
            "2026-11-00T19:47:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-11-27T24:00:00Z",
            "2026-11-27T19:60:00Z",
            "2026-11-27T19:47:61Z",
            "2026-11-27T19:47:00.Z",
            "2026-11-27T19:47:00+24:00",
            "2026-11-27T19:47:00+05:60",
            "2026-11-27T19:47:00+0530",
            "2026-11-27T19:47:00ZZ",
            "2026-11-27T19:47:00.5",
            "+026-11-27T19:47:00Z",
        ];
        judge(&HeaderType::Rfc3339, &are, &are_not);
    }

    #[test]
    fn truths_lists_and_patterns() {
        judge(&HeaderType::Bool, &["true", "false"], &["", "True", "1", "yes"]);
        let list = HeaderType::Enum(vec!["a".into(), "b".into()]);
        judge(&list, &["a", "b"], &["", "c", "ab", "A"]);
        let pattern = |text| HeaderType::Regex(Expression::new(text).unwrap());
        judge(&pattern("phc_|x"), &["phc_", "x"], &["phc_x", "xx", "", "x\n"]);
        assert!(Expression::new(")(").is_err(), "it would be one with ours around it");
        assert!(pattern("(?i)abc").is(b"ABC"));
    }
}
