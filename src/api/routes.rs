//! Every path of the server, put together: REST, the page, the feed, and the document that describes them.

use actix_web::web;

use crate::api::feed::upgrade;
use crate::api::path::look;
use crate::api::{openapi, page, rest};

/// Registers them all.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .configure(rest::configure)
        .configure(page::configure)
        .service(look(upgrade::PATH, upgrade::needed))
        .service(look(openapi::PATH, openapi::document))
        .service(openapi::docs());
}
