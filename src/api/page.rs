//! The page at `/`: files inside the binary, nothing from anywhere else.
//!
//! `page/lightweight-charts.js` is TradingView's, unchanged: its licence and notice lie beside it.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::path::look;

/// Path, kind, content.
type File = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

const FILES: [File; 14] = [
    ("/", HTML, include_bytes!("page/index.html")),
    ("/favicon.ico", SVG, include_bytes!("page/favicon.svg")),
    ("/page/favicon.svg", SVG, include_bytes!("page/favicon.svg")),
    ("/page/page.css", CSS, include_bytes!("page/page.css")),
    ("/page/page.js", SCRIPT, include_bytes!("page/page.js")),
    ("/page/bands.js", SCRIPT, include_bytes!("page/bands.js")),
    ("/page/chart.js", SCRIPT, include_bytes!("page/chart.js")),
    ("/page/evidence.js", SCRIPT, include_bytes!("page/evidence.js")),
    ("/page/feed.js", SCRIPT, include_bytes!("page/feed.js")),
    ("/page/scores.js", SCRIPT, include_bytes!("page/scores.js")),
    ("/page/words.js", SCRIPT, include_bytes!("page/words.js")),
    ("/page/lightweight-charts.js", SCRIPT, include_bytes!("page/lightweight-charts.js")),
    ("/page/lightweight-charts.LICENSE", TEXT, include_bytes!("page/lightweight-charts.LICENSE")),
    ("/page/lightweight-charts.NOTICE", TEXT, include_bytes!("page/lightweight-charts.NOTICE")),
];

/// So that a browser asks, and is told in few bytes that nothing has changed.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES.iter().map(|(_, _, content)| format!("\"{}\"", &blake3::hash(content).to_hex()[..16])).collect()
});

/// Registers every file.
pub fn configure(config: &mut web::ServiceConfig) {
    for (at, (path, kind, content)) in FILES.into_iter().enumerate() {
        config.service(look(path, move |request: HttpRequest| {
            std::future::ready(file(&request, at, kind, content))
        }));
    }
}

fn file(request: &HttpRequest, at: usize, kind: &'static str, content: &'static [u8]) -> HttpResponse {
    let tag = TAGS[at].as_str();
    let known = request.headers().get(header::IF_NONE_MATCH);
    let mut response = if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    response.insert_header((header::CONTENT_TYPE, kind)).body(content)
}
