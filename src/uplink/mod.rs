//! MQTT: a pure ledger decides, a link carries.
