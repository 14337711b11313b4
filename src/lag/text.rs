//! Writing what Prometheus reads (text format 0.0.4): digits and labels straight into a text, since there may be hundreds of
//! thousands of samples. Numbers here are whole, so that nothing is ever NaN.

use crate::telemetry::catalogue::Family;

/// Writes a label's value: what stands for something else is escaped.
pub fn escaped(text: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return text.push_str(value);
    }
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Writes labels: `name="value"` with commas between.
pub fn labels_into(text: &mut String, all: &[(&str, &str)]) {
    for (place, (name, value)) in all.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escaped(text, value);
        text.push('"');
    }
}

/// Labels as one text.
#[must_use]
pub fn labels(all: &[(&str, &str)]) -> String {
    let mut text = String::new();
    labels_into(&mut text, all);
    text
}

/// Writes digits.
pub fn whole(text: &mut String, number: u64) {
    let (mut digits, mut at, mut rest) = ([b'0'; 20], 20, number);
    while at > 0 {
        at -= 1;
        if let (Some(slot), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *slot = b'0' + digit;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(digits.get(at..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("0"));
}

/// A value of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// Milliseconds, which are written as seconds.
    Ms(u64),
}

impl Value {
    /// An offset or a count; below 0 there is none.
    #[must_use]
    pub fn count(number: i64) -> Option<Self> {
        u64::try_from(number).ok().map(Self::Whole)
    }

    /// Seconds out of milliseconds; below 0 there are none.
    #[must_use]
    pub fn seconds(ms: i64) -> Option<Self> {
        u64::try_from(ms).ok().map(Self::Ms)
    }

    fn write(self, text: &mut String) {
        match self {
            Self::Whole(number) => whole(text, number),
            Self::Ms(ms) => {
                whole(text, ms / 1000);
                let part = ms % 1000;
                if part > 0 {
                    text.push_str(match part {
                        0..10 => ".00",
                        10..100 => ".0",
                        _ => ".",
                    });
                    whole(text, part);
                }
            }
        }
    }
}

/// Writes one family: its head with the first sample, and nothing where there is none.
#[derive(Debug)]
pub struct Writer<'t> {
    text: &'t mut String,
    family: Family,
    /// What each sample with labels begins with.
    start: String,
    begun: bool,
}

impl<'t> Writer<'t> {
    /// Of this family, behind what is in the text.
    pub fn new(text: &'t mut String, family: Family) -> Self {
        let start = [family.name, "{"].concat();
        Self { text, family, start, begun: false }
    }

    /// A sample; without a value there is none.
    pub fn sample(&mut self, labels: &str, value: Option<Value>) {
        self.sample_and(labels, "", value);
    }

    /// A sample with further labels behind the first ones.
    pub fn sample_and(&mut self, labels: &str, more: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        self.name(labels, more);
        value.write(self.text);
        self.text.push('\n');
    }

    /// A sample that is no whole number.
    pub fn ratio(&mut self, labels: &str, value: f64) {
        if value.is_finite() && value >= 0.0 {
            self.name(labels, "");
            self.text.push_str(&value.to_string());
            self.text.push('\n');
        }
    }

    fn name(&mut self, labels: &str, more: &str) {
        if !self.begun {
            self.begun = true;
            self.head();
        }
        if labels.is_empty() {
            self.text.push_str(self.family.name);
            return self.text.push(' ');
        }
        self.text.push_str(&self.start);
        self.text.push_str(labels);
        if !more.is_empty() {
            self.text.push(',');
            self.text.push_str(more);
        }
        self.text.push_str("} ");
    }

    fn head(&mut self) {
        let Family { name, means, kind, .. } = self.family;
        for part in ["# HELP ", name, " ", means, "\n# TYPE ", name, " ", kind.as_str(), "\n"] {
            self.text.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::catalogue::{Kind, Of};
    use proptest::prelude::*;

    #[test]
    fn a_label_is_escaped() {
        assert_eq!(labels(&[("a", "x\"y\\z\n"), ("b", "ü")]), "a=\"x\\\"y\\\\z\\n\",b=\"ü\"");
    }

    #[test]
    fn a_family_without_a_sample_is_not_there() {
        let mut text = String::new();
        let family = Family { name: "x", means: "What.", kind: Kind::Gauge, labels: &[], of: Of::Lag };
        let mut writer = Writer::new(&mut text, family);
        writer.sample("a=\"1\"", None);
        writer.ratio("", f64::NAN);
        assert_eq!(text, "");
        let mut writer = Writer::new(&mut text, family);
        writer.sample("a=\"1\"", Some(Value::Ms(61_020)));
        writer.sample_and("a=\"1\"", "b=\"2\"", Some(Value::Whole(0)));
        assert_eq!(text, "# HELP x What.\n# TYPE x gauge\nx{a=\"1\"} 61.020\nx{a=\"1\",b=\"2\"} 0\n");
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were(number in any::<u64>()) {
            let (mut count, mut seconds) = (String::new(), String::new());
            Value::Whole(number).write(&mut count);
            Value::Ms(number >> 12).write(&mut seconds);
            prop_assert_eq!(count.parse::<u64>(), Ok(number));
            let read = seconds.parse::<f64>().unwrap();
            prop_assert!((read - (number >> 12) as f64 / 1000.0).abs() < 0.002);
        }
    }
}
