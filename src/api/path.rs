//! How a path is asked, and what is said where there is none.

use actix_web::http::{StatusCode, header};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, guard, web};

use crate::api::problem::Problem;
use crate::api::rest::answer::Answer;

/// A path that answers `GET` and `HEAD`, and says so to every other method.
pub fn look<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let looks = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .route(web::route().guard(looks).to(handler))
        .default_service(web::to(|| async { HttpResponse::MethodNotAllowed().insert_header(ALLOW).finish() }))
}

const ALLOW: (header::HeaderName, &str) = (header::ALLOW, "GET, HEAD");

/// For every path that nobody has.
pub async fn nowhere(request: HttpRequest) -> Answer {
    Err(Problem::of_status(StatusCode::NOT_FOUND, request.headers()))
}
