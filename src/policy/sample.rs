//! A record that was not sent, as one is asked about, or as tests make them: written as it would stand in a batch, so that it
//! is looked at by the same code.

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Sample<'a> {
    /// Its key.
    pub key: Option<&'a str>,
    /// Its value.
    pub value: &'a str,
    /// Its headers, in their order.
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

impl Sample<'_> {
    /// A section of this one record.
    #[must_use]
    pub fn section(&self) -> Vec<u8> {
        let mut body = vec![0, 0, 0];
        sized(&mut body, self.key);
        sized(&mut body, Some(self.value));
        varint(&mut body, length(self.headers.len()));
        for (key, value) in self.headers {
            sized(&mut body, Some(key));
            sized(&mut body, *value);
        }
        let mut section = Vec::new();
        varint(&mut section, length(body.len()));
        section.extend(body);
        section
    }
}

fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

fn sized(out: &mut Vec<u8>, text: Option<&str>) {
    varint(out, text.map_or(-1, |text| length(text.len())));
    out.extend(text.unwrap_or_default().bytes());
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or_default());
}
