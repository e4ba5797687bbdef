//! Coupon codes of North America.
//!
//! (8110): "North American Coupon Application Guideline Using GS1 DataBar Expanded Symbols"; (8112): "GS1 AI (8112)
//! Coupon Data Specification". Both are strings of digits in which a digit says how long the next field is.

use super::{dates, lint};

/// Reads fields from the left.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// One digit that must be among `allowed`.
    fn code(&mut self, allowed: &str) -> Option<usize> {
        let code = self.take(1)?;
        allowed.contains(code).then(|| code.parse().ok())?
    }

    /// A field whose length is a digit among `allowed`, plus `more`.
    fn sized(&mut self, allowed: &str, more: usize) -> Option<&'a str> {
        let length = self.code(allowed)?;
        self.take(length + more)
    }

    /// A GS1 Company Prefix of 6 to 12 digits.
    fn company(&mut self) -> Option<()> {
        lint::starts_with_company_prefix(self.sized("0123456", 6)?).then_some(())
    }

    /// The company of a further purchase; length 9 stands for none.
    fn other_company(&mut self) -> Option<()> {
        if self.is_next('9') {
            return Some(());
        }
        self.company()
    }

    /// What must be bought: how much, in which unit, of which family.
    fn purchase(&mut self) -> Option<()> {
        self.sized("12345", 0)?;
        self.code("012349")?;
        self.take(3).map(drop)
    }

    /// Whether the optional field `name` comes next; its name is taken.
    fn is_next(&mut self, name: char) -> bool {
        let next = self.0.strip_prefix(name);
        self.0 = next.unwrap_or(self.0);
        next.is_some()
    }

    fn date(&mut self) -> Option<&'a str> {
        self.take(6).filter(|date| dates::yymmdd(date, false))
    }
}

/// Whether `text` is a coupon code as (8110) carries it.
pub(super) fn is_coupon_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && read_code(Fields(text)).is_some()
}

fn read_code(mut fields: Fields<'_>) -> Option<()> {
    fields.company()?;
    fields.take(6)?; // the offer
    fields.sized("12345", 0)?; // the value that is saved
    fields.purchase()?;
    if fields.is_next('1') {
        fields.code("0123")?; // how the purchases go together
        fields.purchase()?;
        fields.other_company()?;
    }
    if fields.is_next('2') {
        fields.purchase()?;
        fields.other_company()?;
    }
    let expires = if fields.is_next('3') {
        Some(fields.date()?)
    } else {
        None
    };
    if fields.is_next('4') {
        let starts = fields.date()?;
        // Two digits of the year, as the specification compares them.
        if expires.is_some_and(|expires| expires < starts) {
            return None;
        }
    }
    if fields.is_next('5') {
        fields.sized("0123456789", 6)?; // serial number
    }
    if fields.is_next('6') {
        let retailer = fields.sized("1234567", 6)?;
        if !lint::starts_with_company_prefix(retailer) {
            return None;
        }
    }
    if fields.is_next('9') {
        fields.code("01256")?; // what the saved value means
        fields.code("012")?; // which purchase it is for
        fields.take(1)?; // store coupon
        fields.code("01")?; // not to be multiplied
    }
    fields.0.is_empty().then_some(())
}

/// Whether `text` is a coupon of the positive offer file, as (8112) carries it.
pub(super) fn is_positive_offer(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && read_offer(Fields(text)).is_some()
}

fn read_offer(mut fields: Fields<'_>) -> Option<()> {
    fields.code("01")?; // format
    fields.sized("0123456", 6)?; // who pays
    fields.take(6)?; // the offer
    fields.sized("0123456789", 6)?; // serial number
    fields.0.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Company, offer, saved value, purchase.
    const BASE: &str = "012345612345611110123";

    #[test]
    fn every_optional_field_may_follow_and_none_may_be_cut_short() {
        for fields in [
            "",
            "101101230123456",
            "101101239",
            "21101239",
            "3271231",
            "4270101",
            "32712314270101",
            "50123456",
            "611234567",
            "90000",
            "1011012392110123942701015012345661123456796201",
        ] {
            let whole = format!("{BASE}{fields}");
            assert!(is_coupon_code(&whole), "{whole}");
            assert!(!is_coupon_code(&whole[..whole.len() - 1]), "{whole}");
            assert!(!is_coupon_code(&format!("{whole}7")), "{whole}");
        }
    }

    #[test]
    fn wrong_codes_dates_and_lengths() {
        for wrong in [
            "3271301",
            "32701014270102",
            "93000",
            "90300",
            "90002",
            "601234567",
            "10110123712345678901234",
        ] {
            assert!(!is_coupon_code(&format!("{BASE}{wrong}")), "{wrong}");
        }
        assert!(!is_coupon_code(""));
        assert!(!is_coupon_code("a12345612345611110123"));
    }

    #[test]
    fn positive_offers() {
        assert!(is_positive_offer("001234561234560123456"));
        assert!(is_positive_offer("061234567890121234569123456789012345"));
        for wrong in [
            "201234561234560123456",
            "071234561234560123456",
            "0012345612345601234567",
            "00123456123456012345",
            "",
        ] {
            assert!(!is_positive_offer(wrong), "{wrong}");
        }
    }
}
