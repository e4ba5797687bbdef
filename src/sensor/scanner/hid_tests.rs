use super::*;

fn press(code: u16) -> [KeyEvent; 3] {
    [key(code, PRESSED), key(code, RELEASED), report()]
}

fn key(code: u16, value: i32) -> KeyEvent {
    KeyEvent {
        kind: EV_KEY,
        code,
        value,
    }
}

fn report() -> KeyEvent {
    KeyEvent {
        kind: EV_SYN,
        code: SYN_REPORT,
        value: 0,
    }
}

fn shifted(code: u16) -> Vec<KeyEvent> {
    let mut events = vec![key(KEY_LEFTSHIFT, PRESSED)];
    events.extend(press(code));
    events.push(key(KEY_LEFTSHIFT, RELEASED));
    events
}

/// What a scanner types, as text; `|` is an end, `?` an unknown key, `!` a loss.
fn typed(layout: Layout, events: &[KeyEvent]) -> String {
    struct Nobody;
    impl Keys for Nobody {
        fn read(
            &mut self,
            _: Duration,
            _: &mut dyn FnMut(KeyEvent),
        ) -> Result<Arrived, DeviceError> {
            Ok(Arrived::Nothing)
        }
    }
    let mut typing = Typing::new(Nobody, layout);
    let mut bytes = Vec::new();
    for event in events {
        typing.translator.take(*event, &mut |input| {
            bytes.push(match input {
                Input::Byte(byte) => byte,
                Input::End => b'|',
                Input::Unknown => b'?',
                Input::Lost => b'!',
            });
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn keys_become_characters_of_the_layout_and_enter_and_tab_end_a_scan() {
    let events = [
        press(3).to_vec(),
        shifted(21),
        press(21).to_vec(),
        press(KEY_ENTER).to_vec(),
        press(KEY_TAB).to_vec(),
    ]
    .concat();
    assert_eq!(typed(Layout::Us, &events), "2Yy||");
    assert_eq!(typed(Layout::De, &events), "2Zz||");
    assert_eq!(typed(Layout::De, &press(40)), "ä");
}

#[test]
fn caps_lock_altgr_and_the_right_shift_count_too() {
    let mut events = press(KEY_CAPSLOCK).to_vec();
    events.extend(press(30)); // A
    events.extend(press(KEY_CAPSLOCK));
    events.push(key(KEY_RIGHTSHIFT, PRESSED));
    events.extend(press(48)); // B
    events.push(key(KEY_RIGHTSHIFT, RELEASED));
    events.push(key(KEY_RIGHTALT, PRESSED));
    events.extend(press(16)); // @
    events.push(key(KEY_RIGHTALT, RELEASED));
    events.extend(press(46)); // c
    assert_eq!(typed(Layout::De, &events), "AB@c");
}

#[test]
fn ctrl_and_the_right_bracket_is_the_group_separator_and_other_combinations_are_unknown() {
    let mut events = vec![key(KEY_LEFTCTRL, PRESSED)];
    events.extend(press(KEY_RIGHTBRACE));
    events.extend(press(30));
    events.push(key(KEY_LEFTCTRL, RELEASED));
    events.extend(press(88)); // F12
    events.extend(press(30));
    assert_eq!(typed(Layout::Us, &events), "\u{1d}??a");
}

#[test]
fn a_key_that_repeats_itself_counts_once() {
    let events = [key(30, PRESSED), key(30, 2), key(30, 2), key(30, RELEASED)];
    assert_eq!(typed(Layout::Us, &events), "a");
}

#[test]
fn after_lost_events_the_rest_of_the_packet_and_what_was_held_are_forgotten() {
    let dropped = KeyEvent {
        kind: EV_SYN,
        code: SYN_DROPPED,
        value: 0,
    };
    let mut events = vec![key(KEY_LEFTSHIFT, PRESSED)];
    events.extend(press(30));
    events.extend([dropped, key(31, PRESSED), report()]);
    events.extend(press(32));
    assert_eq!(typed(Layout::Us, &events), "A!d");
}

#[test]
fn the_kernels_bytes_are_read_as_it_writes_them() {
    let mut bytes = [0xff; EVENT_BYTES];
    bytes[16..18].copy_from_slice(&EV_KEY.to_ne_bytes());
    bytes[18..20].copy_from_slice(&KEY_ENTER.to_ne_bytes());
    bytes[20..].copy_from_slice(&PRESSED.to_ne_bytes());
    let event = parsed(&bytes);
    assert_eq!(
        (event.kind, event.code, event.value),
        (EV_KEY, KEY_ENTER, PRESSED)
    );
}

#[test]
fn a_keyboard_that_is_missing_or_none_says_what_to_do() {
    let missing = Keyboard::new(Path::new("/dev/input/by-id/no-such-event-kbd"), Layout::Us).open();
    let why = missing.err().unwrap().to_string();
    assert_eq!(
        why,
        "no scanner at /dev/input/by-id/no-such-event-kbd; plug it in, or see with `ls /dev/input/by-id/` what it is called"
    );
    let other = Keyboard::new(Path::new("/dev/null"), Layout::Us).open();
    let why = other.err().unwrap();
    assert_eq!(why.why, Why::WrongKind);
    assert!(why.to_string().contains("ends in -event-kbd"));
}
