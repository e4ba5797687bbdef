//! Digital Links, both ways.

use super::super::gs1::link::{CANONICAL, NoLink, build, parse};

fn elements(uri: &str) -> Vec<(String, String)> {
    let link = parse(uri).unwrap();
    assert_eq!(link.parsed.faults, [], "{uri}");
    let elements = link.parsed.elements.into_iter();
    elements
        .map(|element| (element.ai, element.value))
        .collect()
}

fn pairs<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(ai, value)| ((*ai).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn key_qualifiers_and_attributes_are_read() {
    assert_eq!(
        elements(
            "https://id.gs1.org/01/09506000134352/22/2A/10/ABC%2F1/21/S%2B1?17=271231&3103=000195&utm=x"
        ),
        pairs(&[
            ("01", "09506000134352"),
            ("22", "2A"),
            ("10", "ABC/1"),
            ("21", "S+1"),
            ("17", "271231"),
            ("3103", "000195")
        ])
    );
    assert_eq!(
        elements("HTTP://shop.example:8080/a/b/414/9506000134352/254/7"),
        pairs(&[("414", "9506000134352"), ("254", "7")])
    );
    assert_eq!(
        parse("https://shop.example/a/b/00/006141411234567890")
            .unwrap()
            .stem,
        "https://shop.example/a/b"
    );
}

#[test]
fn shorter_gtins_are_padded() {
    for short in ["9506000134352", "09506000134352"] {
        let uri = format!("https://x.example/01/{short}");
        assert_eq!(elements(&uri), pairs(&[("01", "09506000134352")]));
    }
    assert_eq!(
        elements("https://x.example/01/96385074"),
        pairs(&[("01", "00000096385074")])
    );
}

#[test]
fn qualifiers_keep_their_order_and_alternatives_do_not_mix() {
    for right in ["22/1/10/2/21/3", "22/1/21/3", "10/2/21/3", "235/1"] {
        assert!(
            parse(&format!("https://x.example/01/09506000134352/{right}"))
                .unwrap()
                .parsed
                .faults
                .is_empty(),
            "{right}"
        );
    }
    for wrong in [
        "10/2/22/1",
        "22/1/10/2/235/1",
        "21/3/10/2",
        "17/271231",
        "10/1/10/1",
    ] {
        let link = parse(&format!("https://x.example/01/09506000134352/{wrong}")).unwrap();
        let said = link
            .parsed
            .faults
            .iter()
            .any(|fault| fault.to_string().contains("place"));
        assert!(said, "{wrong}: {:?}", link.parsed.faults);
    }
    // A qualifier is no attribute.
    let link = parse("https://x.example/01/09506000134352?21=7").unwrap();
    assert_eq!(link.parsed.faults.len(), 1, "{:?}", link.parsed.faults);
}

#[test]
fn what_is_no_digital_link_is_none() {
    for none in [
        "https://shop.example/",
        "https://shop.example/01",
        "https://01/09506000134352",
        "ftp://x.example/01/09506000134352",
        "https://x.example/10/AB",
        "https://x.example/01/09506000134352/x",
        "https://x.example/01/09506000134352/99x/1",
        "",
        "01/1",
    ] {
        assert!(parse(none).is_none(), "{none}");
    }
}

#[test]
fn wrong_values_are_flagged() {
    let link = parse("https://x.example/01/09506000134353?17=271301").unwrap();
    let faults: Vec<String> = link.parsed.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "(01): wrong check digit",
            "(17): no date as YYMMDD (day 00 allowed)"
        ]
    );
}

#[test]
fn what_is_built_is_read_again() {
    for (uri, given) in [
        (
            "https://id.gs1.org/01/09506000134352/22/2A/10/ABC%2F1/21/S1?17=271231&3103=000195",
            pairs(&[
                ("01", "09506000134352"),
                ("10", "ABC/1"),
                ("17", "271231"),
                ("21", "S1"),
                ("22", "2A"),
                ("3103", "000195"),
            ]),
        ),
        (
            "https://id.gs1.org/01/09506000134352/235/A%25B",
            pairs(&[("01", "09506000134352"), ("235", "A%B")]),
        ),
        (
            "https://id.gs1.org/00/006141411234567890?02=09506000134352&37=7",
            pairs(&[
                ("00", "006141411234567890"),
                ("02", "09506000134352"),
                ("37", "7"),
            ]),
        ),
    ] {
        let given_refs = given
            .iter()
            .map(|(ai, value)| (ai.as_str(), value.as_str()));
        assert_eq!(build(CANONICAL, given_refs).as_deref(), Ok(uri));
        let mut read = elements(uri);
        read.sort();
        assert_eq!(read, given);
    }
}

#[test]
fn elements_without_a_key_or_without_a_place_make_no_link() {
    assert_eq!(build(CANONICAL, [("10", "A")]), Err(NoLink::NoKey));
    assert_eq!(build(CANONICAL, []), Err(NoLink::NoKey));
    let serial = [("00", "006141411234567890"), ("21", "7")];
    assert_eq!(
        build(CANONICAL, serial),
        Err(NoLink::NoPlace {
            ai: "21".to_owned()
        })
    );
}
