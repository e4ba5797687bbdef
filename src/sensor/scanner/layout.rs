//! Which character a key gives on which keyboard: for scanners that type. Pure.
//!
//! Key codes are those of Linux (`linux/input-event-codes.h`); they name places on a US keyboard. Another layout is one
//! more [`Table`] with what is printed on its keys, row by row.

use schemars::JsonSchema;
use serde::Deserialize;

/// The keyboard that a scanner pretends to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    #[default]
    Us,
    De,
}

/// What is held down.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    pub shift: bool,
    pub altgr: bool,
    pub caps: bool,
}

/// First and last key code of each row of [`Table`].
const ROWS: [(u16, u16); 6] = [(2, 13), (16, 27), (30, 41), (43, 43), (44, 53), (86, 86)];
/// A key that gives no character by itself, such as a dead accent.
const NOTHING: char = '\0';

/// One keyboard: the rows of [`ROWS`], plain and with Shift, and what AltGr gives by key code.
struct Table {
    plain: [&'static str; 6],
    shift: [&'static str; 6],
    altgr: &'static [(u16, char)],
}

const US: Table = Table {
    plain: [
        "1234567890-=",
        "qwertyuiop[]",
        "asdfghjkl;'`",
        "\\",
        "zxcvbnm,./",
        "\\",
    ],
    shift: [
        "!@#$%^&*()_+",
        "QWERTYUIOP{}",
        "ASDFGHJKL:\"~",
        "|",
        "ZXCVBNM<>?",
        "|",
    ],
    altgr: &[],
};

const DE: Table = Table {
    plain: [
        "1234567890ß\0",
        "qwertzuiopü+",
        "asdfghjklöä\0",
        "#",
        "yxcvbnm,.-",
        "<",
    ],
    shift: [
        "!\"§$%&/()=?\0",
        "QWERTZUIOPÜ*",
        "ASDFGHJKLÖÄ°",
        "'",
        "YXCVBNM;:_",
        ">",
    ],
    altgr: &[
        (3, '²'),
        (4, '³'),
        (8, '{'),
        (9, '['),
        (10, ']'),
        (11, '}'),
        (12, '\\'),
        (16, '@'),
        (18, '€'),
        (27, '~'),
        (50, 'µ'),
        (86, '|'),
    ],
};

/// The keypad and the space bar, the same everywhere. Scanners that use the keypad have Num Lock on.
const EVERYWHERE: [(u16, char); 16] = [
    (57, ' '),
    (82, '0'),
    (79, '1'),
    (80, '2'),
    (81, '3'),
    (75, '4'),
    (76, '5'),
    (77, '6'),
    (71, '7'),
    (72, '8'),
    (73, '9'),
    (55, '*'),
    (74, '-'),
    (78, '+'),
    (83, '.'),
    (98, '/'),
];

impl Layout {
    const fn table(self) -> &'static Table {
        match self {
            Self::Us => &US,
            Self::De => &DE,
        }
    }

    /// The character that this key gives; `None`: none that is known.
    pub(super) fn character(self, key: u16, held: Held) -> Option<char> {
        let listed = |list: &[(u16, char)]| {
            list.iter()
                .find(|(code, _)| *code == key)
                .map(|(_, char)| *char)
        };
        if let Some(char) = listed(&EVERYWHERE) {
            return Some(char);
        }
        let table = self.table();
        if held.altgr {
            return listed(table.altgr);
        }
        let plain = in_rows(&table.plain, key)?;
        let shifted = in_rows(&table.shift, key)?;
        // Caps Lock is for letters alone.
        let letter = plain.is_alphabetic() && shifted.is_alphabetic();
        let char = if held.shift != (held.caps && letter) {
            shifted
        } else {
            plain
        };
        (char != NOTHING).then_some(char)
    }
}

fn in_rows(rows: &[&str; 6], key: u16) -> Option<char> {
    let (row, (first, _)) = rows
        .iter()
        .zip(ROWS)
        .find(|(_, (first, last))| (*first..=*last).contains(&key))?;
    row.chars().nth(usize::from(key - first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Held = Held {
        shift: false,
        altgr: false,
        caps: false,
    };
    const SHIFT: Held = Held {
        shift: true,
        ..PLAIN
    };
    const ALTGR: Held = Held {
        altgr: true,
        ..PLAIN
    };

    /// Every printable ASCII character a layout can type, with the key and what is held.
    fn typed(layout: Layout) -> Vec<char> {
        let keys = (0..=255).flat_map(|key| [PLAIN, SHIFT, ALTGR].map(|held| (key, held)));
        let mut all: Vec<_> = keys
            .filter_map(|(key, held)| layout.character(key, held))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn each_row_has_a_character_for_each_of_its_keys() {
        for table in [&US, &DE] {
            for (index, (first, last)) in ROWS.into_iter().enumerate() {
                for rows in [&table.plain, &table.shift] {
                    assert_eq!(
                        rows[index].chars().count(),
                        usize::from(last - first + 1),
                        "{}",
                        rows[index]
                    );
                }
            }
        }
    }

    #[test]
    fn all_of_ascii_can_be_typed_but_for_dead_accents() {
        let ascii: Vec<char> = (' '..='~').collect();
        let missing = |layout| -> String {
            let typed = typed(layout);
            ascii.iter().filter(|char| !typed.contains(char)).collect()
        };
        assert_eq!(missing(Layout::Us), "");
        assert_eq!(missing(Layout::De), "^`");
        assert!(
            "äöüÄÖÜß€§°µ²³"
                .chars()
                .all(|char| typed(Layout::De).contains(&char))
        );
    }

    #[test]
    fn the_same_key_gives_what_the_layout_says() {
        assert_eq!(Layout::Us.character(21, PLAIN), Some('y'));
        assert_eq!(Layout::De.character(21, PLAIN), Some('z'));
        assert_eq!(Layout::Us.character(8, SHIFT), Some('&'));
        assert_eq!(Layout::De.character(8, SHIFT), Some('/'));
        assert_eq!(Layout::De.character(16, ALTGR), Some('@'));
        assert_eq!(Layout::Us.character(1, PLAIN), None); // Escape
    }

    #[test]
    fn caps_lock_turns_letters_only_and_shift_turns_them_back() {
        let caps = Held {
            caps: true,
            ..PLAIN
        };
        assert_eq!(Layout::Us.character(30, caps), Some('A'));
        assert_eq!(
            Layout::Us.character(
                30,
                Held {
                    shift: true,
                    ..caps
                }
            ),
            Some('a')
        );
        assert_eq!(Layout::Us.character(2, caps), Some('1'));
        assert_eq!(Layout::De.character(12, caps), Some('ß'));
    }
}
