//! The API's description: OpenAPI 3.1, with the schemas of the types that are served.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::report::Report;

/// The whole document. Its version is that of the API's paths, not of the program.
#[must_use]
pub fn openapi() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let report = generator.subschema_for::<Report>();
    let schemas = generator.take_definitions(true);
    let text = |description: &str| json!({ "description": description, "content": { "text/plain": { "schema": { "type": "string" } } } });
    let refused = text("Log in on the page first, or call from the box itself.");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "footfall",
            "version": "1",
            "description": "What one box counts and how it is. Programs on the box itself are answered without a PIN.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "session": [] }, {}],
        "paths": {
            "/api/v1/status": { "get": {
                "operationId": "status",
                "summary": "The daemon's whole state at this moment",
                "responses": {
                    "200": {
                        "description": "The state.",
                        "content": { "application/json": { "schema": report } },
                    },
                    "401": refused,
                },
            }},
            "/api/v1/diagnostics": { "get": {
                "operationId": "diagnostics",
                "summary": "What somebody far away needs to see what is the matter: a gzipped tar without secrets",
                "responses": {
                    "200": {
                        "description": "The bundle.",
                        "content": { "application/gzip": { "schema": { "type": "string", "format": "binary" } } },
                    },
                    "401": refused,
                    "503": text("Another one is being collected."),
                },
            }},
            "/api/v1/openapi.json": { "get": {
                "operationId": "openapi",
                "summary": "This document",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": { "application/json": { "schema": { "type": "object" } } },
                    },
                    "401": refused,
                },
            }},
            "/metrics": { "get": {
                "operationId": "metrics",
                "summary": "Numbers in the Prometheus text format 0.0.4",
                "responses": { "200": text("The numbers."), "401": refused },
            }},
            "/healthz": { "get": {
                "operationId": "healthz",
                "summary": "Whether the process answers",
                "security": [],
                "responses": { "200": text("It does.") },
            }},
            "/readyz": { "get": {
                "operationId": "readyz",
                "summary": "Whether every sensor works and events are stored",
                "security": [],
                "responses": {
                    "200": text("Yes."),
                    "503": text("No; one reason a line."),
                },
            }},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "footfall_session" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `FOOTFALL_UPDATE=1 cargo nextest run published_openapi` writes it anew.
    #[test]
    fn the_published_openapi_is_the_one_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/openapi.json");
        let now = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
        if std::env::var_os("FOOTFALL_UPDATE").is_some() {
            crate::durable::write(path.as_ref(), now.as_bytes()).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == now,
            "{path} is out of date"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                        found.push(target.to_owned());
                    }
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(all) => all.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 5, "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
}
