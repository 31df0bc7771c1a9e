//! Who may ask: decided of the head of a request alone, before anything is done for it.
//!
//! In this order: the request is of a size and form that we read; it means us (its `Host`: a page elsewhere
//! whose name was bent to this machine's address does not) and, where it could change something or opens the feed,
//! comes from our own page (its `Origin`); it has a key, where keys are insisted on; the key has not asked too
//! often. Health is open to everybody who gets that far: who restarts us has no key.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::bucket::{Bucket, Rate};
use crate::api::config::{ApiConfig, is_loopback};
use crate::api::keys::{Key, KeyRing, Scope};
use crate::api::problem::Problem;
use crate::api::query::decode;
use crate::runtime::clock::Mono;

const URI_BYTES_MAX: usize = 8 << 10;
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Open without a key.
const HEALTH: [&str; 3] = ["/health", "/health/live", "/health/ready"];

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None` where keys are not insisted on, or the path is open.
    pub key: Option<Arc<Key>>,
}

impl Caller {
    /// Whether the caller may do what needs that scope; without keys everybody on this machine may.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        match &self.key {
            Some(key) if key.scope < scope => Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!("this needs a key of scope {}", if scope == Scope::Admin { "admin" } else { "read" }),
            )),
            _ => Ok(()),
        }
    }
}

/// The door of the API and of the feed.
#[derive(Debug)]
pub struct Gate {
    insists: bool,
    /// Where names are looked at: on loopback, where there is no other guard.
    knows_hosts: bool,
    hosts: Vec<String>,
    rate: Rate,
    keys: Arc<KeyRing>,
    /// Of each key by its id: there are as many as there are keys.
    buckets: Mutex<BTreeMap<u32, Bucket>>,
}

impl Gate {
    pub fn new(config: &ApiConfig, keys: Arc<KeyRing>) -> Self {
        Self {
            insists: config.keys_required || !config.is_loopback(),
            knows_hosts: config.is_loopback() || !config.hosts.is_empty(),
            hosts: config.hosts.clone(),
            rate: config.rate,
            keys,
            buckets: Mutex::default(),
        }
    }

    /// Whether a request with that head may pass, and who asks.
    pub fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Problem> {
        check_size(uri, headers)?;
        let path = decode(uri.path(), false)
            .filter(|path| !path.chars().any(char::is_control))
            .ok_or_else(|| Problem::field("path", "is no text in percent encoding"))?;
        self.check_host(uri, headers)?;
        check_origin(method, uri, headers)?;
        if HEALTH.contains(&&*path) {
            return Ok(Caller { key: None });
        }
        let key = self.key(headers)?;
        if let Some(key) = &key {
            self.check_rate(key)?;
        }
        Ok(Caller { key })
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.knows_hosts {
            return Ok(());
        }
        // HTTP/1.0 has none, and no browser speaks it.
        let Some(host) = host_of(uri, headers) else { return Ok(()) };
        let name = name_of(&host);
        let is_ours = name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| !self.hosts.is_empty() || is_loopback(ip))
            || self.hosts.iter().any(|known| known == name || *known == host);
        if is_ours {
            return Ok(());
        }
        let detail = "Host: is none of ours; names that we are called by stand in api.hosts";
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }

    fn key(&self, headers: &HeaderMap) -> Result<Option<Arc<Key>>, Problem> {
        let keys = self.keys.keys();
        match offered(headers) {
            Some(text) => match keys.find(&text) {
                Some(key) => Ok(Some(key)),
                None => Err(unauthorized("the key is unknown or was revoked", headers)),
            },
            None if self.insists || keys.are_insisted_on() => {
                Err(unauthorized("a key is needed, in X-API-Key or as Authorization: Bearer", headers))
            }
            None => Ok(None),
        }
    }

    fn check_rate(&self, key: &Key) -> Result<(), Problem> {
        let now_ns = Mono::now().nanos_since(Mono::default());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.id).or_insert_with(|| Bucket::new(self.rate, now_ns));
        bucket.take(self.rate, now_ns).map_err(|seconds| {
            let detail = format!("this key may ask {} times a second", self.rate.per_second);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
                .with(header::RETRY_AFTER, HeaderValue::from(seconds))
        })
    }
}

fn check_size(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let uri_bytes = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > URI_BYTES_MAX {
        let detail = format!("the address is longer than {URI_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
    }
    let head_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head_bytes > HEAD_BYTES_MAX {
        let detail = format!("the headers are larger than {HEAD_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
    }
    Ok(())
}

/// Pages of others may not open the feed with what the browser knows of us, nor change anything.
fn check_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let only_looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if only_looks && !headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin_host = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
    let host = host_of(uri, headers);
    if origin_host.is_some() && origin_host.map(str::to_ascii_lowercase) == host {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "Origin: pages of other sites may not do this"))
}

/// Host and port, lower case.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| Some(headers.get(header::HOST)?.to_str().unwrap_or("?")));
    host.map(str::to_ascii_lowercase)
}

/// Without port and brackets.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(name, _)| name);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The key of a request: `X-API-Key`, `Authorization: Bearer`, or the password of `Authorization: Basic`, which is how a
/// browser asks a person for it.
fn offered(headers: &HeaderMap) -> Option<String> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(key.to_str().unwrap_or_default().trim().to_owned());
    }
    let text = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.unwrap_or_default();
        return Some(decoded.split_once(':').map_or(String::new(), |(_, key)| key.to_owned()));
    }
    Some(String::new())
}

fn unauthorized(detail: &str, headers: &HeaderMap) -> Problem {
    // A person's browser asks for the key; a program is told how to send it.
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let scheme = if accept.contains("text/html") { "Basic" } else { "Bearer" };
    let challenge = HeaderValue::from_str(&format!("{scheme} realm=\"tapewatch\"")).expect("a sound header");
    Problem::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::api::keys;
    use crate::domain::time::UnixNanos;

    fn gate(path: &Path, edit: impl FnOnce(&mut ApiConfig)) -> Gate {
        let mut config = ApiConfig::on_loopback(path.to_owned());
        edit(&mut config);
        Gate::new(&config, Arc::new(KeyRing::open(path).unwrap()))
    }

    fn ask(gate: &Gate, uri: &str, headers: &[(&str, &str)]) -> u16 {
        ask_by(gate, &Method::GET, uri, headers).map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }

    fn ask_by(gate: &Gate, method: &Method, uri: &str, headers: &[(&str, &str)]) -> Result<Caller, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        gate.admit(method, &uri.parse().unwrap(), &map)
    }

    #[test]
    fn names_that_are_not_ours_are_turned_away() {
        let dir = tempfile::tempdir().unwrap();
        let loopback = gate(&dir.path().join("keys"), |_| {});
        for (host, expected) in [
            ("127.0.0.1:8080", 200),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("[::1]:8080", 200),
            ("evil.example:8080", 421),
            ("10.0.0.1", 421),
            ("localhost.evil.example", 421),
            ("", 421),
        ] {
            assert_eq!(ask(&loopback, "/", &[("host", host)]), expected, "{host}");
        }
        assert_eq!(ask(&loopback, "/", &[]), 200);
        let proxied = gate(&dir.path().join("keys"), |config| config.hosts = vec!["tape.example".to_owned()]);
        assert_eq!(ask(&proxied, "/", &[("host", "tape.example")]), 200);
        assert_eq!(ask(&proxied, "/", &[("host", "evil.example")]), 421);
    }

    #[test]
    fn pages_of_others_open_no_feed() {
        let dir = tempfile::tempdir().unwrap();
        let gate = gate(&dir.path().join("keys"), |_| {});
        let host = ("host", "localhost:80");
        let check = |headers: &[(&str, &str)], method: Method, expected: u16| {
            let status = ask_by(&gate, &method, "/", headers).map_or_else(|p| p.status().as_u16(), |_| 200);
            assert_eq!(status, expected, "{method} {headers:?}");
        };
        let (ours, other) = (("origin", "http://localhost:80"), ("origin", "http://evil.example"));
        check(&[host, other], Method::GET, 200);
        check(&[host, other, ("upgrade", "websocket")], Method::GET, 403);
        check(&[host, ours, ("upgrade", "websocket")], Method::GET, 200);
        check(&[host, ("origin", "null"), ("upgrade", "websocket")], Method::GET, 403);
        check(&[host, other], Method::POST, 403);
        check(&[host, ours], Method::POST, 200);
    }

    #[test]
    fn keys_open_what_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let open = gate(&path, |_| {});
        assert_eq!(ask(&open, "/", &[]), 200);
        assert_eq!(ask(&open, "/", &[("x-api-key", "wrong")]), 401);
        let beyond = gate(&path, |config| config.listen = "0.0.0.0:80".parse().unwrap());
        let required = gate(&path, |config| config.keys_required = true);
        for gate in [&beyond, &required] {
            for path in ["/", "/metrics", "/api/v1/feed", "/docs", "/nothing"] {
                assert_eq!(ask(gate, path, &[]), 401, "{path}");
            }
            for path in HEALTH {
                assert_eq!(ask(gate, path, &[]), 200, "{path}");
            }
        }
        let (_, read) = keys::create(&path, "r", Scope::Read, UnixNanos(0)).unwrap();
        let (_, admin) = keys::create(&path, "a", Scope::Admin, UnixNanos(0)).unwrap();
        assert_eq!(ask(&open, "/", &[]), 200);
        open.keys.refresh().unwrap();
        assert_eq!(ask(&open, "/", &[]), 401, "from the first key on");
        let basic = format!("Basic {}", STANDARD.encode(format!("anybody:{read}")));
        let bearer = format!("bearer {read}");
        for (name, value, expected) in [
            ("x-api-key", &*read, 200),
            ("authorization", &bearer, 200),
            ("authorization", &basic, 200),
            ("authorization", &read, 401),
            ("authorization", "Basic !!", 401),
            ("authorization", "", 401),
            ("x-api-key", "", 401),
        ] {
            assert_eq!(ask(&open, "/", &[(name, value)]), expected, "{name}: {value}");
        }
        let caller = ask_by(&open, &Method::GET, "/", &[("x-api-key", &read)]).unwrap();
        assert!(caller.require(Scope::Read).is_ok());
        assert_eq!(caller.require(Scope::Admin).unwrap_err().status(), StatusCode::FORBIDDEN);
        let caller = ask_by(&open, &Method::GET, "/", &[("x-api-key", &admin)]).unwrap();
        assert!(caller.require(Scope::Read).is_ok() && caller.require(Scope::Admin).is_ok());
    }

    #[test]
    fn a_key_that_asks_too_often_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let (_, one) = keys::create(&path, "1", Scope::Read, UnixNanos(0)).unwrap();
        let (_, other) = keys::create(&path, "2", Scope::Read, UnixNanos(0)).unwrap();
        let gate = gate(&path, |config| config.rate = Rate { per_second: 1, burst: 2 });
        assert_eq!(ask(&gate, "/", &[("x-api-key", &one)]), 200);
        assert_eq!(ask(&gate, "/", &[("x-api-key", &one)]), 200);
        let problem = ask_by(&gate, &Method::GET, "/", &[("x-api-key", &one)]).unwrap_err();
        assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(problem.headers()[0].0, header::RETRY_AFTER);
        assert_eq!(ask(&gate, "/", &[("x-api-key", &other)]), 200);
        assert_eq!(ask(&gate, "/health/live", &[("x-api-key", &one)]), 200);
    }

    #[test]
    fn sizes_and_encodings_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let gate = gate(&dir.path().join("keys"), |_| {});
        assert_eq!(ask(&gate, &format!("/{}", "x".repeat(URI_BYTES_MAX)), &[]), 414);
        assert_eq!(ask(&gate, "/", &[("a", &"x".repeat(HEAD_BYTES_MAX))]), 431);
        for uri in ["/%", "/%f", "/%ff", "/%c3%28", "/a%00b", "/%0a", "/%zz"] {
            assert_eq!(ask(&gate, uri, &[]), 400, "{uri}");
        }
        assert_eq!(ask(&gate, "/%E5%B8%81", &[]), 200);
    }
}
