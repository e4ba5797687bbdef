//! What a box answers to each kind of message, case by case: one name, one message, its one right answer. The dispatcher is
//! the real one, with its journal on a disk; broker and clock are the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/desk.rs"]
mod desk;

use std::time::Duration;

use desk::{BASE, HEADER, Life, NOW, World, b64};
use footfall::command::id::CommandId;
use footfall::command::key::PrivateKey;
use footfall::uplink::desk::Message;
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

/// What must come of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Done,
    /// Rejected, or too late, with this code; nothing was begun.
    Refused(&'static str),
    /// No answer at all: nobody can be told.
    Silence,
}

use Right::{Done, Refused, Silence};

type Case = (&'static str, fn(&mut World) -> Message, Right);

const CASES: &[Case] = &[
    // What is right.
    (
        "valid_command_is_done",
        |w| w.command("ping", json!({})),
        Done,
    ),
    (
        "box_named_in_full_is_done",
        |w| w.with("box", json!("t/s/b")),
        Done,
    ),
    ("claims_without_args_are_done", |w| w.without("args"), Done),
    (
        "unicode_in_args_is_done",
        |w| w.command("echo", json!({"text": "Grüße, 你好 \u{1f6b6}"})),
        Done,
    ),
    (
        "header_members_besides_are_ignored",
        |w| w.headed(r#"{"typ":"JOSE","alg":"EdDSA","kid":"ops","cty":"x"}"#),
        Done,
    ),
    (
        "spaces_in_the_json_are_fine",
        |w| w.headed("{ \"alg\" : \"EdDSA\" ,\n \"kid\" : \"ops\" }"),
        Done,
    ),
    (
        "signer_five_minutes_ahead_is_done",
        |w| w.timed(300, 900),
        Done,
    ),
    (
        "whole_week_of_life_is_done",
        |w| w.timed(0, 7 * 86_400),
        Done,
    ),
    (
        "name_of_64_bytes_is_only_unknown",
        |w| w.with("name", json!("x".repeat(64))),
        Refused("unknown_name"),
    ),
    // Who signed.
    (
        "key_of_a_stranger_is_refused",
        |w| w.signed_by("stranger", "stranger"),
        Refused("unknown_key"),
    ),
    (
        "key_of_a_stranger_under_a_trusted_name_is_refused",
        |w| w.signed_by("stranger", "ops"),
        Refused("signature"),
    ),
    (
        "other_trusted_keys_name_is_refused",
        |w| w.signed_by("ops", "second"),
        Refused("signature"),
    ),
    (
        "alg_none_without_signature_is_refused",
        |w| w.unsigned(r#"{"alg":"none","kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "alg_none_with_a_good_signature_is_refused",
        |w| w.headed(r#"{"alg":"none","kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "alg_nOnE_is_refused",
        |w| w.unsigned(r#"{"alg":"nOnE","kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "alg_hs256_keyed_with_the_public_key_is_refused",
        World::hs256,
        Refused("algorithm"),
    ),
    (
        "alg_ed448_is_refused",
        |w| w.headed(r#"{"alg":"Ed448","kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "alg_as_a_list_is_refused",
        |w| w.headed(r#"{"alg":["EdDSA"],"kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "header_without_alg_is_refused",
        |w| w.headed(r#"{"kid":"ops"}"#),
        Refused("algorithm"),
    ),
    (
        "critical_extension_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA","kid":"ops","crit":["exp"],"exp":1}"#),
        Refused("algorithm"),
    ),
    (
        "header_without_kid_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA"}"#),
        Refused("malformed"),
    ),
    (
        "kid_that_is_no_text_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA","kid":7}"#),
        Refused("malformed"),
    ),
    (
        "kid_that_nobody_has_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA","kid":"OPS"}"#),
        Refused("unknown_key"),
    ),
    (
        "kid_that_is_a_path_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA","kid":"../../etc/footfall/keys/ops"}"#),
        Refused("unknown_key"),
    ),
    (
        "key_carried_in_the_header_is_not_believed",
        |w| {
            let x = b64(b"0123456789abcdef0123456789abcdef");
            w.headed_by("stranger", &format!(r#"{{"alg":"EdDSA","kid":"ops","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#))
        },
        Refused("signature"),
    ),
    (
        "signature_of_another_command_is_refused",
        World::transplanted,
        Refused("signature"),
    ),
    (
        "payload_changed_after_signing_is_refused",
        World::tampered,
        Refused("signature"),
    ),
    (
        "signature_cut_short_is_refused",
        |w| w.mangled(|text| text[..text.len() - 22].to_owned()),
        Refused("signature"),
    ),
    (
        "empty_signature_is_refused",
        |w| w.mangled(|text| text.rsplit_once('.').unwrap().0.to_owned() + "."),
        Refused("signature"),
    ),
    (
        "signature_of_zeros_is_refused",
        |w| w.mangled(|text| text.rsplit_once('.').unwrap().0.to_owned() + "." + &b64(&[0; 64])),
        Refused("signature"),
    ),
    // What is no envelope.
    ("empty_message_is_silence", |w| w.raw(Vec::new()), Silence),
    (
        "text_that_is_no_jws_is_silence",
        |w| w.raw(b"restart please".to_vec()),
        Silence,
    ),
    (
        "plain_json_is_silence",
        |w| w.raw(br#"{"id":"07070707-0707-4707-8707-070707070707","name":"ping"}"#.to_vec()),
        Silence,
    ),
    (
        "bytes_that_are_no_text_are_silence",
        |w| w.raw(vec![0xff, 0xfe, b'.', 0, b'.', 0x80]),
        Silence,
    ),
    (
        "two_parts_are_silence",
        |w| w.mangled(|text| text.rsplit_once('.').unwrap().0.to_owned()),
        Silence,
    ),
    (
        "four_parts_are_silence",
        |w| w.mangled(|text| text.to_owned() + ".AAAA"),
        Silence,
    ),
    (
        "header_that_is_no_base64url_is_refused",
        |w| w.part(0, "e30+/"),
        Refused("malformed"),
    ),
    (
        "header_with_padding_is_refused",
        |w| w.part(0, "eyJhbGciOiJFZERTQSIsImtpZCI6Im9wcyJ9=="),
        Refused("malformed"),
    ),
    (
        "empty_header_is_refused",
        |w| w.part(0, ""),
        Refused("malformed"),
    ),
    (
        "header_that_is_a_list_is_refused",
        |w| w.headed(r#"["EdDSA","ops"]"#),
        Refused("malformed"),
    ),
    (
        "header_of_many_bytes_is_refused",
        |w| {
            w.headed(&format!(
                r#"{{"alg":"EdDSA","kid":"ops","x":"{}"}}"#,
                "x".repeat(2000)
            ))
        },
        Refused("malformed"),
    ),
    (
        "payload_that_is_no_base64url_is_silence",
        |w| w.part(1, "***"),
        Silence,
    ),
    ("empty_payload_is_silence", |w| w.part(1, ""), Silence),
    (
        "payload_that_is_a_list_is_silence",
        |w| w.paid("[1]"),
        Silence,
    ),
    (
        "payload_cut_short_is_silence",
        |w| w.mangled(|text| text[..text.len() / 2].to_owned()),
        Silence,
    ),
    (
        "signature_that_is_no_base64url_is_refused",
        |w| w.part(2, "%%%"),
        Refused("malformed"),
    ),
    (
        "one_byte_over_64_kib_is_silence",
        |w| w.mangled(|text| text.to_owned() + &"A".repeat(65_537 - text.len())),
        Silence,
    ),
    (
        "megabyte_is_silence",
        |w| w.mangled(|text| text.to_owned() + &"A".repeat(1 << 20)),
        Silence,
    ),
    (
        "json_nested_a_thousand_deep_is_silence",
        |w| {
            w.paid(&World::claims().replace(
                "{}",
                &format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)),
            ))
        },
        Silence,
    ),
    (
        "header_member_twice_is_refused",
        |w| w.headed(r#"{"alg":"EdDSA","kid":"ops","kid":"ops"}"#),
        Refused("malformed"),
    ),
    (
        "claim_twice_is_silence",
        |w| w.paid(&World::claims().replacen('{', r#"{"name":"echo","#, 1)),
        Silence,
    ),
    (
        "argument_twice_is_silence",
        |w| w.paid(&World::claims().replace("{}", r#"{"a":1,"a":2}"#)),
        Silence,
    ),
    (
        "argument_twice_deep_inside_is_silence",
        |w| w.paid(&World::claims().replace("{}", r#"{"a":[{"b":{"c":1,"c":1}}]}"#)),
        Silence,
    ),
    // What the claims say.
    ("missing_id_is_silence", |w| w.without("id"), Silence),
    (
        "id_in_upper_case_is_silence",
        |w| w.with("id", json!("0A0A0707-0707-4707-8707-070707070707")),
        Silence,
    ),
    (
        "id_in_unicode_is_silence",
        |w| w.with("id", json!("０7070707-0707-4707-8707-0707070707")),
        Silence,
    ),
    (
        "id_that_climbs_is_silence",
        |w| w.with("id", json!("../../../../../../../../../../etc/pass")),
        Silence,
    ),
    (
        "id_that_is_too_long_is_silence",
        |w| w.with("id", json!("7".repeat(4000))),
        Silence,
    ),
    (
        "missing_box_is_refused",
        |w| w.without("box"),
        Refused("claims"),
    ),
    (
        "box_in_unicode_is_refused",
        |w| w.with("box", json!("лавка")),
        Refused("claims"),
    ),
    (
        "missing_name_is_refused",
        |w| w.without("name"),
        Refused("claims"),
    ),
    (
        "name_that_is_too_long_is_refused",
        |w| w.with("name", json!("x".repeat(65))),
        Refused("claims"),
    ),
    (
        "name_in_unicode_is_refused",
        |w| w.with("name", json!("ｐing")),
        Refused("claims"),
    ),
    (
        "args_that_are_a_list_are_refused",
        |w| w.with("args", json!([1])),
        Refused("claims"),
    ),
    (
        "args_that_are_null_are_refused",
        |w| w.with("args", Value::Null),
        Refused("claims"),
    ),
    (
        "iat_with_a_fraction_is_refused",
        |w| w.with("iat", json!(1.5)),
        Refused("claims"),
    ),
    (
        "iat_before_1970_is_refused",
        |w| w.with("iat", json!(-1)),
        Refused("claims"),
    ),
    (
        "exp_as_text_is_refused",
        |w| w.with("exp", json!("tomorrow")),
        Refused("claims"),
    ),
    (
        "exp_after_the_year_9999_is_refused",
        |w| w.with("exp", json!(i64::MAX)),
        Refused("claims"),
    ),
    (
        "exp_at_iat_is_refused",
        |w| w.with("exp", json!(NOW)),
        Refused("claims"),
    ),
    (
        "missing_exp_is_refused",
        |w| w.without("exp"),
        Refused("claims"),
    ),
    (
        "negative_seq_is_refused",
        |w| w.with("seq", json!(-1)),
        Refused("claims"),
    ),
    (
        "claim_besides_is_refused",
        |w| w.with("nbf", json!(1)),
        Refused("claims"),
    ),
    // For whom and when.
    (
        "other_box_is_refused",
        |w| w.with("box", json!("c")),
        Refused("foreign"),
    ),
    (
        "same_box_in_another_shop_is_refused",
        |w| w.with("box", json!("t/s2/b")),
        Refused("foreign"),
    ),
    (
        "same_box_of_another_company_is_refused",
        |w| w.with("box", json!("t2/s/b")),
        Refused("foreign"),
    ),
    (
        "expired_is_refused",
        |w| w.timed(-600, -1),
        Refused("expired"),
    ),
    (
        "expired_at_this_second_is_refused",
        |w| w.timed(-600, 0),
        Refused("expired"),
    ),
    (
        "signed_in_the_future_is_refused",
        |w| w.timed(301, 900),
        Refused("from_the_future"),
    ),
    (
        "life_of_more_than_a_week_is_refused",
        |w| w.timed(0, 7 * 86_400 + 1),
        Refused("long_lived"),
    ),
    (
        "without_a_clock_and_message_expiry_is_refused",
        |w| w.unsynced(None),
        Refused("no_time"),
    ),
    (
        "without_a_clock_but_with_message_expiry_is_done",
        |w| w.unsynced(Some(30)),
        Done,
    ),
    (
        "without_a_clock_and_with_message_expiry_over_is_refused",
        |w| w.unsynced(Some(0)),
        Refused("expired"),
    ),
    // What it asks.
    (
        "unknown_command_is_refused",
        |w| w.command("format.disk", json!({})),
        Refused("unknown_name"),
    ),
    (
        "command_in_another_case_is_unknown",
        |w| w.command("Ping", json!({})),
        Refused("unknown_name"),
    ),
    (
        "desired_config_on_the_command_topic_is_unknown",
        |w| w.command("config.desired", json!({})),
        Refused("unknown_name"),
    ),
    (
        "missing_argument_is_refused",
        |w| w.command("occupancy.set", json!({})),
        Refused("args"),
    ),
    (
        "argument_of_the_wrong_type_is_refused",
        |w| w.command("occupancy.set", json!({"value": "7"})),
        Refused("args"),
    ),
    (
        "argument_with_a_fraction_is_refused",
        |w| w.command("occupancy.set", json!({"value": 7.5})),
        Refused("args"),
    ),
    (
        "argument_out_of_range_is_refused",
        |w| w.command("occupancy.set", json!({"value": 100_001})),
        Refused("args"),
    ),
    (
        "argument_besides_is_refused",
        |w| w.command("occupancy.set", json!({"value": 7, "now": true})),
        Refused("args"),
    ),
    (
        "arguments_for_a_command_without_any_are_refused",
        |w| w.command("ping", json!({"x": 1})),
        Refused("args"),
    ),
];

#[tokio::test]
async fn every_message_gets_its_one_right_answer_and_the_box_goes_on() {
    for (name, make, right) in CASES {
        let mut world = World::new();
        let message = make(&mut world);
        let mut life = world.start();
        life.take(&message).await;
        match right {
            Done => assert_eq!(life.answer().await["state"], "succeeded", "{name}"),
            Refused(code) => {
                let answer = life.answer().await;
                let state = if *code == "expired" {
                    "expired"
                } else {
                    "rejected"
                };
                assert_eq!(
                    (&answer["state"], &answer["error"]["code"]),
                    (&json!(state), &json!(code)),
                    "{name}: {answer}"
                );
                assert!(
                    !answer["error"]["message"].as_str().unwrap().is_empty(),
                    "{name}"
                );
            }
            Silence => {}
        }
        assert_eq!(
            world.begun(),
            u64::from(*right == Done && name.contains("args_is_done")),
            "{name}"
        );
        // The next command is done, and its answer is the only further one.
        world
            .clock
            .set_wall(Timestamp::from_second(NOW).unwrap(), true);
        let next = world.named(99, "ping", json!({}));
        life.take(&next).await;
        let answer = life.answer().await;
        assert_eq!(
            (&answer["state"], &answer["id"]),
            (&json!("succeeded"), &json!(id(99))),
            "{name}"
        );
    }
    println!("{} cases", CASES.len());
    let mut names: Vec<_> = CASES.iter().map(|case| case.0).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len(), "a name stands for one case");
}

fn id(number: u8) -> CommandId {
    CommandId::from_random([number; 16])
}

impl World {
    /// A text that names the public key's algorithm a shared secret (RFC 8725, section 2.1).
    fn hs256(&mut self) -> Message {
        let text = format!(
            "{}.{}",
            b64(br#"{"alg":"HS256","kid":"ops"}"#),
            b64(World::claims().as_bytes())
        );
        let secret = std::fs::read(&self.public).unwrap();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        self.raw(format!("{text}.{}", b64(tag.as_ref())).into_bytes())
    }

    fn transplanted(&mut self) -> Message {
        let other = self.command("echo", json!({"a": 1})).payload;
        let other = String::from_utf8(other).unwrap();
        let signature = other.rsplit_once('.').unwrap().1.to_owned();
        self.part(2, &signature)
    }

    fn tampered(&mut self) -> Message {
        let payload = b64(World::claims().replace("ping", "echo").as_bytes());
        self.part(1, &payload)
    }
}

// What several messages, or several lives of the daemon, make of it.

#[tokio::test]
async fn duplicate_while_executing_is_begun_once_and_answered_once() {
    let world = World::new();
    let hold = world.named(1, "hold", json!({}));
    let mut life = world.start();
    life.take(&hold).await;
    world.until_begun(1).await;
    life.take(&hold).await;
    life.take(&hold).await;
    life.release();
    assert_eq!(life.answer().await["state"], "succeeded");
    life.is_quiet(&world).await;
    assert_eq!((world.begun(), life.counters.read().repeated), (1, 2));
}

#[tokio::test]
async fn duplicate_after_the_result_gets_the_same_bytes() {
    let world = World::new();
    let echo = world.named(1, "echo", json!({"a": 1}));
    let mut life = world.start();
    life.take(&echo).await;
    let first = life.bytes().await;
    life.take(&echo).await;
    assert_eq!(life.bytes().await, first);
    assert_eq!(world.begun(), 1);
}

#[tokio::test]
async fn duplicate_after_a_restart_gets_the_same_bytes() {
    let world = World::new();
    let echo = world.named(1, "echo", json!({"a": 1}));
    let mut life = world.start();
    life.take(&echo).await;
    let first = life.bytes().await;
    drop(life);
    let mut life = world.start();
    life.take(&echo).await;
    assert_eq!(life.bytes().await, first);
    assert_eq!(world.begun(), 1);
}

#[tokio::test]
async fn same_id_with_another_content_gets_the_first_ones_answer_and_is_not_begun() {
    let world = World::new();
    let mut life = world.start();
    life.take(&world.named(1, "echo", json!({"a": 1}))).await;
    let first = life.bytes().await;
    life.take(&world.named(1, "echo", json!({"a": 2}))).await;
    assert_eq!(life.bytes().await, first);
    life.take(&world.named(1, "ping", json!({}))).await;
    assert_eq!(life.bytes().await, first);
    assert_eq!(world.begun(), 1);
}

#[tokio::test]
async fn same_id_with_a_broken_signature_gets_no_answer() {
    let world = World::new();
    let mut life = world.start();
    let echo = world.named(1, "echo", json!({}));
    life.take(&echo).await;
    life.bytes().await;
    let mut broken = echo.clone();
    let length = broken.payload.len();
    broken.payload[length - 10] ^= 1;
    life.take(&broken).await;
    life.is_quiet(&world).await;
}

#[tokio::test]
async fn reordered_commands_do_not_undo_each_other_where_order_matters() {
    let world = World::new();
    let mut life = world.start();
    for (number, seq, code) in [
        (1, 5, None),
        (2, 4, Some("out_of_order")),
        (3, 5, Some("out_of_order")),
        (4, 6, None),
    ] {
        life.take(&world.sequenced(number, "ordered", seq)).await;
        let answer = life.answer().await;
        assert_eq!(answer["error"]["code"].as_str(), code, "seq {seq}");
    }
    drop(life);
    let mut life = world.start();
    life.take(&world.sequenced(5, "ordered", 6)).await;
    assert_eq!(
        life.answer_to(5).await["error"]["code"],
        "out_of_order",
        "after a restart, too"
    );
}

#[tokio::test]
async fn replayed_after_it_was_forgotten_is_expired() {
    let world = World::new();
    let mut life = world.start();
    let echo = world.named(1, "echo", json!({}));
    life.take(&echo).await;
    life.bytes().await;
    // A week after its expiry the next command takes its place.
    world.clock.advance(Duration::from_secs(8 * 86_400));
    life.take(&world.now(2, "echo", json!({}))).await;
    life.bytes().await;
    life.take(&echo).await;
    let answer = life.answer().await;
    assert_eq!((&answer["state"], world.begun()), (&json!("expired"), 2));
    // Nor with a clock that was set back, without a source.
    world
        .clock
        .set_wall(Timestamp::from_second(NOW).unwrap(), false);
    let message = Message {
        expires_in: Some(Duration::from_secs(60)),
        ..echo
    };
    life.take(&message).await;
    assert_eq!(life.answer().await["state"], "expired");
}

#[tokio::test]
async fn journal_that_is_full_of_commands_that_could_be_replayed_refuses_new_ones() {
    let world = World::new();
    let mut life = world.start();
    for number in 0..=255 {
        life.take(&world.named(number, "ping", json!({}))).await;
        assert_eq!(life.answer().await["state"], "succeeded", "{number}");
    }
    let more = world.id("one more command", "ping", json!({}));
    life.take(&more).await;
    let answer = life.answer().await;
    assert_eq!(
        (&answer["state"], &answer["error"]["code"]),
        (&json!("rejected"), &json!("journal_full"))
    );
    // All are known still: none of them is begun again.
    life.take(&world.named(0, "ping", json!({}))).await;
    life.bytes().await;
    assert_eq!(life.counters.read().repeated, 1);
    world.clock.advance(Duration::from_secs(601));
    life.take(&world.now(7, "ping", json!({}))).await;
    // 7 is known; a new id finds room.
    life.bytes().await;
    let mut later = World::claims_of(&id(7), "ping", &json!({}));
    later["id"] = json!(CommandId::from_random(*b"one more command"));
    (later["iat"], later["exp"]) = (json!(NOW + 601), json!(NOW + 900));
    life.take(&world.sealed(&later.to_string())).await;
    assert_eq!(life.answer().await["state"], "succeeded");
}

#[tokio::test]
async fn hundred_at_once_are_each_answered_once_and_begun_once() {
    let world = World::new();
    let mut life = world.start();
    let receipts: Vec<_> = (0..100)
        .map(|number| life.deliver(&world.named(number, "echo", json!({}))))
        .collect();
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let mut done = 0;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let answer = life.answer().await;
        assert!(ids.insert(answer["id"].to_string()), "{answer} twice");
        match answer["state"].as_str() {
            Some("succeeded") => done += 1,
            _ => assert_eq!(answer["error"]["code"], "busy", "{answer}"),
        }
    }
    assert!(done >= 32, "{done} done");
    assert_eq!(world.begun(), done);
    life.is_quiet(&world).await;
}

#[tokio::test]
async fn hundred_and_twenty_nine_unacknowledged_are_more_than_a_broker_may_send() {
    let world = World::new();
    let life = world.stopped();
    let held = (0..128).all(|number| life.try_deliver(&world.named(number, "ping", json!({}))));
    assert!(held && !life.try_deliver(&world.named(200, "ping", json!({}))));
}

#[tokio::test]
async fn expired_while_it_waited_for_its_turn_is_not_begun() {
    let world = World::new();
    let mut life = world.start();
    for number in 0..4 {
        life.take(&world.named(number, "hold", json!({}))).await;
    }
    world.until_begun(4).await;
    life.take(&world.named(9, "echo", json!({}))).await;
    world.clock.advance(Duration::from_secs(601));
    life.release();
    let mut states = Vec::new();
    for _ in 0..5 {
        let answer = life.answer().await;
        states.push((
            answer["id"] == json!(id(9)),
            answer["state"].as_str().unwrap().to_owned(),
        ));
    }
    assert!(states.contains(&(true, "expired".to_owned())), "{states:?}");
    assert_eq!(world.begun(), 4);
}

#[tokio::test]
async fn flood_of_forgeries_is_answered_ten_times_and_a_real_command_passes() {
    let world = World::new();
    let mut life = world.start();
    for number in 0..60 {
        let mut forged = world.named(number, "ping", json!({}));
        let length = forged.payload.len();
        forged.payload[length - 10] ^= 1;
        life.take(&forged).await;
    }
    life.take(&world.named(99, "ping", json!({}))).await;
    let mut refused = 0;
    while life.answer().await["state"] == "rejected" {
        refused += 1;
    }
    assert_eq!((refused, life.counters.read().forged), (10, 60));
}

#[tokio::test]
async fn answer_goes_where_the_sender_wants_it_but_only_below_the_boxs_own_prefix() {
    for (number, (asked, given)) in [
        (format!("{BASE}/response/desk-3"), Some("desk-3")),
        (format!("{BASE}/response/desk/3/x"), Some("desk/3/x")),
        ("footfall/v1/t/s/other/response/x".to_owned(), None),
        (format!("{BASE}/command"), None),
        (format!("{BASE}/state"), None),
        (format!("{BASE}/config/desired"), None),
        (format!("{BASE}/response/#"), None),
        (format!("{BASE}/response/+"), None),
        (format!("{BASE}/response/"), None),
        (format!("{BASE}/response/{}", "x".repeat(600)), None),
        ("$SYS/x".to_owned(), None),
        (String::new(), None),
    ]
    .into_iter()
    .enumerate()
    {
        let world = World::new();
        let mut life = world.start();
        let number = u8::try_from(number).unwrap();
        let ping = world.named(number, "ping", json!({}));
        life.take(&Message {
            response_topic: Some(asked.clone()),
            correlation: Some(vec![0, 255]),
            ..ping
        })
        .await;
        let answer = life.whole().await;
        let own = id(number);
        let expected = format!("{BASE}/response/{}", given.unwrap_or(own.as_str()));
        assert_eq!(
            (answer.topic, answer.correlation, answer.retain),
            (expected, Some(vec![0, 255]), false),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn correlation_data_of_256_bytes_comes_back_and_longer_is_left_out() {
    for (length, comes) in [(256, true), (257, false)] {
        let world = World::new();
        let mut life = world.start();
        let ping = world.named(1, "ping", json!({}));
        life.take(&Message {
            correlation: Some(vec![7; length]),
            ..ping
        })
        .await;
        assert_eq!(life.whole().await.correlation.is_some(), comes, "{length}");
    }
}

// Keys: rotation and revocation.

#[tokio::test]
async fn while_keys_are_rotated_both_are_trusted_and_afterwards_only_the_new_one() {
    let world = World::new();
    let by = |number: u8, key: &PrivateKey| {
        world.sealed_by(
            key,
            HEADER.replace("ops", &key.public().kid).as_str(),
            &World::claims_of(&id(number), "echo", &json!({})).to_string(),
        )
    };
    let (old, new) = (by(1, &world.key), by(2, &world.second));
    let mut life = world.start();
    for message in [&old, &new] {
        life.take(message).await;
        assert_eq!(life.answer().await["state"], "succeeded");
    }
    drop(life);
    let mut life = world.trusting(&[&world.second]);
    life.take(&by(3, &world.key)).await;
    assert_eq!(life.answer_to(3).await["error"]["code"], "unknown_key");
    // Nor does what it signed before get an answer.
    life.take(&old).await;
    life.take(&by(4, &world.second)).await;
    let answer = life.answer_to(4).await;
    assert_eq!(
        (&answer["id"], &answer["state"]),
        (&json!(id(4)), &json!("succeeded"))
    );
    assert_eq!(world.begun(), 3);
}

#[tokio::test]
async fn key_withdrawn_while_a_command_is_in_progress_begins_it_no_more_and_it_is_answered() {
    let world = World::new();
    let life = world.start();
    life.take(&world.named(1, "hold", json!({}))).await;
    world.until_begun(1).await;
    life.stop();
    drop(life);
    let mut life = world.trusting(&[&world.second]);
    let answer = life.answer().await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(id(1)), &json!("interrupted"))
    );
    assert_eq!(world.begun(), 1);
    drop(life);
    // With the key still there it would have begun again.
    let world = World::new();
    let life = world.start();
    life.take(&world.named(1, "hold", json!({}))).await;
    world.until_begun(1).await;
    life.stop();
    drop(life);
    let mut life: Life = world.start();
    world.until_begun(2).await;
    life.release();
    assert_eq!(life.answer().await["state"], "succeeded");
}
