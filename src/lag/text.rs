//! Writing what Prometheus reads (text format 0.0.4): digits and labels straight into a text, since there may be hundreds of
//! thousands of samples. Numbers here are whole, so that nothing is ever NaN.

use super::histogram::{Bounds, Histogram};
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
    /// Microseconds, which are written as seconds.
    Micros(u64),
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
            Self::Ms(ms) => parts(text, ms, 1000),
            Self::Micros(micros) => parts(text, micros, 1_000_000),
        }
    }
}

/// Writes what is counted in parts, of which so many are one: a power of ten.
fn parts(text: &mut String, number: u64, of: u64) {
    whole(text, number / of);
    let part = number % of;
    if part == 0 {
        return;
    }
    text.push('.');
    let mut digit = of / 10;
    while part < digit {
        text.push('0');
        digit /= 10;
    }
    whole(text, part);
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

    /// What a histogram counted, where it has.
    pub fn histogram(&mut self, labels: &str, bounds: &Bounds, of: &Histogram) {
        let Some((up_to, all, micros)) = of.read() else { return };
        for ((_, bound), count) in bounds.iter().zip(up_to) {
            self.part("_bucket", labels, Some(bound), Value::Whole(count));
        }
        self.part("_bucket", labels, Some("+Inf"), Value::Whole(all));
        self.part("_sum", labels, None, Value::Micros(micros));
        self.part("_count", labels, None, Value::Whole(all));
    }

    /// A summary: all together, and how many.
    pub fn summary(&mut self, labels: &str, sum: Value, count: u64) {
        self.part("_sum", labels, None, sum);
        self.part("_count", labels, None, Value::Whole(count));
    }

    fn part(&mut self, suffix: &str, labels: &str, bound: Option<&str>, value: Value) {
        self.begin();
        let bound = bound.map_or(["", "", ""], |bound| [",le=\"", bound, "\""]);
        for text in [self.family.name, suffix, "{", labels].into_iter().chain(bound) {
            self.text.push_str(text);
        }
        self.text.push_str("} ");
        value.write(self.text);
        self.text.push('\n');
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.head();
        }
    }

    fn name(&mut self, labels: &str, more: &str) {
        self.begin();
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

    #[test]
    fn a_histogram_is_written_in_its_parts_and_so_is_a_summary() {
        let of = |kind| Family { name: "x", means: "What.", kind, labels: &["a"], of: Of::Lag };
        let (mut text, mut histogram) = (String::new(), Histogram::default());
        let bounds: Bounds = std::array::from_fn(|place| [(1000, "0.001"), (2000, "0.002")][usize::from(place > 0)]);
        Writer::new(&mut text, of(Kind::Histogram)).histogram("a=\"1\"", &bounds, &histogram);
        assert_eq!(text, "");
        [900, 1001, 5_000_000].into_iter().for_each(|micros| histogram.observe(&bounds, micros));
        Writer::new(&mut text, of(Kind::Histogram)).histogram("a=\"1\"", &bounds, &histogram);
        let first =
            "# HELP x What.\n# TYPE x histogram\nx_bucket{a=\"1\",le=\"0.001\"} 1\nx_bucket{a=\"1\",le=\"0.002\"} 2\n";
        let last = "x_bucket{a=\"1\",le=\"+Inf\"} 3\nx_sum{a=\"1\"} 5.001901\nx_count{a=\"1\"} 3\n";
        assert!(text.starts_with(first) && text.ends_with(last), "{text}");
        text.clear();
        Writer::new(&mut text, of(Kind::Summary)).summary("a=\"1\"", Value::Ms(1020), 7);
        assert_eq!(text, "# HELP x What.\n# TYPE x summary\nx_sum{a=\"1\"} 1.020\nx_count{a=\"1\"} 7\n");
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
            let mut fine = String::new();
            Value::Micros(number >> 20).write(&mut fine);
            prop_assert!((fine.parse::<f64>().unwrap() - (number >> 20) as f64 / 1e6).abs() < 2e-6);
        }
    }
}
