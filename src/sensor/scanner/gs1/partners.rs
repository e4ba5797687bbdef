//! Which elements need each other and which exclude each other.

use super::Fault;
use super::entry::fits;
use super::parse::Parsed;

/// Adds a fault for every element that is without a partner it needs or beside one it excludes.
///
/// The rules hold for all codes on one item together; a scan is one code, so a fault here is a hint, not proof.
pub fn check(parsed: &mut Parsed) {
    let there = |pattern: &str, but: &str| {
        let mut elements = parsed.elements.iter();
        elements
            .find(|element| element.ai != but && fits(&element.ai, pattern))
            .map(|element| element.ai.clone())
    };
    let mut faults = Vec::new();
    for element in &parsed.elements {
        let ai = || element.ai.clone();
        let groups = element.entry.requires;
        let complete = |group: &&[&str]| group.iter().all(|pattern| there(pattern, "").is_some());
        if !groups.is_empty() && !groups.iter().any(complete) {
            faults.push(Fault::Alone {
                ai: ai(),
                one_of: said(groups),
            });
        }
        let excluded = element.entry.excludes.iter();
        if let Some(with) = excluded
            .filter_map(|pattern| there(pattern, &element.ai))
            .next()
        {
            faults.push(Fault::Excluded { ai: ai(), with });
        }
    }
    parsed.faults.extend(faults);
}

/// `(01), (02) or (03)+(21)`.
fn said(groups: &[&[&str]]) -> String {
    let named: Vec<String> = groups
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|ai| format!("({ai})"))
                .collect::<Vec<_>>()
                .join("+")
        })
        .collect();
    match named.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bracketed;
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut parsed = bracketed(text).unwrap();
        check(&mut parsed);
        parsed.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_batch_needs_the_item_it_is_of() {
        assert!(faults("(01)09506000134352(10)AB").is_empty());
        assert_eq!(
            faults("(10)AB"),
            ["(10): must come together with (01), (02), (03), (8006) or (8026)"]
        );
    }

    #[test]
    fn a_group_counts_only_when_it_is_complete() {
        assert!(faults("(01)09506000134352(21)1(250)2").is_empty());
        assert_eq!(
            faults("(01)09506000134352(250)2"),
            ["(250): must come together with (01)+(21), (03)+(21) or (8006)+(21)"]
        );
    }

    #[test]
    fn an_element_does_not_exclude_itself_but_its_range() {
        assert!(faults("(01)09506000134352(3103)000100").is_empty());
        assert_eq!(
            faults("(01)09506000134352(3103)000100(3102)000010"),
            [
                "(3103): must not come together with (3102)",
                "(3102): must not come together with (3103)"
            ]
        );
        assert!(faults("(00)006141411234567890(02)09506000134352(37)5(3103)000100").is_empty());
        assert!(faults("(01)09506000134352(37)5").len() >= 2);
    }
}
