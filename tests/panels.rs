//! Every panel of the dashboards, asked as Grafana asks: Prometheus and QuestDB are real, the service writes to
//! both, and each panel returns data.
//!
//! Two simulated venues play; what a panel of faults shows is made to happen. The configuration of Prometheus is that
//! of the repository with addresses of this machine put in.

#[path = "common/postgres.rs"]
mod postgres;
#[path = "common/program.rs"]
mod program;
#[path = "common/prometheus.rs"]
mod prometheus;
#[path = "common/questdb.rs"]
mod questdb;
#[path = "common/service.rs"]
mod service;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tapewatch::analytics::anomaly::DETECTORS;
use tapewatch::analytics::forecast::FORECASTERS;
use tapewatch::analytics::signals::RULES;
use tapewatch::app::market_tape::{GeneratedTape, named_symbols};
use tapewatch::domain::time::UnixNanos;
use tapewatch::runtime::clock::{self, Stopwatch};
use tapewatch::venues::simulator::Simulator;
use tapewatch::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::service::{LISTEN, Service};

/// All panels must show something by then.
const PATIENCE: Duration = Duration::from_secs(600);
/// Of the market before the service starts: fetched into its journal, so that models are trained.
const PAST: Duration = Duration::from_secs(1_200);
/// Of what Grafana makes `$__rate_interval`: four scrapes of the configuration.
const RATE_INTERVAL: &str = "20s";
const SCRAPE: &str = "1s";

/// What is zero while all is well. Everything else has to move.
const ZERO: [(&str, &str); 3] = [
    ("tapewatch: overview", "Dropped by full queues"),
    ("tapewatch: overview", "Actor restarts"),
    ("tapewatch: overview", "Behind"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Venues, the service that listens to them and writes to the database, a client of its feed.
struct House {
    venues: Vec<Simulator>,
    folder: tempfile::TempDir,
    key: String,
    service: Service,
}

impl House {
    fn start(database: &questdb::Server) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = format!(
            "data_dir = {:?}\n[engine]\nshards = 2\nintervals = [\"1s\", \"1m\"]\n[intelligence]\nintervals = [\"1s\"]\n\
             detectors = {:?}\nforecasters = {:?}\nall_models = true\nrules = {:?}\n\
             [api]\nlisten = {LISTEN:?}\nkeys_required = true\n[storage.questdb]\nenabled = true\nhttp_address = {:?}\n",
            folder.path().join("data"),
            DETECTORS.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            FORECASTERS.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            RULES.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            database.http_address,
        );
        let now = clock::now();
        let (mut venues, mut watched) = (Vec::new(), Vec::new());
        for (venue, count, rate) in [(SimulatedVenue::Binance, 2, 120.0), (SimulatedVenue::Coinbase, 1, 60.0)]
        {
            let named = named_symbols(venue, count);
            let symbols: Vec<&str> = named.iter().map(|symbol| symbol.split('@').next().unwrap()).collect();
            let tape = GeneratedTape::new(venue, named.clone(), 7).expect("a market").with_past(PAST, now);
            let (pace, limits) = (Pace::Even(rate), Limits::none());
            let plan = SimulatorConfig { pace, limits, seed: 7, ..SimulatorConfig::new(venue) };
            let simulator = Simulator::start(plan, Box::new(tape)).unwrap();
            config.push_str(&format!(
                "[venues.{}]\nsymbols = {symbols:?}\nws_url = {:?}\nrest_url = {:?}\n",
                venue.name(),
                simulator.ws_url(),
                simulator.rest_url()
            ));
            watched.extend(symbols.iter().map(|symbol| (venue.name(), (*symbol).to_owned())));
            venues.push(simulator);
        }
        let file = folder.path().join("tapewatch.toml");
        fs::write(&file, config).unwrap();
        let made = program::tapewatch(&["keys", "create", "--name", "prometheus", "--config", &text(&file)]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let (from, to) = (UnixNanos(now.0 - PAST.as_nanos() as i64).to_string(), now.to_string());
        for (venue, symbol) in &watched {
            let which = ["--venue", venue, "--symbol", symbol, "--from", &from, "--to", &to];
            let filled = program::tapewatch(&[&["backfill", "--config", &text(&file)][..], &which].concat());
            assert!(filled.status.success(), "{symbol}: {}", String::from_utf8_lossy(&filled.stderr));
        }
        let service = Service::start(folder.path(), "tapewatch.toml");
        let house = Self { venues, folder, key, service };
        let waited = Stopwatch::start();
        while house.get("/health/ready").is_none() {
            assert!(waited.elapsed() < PATIENCE, "it is not ready: {}", house.service.messages());
            clock::sleep(Duration::from_millis(50));
        }
        house
    }

    fn address(&self) -> SocketAddr {
        self.service.address().expect("it was ready")
    }

    /// The body of an answer 200.
    fn get(&self, path: &str) -> Option<String> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let request =
            agent.get(format!("http://{}{path}", self.service.address()?)).header("X-API-Key", &self.key);
        request.call().ok()?.body_mut().read_to_string().ok()
    }

    /// Somebody who hears everything, until the service ends.
    fn listen(&self) {
        let mut request = format!("ws://{}/api/v1/feed", self.address()).into_client_request().unwrap();
        request.headers_mut().insert("X-API-Key", self.key.parse().unwrap());
        let (mut socket, _) = tungstenite::connect(request).expect("a client of the feed");
        let channels = "[\"signals\",\"anomalies\",\"forecasts\",\"candles\",\"trades\",\"gaps\",\"status\"]";
        let subscribe = format!("{{\"op\":\"subscribe\",\"id\":1,\"channels\":{channels}}}");
        socket.send(tungstenite::Message::text(subscribe)).unwrap();
        thread::spawn(move || while socket.read().is_ok() {});
    }

    /// What the panels of faults show; a burst that a detector cannot miss.
    fn go_wrong(&self, turn: usize) {
        let [binance, coinbase] = &self.venues[..] else { panic!("two venues") };
        let control = |venue: &Simulator, target: &str| {
            venue.control("POST", target).unwrap_or_else(|error| panic!("{target}: {error}"));
        };
        for fault in ["skip=now&count=3", "duplicate=now&count=5", "garbage=now&count=2"] {
            control(binance, &format!("/simulator/fault?{fault}&symbol=ETH-USDT"));
        }
        control(coinbase, "/simulator/fault?duplicate=now&count=2");
        if turn % 3 == 1 {
            control(binance, "/simulator/fault?missing=now&count=2&symbol=ETH-USDT");
            control(coinbase, "/simulator/fault?cut=now");
        }
        // Seldom: what is usual is no anomaly.
        if turn % 4 != 2 {
            return;
        }
        for (venue, name, symbol) in [(binance, "binance", "BTC-USDT"), (coinbase, "coinbase", "BTC-USD")] {
            let last = self.get(&format!("/api/v1/price/{name}:{symbol}")).unwrap_or_default();
            let last: Value = serde_json::from_str(&last).unwrap_or_default();
            if let Some(price) = last["price"].as_str() {
                let trade = format!("symbol={symbol}&price={price}&quantity=5000&side=buy");
                control(venue, &format!("/simulator/trade?{trade}"));
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The configuration of the repository with addresses of this machine, and its rules beside it.
fn prometheus_config(house: &House, database: &questdb::Server) -> PathBuf {
    let folder = house.folder.path().join("prometheus");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key"), &house.key).unwrap();
    let mut config = fs::read_to_string(root().join("config/prometheus/prometheus.yml")).unwrap();
    for (from, to) in [
        ("tapewatch:8080", &*house.address().to_string()),
        ("questdb:9003", &*database.min_address),
        ("/run/secrets/metrics_key", &*text(&folder.join("key"))),
        ("scrape_interval: 5s", &format!("scrape_interval: {SCRAPE}")),
        ("scrape_timeout: 4s", &format!("scrape_timeout: {SCRAPE}")),
    ] {
        assert_eq!(config.matches(from).count(), 1, "{from} in config/prometheus/prometheus.yml");
        config = config.replace(from, to);
    }
    fs::copy(root().join("config/prometheus/alerts.yml"), folder.join("alerts.yml")).unwrap();
    let file = folder.join("prometheus.yml");
    fs::write(&file, config).unwrap();
    file
}

/// One question of a panel.
struct Question {
    board: String,
    panel: String,
    kind: Kind,
    text: String,
}

enum Kind {
    Instant,
    Range,
    Sql { is_table: bool },
}

fn boards() -> Vec<Value> {
    let mut paths: Vec<_> = fs::read_dir(root().join("config/grafana/dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Values of a variable that is asked of Prometheus: `label_values(series, label)`.
fn values_of(server: &prometheus::Server, query: &str) -> Result<Vec<String>, String> {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (series, label) =
        inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(series, label)");
    let found = server.ask(&format!("label/{label}/values"), &[("match[]", series)])?;
    Ok(found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Every question of a board, its variables put in: the first value, or all of them where all may be chosen.
fn questions(server: &prometheus::Server, board: &Value) -> Result<Vec<Question>, String> {
    let title = board["title"].as_str().unwrap();
    let mut variables: Vec<(String, String)> = Vec::new();
    let put = |text: &str, variables: &[(String, String)]| {
        variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    };
    for variable in board["templating"]["list"].as_array().unwrap() {
        let values = match variable["type"].as_str() {
            Some("custom") => {
                variable["query"].as_str().unwrap().split(',').map(|value| value.trim().to_owned()).collect()
            }
            _ => values_of(server, &put(variable["query"]["query"].as_str().unwrap(), &variables))?,
        };
        let name = format!("${}", variable["name"].as_str().unwrap());
        let value = match variable["multi"] == true {
            true => format!("({})", values.join("|")),
            false => values.first().cloned().unwrap_or_default(),
        };
        if values.is_empty() {
            return Err(format!("{title}: {name} has no values"));
        }
        variables.push((name, value));
    }
    let mut questions = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        let panel_title = panel["title"].as_str().unwrap().to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (kind, asked) = match (target["expr"].as_str(), target["rawSql"].as_str()) {
                (Some(expr), None) if target["instant"] == true => (Kind::Instant, expr),
                (Some(expr), None) => (Kind::Range, expr),
                (None, Some(sql)) => (Kind::Sql { is_table: target["format"] == "table" }, sql),
                _ => panic!("{title}: {panel_title}: {target}"),
            };
            let text = put(&asked.replace("$__rate_interval", RATE_INTERVAL), &variables);
            questions.push(Question { board: title.to_owned(), panel: panel_title.clone(), kind, text });
        }
    }
    Ok(questions)
}

/// What is wrong with the answer to a question.
fn look(question: &Question, server: &prometheus::Server, database: &questdb::Server) -> Result<(), String> {
    let now = clock::now();
    let seconds = |at: UnixNanos| (at.0 / 1_000_000_000).to_string();
    match question.kind {
        Kind::Sql { is_table } => {
            let moment = |at: UnixNanos| format!("'{at}'");
            let sql = question
                .text
                .replace("$__timeFrom()", &moment(UnixNanos(now.0 - 3_600_000_000_000)))
                .replace("$__timeTo()", &moment(now));
            let (user, password) = questdb::READER;
            let answer = postgres::ask(&database.pg_address, user, password, "qdb", &sql)?;
            let time = answer.columns.iter().find(|(name, _)| name == "time");
            if !time.is_some_and(|(_, kind)| postgres::MOMENTS.contains(kind)) && !is_table {
                return Err(format!("no column `time` that holds moments: {:?}", answer.columns));
            }
            if answer.rows.is_empty() { Err("no rows".to_owned()) } else { Ok(()) }
        }
        Kind::Instant | Kind::Range => {
            let is_instant = matches!(question.kind, Kind::Instant);
            let (from, to) = (seconds(UnixNanos(now.0 - 120_000_000_000)), seconds(now));
            let query = ("query", &*question.text);
            let data = match is_instant {
                true => server.ask("query", &[query, ("time", &to)])?,
                false => {
                    server.ask("query_range", &[query, ("start", &from), ("end", &to), ("step", "5")])?
                }
            };
            let mut values = Vec::new();
            for series in data["result"].as_array().into_iter().flatten() {
                let pairs =
                    series["values"].as_array().cloned().unwrap_or_else(|| vec![series["value"].clone()]);
                values.extend(pairs.iter().filter_map(|pair| pair[1].as_str()?.parse::<f64>().ok()));
            }
            values.retain(|value| value.is_finite());
            let is_zero = ZERO.contains(&(&*question.board, &*question.panel));
            match values.iter().any(|value| *value != 0.0) || is_zero {
                _ if values.is_empty() => Err("no value".to_owned()),
                true => Ok(()),
                false => Err(format!("{} values, all zero", values.len())),
            }
        }
    }
}

#[test]
fn every_panel_returns_data() {
    let (Some(programs), Some(database)) = (prometheus::programs(), questdb::start()) else { return };
    let house = House::start(&database);
    house.listen();
    let config = prometheus_config(&house, &database);
    programs.promtool(&["check", "config", &text(&config)], "").unwrap();
    let server = programs.start(&config);

    let waited = Stopwatch::start();
    let mut turn = 0;
    loop {
        house.go_wrong(turn);
        turn += 1;
        clock::sleep(Duration::from_secs(5));
        let mut problems = Vec::new();
        let mut asked = 0;
        for board in boards() {
            let questions = questions(&server, &board).unwrap_or_else(|problem| {
                problems.push(problem);
                Vec::new()
            });
            asked += questions.len();
            for question in questions {
                if let Err(problem) = look(&question, &server, &database) {
                    problems.push(format!(
                        "{}: {}: {problem}: {}",
                        question.board, question.panel, question.text
                    ));
                }
            }
        }
        if problems.is_empty() {
            println!("{asked} questions of {} boards have data after {:?}", boards().len(), waited.elapsed());
            break;
        }
        let (patience, log) = (waited.elapsed() < PATIENCE, house.service.messages());
        assert!(patience, "{}\n{log}\n{}", problems.join("\n"), server.log());
    }

    // A group of rules is asked for the first time up to its whole interval after the start.
    let (groups, rules) = loop {
        let groups = server.ask("rules", &[]).unwrap();
        let rules: Vec<_> = groups["groups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect();
        if rules.iter().all(|rule| rule["health"] != "unknown") || waited.elapsed() >= PATIENCE {
            break (groups, rules);
        }
        clock::sleep(Duration::from_secs(1));
    };
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    assert!(rules.len() >= 5, "{groups}");
    programs.promtool(&["check", "metrics"], &house.get("/metrics").unwrap()).unwrap();
}
