//! What kinds of scans become.

use proptest::prelude::*;

use super::aim::Symbology;
use super::code::{MOST_BYTES, read};
use super::rules::{Rule, Rules};
use crate::event::CodeScanned;

fn scan(payload: &str) -> CodeScanned {
    read(payload.as_bytes(), None, &Rules::default())
}

fn rule(prefix: &str, length: Option<u16>, kind: &str, keep: bool) -> Rules {
    Rules(vec![Rule {
        prefix: prefix.to_owned(),
        length,
        kind: kind.to_owned(),
        keep,
    }])
}

#[test]
fn a_retail_number_becomes_a_gtin_14_and_the_original_stays() {
    for (payload, text, gtin, symbology) in [
        (
            "]E09506000134352\r\n",
            "9506000134352",
            "09506000134352",
            Some("EAN13"),
        ),
        ("9506000134352", "9506000134352", "09506000134352", None),
        ("]E496385074", "96385074", "00000096385074", Some("EAN8")),
        ("036000291452", "036000291452", "00036000291452", None),
        ("10614141543219", "10614141543219", "10614141543219", None),
        ("01234565", "01234565", "00012345000065", None),
        (
            "]E3950600013435212",
            "950600013435212",
            "09506000134352",
            Some("EAN13"),
        ),
    ] {
        let code = scan(payload);
        assert_eq!(code.kind, "ean", "{payload}");
        assert_eq!(code.text.as_deref(), Some(text));
        assert_eq!(code.gtin.as_deref(), Some(gtin));
        assert_eq!(code.symbology.as_deref(), symbology);
        assert_eq!((code.check_digit_ok, code.redacted), (Some(true), false));
    }
    let short = read(b"01234565", Some(Symbology::UpcE), &Rules::default());
    assert_eq!(short.gtin.as_deref(), Some("00012345000065"));
}

#[test]
fn a_wrong_check_digit_is_a_flagged_scan_not_a_dropped_one() {
    let proven = scan("]E09506000134353");
    assert_eq!(proven.check_digit_ok, Some(false));
    assert_eq!(proven.gtin.as_deref(), Some("09506000134353"));
    // Nobody says that this is a retail number, so it may be a member's: its digits stay here.
    let guessed = scan("9506000134353");
    assert_eq!(
        (guessed.kind.as_str(), guessed.check_digit_ok),
        ("ean", Some(false))
    );
    assert_eq!(
        (guessed.text, guessed.gtin, guessed.redacted),
        (None, None, true)
    );
    let element = scan("]C10109506000134353");
    assert_eq!(
        (element.kind.as_str(), element.check_digit_ok),
        ("gs1", Some(false))
    );
    assert_eq!(element.faults, ["(01): wrong check digit"]);
    assert_eq!(element.elements["01"], "09506000134353");
}

#[test]
fn element_strings_are_read_with_and_without_an_identifier() {
    for payload in [
        "]C1010950600013435210AB-1\u{1d}17271231",
        "]d2010950600013435210AB-1\u{1d}17271231\n",
        "]Q3\u{1d}010950600013435210AB-1\u{1d}17271231",
        "]J1010950600013435210AB-1\u{1d}17271231",
        "]e001095060001343521727123110AB-1",
        "010950600013435210AB-1\u{1d}17271231",
        "\u{1d}0109506000134352\u{1d}10AB-1\u{1d}17271231",
        "(01)09506000134352(10)AB-1(17)271231",
        "https://id.gs1.org/01/09506000134352/10/AB-1?17=271231",
    ] {
        let code = scan(payload);
        assert_eq!(code.kind, "gs1", "{payload}");
        assert_eq!(code.gtin.as_deref(), Some("09506000134352"));
        assert_eq!(code.check_digit_ok, Some(true));
        assert!(code.faults.is_empty() && !code.redacted, "{code:?}");
        let elements: Vec<_> = code
            .elements
            .iter()
            .map(|(ai, v)| (ai.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            elements,
            [("01", "09506000134352"), ("10", "AB-1"), ("17", "271231")]
        );
    }
    let parcel = scan("00006141411234567890");
    assert_eq!(parcel.elements["00"], "006141411234567890");
}

#[test]
fn elements_about_people_are_left_out() {
    let code = scan("]C18018061414112345678905\u{1d}7253Miller\u{1d}7259Baby\u{1d}91MEMBER1");
    assert_eq!(code.kind, "gs1");
    assert!(code.redacted && code.elements.is_empty(), "{code:?}");
    let told = format!("{code:?}");
    assert!(!told.contains("Miller") && !told.contains("MEMBER1") && !told.contains("0614141"));
}

#[test]
fn an_address_is_kept_without_what_tells_who_somebody_is() {
    let code = scan("https://shop.example/spring?openid=oX7&from=friend");
    assert_eq!(code.kind, "url");
    assert_eq!(code.text.as_deref(), Some("https://shop.example/spring"));
    assert!(code.redacted);
    let plain = scan("]Q1https://shop.example/spring\r");
    assert_eq!(
        (plain.redacted, plain.symbology.as_deref()),
        (false, Some("QRCode"))
    );
    // Attributes that are not GS1's, and people's, go from a Digital Link too.
    let link = scan("https://x.example/01/09506000134352?17=271231&openid=oX7");
    assert!(link.redacted && !format!("{link:?}").contains("oX7"));
    assert_eq!(link.text.as_deref(), Some("https://x.example"));
}

#[test]
fn what_could_be_somebody_is_told_by_its_kind_alone() {
    for (payload, kind) in [
        ("13800138000", "phone"),
        ("+86 138-0013-8000", "phone"),
        ("8613800138000", "phone"),
        ("TEL:+4930123456", "phone"),
        ("mailto:a@b.example", "email"),
        ("BEGIN:VCARD\nN:Miller\nEND:VCARD", "contact"),
        ("MECARD:N:Miller;;", "contact"),
        ("WIFI:S:home;P:secret;;", "wifi"),
        ("VIP-0001234", "text"),
        ("会员 88", "text"),
        ("6225880137654321", "text"),
        ("330106199003078515", "text"),
        ("wxp://f2f0AbCdEf", "url"),
        ("2012345678905", "ean"),
        ("]E02912345678905", "ean"),
        ("]C0100000000017", "text"),
        ("", "text"),
    ] {
        let code = scan(payload);
        assert_eq!(code.kind, kind, "{payload}");
        let rest = CodeScanned {
            kind: String::new(),
            symbology: None,
            check_digit_ok: None,
            ..code
        };
        assert_eq!(
            rest,
            CodeScanned {
                redacted: true,
                ..CodeScanned::default()
            },
            "{payload}"
        );
    }
    let bytes = read(b"\xff\xff\xff", None, &Rules::default());
    assert_eq!((bytes.kind.as_str(), bytes.text), ("binary", None));
    assert_eq!(scan(&"1".repeat(MOST_BYTES + 1)).kind, "binary");
}

#[test]
fn a_rule_says_what_a_code_is_and_whether_it_may_be_kept() {
    let secret = read(
        b"VIP-0001234\r\n",
        None,
        &rule("VIP-", None, "member", false),
    );
    assert_eq!(
        (secret.kind.as_str(), secret.text, secret.redacted),
        ("member", None, true)
    );
    let kept = read(b"]Q1POSTER-7", None, &rule("POSTER-", None, "poster", true));
    assert_eq!(
        (kept.kind.as_str(), kept.text.as_deref()),
        ("poster", Some("POSTER-7"))
    );
    assert!(!kept.redacted);
    // Goods that the shop weighs: a number for use within the shop, allowed by the owner.
    let weighed = read(
        b"]E02012345678905",
        None,
        &rule("20", Some(13), "weighed", true),
    );
    assert_eq!(weighed.gtin.as_deref(), Some("02012345678905"));
    let query = read(
        b"https://shop.example/p?id=7",
        None,
        &rule("https://shop.example/", None, "poster", true),
    );
    assert_eq!(query.text.as_deref(), Some("https://shop.example/p?id=7"));
    let other = read(b"VIP-0001234", None, &rule("VIP-", Some(5), "member", true));
    assert_eq!((other.kind.as_str(), other.text), ("text", None));
}

#[test]
fn no_rule_can_keep_a_payment_code() {
    let code = read(
        b"134567890123456789",
        None,
        &rule("13", None, "member", true),
    );
    assert_eq!(
        code,
        CodeScanned {
            kind: "payment_code".to_owned(),
            ..CodeScanned::default()
        }
    );
}

#[test]
fn rules_that_cannot_work_are_named() {
    assert_eq!(rule("VIP-", Some(11), "member", false).flaws(), []);
    for (rules, key) in [
        (rule("", None, "member", false), "rule[0].prefix"),
        (rule("a", Some(0), "member", false), "rule[0].length"),
        (rule("a", Some(4097), "member", false), "rule[0].length"),
        (rule("a", None, "Member", false), "rule[0].kind"),
        (rule("a", None, "", false), "rule[0].kind"),
        (rule("a", None, "payment_code", true), "rule[0].kind"),
    ] {
        let flaws = rules.flaws();
        assert_eq!(flaws.len(), 1, "{flaws:?}");
        assert_eq!(flaws[0].0, key);
    }
}

#[test]
fn rules_are_read_from_the_config() {
    #[derive(serde::Deserialize)]
    struct Section {
        rule: Rules,
    }
    let text = "[[rule]]\nprefix = \"VIP-\"\nkind = \"member\"\n[[rule]]\nprefix = \"20\"\nlength = 13\nkind = \"weighed\"\nkeep = true\n";
    let section: Section = toml::from_str(text).unwrap();
    assert_eq!(section.rule.0.len(), 2);
    assert_eq!(section.rule.find("2012345678905").unwrap().kind, "weighed");
    assert!(section.rule.find("20123456789").is_none());
}

#[test]
fn a_character_set_announcement_is_no_part_of_the_code() {
    assert_eq!(
        scan("]Q2\\000026https://shop.example/a").text.as_deref(),
        Some("https://shop.example/a")
    );
    assert_eq!(scan("]Q2\\000026134567890123456789").kind, "payment_code");
}

#[test]
fn chinese_scanners_are_understood() {
    let code = read(
        b"POSTER-\xb4\xba",
        None,
        &rule("POSTER-", None, "poster", true),
    );
    assert_eq!(code.text.as_deref(), Some("POSTER-春"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, None, &Rules::default());
    }

    #[test]
    fn no_almost_right_code_makes_it_panic(
        id in "(\\][A-Za-z][0-9])?",
        body in "(\\(?(00|01|02|10|17|21|37|253|310[0-9]|392[0-9]|80[0-9][0-9]|91)\\)?[0-9A-Za-z/%\\\\é\u{1d} -]{0,30}){0,6}",
    ) {
        let _ = scan(&format!("{id}{body}"));
        let _ = scan(&format!("https://x.example/{}", body.replace(['(', ')'], "/")));
    }

    #[test]
    fn what_is_long_is_withheld_and_nothing_grows(text in "[0-9A-Za-z]{0,5000}") {
        let code = scan(&text);
        let told = format!("{code:?}").len();
        prop_assert!(told < 2000);
    }
}
