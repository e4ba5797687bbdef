//! What others would say of our answers: a reader of Prometheus' text format, and a checker of JSON Schema.

use std::collections::BTreeMap;

use serde_json::Value;

/// A small reader of the text format 0.0.4: samples by name and labels. Fails on what Prometheus would refuse.
pub fn prometheus(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut announced) = (BTreeMap::new(), BTreeMap::new());
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap().to_owned());
            assert!(!words.next().unwrap().is_empty(), "{line}");
            let twice = announced.insert((what.to_owned(), name.clone()), ());
            assert!(
                twice.is_none() && ["HELP", "TYPE"].contains(&what),
                "{line}"
            );
            current = name;
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        assert_eq!(name, current, "samples stand below their TYPE");
        assert!(labels.ends_with('}'), "{line}");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
            "{line}"
        );
        let twice = samples.insert(sample.to_owned(), value.parse().unwrap());
        assert!(twice.is_none(), "{line}");
    }
    assert_eq!(announced.len() % 2, 0);
    samples
}

/// Checks the parts of JSON Schema that our schemas use to say what there is: references, types, properties, required.
pub fn matches_schema(value: &Value, schema: &Value, root: &Value, place: &str) {
    if let Some(target) = schema["$ref"].as_str() {
        let target = root.pointer(target.strip_prefix('#').unwrap()).unwrap();
        return matches_schema(value, target, root, place);
    }
    if let Some(types) = schema.get("type") {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let fits = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
        let fits = types
            .as_array()
            .map_or_else(|| fits(types), |all| all.iter().any(fits));
        assert!(fits, "{place}: {kind} instead of {types}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(name.as_str().unwrap()).is_some(),
            "{place}: no {name}"
        );
    }
    if let (Some(properties), Some(map)) = (schema["properties"].as_object(), value.as_object()) {
        for (name, value) in map {
            let schema = properties.get(name);
            let schema = schema.unwrap_or_else(|| panic!("{place}: {name} is not described"));
            matches_schema(value, schema, root, &format!("{place}.{name}"));
        }
    }
    for value in value.as_array().into_iter().flatten() {
        matches_schema(value, &schema["items"], root, &format!("{place}[]"));
    }
}
