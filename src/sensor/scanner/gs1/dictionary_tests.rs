//! The generated table against the dictionary it was generated from.

use std::fmt::Write;

use super::entry::{Entry, Set};
use super::table::TABLE;

/// An entry in the dictionary's own syntax.
fn written(entry: &Entry) -> String {
    let mut line = entry.first.to_owned();
    if entry.last != entry.first {
        write!(line, "-{}", entry.last).unwrap();
    }
    let flags = [(!entry.separator, '*'), (entry.attribute, '?')];
    let flags: String = flags
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, flag)| *flag)
        .collect();
    if !flags.is_empty() {
        write!(line, " {flags}").unwrap();
    }
    for part in entry.parts {
        let set = match part.set {
            Set::N => 'N',
            Set::X => 'X',
            Set::Y => 'Y',
            Set::Z => 'Z',
        };
        let length = if part.least == part.most {
            part.most.to_string()
        } else {
            assert_eq!(part.least, 1);
            format!("..{}", part.most)
        };
        let (open, close) = if part.optional { ("[", "]") } else { ("", "") };
        write!(line, " {open}{set}{length}{close}").unwrap();
        for linter in part.linters {
            write!(line, ",{}", linter.name()).unwrap();
        }
    }
    let requires: Vec<String> = entry.requires.iter().map(|group| group.join("+")).collect();
    let mut attributes = Vec::new();
    if !requires.is_empty() {
        attributes.push(format!("req={}", requires.join(",")));
    }
    if !entry.excludes.is_empty() {
        attributes.push(format!("ex={}", entry.excludes.join(",")));
    }
    if let Some(sequences) = entry.key {
        let sequences: Vec<String> = sequences.iter().map(|ais| ais.join(",")).collect();
        attributes.push(match sequences.join("|").as_str() {
            "" => "dlpkey".to_owned(),
            sequences => format!("dlpkey={sequences}"),
        });
    }
    attributes.sort();
    for attribute in attributes {
        write!(line, " {attribute}").unwrap();
    }
    if !entry.title.is_empty() {
        write!(line, " # {}", entry.title).unwrap();
    }
    line
}

/// A line of the dictionary with single blanks and its attributes in alphabetical order.
fn normal(line: &str) -> String {
    let (line, title) = line.split_once('#').unwrap_or((line, ""));
    let attribute = |word: &&str| word.contains('=') || *word == "dlpkey";
    let (mut attributes, words): (Vec<&str>, Vec<&str>) =
        line.split_whitespace().partition(attribute);
    attributes.sort_unstable();
    let mut normal = words
        .into_iter()
        .chain(attributes)
        .collect::<Vec<_>>()
        .join(" ");
    if !title.trim().is_empty() {
        write!(normal, " # {}", title.trim()).unwrap();
    }
    normal
}

#[test]
fn the_table_is_the_dictionary() {
    let Some(data) = std::env::var_os("FOOTFALL_DATA") else {
        eprintln!("SKIPPED: FOOTFALL_DATA does not say where the dictionary is");
        return;
    };
    let path = std::path::Path::new(&data).join("gs1/gs1-syntax-dictionary.txt");
    let dictionary = std::fs::read_to_string(path).unwrap();
    let lines = dictionary
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let expected: Vec<String> = lines.map(normal).collect();
    let table: Vec<String> = TABLE.iter().map(written).collect();
    assert_eq!(table, expected, "run scripts/gs1-table");
}

#[test]
fn no_application_identifier_is_the_beginning_of_another() {
    for one in TABLE {
        for other in TABLE {
            let length = one.first.len();
            let beginning = other
                .first
                .get(..length)
                .is_some_and(|head| one.covers(head));
            assert!(
                !beginning || other.first.len() == length,
                "{} {}",
                one.first,
                other.first
            );
        }
    }
}

#[test]
fn only_the_last_mandatory_part_varies_and_optional_parts_come_last() {
    for entry in TABLE {
        let fixed = |part: &super::entry::Part| part.least == part.most;
        let (last, before) = entry.parts.split_last().unwrap();
        assert!(before.iter().all(fixed), "{}", entry.first);
        assert!(entry.separator || fixed(last), "{}", entry.first);
        let optional: Vec<bool> = entry.parts.iter().map(|part| part.optional).collect();
        assert!(optional.is_sorted(), "{}", entry.first);
    }
}
