//! What must not leave the reader's edge: how people pay, who they are, how to reach them.
//!
//! Nothing here returns, logs or keeps what it looked at.

/// Whether `text` is a payment code that a person shows at the till: whoever has it may take money within a minute.
///
/// 18 digits from 10–15: WeChat Pay; 16 to 24 digits from 25–30: Alipay; 19 digits from 62: UnionPay. Blanks, hyphens
/// and control characters between the digits do not matter, nor full-width digits, nor a code that a scanner sent more
/// than once. Some GS1 element strings look the same; they lose, because a payment code must never get through.
#[must_use]
pub fn is_payment_code(text: &str) -> bool {
    let mut digits = Vec::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' => digits.push(letter as u8 - b'0'),
            // The same digits, full width.
            '\u{ff10}'..='\u{ff19}' => digits.push((letter as u32 - 0xff10) as u8),
            '-'
            | '.'
            | '_'
            | '\u{200b}'..='\u{200f}'
            | '\u{2010}'..='\u{2015}'
            | '\u{2060}'
            | '\u{feff}' => {}
            _ if letter.is_whitespace() || letter.is_control() => {}
            _ => return false,
        }
    }
    (1..=8).any(|times| {
        let length = digits.len() / times;
        digits.len().is_multiple_of(times)
            && digits.get(..length).is_some_and(|code| {
                is_code(code) && digits.chunks(length).all(|repeat| repeat == code)
            })
    })
}

fn is_code(digits: &[u8]) -> bool {
    let &[first, second, ..] = digits else {
        return false;
    };
    match first * 10 + second {
        10..=15 => digits.len() == 18,
        25..=30 => (16..=24).contains(&digits.len()),
        62 => digits.len() == 19,
        _ => false,
    }
}

/// Whether `text` is a phone number: a Chinese mobile number, or an international one with its plus sign.
#[must_use]
pub fn is_phone_number(text: &str) -> bool {
    let international = text.starts_with('+');
    let mut digits = String::new();
    for letter in text.chars().skip(usize::from(international)) {
        match letter {
            '0'..='9' => digits.push(letter),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            _ => return false,
        }
    }
    let mobile = |number: &str| {
        number.len() == 11
            && matches!(
                number.get(..2),
                Some("13" | "14" | "15" | "16" | "17" | "18" | "19")
            )
    };
    (international && (7..=15).contains(&digits.len()))
        || mobile(&digits)
        || ["86", "0086"]
            .iter()
            .any(|country| digits.strip_prefix(country).is_some_and(mobile))
}

/// Application Identifiers whose values can tell who somebody is, where they live or how they pay: people, addresses,
/// documents, accounts, phones, and what a company uses for itself.
#[must_use]
pub fn is_personal(ai: &str) -> bool {
    let range = |from, to| ai.len() == 4 && (from..=to).contains(&ai);
    matches!(
        ai,
        // Documents, postcodes, bank accounts and payment slips, people who give or get a service.
        "253" | "420" | "421" | "8007" | "8017" | "8018" | "8019" | "8020"
    ) || (ai.len() == 2 && ("90"..="99").contains(&ai))
        // Delivery and return addresses with names and phones; patients; phones and SIM cards.
        || range("4300", "4320")
        || range("7241", "7242")
        || range("7250", "7259")
        || range("8040", "8043")
}

/// An `http(s)` address without what can tell who somebody is, or nothing of it for another scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and the readable part of the path; `None` when nothing may be kept.
    pub kept: Option<String>,
    /// Whether anything was left out.
    pub redacted: bool,
}

/// Hosts whose paths stand for people or their accounts.
const PERSONAL_HOSTS: &[&str] = &[
    "u.wechat.com",
    "weixin.qq.com",
    "work.weixin.qq.com",
    "qm.qq.com",
    "qr.alipay.com",
    "qr.95516.com",
    "wa.me",
    "api.whatsapp.com",
    "line.me",
    "t.me",
    "m.me",
    "paypal.me",
    "linktr.ee",
];

/// Longest address that is kept, bytes.
const LONGEST: usize = 1024;

/// Redacts an address: user, query and fragment go; so does every piece of the path that looks like a number of
/// somebody or a token. `None` when `text` is no address.
#[must_use]
pub fn address(text: &str) -> Option<Address> {
    if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return None;
    }
    let bare = text
        .get(..4)
        .is_some_and(|www| www.eq_ignore_ascii_case("www."));
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if bare => ("http", text),
        None => return None,
    };
    if scheme.is_empty()
        || !scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let nothing = Address {
        kept: None,
        redacted: true,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let fine = |letter: char| letter.is_alphanumeric() || "-.:[]".contains(letter);
    if !matches!(scheme.as_str(), "http" | "https")
        || host.is_empty()
        || host.len() > 253
        || !host.chars().all(fine)
    {
        return Some(nothing);
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let name = host
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let personal = PERSONAL_HOSTS.contains(&name.trim_start_matches("www."));
    let mut kept = format!("{scheme}://{host}");
    let mut redacted = path.len() != rest.len() || host.len() != authority.len();
    for segment in path.split('/').skip(1) {
        kept.push('/');
        if segment.is_empty() || (!personal && is_readable(segment)) {
            kept.push_str(segment);
        } else {
            kept.push('*');
            redacted = true;
        }
    }
    if kept.len() > LONGEST {
        return Some(nothing);
    }
    Some(Address {
        kept: Some(kept),
        redacted,
    })
}

/// Whether a piece of a path is words rather than a number or a token: at most 40 characters, fewer than six digits
/// (escapes are looked into), and digits do not alternate with letters of both cases.
fn is_readable(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let upper = segment.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = segment.bytes().any(|byte| byte.is_ascii_lowercase());
    let token = segment.len() >= 8 && digits >= 2 && upper && lower;
    let names = segment.contains(['@', '=', ';', ',', '+']) || segment.contains("%40");
    segment.chars().count() <= 40 && digits < 6 && !token && !names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_payment_codes_are_none() {
        for other in [
            "09345678901234567",
            "1634567890123456789",
            "163456789012345678",
            "093456789012345678",
            "13456789012345678",
            "1345678901234567890",
            "240000000000000000",
            "310000000000000000",
            "250000000000000",
            "2500000000000000000000000",
            "620000000000000000",
            "62000000000000000000",
            "61000000000000000000",
            "9506000134352",
            "13456789012345678a",
            "",
            "1",
            "1234567890123456789012345678901234567890",
        ] {
            assert!(!is_payment_code(other), "{other}");
        }
    }

    #[test]
    fn blanks_and_repeats_do_not_hide_a_payment_code() {
        for code in [
            "1345 6789 0123 4567 89",
            "13-4567-8901-2345-6789",
            "１３４５６７８９０１２３４５６７８９",
            "134567890123456789\r134567890123456789\r",
            "\u{1d}134567890123456789",
            "6212345678901234567",
            "134567890123456789134567890123456789134567890123456789",
        ] {
            assert!(is_payment_code(code), "{code}");
        }
    }

    #[test]
    fn phone_numbers() {
        for phone in [
            "13800138000",
            "138-0013-8000",
            "+86 138 0013 8000",
            "8613800138000",
            "008613800138000",
            "+49 30 123456",
        ] {
            assert!(is_phone_number(phone), "{phone}");
        }
        for other in [
            "12800138000",
            "1380013800",
            "9506000134352",
            "",
            "+",
            "+1",
            "ABC",
            "23800138000",
        ] {
            assert!(!is_phone_number(other), "{other}");
        }
    }

    #[test]
    fn of_an_address_only_what_is_the_same_for_everybody_is_kept() {
        for (text, kept) in [
            (
                "https://shop.example/spring-2026/shoes",
                "https://shop.example/spring-2026/shoes",
            ),
            (
                "https://shop.example/a?member=7&phone=1",
                "https://shop.example/a",
            ),
            ("HTTPS://Shop.example/a#who", "https://Shop.example/a"),
            ("https://me:secret@shop.example/a", "https://shop.example/a"),
            (
                "https://a@b@shop.example:8443/",
                "https://shop.example:8443/",
            ),
            (
                "https://shop.example/m/13800138000/x",
                "https://shop.example/m/*/x",
            ),
            (
                "https://shop.example/u/aB3dE6gH9",
                "https://shop.example/u/*",
            ),
            (
                "https://shop.example/user%40mail.example",
                "https://shop.example/*",
            ),
            ("https://wa.me/hello", "https://wa.me/*"),
            ("www.shop.example/a?b", "http://www.shop.example/a"),
            ("https://店.example/春", "https://店.example/春"),
        ] {
            let address = address(text).unwrap();
            assert_eq!(address.kept.as_deref(), Some(kept), "{text}");
            assert_eq!(
                address.redacted,
                text.trim_start_matches("HTTPS://")
                    .trim_start_matches("https://")
                    != kept.trim_start_matches("https://"),
                "{text}"
            );
        }
        for nothing in [
            "wxp://f2f0AbCd",
            "weixin://dl/chat?x",
            "https:///x",
            "https://a\"b/x",
            "alipays://x",
        ] {
            assert_eq!(address(nothing).unwrap().kept, None, "{nothing}");
        }
        for none in ["", "shop", "a b://c", "://x", "https://a b/c"] {
            assert_eq!(address(none), None, "{none}");
        }
    }

    #[test]
    fn elements_about_people_are_personal_and_those_about_goods_are_not() {
        for ai in [
            "8018", "7253", "4301", "4308", "91", "90", "420", "8007", "253", "8040",
        ] {
            assert!(is_personal(ai), "{ai}");
        }
        for ai in [
            "00", "01", "10", "17", "21", "3103", "3922", "414", "4326", "7003", "8200",
        ] {
            assert!(!is_personal(ai), "{ai}");
        }
    }
}
