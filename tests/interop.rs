//! The same cases against two brokers, Mosquitto and rumqttd, each with MQTT 5 and 3.1.1: 4 times what is in the table
//! at the end. Where a broker or a version cannot do a thing the case says so (`GAP`) and asserts what happens instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/shop.rs"]
mod shop;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

#[path = "interop/broker.rs"]
mod broker;
#[path = "interop/cases.rs"]
mod cases;
#[path = "interop/commands.rs"]
mod commands;
#[path = "interop/gate.rs"]
mod gate;
#[path = "interop/limits.rs"]
mod limits;
#[path = "interop/observer.rs"]
mod observer;
#[path = "interop/refusals.rs"]
mod refusals;
#[path = "interop/rumqttd.rs"]
mod rumqttd;

macro_rules! on {
    ($place:ident, $kind:ident, $protocol:ident, $($file:ident: $($case:ident)*;)*) => {
        mod $place {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let at = crate::broker::At {
                        kind: crate::broker::Kind::$kind,
                        protocol: footfall::config::schema::Protocol::$protocol,
                    };
                    crate::$file::$case(at).await;
                }
            )*)*
        }
    };
}

macro_rules! table {
    ($($cases:tt)*) => {
        on! { mosquitto_mqtt_5, Mosquitto, V5, $($cases)* }
        on! { mosquitto_mqtt_311, Mosquitto, V311, $($cases)* }
        on! { rumqttd_mqtt_5, Rumqttd, V5, $($cases)* }
        on! { rumqttd_mqtt_311, Rumqttd, V311, $($cases)* }
    };
}

table! {
    cases:
        connect
        birth_and_will
        retained_state
        clean_offline_on_stop
        live_delivery_of_all_four_streams
        backlog_after_a_broker_restart
        order
        compressed_batches
        unicode_and_the_longest_names
        keep_alive_on_an_idle_link
        nothing_is_done_without_a_puback
        tls;
    limits:
        large_batch_near_the_limit
        oversize_event_is_set_aside
        oversize_event_when_nobody_told_the_limit;
    commands:
        clean_offline_on_sigterm
        command_in_response_out
        command_comes_again_until_it_is_acknowledged
        packet_above_every_limit_costs_no_later_command;
    refusals:
        duplicate_client_id
        wrong_password
        wrong_version
        topic_that_is_not_allowed;
}
