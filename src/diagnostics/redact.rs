//! Takes secrets and personal data out of texts before they leave the box. Pure.
//!
//! The log and the API hold neither by contract. This is the net below, and what makes a config fit to be sent.

use toml::Value;

/// What stands where something was taken out.
const REMOVED: &str = "(removed)";
/// Secrets shorter than this would tear every text apart.
const SHORTEST_SECRET: usize = 4;
/// Runs of so many digits are payment, member or phone codes, not measurements.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 15..=24;

/// See the module.
#[derive(Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Also takes out these texts, wherever they stand.
    #[must_use]
    pub fn knowing(secrets: impl IntoIterator<Item = String>) -> Self {
        let secrets = secrets.into_iter();
        Self {
            secrets: secrets
                .filter(|secret| secret.len() >= SHORTEST_SECRET)
                .collect(),
        }
    }

    /// `text` without known secrets, users, passwords and queries of URLs, hardware addresses and long codes.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), REMOVED);
        }
        codes(&addresses(&urls(&text)))
    }

    /// A config without comments, and without the value of every key that speaks of a secret. Paths of files stay.
    #[must_use]
    pub fn config(&self, text: &str) -> String {
        match toml::from_str::<toml::Table>(text) {
            Ok(table) => {
                let mut config = Value::Table(table);
                self.strip(&mut config, "");
                toml::to_string(&config).unwrap_or_default()
            }
            Err(_) => "# it cannot be read as TOML\n".to_owned(),
        }
    }

    fn strip(&self, value: &mut Value, key: &str) {
        match value {
            Value::Table(table) => {
                for (key, value) in table.iter_mut() {
                    self.strip(value, key);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.strip(value, key)),
            secret if is_secret(key) => *secret = Value::String(REMOVED.to_owned()),
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }
}

/// Whether a key's value is nobody's business. A file that holds a secret may be named.
fn is_secret(key: &str) -> bool {
    let words = [
        "pass",
        "secret",
        "token",
        "user",
        "credential",
        "pin",
        "pepper",
    ];
    !key.ends_with("_file") && words.iter().any(|word| key.contains(word))
}

/// Takes user, password, query and fragment out of every `scheme://…`.
fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\');
        let (url, more) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let (address, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        match host.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str(REMOVED);
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(host),
        }
        out.push_str(path);
        if !query.is_empty() {
            out.push('?');
            out.push_str(REMOVED);
        }
        rest = more;
    }
    out + rest
}

/// Takes out hardware addresses: six pairs of hex digits with one and the same separator, as IEEE 802 writes them.
fn addresses(text: &str) -> String {
    const LENGTH: usize = 17;
    let is_address = |bytes: &[u8]| {
        let separator = bytes.get(2).copied();
        matches!(separator, Some(b':' | b'-'))
            && bytes.iter().enumerate().all(|(at, byte)| match at % 3 {
                2 => Some(*byte) == separator,
                _ => byte.is_ascii_hexdigit(),
            })
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if rest.as_bytes().get(..LENGTH).is_some_and(is_address) {
            out.push_str(REMOVED);
            rest = rest.get(LENGTH..).unwrap_or_default();
        } else {
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

fn codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from.len());
        let (digits, more) = from.split_at(end);
        // Part of a hash or an id, or the fraction of a number.
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let part = before.ends_with(|c| inside(c) || c == '.') || more.starts_with(inside);
        if CODE_DIGITS.contains(&digits.len()) && !part {
            out.push_str(REMOVED);
        } else {
            out.push_str(digits);
        }
        rest = more;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_loses_what_nobody_may_see_and_keeps_the_rest() {
        let redactor = Redactor::knowing(["hunter22".to_owned(), "x".to_owned()]);
        for (text, expected) in [
            ("mqtts://u:p@host:8883", "mqtts://(removed)@host:8883"),
            (
                "at rtsp://a@b:c@cam/live?token=1#f, then",
                "at rtsp://(removed)@cam/live?(removed) then",
            ),
            (
                "\"http://h/p?x=1\" and http://h",
                "\"http://h/p?(removed)\" and http://h",
            ),
            ("seen aa:bb:cc:dd:EE:01!", "seen (removed)!"),
            ("AA-BB-CC-DD-EE-01", "(removed)"),
            (
                "time 10:15:30 and aa:bb-cc:dd:ee:01",
                "time 10:15:30 and aa:bb-cc:dd:ee:01",
            ),
            ("paid 134567890123456789 twice", "paid (removed) twice"),
            (
                "box/count/1187734, 93211.402000000000000",
                "box/count/1187734, 93211.402000000000000",
            ),
            ("9f2c123456789012345678ab", "9f2c123456789012345678ab"),
            ("password=hunter22.", "password=(removed)."),
            ("läden 你好 ://", "läden 你好 ://"),
        ] {
            assert_eq!(redactor.text(text), expected);
        }
    }

    #[test]
    fn a_config_loses_its_comments_and_secrets_and_still_says_how_the_box_is_set_up() {
        let text = r#"
# the Wi-Fi is called Staff and its password is hunter22
[uplink]
broker = "mqtts://me:hunter22@broker.example:8883"
username = "box-0042"
password_file = "/etc/footfall/mqtt.password"
[[camera]]
id = "entrance"
rtsp = "rtsp://10.0.0.7/live?key=hunter22"
fps = 5
"#;
        let config = Redactor::default().config(text);
        for gone in ["hunter22", "Staff", "box-0042", "me:"] {
            assert!(!config.contains(gone), "{gone}:\n{config}");
        }
        for kept in [
            "broker.example:8883",
            "/etc/footfall/mqtt.password",
            "entrance",
            "fps = 5",
        ] {
            assert!(config.contains(kept), "{kept}:\n{config}");
        }
        assert!(
            !Redactor::default()
                .config("= hunter22")
                .contains("hunter22")
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_redacted_and_redacting_twice_is_redacting_once(text in ".{0,80}") {
            let once = Redactor::default().text(&text);
            prop_assert_eq!(Redactor::default().text(&once), once);
        }
    }
}
