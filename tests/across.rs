//! Venues compared with each other: in replays of their recordings, in a running engine, and over kills.
//!
//! Three venues trade one asset round a price that wanders, each at a premium of its own; now and then one is moved.

#[path = "common/patience.rs"]
mod patience;
#[path = "common/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tapewatch::analytics::across::plan::AcrossPlan;
use tapewatch::analytics::intelligence::IntelligencePlan;
use tapewatch::analytics::pipeline::Settings;
use tapewatch::analytics::signals::data_quality;
use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Event, Trade, TradeId};
use tapewatch::domain::insight::Anomaly;
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::interval::Interval;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{IndicatorNames, Roster, Told, Watch};
use tapewatch::engine::assembly::{Connect, Engine, Opened, Plan, ShardDoor, Tools};
use tapewatch::engine::config::LiveConfig;
use tapewatch::engine::data_dir::DataDir;
use tapewatch::engine::rerun::{Rerun, Step};
use tapewatch::engine::symbol_actor::Voice;
use tapewatch::engine::verify::{NoWitness, Recorded, verify};
use tapewatch::journal::chunks::Chunks;
use tapewatch::journal::entry::Entry;
use tapewatch::journal::kind::Kind;
use tapewatch::journal::reader::Reader;
use tapewatch::journal::snapshots::Snapshots;
use tapewatch::runtime::backoff::splitmix;
use tapewatch::runtime::clock::{self, Mono};
use tapewatch::runtime::health::Health;
use tapewatch::runtime::intake::FrameStamps;
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::quarantine::{Quarantine, Quarantined};
use tapewatch::runtime::sink::{Batch, Sink};
use tapewatch::runtime::venue_clock::VenueClock;

use crate::patience::patiently;
use crate::program::{digest, replay, tapewatch};

const MINUTE: i64 = 60_000_000_000;
/// A Monday, on the minute.
const BEGIN: i64 = 1_704_067_200_000_000_000;
const VENUES: [(&str, f64); 3] =
    [("binance:BTC-USDT", -4.0), ("coinbase:BTC-USD", 30.0), ("okx:BTC-USDT", 2.0)];
/// Which venue is moved by how many basis points, from a minute to another.
const MOVED: [(usize, f64, i64, i64); 3] = [(1, 60.0, 600, 605), (0, -150.0, 700, 703), (2, 40.0, 800, 801)];
const MINUTES: i64 = 900;

fn instruments() -> Vec<Instrument> {
    VENUES.iter().map(|(name, _)| name.parse().unwrap()).collect()
}

/// Some trades of each minute and venue, by time: place of the venue, trade.
fn trades() -> Vec<(usize, Trade)> {
    let mut state = 7_u64;
    let mut unit = move || {
        state = splitmix(state);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (mut trades, mut level, mut ids) = (Vec::new(), 0.0, [0_u64; 3]);
    for minute in 0..MINUTES {
        level += 8.0 * (unit() + unit() - 1.0);
        for second in [5, 25, 50] {
            for (venue, (_, premium)) in VENUES.iter().enumerate() {
                let moved =
                    MOVED.iter().find(|(who, _, from, to)| *who == venue && (*from..*to).contains(&minute));
                let basis_points =
                    level + premium + 2.0 * (unit() - 0.5) + moved.map_or(0.0, |moved| moved.1);
                let cents = (60_000.0 * (1.0 + basis_points * 1e-4) * 100.0).round() as u64;
                ids[venue] += 1;
                let at = BEGIN + minute * MINUTE + second * 1_000_000_000 + venue as i64 * 1_000_000;
                trades.push((
                    venue,
                    Trade {
                        price: Price::new(Decimal::new(cents, 2).unwrap()).unwrap(),
                        quantity: Quantity::parse(b"0.01").unwrap(),
                        exchange_at: UnixNanos(at),
                        received_at: None,
                        id: TradeId::Number(ids[venue]),
                        taker_side: None,
                        trade_count: 1,
                    },
                ));
            }
        }
    }
    trades
}

/// A recording of each of those venues.
fn recordings(dir: &Path, venues: &[usize]) -> Vec<PathBuf> {
    let mut texts = vec![String::new(); VENUES.len()];
    for (venue, trade) in trades() {
        let mut price = Vec::new();
        trade.price.decimal().write_to(&mut price);
        let _ = writeln!(
            texts[venue],
            "{{\"instrument\":\"{}\",\"exchange_at\":\"{}\",\"trade_id\":\"{}\",\"price\":\"{}\",\"quantity\":\"0.01\",\"taker_side\":\"buy\"}}",
            VENUES[venue].0,
            trade.exchange_at,
            trade.id,
            String::from_utf8(price).unwrap()
        );
    }
    let path = |venue: &usize| {
        let path = dir.join(format!("{venue}.jsonl"));
        fs::write(&path, &texts[*venue]).unwrap();
        path
    };
    venues.iter().map(path).collect()
}

const CONFIG: &str = "[engine]\nintervals = ['1m']\nindicators = []\n\
    [intelligence]\ndetectors = ['divergence']\nforecasters = []\nrules = ['data_quality']\n";

fn config(dir: &Path) -> String {
    let path = dir.join("config.toml");
    fs::write(&path, CONFIG).unwrap();
    path.display().to_string()
}

fn lines(out: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(out.join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn at(minute: i64) -> String {
    UnixNanos(BEGIN + (minute + 1) * MINUTE).to_string()
}

#[test]
fn recordings_of_several_venues_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let files = recordings(dir.path(), &[0, 1, 2]);
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (config, out) = (config(dir.path()), dir.path().join("out"));
    let run = |inputs: &[&Path], flags: &[&str]| {
        let flags: Vec<&str> = ["--config", &config].into_iter().chain(flags.iter().copied()).collect();
        digest(&replay(inputs, &out, &flags))
    };
    let expected = run(&inputs, &["--shards", "1"]);
    let (anomalies, signals) = (lines(&out, "anomalies.jsonl"), lines(&out, "signals.jsonl"));
    for (venue, basis_points, from, _) in MOVED {
        let first =
            anomalies.iter().find(|line| line["exchange_at"] == at(from)).expect("it is told at once");
        assert_eq!(
            (&first["instrument"], &first["detector"]),
            (&VENUES[venue].0.into(), &"divergence@1".into())
        );
        let apart = first["evidence"]["apart_bp"].as_f64().unwrap();
        assert!((apart - basis_points).abs() < 6.0, "{first}");
        let explanation = first["evidence"]["explanation"].as_str().unwrap();
        let side = if basis_points > 0.0 { "above" } else { "below" };
        assert!(explanation.contains(&format!("bp {side} the median of ")), "{explanation}");
        for (other, (name, _)) in VENUES.iter().enumerate() {
            assert_eq!(first["evidence"]["against"].as_str().unwrap().contains(name), other != venue);
        }
        let signal = signals.iter().find(|line| line["exchange_at"] == at(from)).expect("it is a signal");
        assert_eq!((&signal["name"], &signal["kind"]), (&"data_quality".into(), &"quality".into()));
        assert_eq!(signal["instrument"], VENUES[venue].0);
        let severity = if basis_points.abs() >= 100.0 { "critical" } else { "warning" };
        assert_eq!(signal["severity"], severity, "{signal}");
        assert_eq!(
            (&signal["evidence"]["anomaly_id"], &signal["cause_seq"]),
            (&first["id"], &first["cause_seq"])
        );
        assert_eq!(signal["models"][0], "divergence@1");
        assert!(signal["message"].as_str().unwrap().contains(explanation));
    }
    assert_eq!(signals.len(), MOVED.len(), "as long as it lasts it is one: {signals:?}");
    for shards in ["2", "8"] {
        assert_eq!(run(&inputs, &["--shards", shards]), expected, "{shards} shards");
    }
    let turned: Vec<&Path> = inputs.iter().rev().copied().collect();
    assert_eq!(run(&turned, &["--shards", "2"]), expected, "files in reverse");
    assert_eq!(run(&inputs, &["--speed", "50000", "--shards", "3"]), expected, "paced");

    let journal = dir.path().join("journal");
    let paths = inputs.iter().map(|path| path.to_str().unwrap());
    let arguments: Vec<&str> =
        ["import"].into_iter().chain(paths).chain(["--to", journal.to_str().unwrap()]).collect();
    assert!(tapewatch(&arguments).status.success());
    assert_eq!(run(&[&journal], &["--shards", "2"]), expected, "imported");
}

#[test]
fn one_venue_is_held_against_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let files = recordings(dir.path(), &[1]);
    let (config, out) = (config(dir.path()), dir.path().join("out"));
    replay(&[&files[0]], &out, &["--config", &config]);
    assert_eq!(lines(&out, "anomalies.jsonl").len(), 0);
}

fn settings() -> Settings {
    let minutes: Interval = "1m".parse().unwrap();
    // Shards are fed as fast as it goes, one far ahead of another.
    let across =
        AcrossPlan { patience_nanos: 86_400_000_000_000, ..AcrossPlan::new(minutes.time().unwrap()) };
    let plan = IntelligencePlan::new(&[minutes], &[], &[], &[&data_quality::ENTRY], &[]);
    let intelligence = IntelligencePlan { across: Some(across), ..plan };
    Settings { intelligence, ..Settings::new(&[minutes], &[], 2_000_000_000) }
}

type Lines = BTreeMap<Instrument, Vec<String>>;

/// Remembers everything that was told, by instrument.
struct Ear {
    roster: Roster,
    heard: Mutex<Lines>,
}

impl Sink for Ear {
    fn name(&self) -> &'static str {
        "ear"
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let mut heard = self.heard.lock().unwrap();
        for telling in &batch.tellings {
            let lines = heard.entry(self.roster.instrument(telling.watch).clone()).or_default();
            lines.push(format!("{} {} {:?}", telling.at.0, telling.cause_seq, telling.told));
        }
    }
}

struct Nothing;

impl Quarantine for Nothing {
    fn put(&self, item: Quarantined) {
        panic!("nothing is set aside: {item:?}");
    }
}

/// What a replay of the journal tells, and the divergences among it.
fn replayed(journal: &Path) -> (Lines, Vec<(Instrument, u64, Anomaly)>) {
    let (settings, folder) = (settings(), tempfile::tempdir().unwrap());
    let chunks = Arc::new(Chunks::open(folder.path(), []).unwrap());
    let names = IndicatorNames::default();
    let (mut heard, mut found) = (Lines::new(), Vec::new());
    let mut rerun = Rerun::open(journal, &chunks, &settings, &BTreeMap::new()).unwrap();
    while rerun
        .next_block(|player, step| {
            let Step::Take(at, event) = step else { return };
            let mut tellings = Vec::new();
            let watch = Watch(0);
            let mut voice = Voice::new(&mut tellings, &names, watch, at, None);
            player.symbol.take(at, event, &mut voice);
            drop(voice);
            let lines = heard.entry(player.instrument.clone()).or_default();
            for telling in tellings {
                lines.push(format!("{} {} {:?}", telling.at.0, telling.cause_seq, telling.told));
                if let Told::Anomaly(anomaly) = telling.told {
                    found.push((player.instrument.clone(), telling.cause_seq, *anomaly));
                }
            }
        })
        .unwrap()
    {}
    found.sort_by_key(|(instrument, _, anomaly)| (anomaly.exchange_at, instrument.clone()));
    (heard, found)
}

/// What a comparison without threads finds.
fn expected() -> Vec<(Instrument, u64, Anomaly)> {
    let folder = tempfile::tempdir().unwrap();
    let files = recordings(folder.path(), &[0, 1, 2]);
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let (config, out) = (config(folder.path()), folder.path().join("out"));
    replay(&inputs, &out, &["--config", &config, "--shards", "1"]);
    let parse = |line: Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let anomaly = Anomaly {
            id: tapewatch::domain::insight::InsightId(u64::from_str_radix(&text("id"), 16).unwrap()),
            detector: text("detector").into(),
            interval: text("interval").parse().unwrap(),
            exchange_at: UnixNanos::parse_iso(text("exchange_at").as_bytes()).unwrap(),
            channel: "price",
            score: line["score"].as_f64().unwrap(),
            threshold: line["threshold"].as_f64().unwrap(),
            evidence: Default::default(),
            revision: 0,
            data_state: tapewatch::domain::data_state::DataState::Complete,
        };
        (text("instrument").parse().unwrap(), line["cause_seq"].as_u64().unwrap(), anomaly)
    };
    let mut found: Vec<_> = lines(&out, "anomalies.jsonl").into_iter().map(parse).collect();
    found.sort_by_key(|(instrument, _, anomaly): &(Instrument, u64, Anomaly)| {
        (anomaly.exchange_at, instrument.clone())
    });
    found
}

/// Whether a journal's own tellings are those of the comparison without threads.
fn check_found(found: &[(Instrument, u64, Anomaly)], expected: &[(Instrument, u64, Anomaly)]) {
    let key = |(instrument, cause_seq, anomaly): &(Instrument, u64, Anomaly)| {
        // Reading JSON may miss the last bit.
        let numbers = [anomaly.score, anomaly.threshold].map(|number| (number * 1e12).round() as u64);
        (anomaly.exchange_at, instrument.clone(), *cause_seq, anomaly.id, numbers)
    };
    let (found, expected): (Vec<_>, Vec<_>) =
        (found.iter().map(key).collect(), expected.iter().map(key).collect());
    assert_eq!(found, expected);
    assert!(found.len() >= MOVED.len());
}

fn skew() -> VenueClock {
    let clock = VenueClock::default();
    clock.set_skew_ns(clock::now().0 - BEGIN);
    clock
}

fn tools(skew: &VenueClock) -> Tools {
    Tools {
        metrics: Metrics::new(),
        latency: Latency::default(),
        health: Health::default(),
        quarantine: Arc::new(Nothing),
        clocks: instruments().iter().map(|instrument| (instrument.venue().clone(), skew.clone())).collect(),
    }
}

/// Feeds each shard its own trades until a minute, one after another; those that were taken in before are left out.
fn feeder(skew: &VenueClock, until: i64, done: &Arc<AtomicUsize>) -> Connect {
    let mut trades = trades();
    trades.retain(|(_, trade)| trade.exchange_at.0 < BEGIN + until * MINUTE);
    let (trades, done, skew) = (Arc::new(trades), done.clone(), skew.skew_ns().unwrap());
    Arc::new(move |door: ShardDoor| {
        let (trades, done) = (trades.clone(), done.clone());
        actix_rt::spawn(async move {
            let watches: BTreeMap<&Instrument, Watch> =
                door.watches.iter().map(|(watch, instrument)| (instrument, *watch)).collect();
            let own: Vec<_> = instruments().iter().map(|own| watches.get(own).copied()).collect();
            let known: Vec<_> =
                own.iter().map(|watch| watch.and_then(|watch| door.intake.last_id(watch))).collect();
            let mut frame = Vec::new();
            for (count, (venue, trade)) in trades.iter().enumerate() {
                let Some(watch) = own[*venue] else { continue };
                let TradeId::Number(id) = trade.id else { unreachable!("they are numbered") };
                if known[*venue].is_none_or(|known| id > known) {
                    frame.push((watch, trade.clone()));
                    let received_at = UnixNanos(trade.exchange_at.0 + skew);
                    let now = Mono::now();
                    door.intake.trades(FrameStamps { received_at, received: now, parsed: now }, &mut frame);
                    door.intake.rest();
                    tokio::task::yield_now().await;
                }
                if count % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
    })
}

async fn start(dir: &Path, shards: usize, skew: &VenueClock) -> (Engine, Arc<Ear>, Tools) {
    patiently(async || {
        let opened = Opened::open(DataDir::lock(dir)?, &instruments(), settings())?;
        let ear = Arc::new(Ear { roster: opened.roster().clone(), heard: Mutex::default() });
        let tools = tools(skew);
        let live = LiveConfig {
            snapshot_interval: Duration::from_secs(1),
            drain_deadline: Duration::from_secs(60),
            ..LiveConfig::default()
        };
        let plan = Plan { live, shards, recorded: String::new(), fault: None };
        let engine = opened.start(plan, tools.clone(), vec![ear.clone()]).await?;
        Ok((engine, ear, tools))
    })
    .await
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not come true");
}

fn compared(tools: &Tools) -> u64 {
    tools.metrics.compared.with_label_values(&["whole"]).get()
}

/// All that is to be found stands in the journal.
async fn until_found(dir: &Path, wanted: usize) {
    until("handing over", || found_in(&dir.join("journal")).len() >= wanted).await;
}

#[test]
fn a_running_engine_tells_what_a_replay_of_the_recordings_tells() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, skew) = (folder.path().join("data"), skew());
    actix_rt::System::new().block_on(async {
        let (engine, ear, tools) = start(&dir, 3, &skew).await;
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(feeder(&skew, MINUTES, &done)).await;
        until("feeding", || done.load(Ordering::Relaxed) == 3).await;
        until_found(&dir, expected().len()).await;
        assert_eq!(tools.metrics.queue("across").dropped.get(), 0);
        assert!(engine.stop().await.unwrap());
        let (lines, found) = replayed(&dir.join("journal"));
        assert_eq!(*ear.heard.lock().unwrap(), lines);
        check_found(&found, &expected());
        let signals = lines.values().flatten().filter(|line| line.contains("data_quality")).count();
        assert_eq!(signals, MOVED.len());
        assert!(verified(&dir) > 0);
    });
    // What stands in the journal is told by the program too, and not found a second time.
    let (config, out) = (config(folder.path()), folder.path().join("out"));
    replay(&[&dir], &out, &["--config", &config]);
    assert_eq!(lines(&out, "anomalies.jsonl").len(), expected().len());
}

/// Holds the journal against what the live run said of itself; how often that was.
fn verified(dir: &Path) -> u64 {
    let journal = dir.join("journal");
    let (recorded, own) = (Recorded::of(&journal).unwrap(), tempfile::tempdir().unwrap());
    let snapshots = Snapshots::at(&dir.join("snapshots"), own.path()).unwrap();
    let verified = verify(&journal, &snapshots, &settings(), &recorded, &mut NoWitness).unwrap();
    assert_eq!(verified.difference, None);
    verified.compared
}

/// As a kill leaves it: what rests on something is copied before that.
fn copy(from: &Path, to: &Path) {
    for part in ["snapshots", "across/snapshots", "across/journal", "journal"] {
        fs::create_dir_all(to.join(part)).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(from.join(part)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            // Pending snapshots come and go.
            let _ = fs::copy(from.join(part).join(&name), to.join(part).join(&name));
        }
    }
}

#[test]
fn kills_lose_and_double_nothing_that_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let (mut dir, skew) = (folder.path().join("0"), skew());
    let wanted = expected();
    actix_rt::System::new().block_on(async {
        let mut told = BTreeSet::new();
        // Fed until that minute, and killed when so many were compared since the start.
        for (round, until_minute, minutes) in [(1, 400, 350), (2, 620, 205), (3, 720, 85), (4, MINUTES, 0)] {
            let shards = 1 + round % 3;
            let (engine, ear, tools) = start(&dir, shards, &skew).await;
            let done = Arc::new(AtomicUsize::new(0));
            engine.connect(feeder(&skew, until_minute, &done)).await;
            if until_minute == MINUTES {
                until("feeding", || done.load(Ordering::Relaxed) == shards).await;
                until_found(&dir, wanted.len()).await;
                assert!(engine.stop().await.unwrap());
                break;
            }
            until("comparing", || compared(&tools) >= minutes).await;
            let heard = ear.heard.lock().unwrap().clone();
            let image = folder.path().join(round.to_string());
            copy(&dir, &image);
            engine.stop().await.unwrap();
            let is_found = |line: &&String| line.contains("divergence@1");
            told.extend(heard.values().flatten().filter(is_found).cloned());
            dir = image;
        }
        let (lines, found) = replayed(&dir.join("journal"));
        check_found(&found, &wanted);
        // What had left the engine before a kill stands in the journal, to the letter.
        let all: BTreeSet<&String> = lines.values().flatten().collect();
        assert!(told.iter().all(|line| all.contains(line)));
        assert!(verified(&dir) > 0);
    });
}

#[test]
fn a_comparison_that_lost_its_log_learns_anew_and_tells_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, skew) = (folder.path().join("data"), skew());
    actix_rt::System::new().block_on(async {
        let (engine, _, _) = start(&dir, 2, &skew).await;
        let done = Arc::new(AtomicUsize::new(0));
        engine.connect(feeder(&skew, MINUTES, &done)).await;
        until("feeding", || done.load(Ordering::Relaxed) == 2).await;
        until_found(&dir, expected().len()).await;
        assert!(engine.stop().await.unwrap());
        let (_, before) = replayed(&dir.join("journal"));
        let given = found_in(&dir.join("journal")).len();
        // Without the engine's snapshots all candles are told again, to one that knows of none.
        fs::remove_dir_all(dir.join("across")).unwrap();
        fs::remove_dir_all(dir.join("snapshots")).unwrap();
        let (engine, _, tools) = start(&dir, 2, &skew).await;
        until("comparing", || compared(&tools) >= MINUTES as u64 - 2).await;
        assert!(engine.stop().await.unwrap());
        let (_, after) = replayed(&dir.join("journal"));
        assert_eq!(before.len(), after.len());
        assert_eq!(found_in(&dir.join("journal")).len(), given);
    });
}

/// Instrument and candle of every divergence that the journal holds.
fn found_in(journal: &Path) -> BTreeSet<(u32, UnixNanos)> {
    let found = |entry: Entry| match entry {
        Entry::Event { instrument, event: Event::Divergence(found), .. } => {
            Some((instrument.0, found.close_at))
        }
        _ => None,
    };
    Reader::open(journal).unwrap().only(&[Kind::Divergence]).map(Result::unwrap).filter_map(found).collect()
}
