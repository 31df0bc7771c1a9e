//! What happens to every request round its handler: the gate, the clock, and the headers of the answer.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use crate::api::gate::Caller;
use crate::api::problem::Problem;
use crate::api::state::Api;
use crate::runtime::clock::Stopwatch;

/// For what is no page: nothing of it is ever run or shown in a frame.
const POLICY_OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// For the page: its own scripts and styles, and nobody else's.
pub const POLICY_OF_PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Swagger UI writes styles into its elements.
pub const POLICY_OF_DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

/// The middleware.
pub async fn door(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let stopwatch = Stopwatch::start();
    let Some(api) = request.app_data::<web::Data<Api>>().cloned() else {
        return Ok(request.into_response(Problem::internal().response()));
    };
    let admitted = api.gate.admit(request.method(), request.uri(), request.headers());
    let mut response = match admitted {
        Err(problem) => request.into_response(problem.response()),
        Ok(caller) => {
            request.extensions_mut().insert::<Caller>(caller);
            let (request, response) = next.call(request).await?.into_parts();
            let response = response.map_into_boxed_body();
            let says_why = response
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
            let status = response.status();
            if (status.is_client_error() || status.is_server_error()) && !says_why {
                let problem = Problem::of_status(status, response.headers());
                ServiceResponse::new(request, problem.response())
            } else {
                ServiceResponse::new(request, response)
            }
        }
    };
    let path = response.request().match_pattern().unwrap_or_else(|| "other".to_owned());
    harden(response.headers_mut(), &path);
    let status = response.status();
    api.metrics.http_requests.with_label_values(&[&*path, status.as_str()]).inc();
    let seconds = stopwatch.elapsed().as_secs_f64();
    api.metrics.http_request_duration.with_label_values(&[&*path]).observe(seconds);
    Ok(response)
}

fn harden(headers: &mut HeaderMap, path: &str) {
    let policy = match path {
        "/" => POLICY_OF_PAGE,
        "/docs/{_:.*}" => POLICY_OF_DOCS,
        _ => POLICY_OF_DATA,
    };
    let mut put = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    put(header::CONTENT_SECURITY_POLICY, policy);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "no-referrer");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(header::CACHE_CONTROL, "no-store");
}
