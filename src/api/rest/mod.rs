//! The paths of REST: one family a file, each path a line in [`configure`].

pub mod answer;
pub mod candles;
pub mod health;
pub mod insights;
pub mod instruments;
pub mod models;
pub mod operations;
pub mod schemas;

use actix_web::web;

use crate::api::path::look;

/// Registers every path.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(look("/health", health::ready))
        .service(look("/health/live", health::live))
        .service(look("/health/ready", health::ready))
        .service(look("/metrics", operations::metrics))
        .service(look("/api/v1/instruments", instruments::instruments))
        .service(look("/api/v1/price/{instrument}", instruments::price))
        .service(look("/api/v1/trades/{instrument}", instruments::trades))
        .service(look("/api/v1/candles/{instrument}", candles::candles))
        .service(look("/api/v1/indicators/{instrument}", candles::indicators))
        .service(look("/api/v1/gaps", insights::gaps))
        .service(look("/api/v1/anomalies", insights::anomalies))
        .service(look("/api/v1/forecasts/{instrument}", insights::forecasts))
        .service(look("/api/v1/signals", insights::signals))
        .service(look("/api/v1/predict/{instrument}", insights::predict))
        .service(look("/predict", insights::predict_short))
        .service(look("/api/v1/models", models::models))
        .service(look("/model/info", models::models))
        .service(look("/api/v1/models/{id}", models::model))
        .service(look("/api/v1/scores/{instrument}", models::scores))
        .service(look("/data/latest", instruments::latest))
        .service(look("/api/v1/latency", operations::latency))
        .service(look("/api/v1/quality", operations::quality))
        .service(look("/api/v1/status", operations::status));
}
