use super::*;

fn key() -> PrivateKey {
    PrivateKey::generate(Some("ops")).unwrap()
}

fn trusted(key: &PrivateKey) -> Keys {
    [key.public().clone()].into_iter().collect()
}

fn ping() -> Claims {
    Claims {
        id: CommandId::from_random([7; 16]),
        addressee: "box-0042".into(),
        name: "ping".into(),
        args: Map::new(),
        iat: 1_000,
        exp: 1_600,
        seq: 3,
    }
}

/// An envelope with exactly these texts inside, properly signed.
fn signed(key: &PrivateKey, header: &str, payload: &str) -> String {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"ops"}"#;
const PAYLOAD: &str = r#"{"id":"07070707-0707-4707-8707-070707070707","box":"box-0042","name":"ping","args":{},"iat":1000,"exp":1600,"seq":3}"#;

#[test]
fn what_was_sealed_opens_with_the_same_claims() {
    let key = key();
    let mut claims = ping();
    claims.args.insert("text".into(), "Grüße, 你好".into());
    let opened = open(seal(&key, &claims).as_bytes(), &trusted(&key)).unwrap();
    assert_eq!((opened.kid.as_str(), opened.claims), ("ops", claims));
}

#[test]
fn an_envelope_written_by_hand_after_the_standards_opens_too() {
    let key = key();
    let spaced = r#"{ "kid" : "ops", "alg" : "EdDSA", "typ" : "JOSE" }"#;
    let opened = open(signed(&key, spaced, PAYLOAD).as_bytes(), &trusted(&key)).unwrap();
    assert_eq!(opened.claims, ping());
}

#[test]
fn args_may_be_left_out() {
    let key = key();
    let payload = PAYLOAD.replace(r#""args":{},"#, "");
    let opened = open(signed(&key, HEADER, &payload).as_bytes(), &trusted(&key)).unwrap();
    assert_eq!(opened.claims, ping());
}

#[test]
fn a_header_that_asks_for_anything_else_is_refused_and_the_id_is_still_readable() {
    let key = key();
    for (header, fault) in [
        (r#"{"alg":"none","kid":"ops"}"#, EnvelopeFault::Algorithm),
        (r#"{"alg":"HS256","kid":"ops"}"#, EnvelopeFault::Algorithm),
        (r#"{"alg":"eddsa","kid":"ops"}"#, EnvelopeFault::Algorithm),
        (r#"{"kid":"ops"}"#, EnvelopeFault::Algorithm),
        (
            r#"{"alg":"EdDSA","kid":"ops","crit":["b64"],"b64":false}"#,
            EnvelopeFault::Critical,
        ),
        (
            r#"{"alg":"EdDSA","kid":"other"}"#,
            EnvelopeFault::UnknownKey,
        ),
        (
            r#"{"alg":"EdDSA"}"#,
            EnvelopeFault::Malformed("the header has no kid"),
        ),
        (
            r#"{"alg":"EdDSA","kid":7}"#,
            EnvelopeFault::Malformed("the header has no kid"),
        ),
        (
            r#"{"alg":"EdDSA","kid":"ops","kid":"ops"}"#,
            EnvelopeFault::Malformed("the header is no JSON object, or has a member twice"),
        ),
        (
            r#"{"alg":"EdDSA","kid":"ops","x":1,"x":2}"#,
            EnvelopeFault::Malformed("the header is no JSON object, or has a member twice"),
        ),
        (
            r#"["EdDSA"]"#,
            EnvelopeFault::Malformed("the header is no JSON object, or has a member twice"),
        ),
    ] {
        let refused = open(signed(&key, header, PAYLOAD).as_bytes(), &trusted(&key)).unwrap_err();
        assert_eq!(refused.fault, fault, "{header}");
        assert_eq!(refused.id, Some(ping().id), "{header}");
    }
}

#[test]
fn a_key_that_is_carried_in_the_header_is_not_looked_at() {
    let (ours, theirs) = (key(), key());
    let jwk = r#"{"alg":"EdDSA","kid":"ops","jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAA"},"jku":"http://x"}"#;
    let refused = open(signed(&theirs, jwk, PAYLOAD).as_bytes(), &trusted(&ours)).unwrap_err();
    assert_eq!(refused.fault, EnvelopeFault::Signature);
}

#[test]
fn any_change_to_a_signed_envelope_breaks_it() {
    let key = key();
    let (keys, good) = (trusted(&key), seal(&key, &ping()));
    for position in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        assert!(open(&bytes, &keys).is_err(), "byte {position}");
        assert!(open(&good.as_bytes()[..position], &keys).is_err());
    }
    for more in ["\n", "=", ".", ".AAAA", " ", "A"] {
        assert!(open(format!("{good}{more}").as_bytes(), &keys).is_err());
    }
}

#[test]
fn two_base64_texts_of_the_same_bytes_are_not_both_taken() {
    // The last character of a signature has four unused bits: 64 bytes are 85 characters and a third.
    let key = key();
    let (keys, good) = (trusted(&key), seal(&key, &ping()));
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = good.as_bytes()[good.len() - 1];
    let taken: Vec<u8> = alphabet
        .iter()
        .copied()
        .filter(|byte| {
            let mut bytes = good.clone().into_bytes();
            *bytes.last_mut().unwrap() = *byte;
            open(&bytes, &keys).is_ok()
        })
        .collect();
    assert_eq!(taken, [last]);
}

#[test]
fn signed_claims_that_are_wrong_are_named() {
    let key = key();
    for (from, to, words) in [
        (r#""id":"07"#, r#""id":"AB"#, "id"),
        (r#""id":"07070707-0707-4707-8707-070707070707","#, "", "id"),
        (r#""box":"box-0042""#, r#""box":"""#, "box"),
        (r#""box":"box-0042""#, r#""box":"a b""#, "box"),
        (r#""box":"box-0042","#, "", "box"),
        (r#""name":"ping""#, r#""name":"pi/ng""#, "name"),
        (r#""name":"ping","#, "", "name"),
        (r#""args":{}"#, r#""args":[]"#, "args"),
        (r#""iat":1000"#, r#""iat":"1000""#, "iat"),
        (r#""iat":1000"#, r#""iat":1000.5"#, "iat"),
        (r#""iat":1000,"#, "", "iat"),
        (r#""exp":1600"#, r#""exp":1000"#, "exp is not after iat"),
        (r#""exp":1600"#, r#""exp":99999999999999"#, "exp"),
        (r#""exp":1600,"#, "", "exp"),
        (r#""seq":3"#, r#""seq":-3"#, "seq"),
        (r#","seq":3"#, "", "seq"),
        (r#""seq":3"#, r#""seq":3,"sub":"x""#, "a member besides"),
    ] {
        let payload = PAYLOAD.replace(from, to);
        assert_ne!(payload, PAYLOAD, "{from}");
        let refused = open(signed(&key, HEADER, &payload).as_bytes(), &trusted(&key)).unwrap_err();
        assert!(matches!(refused.fault, EnvelopeFault::Claims(_)), "{to}");
        assert!(
            refused.fault.to_string().contains(words),
            "{to}: {refused:?}"
        );
    }
    let twice = PAYLOAD.replace(r#""seq":3"#, r#""seq":3,"seq":4"#);
    let refused = open(signed(&key, HEADER, &twice).as_bytes(), &trusted(&key)).unwrap_err();
    assert_eq!(refused.id, None);
}

#[test]
fn what_is_no_envelope_at_all_is_refused_without_an_id() {
    let key = key();
    let keys = trusted(&key);
    let deep = format!("e30.{}.AA", URL_SAFE_NO_PAD.encode("[".repeat(40_000)));
    for garbage in [
        &b""[..],
        b".",
        b"..",
        b"...",
        b"a.b",
        b"{}",
        b"\xff\xfe",
        b"e30.e30.e30.e30",
        b"e30=.e30=.",
        b"+/+/.+/+/.+/+/",
        deep.as_bytes(),
    ] {
        let refused = open(garbage, &keys).unwrap_err();
        assert_eq!(refused.id, None, "{garbage:?}");
    }
    let refused = open(&vec![b'A'; LONGEST + 1], &keys).unwrap_err();
    assert_eq!(refused.fault, EnvelopeFault::TooLarge);
}

#[test]
fn several_keys_are_trusted_side_by_side_and_each_only_under_its_own_name() {
    let (a, b) = (key(), PrivateKey::generate(Some("night-shift")).unwrap());
    let keys: Keys = [a.public().clone(), b.public().clone()]
        .into_iter()
        .collect();
    assert_eq!(
        open(seal(&a, &ping()).as_bytes(), &keys).unwrap().kid,
        "ops"
    );
    let by_b = open(seal(&b, &ping()).as_bytes(), &keys).unwrap();
    assert_eq!(by_b.kid, "night-shift");
    let posing = open(signed(&b, HEADER, PAYLOAD).as_bytes(), &keys).unwrap_err();
    assert_eq!(posing.fault, EnvelopeFault::Signature);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let key = key();
        proptest::prop_assert!(open(&bytes, &trusted(&key)).is_err());
    }
}
