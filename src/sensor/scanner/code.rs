//! What one scan is: from a scanner's bytes to what may be logged, stored and sent.
//!
//! The order decides. A payment code is replaced before anything else looks at it; then the owner's rules; then the
//! symbology, where the scanner names it; then what the text looks like. What is none of these is `text`, and its
//! content stays here, because nobody has said that it is not a member code.

use super::aim::{self, Symbology};
use super::gs1::{self, Parsed, link};
use super::gtin::{self, Retail};
use super::redact;
use super::rules::Rules;
use super::text;
use crate::event::CodeScanned;

/// Longest payload that is looked at, bytes. Readers discard more.
pub const MOST_BYTES: usize = 4096;

/// Kinds that footfall gives itself; a rule cannot use them.
pub const RESERVED: &[&str] = &[
    PAYMENT_CODE,
    "gs1",
    "ean",
    "url",
    "phone",
    "email",
    "contact",
    "wifi",
    "text",
    "binary",
];

/// The kind of a code that a person pays with.
pub const PAYMENT_CODE: &str = "payment_code";

/// Faults that are told of one code.
const MOST_FAULTS: usize = 8;

/// What one scan says, redacted: what this returns may be logged, stored and sent.
///
/// `payload` is what the scanner sent for one code, with or without an AIM identifier, line end or whitespace around it.
/// `hint` is the symbology, where the reader knows it otherwise (a camera's decoder); an AIM identifier goes before it.
/// The touchpoint is the reader's to add.
#[must_use]
pub fn read(payload: &[u8], hint: Option<Symbology>, rules: &Rules) -> CodeScanned {
    let decoded = (payload.len() <= MOST_BYTES).then(|| text::decode(payload));
    let Some(whole) = decoded.flatten() else {
        return Reading::new(hint, false).withheld("binary");
    };
    let (identified, body) = aim::strip(text::trimmed(&whole));
    let body = text::trimmed(without_eci(identified, body));
    if redact::is_payment_code(body) || redact::is_payment_code(&whole) {
        return CodeScanned {
            kind: PAYMENT_CODE.to_owned(),
            ..CodeScanned::default()
        };
    }
    let symbology = identified.or(hint);
    let Some(rule) = rules.find(body) else {
        return Reading::new(symbology, false).classify(body);
    };
    let mut code = Reading::new(symbology, true).withheld("");
    if rule.keep {
        code = Reading::new(symbology, true).classify(body);
        code.text = Some(body.to_owned());
    }
    code.kind.clone_from(&rule.kind);
    code
}

/// Some scanners say which character set follows (`\000026`): AIM "Extended Channel Interpretations".
fn without_eci(identified: Option<Symbology>, body: &str) -> &str {
    let rest = body
        .strip_prefix('\\')
        .and_then(|rest| rest.split_at_checked(6));
    match (identified, rest) {
        (Some(_), Some((number, rest))) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => body,
    }
}

/// How one code is read.
#[derive(Clone, Copy)]
struct Reading {
    symbology: Option<Symbology>,
    /// The owner says that these codes may be kept whole.
    open: bool,
}

impl Reading {
    const fn new(symbology: Option<Symbology>, open: bool) -> Self {
        Self { symbology, open }
    }

    fn named(self, kind: &str) -> CodeScanned {
        CodeScanned {
            kind: kind.to_owned(),
            symbology: self.symbology.map(|symbology| symbology.name().to_owned()),
            ..CodeScanned::default()
        }
    }

    /// A code of which only the kind is told.
    fn withheld(self, kind: &str) -> CodeScanned {
        CodeScanned {
            redacted: true,
            ..self.named(kind)
        }
    }

    fn classify(self, body: &str) -> CodeScanned {
        if self.symbology.is_some_and(Symbology::is_gs1) {
            return self.elements(gs1::element_string(body));
        }
        self.retail(body)
            .or_else(|| self.address(body))
            .or_else(|| self.likely_elements(body))
            .unwrap_or_else(|| {
                let mut code = self.withheld(kind_of_text(body));
                code.redacted = !self.open;
                code
            })
    }

    /// GTIN-8 to -14. The symbology is proof; without one a right check digit is, and a number with a wrong one is
    /// reported without its digits, because it is more likely a member's number or a phone's.
    fn retail(self, body: &str) -> Option<CodeScanned> {
        let proven = match self.symbology {
            Some(symbology) if symbology.is_retail() => true,
            Some(Symbology::Itf | Symbology::DataBar) => body.len() == 14,
            _ => false,
        };
        if !proven && redact::is_phone_number(body) {
            return None;
        }
        // With an add-on of two or five digits the number is the first thirteen.
        let addon = proven && matches!(body.len(), 15 | 18);
        let number = if addon { body.get(..13)? } else { body };
        let found = match self.symbology {
            Some(Symbology::UpcE) => gtin::upc_e(number).or_else(|| gtin::gtin(number)),
            Some(_) => gtin::gtin(number),
            None => unnamed(number),
        }?;
        if !proven && !found.check_digit_ok && self.symbology.is_some() {
            return None;
        }
        let keep = self.open || ((proven || found.check_digit_ok) && !found.restricted);
        Some(CodeScanned {
            text: keep.then(|| body.to_owned()),
            gtin: keep.then_some(found.gtin),
            check_digit_ok: Some(found.check_digit_ok),
            redacted: !keep,
            ..self.named("ean")
        })
    }

    /// Addresses, Digital Links among them.
    fn address(self, body: &str) -> Option<CodeScanned> {
        let address = redact::address(body)?;
        let Some(link) = link::parse(body) else {
            return Some(CodeScanned {
                text: address.kept,
                redacted: address.redacted && !self.open,
                ..self.named("url")
            });
        };
        let mut code = self.elements(link.parsed);
        let stem = redact::address(&link.stem);
        code.redacted |=
            !self.open && (link.more || stem.as_ref().is_none_or(|stem| stem.redacted));
        code.text = stem.and_then(|stem| stem.kept);
        Some(code)
    }

    /// Element strings that no identifier announces: in brackets, with separators, or a key that checks.
    fn likely_elements(self, body: &str) -> Option<CodeScanned> {
        let parsed = if body.starts_with('(') {
            gs1::bracketed(body)?
        } else if body.contains(gs1::SEPARATOR)
            || ["00", "01", "02"].iter().any(|key| body.starts_with(key))
        {
            gs1::element_string(body)
        } else {
            return None;
        };
        let written = body.starts_with('(');
        let strange = |fault: &gs1::Fault| match fault {
            gs1::Fault::UnknownAi { .. } | gs1::Fault::TooMany => true,
            _ => !written,
        };
        if parsed.faults.iter().any(strange) {
            return None;
        }
        Some(self.elements(parsed))
    }

    fn elements(self, mut parsed: Parsed) -> CodeScanned {
        gs1::check_partners(&mut parsed);
        let mut code = self.named("gs1");
        code.check_digit_ok = parsed.check_digits();
        let item = parsed
            .value("01")
            .or(parsed.value("03"))
            .or(parsed.value("02"));
        let piece = || parsed.value("8006").and_then(|piece| piece.get(..14));
        code.gtin = item.or_else(piece).map(ToOwned::to_owned);
        code.faults = parsed
            .faults
            .iter()
            .take(MOST_FAULTS)
            .map(ToString::to_string)
            .collect();
        for element in parsed.elements {
            if !self.open && redact::is_personal(&element.ai) {
                code.redacted = true;
            } else {
                code.elements.insert(element.ai, element.value);
            }
        }
        code
    }
}

/// A number whose symbology nobody named. Eight digits can be UPC-E or GTIN-8; the check digit tells them apart, and
/// where both fit, a leading zero is UPC-E, because such a GTIN-8 never leaves a shop.
fn unnamed(number: &str) -> Option<Retail> {
    let plain = gtin::gtin(number);
    let short = gtin::upc_e(number).filter(|short| short.check_digit_ok);
    match (plain, short) {
        (Some(plain), Some(_)) if plain.check_digit_ok && !number.starts_with('0') => Some(plain),
        (_, Some(short)) => Some(short),
        (plain, None) => plain,
    }
}

/// Kinds of text that are known by how they begin. All are about somebody; none is kept.
fn kind_of_text(body: &str) -> &'static str {
    const BEGINNINGS: &[(&str, &str)] = &[
        ("tel:", "phone"),
        ("sms:", "phone"),
        ("smsto:", "phone"),
        ("mailto:", "email"),
        ("matmsg:", "email"),
        ("begin:vcard", "contact"),
        ("mecard:", "contact"),
        ("bizcard:", "contact"),
        ("wifi:", "wifi"),
    ];
    if redact::is_phone_number(body) {
        return "phone";
    }
    let begins = |(beginning, _): &&(&str, &str)| {
        body.get(..beginning.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(beginning))
    };
    BEGINNINGS
        .iter()
        .find(begins)
        .map_or("text", |(_, kind)| kind)
}
