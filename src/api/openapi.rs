//! The OpenAPI 3.1 document, generated from the handlers, and the page that reads it.

use std::sync::LazyLock;

use actix_web::{HttpResponse, web};
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Header, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::api::problem::ProblemBody;
use crate::api::rest::answer::json_of;
use crate::api::rest::{candles, health, insights, instruments, models, operations};
use crate::api::state::Api;
use crate::domain::insight::{Severity, SignalKind, Target};

/// More instruments are not listed in the document: they are at `/api/v1/instruments`.
const NAMED_MAX: usize = 200;

pub const PATH: &str = "/api/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tapewatch",
        description = "Exact candles, indicators, gaps and explained signals of what is traded. \
            Times are RFC 3339 UTC; prices, quantities and sums are exact decimal text; trade ids are text. \
            Errors are `application/problem+json` (RFC 9457).",
    ),
    paths(
        health::live, health::ready, operations::metrics,
        instruments::instruments, instruments::price, instruments::trades, instruments::latest,
        candles::candles, candles::indicators,
        insights::gaps, insights::anomalies, insights::forecasts, insights::signals,
        insights::predict, insights::predict_short,
        models::models, models::model, models::scores,
        operations::latency, operations::quality, operations::status,
    ),
    components(schemas(ProblemBody<'static>)),
    security((), ("key" = []), ("bearer" = [])),
    modifiers(&Common),
)]
struct Document;

/// What all operations have in common: how keys are sent, and how errors look.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("key", key);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (path, item) in &mut document.paths.paths {
            if let Some(operation) = &mut item.get {
                let is_open = path.starts_with("/health");
                describe_errors(path, is_open, operation);
            }
        }
    }
}

fn describe_errors(path: &str, is_open: bool, operation: &mut Operation) {
    let mut add = |status: &str, description: &str| {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description, status == "429")));
    };
    add("400", "A parameter, or the request itself, has no form or value that it can have");
    add("421", "`Host` is none of ours");
    if is_open {
        return;
    }
    add("401", "A key is needed, or the one that was sent is unknown or revoked");
    add("403", "The key may not do this");
    add("429", "The key has asked too often");
    if path.contains('{') {
        add("404", "What the path names is not here");
    }
    if !matches!(path, "/metrics" | "/api/v1/latency" | "/api/v1/quality" | "/api/v1/status") {
        add("503", "Not to be had now");
    }
}

fn problem(description: &str, with_retry: bool) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response =
        ResponseBuilder::new().description(description).content("application/problem+json", content);
    if with_retry {
        let mut header = Header::default();
        header.description = Some("Seconds to wait".to_owned());
        return response.header("Retry-After", header).build();
    }
    response.build()
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).expect("the document is JSON");
    each_parameter(&mut document, refine);
    document
});

/// The OpenAPI document: intervals and instruments are those of this service.
pub async fn document(api: web::Data<Api>) -> HttpResponse {
    let mut document = DOCUMENT.clone();
    let intervals: Vec<_> = api.board.intervals().iter().map(ToString::to_string).collect();
    let several = api.board.roster().len() != 1;
    let names: Vec<_> = api.board.roster().iter().map(|(_, instrument)| instrument.to_string()).collect();
    each_parameter(&mut document, |path, parameter| match parameter["name"].as_str() {
        Some("interval") => parameter["schema"]["enum"] = serde_json::json!(intervals),
        Some("instrument") => {
            if let Some(first) = names.first() {
                parameter["example"] = first.as_str().into();
            }
            if parameter["in"] == "query" && names.len() <= NAMED_MAX {
                parameter["schema"]["enum"] = serde_json::json!(names);
            }
            if path == "/predict" {
                parameter["required"] = several.into();
            }
        }
        _ => {}
    });
    json_of(&document)
}

fn each_parameter(document: &mut Value, mut edit: impl FnMut(&str, &mut Value)) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        // Indexing would put a null where there are none.
        if let Some(parameters) = item.pointer_mut("/get/parameters").and_then(Value::as_array_mut) {
            parameters.iter_mut().for_each(|parameter| edit(path, parameter));
        }
    }
}

/// Says of a parameter which values it can have, as the handlers check them.
fn refine(path: &str, parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let schema = &mut parameter["schema"];
    // One that is left out is not sent as null.
    if let Some(kinds) = schema["type"].as_array() {
        let kind = kinds.iter().find(|kind| **kind != "null").cloned();
        schema["type"] = kind.unwrap_or(Value::Null);
    }
    // Examples have to be values of this service.
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.remove("example");
    }
    let schema = &mut parameter["schema"];
    let words: Vec<&str> = match (name.as_str(), path) {
        ("kind", "/api/v1/signals") => SignalKind::ALL.map(SignalKind::name).to_vec(),
        ("kind", "/api/v1/forecasts/{instrument}" | "/api/v1/scores/{instrument}") => {
            Target::ALL.map(Target::name).to_vec()
        }
        ("kind", "/api/v1/gaps") => vec!["ids", "time", "reset"],
        ("severity", _) => Severity::ALL.map(Severity::name).to_vec(),
        ("state", _) => vec!["open", "filled", "unfillable"],
        _ => Vec::new(),
    };
    if !words.is_empty() {
        schema["enum"] = serde_json::json!(words);
    }
    match name.as_str() {
        "from" | "to" => schema["format"] = "date-time".into(),
        "instrument" => schema["pattern"] = "^[a-z0-9-]{1,32}:[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$".into(),
        "id" => schema["pattern"] = "^[a-z0-9_]+@[0-9]+$".into(),
        "after" => {
            // As `storage::cursor` prints the places of each listing.
            let pattern = match path {
                "/api/v1/candles/{instrument}" => "^c[0-9a-f]{32}$",
                "/api/v1/indicators/{instrument}" => "^i[0-9a-f]{32}([2-7][0-9a-f])*$",
                "/api/v1/gaps" => "^g[0-9a-f]{32}$",
                "/api/v1/anomalies" => "^a[0-9a-f]{32}$",
                "/api/v1/signals" => "^s[0-9a-f]{32}$",
                _ => "^f[0-9a-f]{32}$",
            };
            schema["pattern"] = pattern.into();
        }
        _ => {}
    }
}

/// The page at `/docs/`, from files inside the binary.
pub fn docs() -> SwaggerUi {
    SwaggerUi::new("/docs/{_:.*}").config(Config::new([PATH]).use_base_layout())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_tells_its_errors() {
        let document = &*DOCUMENT;
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() >= 19, "{}", paths.len());
        for (path, item) in paths {
            assert!(item["get"].get("parameters").is_none_or(Value::is_array), "{path}");
            let responses = &item["get"]["responses"];
            assert!(responses["200"].is_object() && responses["400"].is_object(), "{path}");
            assert_eq!(responses["401"].is_object(), !path.starts_with("/health"), "{path}");
        }
        let schemas = &document["components"]["schemas"];
        for name in ["Problem", "Candle", "Trade", "Signal"] {
            assert!(schemas[name].is_object(), "{name} in {schemas}");
        }
    }
}
