//! The dashboards ask for what there is: metrics that are exposed, sources that are provisioned. That they get data
//! is held by `tests/panels.rs`, that they are what Grafana reads by `.ci/boards`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn boards() -> Vec<(PathBuf, Value)> {
    let dir = root().join("config/grafana/dashboards");
    let mut boards: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let board = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, board)
        })
        .collect();
    boards.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(boards.len(), 3, "overview, latency, models");
    boards
}

/// Every text under the key `name`, however deep.
fn texts<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == name => found.push(text),
                    _ => texts(value, name, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, name, found)),
        _ => {}
    }
}

/// The words of an expression that begin as metrics of this program do.
fn metrics_of(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tapewatch_"))
}

/// Names as they are exposed, by the declarations in the source: a family without a value is not gathered.
/// A histogram has three.
fn exposed() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("src/runtime/metrics.rs")).unwrap();
    let mut names = BTreeSet::from(["tapewatch_stage_latency_seconds".to_owned()]);
    for declaration in ["counters(", "gauges(", "floats(", "seconds(", "opts("] {
        for rest in source.split(declaration).skip(1) {
            let name = rest.split('"').nth(1).unwrap_or_default();
            names.insert(format!("tapewatch_{name}"));
        }
    }
    names.extend(metrics_of(&source).map(str::to_owned));
    let histograms: Vec<_> = names.iter().filter(|name| name.ends_with("_seconds")).cloned().collect();
    for name in histograms {
        names.extend(["bucket", "count", "sum"].map(|part| format!("{name}_{part}")));
    }
    names
}

#[test]
fn panels_ask_for_metrics_that_are_exposed() {
    let exposed = exposed();
    assert!(exposed.len() > 25, "{exposed:?}");
    let rules = fs::read_to_string(root().join("config/prometheus/alerts.yml")).unwrap();
    let boards = boards();
    let mut asked: Vec<(String, &str)> = Vec::new();
    for (path, board) in &boards {
        let mut expressions = Vec::new();
        texts(board, "expr", &mut expressions);
        texts(board, "query", &mut expressions);
        assert!(expressions.len() > 5, "{}", path.display());
        asked.extend(expressions.into_iter().map(|expression| (path.display().to_string(), expression)));
    }
    asked.extend(
        rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expr: "))
            .map(|expr| ("alerts.yml".to_owned(), expr)),
    );
    for (place, expression) in asked {
        for name in metrics_of(expression) {
            assert!(exposed.contains(name), "{place}: {name} of {expression:?} is not exposed");
        }
    }
}

#[test]
fn panels_name_sources_that_are_provisioned() {
    let sources =
        fs::read_to_string(root().join("config/grafana/provisioning/datasources/tapewatch.yml")).unwrap();
    let provisioned: BTreeSet<&str> =
        sources.lines().filter_map(|line| line.trim().strip_prefix("uid: ")).collect();
    let mut uids = BTreeSet::new();
    for (path, board) in boards() {
        let panels = board["panels"].as_array().unwrap();
        let mut places = BTreeSet::new();
        for panel in panels {
            assert!(!panel["title"].as_str().unwrap().is_empty(), "{}", path.display());
            let place = &panel["gridPos"];
            assert!(places.insert((place["x"].as_u64(), place["y"].as_u64())), "{}: {place}", path.display());
            for target in panel["targets"].as_array().into_iter().flatten() {
                let uid = target["datasource"]["uid"].as_str().unwrap();
                assert!(provisioned.contains(uid), "{}: {uid}", path.display());
                assert_eq!(target["datasource"], panel["datasource"], "{}", path.display());
            }
        }
        assert!(uids.insert(board["uid"].as_str().unwrap().to_owned()), "a uid twice");
    }
}

#[test]
fn services_are_pinned_healthy_and_on_loopback() {
    let compose = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let lines = |prefix: &str| {
        compose
            .lines()
            .filter_map(|line| line.trim().strip_prefix(prefix))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let images = lines("image: ");
    assert_eq!(images.len(), 4);
    for image in &images {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
        assert!(!tag.is_empty() && tag != "latest", "{image} is not pinned");
    }
    assert_eq!(lines("healthcheck:").len(), 4, "each service says when it is healthy");
    for ports in lines("ports: ") {
        for port in ports.split('"').filter(|part| part.contains(':')) {
            assert!(port.starts_with("127.0.0.1:"), "{port} is open to everybody");
        }
    }
}
