//! `tapewatch probe`: connects to a venue, keeps its first frames, and checks what we assume about it.
//!
//! Each assumption `holds`, `differs`, or was `not seen` in the time given. docs/venues.md says what rests on each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::app::outcome::{self, Failure};
use crate::app::quantity;
use crate::app::record::spellings;
use crate::app::venue_arguments::{VenueArguments, block_on, desk};
use crate::domain::event::{Trade, TradeId};
use crate::domain::frame::{FrameSink, FrameSource, Spelled};
use crate::domain::venue::IdRule;
use crate::runtime::clock::{self, Mono};
use crate::venues::desk::Desk;
use crate::venues::dialect::{Answer, Ask, Heard};
use crate::venues::rest::RestClient;
use crate::venues::tap::{Tap, Tapped};

/// A name that no venue lists.
const NONSENSE: &str = "TAPEWATCHX-NONSENSE";
const NONSENSE_WAIT: Duration = Duration::from_secs(3);
/// Frames that are kept.
const FRAMES_MAX: usize = 10_000;
/// Trades of the socket that are looked up over REST.
const LOOKED_UP: u32 = 50;
/// REST may lag.
const REST_LAG: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct ProbeArguments {
    #[command(flatten)]
    venue: VenueArguments,
    /// BASE-QUOTE, several with commas between; busy ones show more
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    symbol: Vec<String>,
    /// How long to listen
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = quantity::parse_duration)]
    length: Duration,
    /// Where to keep the frames, in a file `replay --format binance-raw` reads
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Holds,
    Differs,
    NotSeen,
}

#[derive(Debug, Serialize)]
struct Finding {
    assumption: &'static str,
    verdict: Verdict,
    detail: String,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, assumption: &'static str, holds: Option<bool>, detail: impl Into<String>) {
        let verdict = match holds {
            Some(true) => Verdict::Holds,
            Some(false) => Verdict::Differs,
            None => Verdict::NotSeen,
        };
        self.0.push(Finding { assumption, verdict, detail: detail.into() });
    }
}

/// What the socket told.
#[derive(Default)]
struct Seen {
    /// By the venue's name of the market, live ones and those of a snapshot apart.
    live: BTreeMap<String, Vec<Trade>>,
    snapshot: BTreeMap<String, usize>,
    refused: Vec<String>,
    acknowledged: Option<Duration>,
    errors: Vec<String>,
    heartbeats: usize,
    last_ids: usize,
    pings: Vec<Duration>,
    frames: Vec<(i64, String)>,
    first_trade: Option<Duration>,
}

struct Gather<'a> {
    trades: &'a mut Vec<(String, Trade)>,
    refused: &'a mut Vec<String>,
}

impl FrameSink for Gather<'_> {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        self.trades.push((spelled.symbol.to_owned(), trade));
    }

    fn refuse(&mut self, reason: String) {
        self.refused.push(reason);
    }
}

pub fn probe(arguments: &ProbeArguments) -> Result<(), Failure> {
    let config = arguments.venue.load()?;
    let symbols = match arguments.symbol.as_slice() {
        [] => vec![if arguments.venue.venue == "binance" { "BTC-USDT" } else { "BTC-USD" }.to_owned()],
        named => named.to_vec(),
    };
    let desk = desk(arguments.venue.venue_config(&config, &symbols)?)?;
    let (findings, seen) = block_on(async {
        let mut findings = Findings::default();
        let client = RestClient::new()?;
        ask_time(&desk, &client, &mut findings).await;
        let names = spellings(&desk, &symbols).await?;
        findings.add("the venue lists its markets, and these", Some(true), names.join(", "));
        let seen = listen(&desk, &names, arguments.length, &mut findings).await?;
        judge_socket(&desk, &seen, &mut findings);
        tokio::time::sleep(REST_LAG).await;
        look_up(&desk, &client, &seen, &mut findings).await;
        Ok((findings, seen))
    })?;
    if let Some(path) = &arguments.to {
        let text: String = seen.frames.iter().map(|(at, frame)| format!("{at} {frame}\n")).collect();
        fs::write(path, text)
            .map_err(|error| Failure::failed(format!("failed to write {}: {error}", path.display())))?;
    }
    let mut text = String::new();
    for finding in &findings.0 {
        if arguments.json {
            text += &serde_json::to_string(finding).map_err(Failure::failed)?;
        } else {
            let verdict = match finding.verdict {
                Verdict::Holds => "holds   ",
                Verdict::Differs => "DIFFERS ",
                Verdict::NotSeen => "not seen",
            };
            text += &format!("{verdict}  {}: {}", finding.assumption, finding.detail);
        }
        text.push('\n');
    }
    outcome::print(&text)?;
    let differing = findings.0.iter().filter(|finding| finding.verdict == Verdict::Differs).count();
    if differing > 0 {
        return Err(Failure::failed(format!("{differing} assumptions about {} do not hold", desk.name)));
    }
    Ok(())
}

async fn ask_time(desk: &Arc<Desk>, client: &RestClient, findings: &mut Findings) {
    let asked_at = clock::now();
    let answer = client.ask(desk, &Ask::Time).await;
    let answered_at = clock::now();
    match answer {
        Ok(Answer::Time(venue_at)) => {
            desk.note_time(asked_at, answered_at, venue_at);
            let skew = desk.clock.skew_ns().unwrap_or(0) as f64 / 1e6;
            let taken = (answered_at.0 - asked_at.0) as f64 / 1e6;
            let detail = format!("our clock is {skew:.1} ms ahead of it, asked within {taken:.1} ms");
            findings.add("REST tells the venue's time", Some(true), detail);
        }
        Ok(_) => findings.add("REST tells the venue's time", Some(false), "it answered something else"),
        Err(error) => findings.add("REST tells the venue's time", Some(false), error.to_string()),
    }
}

async fn listen(
    desk: &Desk,
    names: &[String],
    length: Duration,
    findings: &mut Findings,
) -> Result<Seen, Failure> {
    let dialect = &*desk.dialect;
    let failed = |error| Failure::failed(format!("{error}"));
    let mut tap = Tap::open(dialect, desk.config.ws_url.as_deref()).await.map_err(failed)?;
    findings.add("the websocket opens at the documented address", Some(true), tap.address.clone());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let began = Mono::now();
    tap.subscribe(dialect, &names, 1).await.map_err(failed)?;
    let mut parser = (dialect.parser().make)(FrameSource { url: &tap.address, venue: Some(desk.name) });
    let mut seen = Seen::default();
    let mut has_asked_nonsense = false;
    let (mut nonsense, mut errors_before) = (None, 0);
    while Mono::now().since(began) < length {
        let since = Mono::now().since(began);
        if !has_asked_nonsense && since >= length / 2 {
            has_asked_nonsense = true;
            nonsense = Some(Mono::now());
            errors_before = seen.errors.len();
            // Without its hyphen, where the venue writes none.
            let name = if names[0].contains('-') { NONSENSE.to_owned() } else { NONSENSE.replace('-', "") };
            tap.subscribe(dialect, &[&name], 1_000).await.map_err(failed)?;
        }
        match tap.next(Duration::from_millis(250)).await.map_err(failed)? {
            Tapped::Nothing => {}
            Tapped::Ping => seen.pings.push(since),
            Tapped::Frame(frame) => take(desk, &mut *parser, frame, since, &mut seen),
        }
    }
    let answer = match nonsense {
        Some(at) if Mono::now().since(at) >= NONSENSE_WAIT => {
            Some(seen.errors.get(errors_before).map_or("no error came".to_owned(), Clone::clone))
        }
        _ => None,
    };
    // Either is fine; which it is, nobody documents everywhere.
    let detail = answer.clone().unwrap_or_else(|| "not enough time".to_owned());
    findings.add("an unknown market is refused in words, or ignored", answer.map(|_| true), detail);
    Ok(seen)
}

fn take(
    desk: &Desk,
    parser: &mut dyn crate::domain::frame::FrameParser,
    frame: String,
    since: Duration,
    seen: &mut Seen,
) {
    let received_at = clock::now();
    let mut trades = Vec::new();
    let mut sink = Gather { trades: &mut trades, refused: &mut seen.refused };
    parser.frame(&frame, received_at.stamp(), &mut sink);
    let is_snapshot = !trades.is_empty() && desk.dialect.is_snapshot(&frame);
    for (name, trade) in trades {
        if is_snapshot {
            *seen.snapshot.entry(name).or_default() += 1;
        } else {
            seen.first_trade.get_or_insert(since);
            seen.live.entry(name).or_default().push(trade);
        }
    }
    for heard in desk.dialect.control(&frame) {
        match heard {
            Heard::Acknowledged { .. } => {
                seen.acknowledged.get_or_insert(since);
            }
            Heard::Refused { message, .. } => seen.errors.push(message),
            Heard::LastId { .. } => seen.last_ids += 1,
            Heard::Heartbeat => seen.heartbeats += 1,
            Heard::ShuttingDown => seen.errors.push("the venue announces its shutdown".to_owned()),
        }
    }
    if seen.frames.len() < FRAMES_MAX {
        seen.frames.push((received_at.0, frame.replace(['\n', '\r'], " ")));
    }
}

fn judge_socket(desk: &Desk, seen: &Seen, findings: &mut Findings) {
    let ack = seen.acknowledged;
    let detail = ack.map_or("none came".to_owned(), |after| format!("after {after:?}"));
    findings.add("subscriptions are acknowledged", Some(ack.is_some()), detail);
    let count: usize = seen.live.values().map(Vec::len).sum();
    let detail = match seen.first_trade {
        Some(after) => format!("{count}, the first after {after:?}"),
        None => "none; the market may be quiet".to_owned(),
    };
    findings.add("trades come", (count > 0).then_some(true), detail);
    let refused = seen.refused.first().map_or("none was refused".to_owned(), |why| why.clone());
    findings.add(
        "every frame can be read",
        (!seen.frames.is_empty()).then_some(seen.refused.is_empty()),
        refused,
    );
    if desk.dialect.id_rule() == IdRule::Contiguous {
        let mut steps = 0_usize;
        let mut jumps = Vec::new();
        for (name, trades) in &seen.live {
            for pair in trades.windows(2) {
                if let (TradeId::Number(one), TradeId::Number(next)) = (&pair[0].id, &pair[1].id) {
                    steps += 1;
                    if *next != one + 1 {
                        jumps.push(format!("{name} {one} to {next}"));
                    }
                }
            }
        }
        let detail = match jumps.first() {
            Some(first) => format!("{} of {steps} steps do not, first {first}", jumps.len()),
            None => format!("{steps} steps"),
        };
        findings.add("trade ids rise by one, in order", (steps > 0).then_some(jumps.is_empty()), detail);
    }
    let snapshot: Vec<String> = seen.snapshot.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let expects = desk.dialect.parser().name == "coinbase";
    let detail = if snapshot.is_empty() { "none".to_owned() } else { snapshot.join(", ") };
    findings.add(
        if expects { "a snapshot opens each market" } else { "no snapshot opens a market" },
        Some(snapshot.is_empty() != expects),
        detail,
    );
    if expects {
        let (heard, name) = if desk.dialect.has_heartbeat() {
            (seen.last_ids, "heartbeats tell each market's newest id")
        } else {
            (seen.heartbeats, "heartbeats come")
        };
        findings.add(name, Some(heard > 0), format!("{heard}"));
    }
    let detail = seen.pings.iter().map(|at| format!("{at:?}")).collect::<Vec<_>>().join(", ");
    findings.add("the venue pings (its rhythm)", (!seen.pings.is_empty()).then_some(true), detail);
}

/// The socket's trades, asked of REST by id, are the same.
async fn look_up(desk: &Arc<Desk>, client: &RestClient, seen: &Seen, findings: &mut Findings) {
    const SAME: &str = "REST gives the socket's trades by id: price, quantity, time and taker the same";
    for (name, trades) in &seen.live {
        let Some(TradeId::Number(first_id)) = trades.first().map(|trade| trade.id.clone()) else { continue };
        let ask = Ask::Trades { spelling: name.clone(), first_id, limit: LOOKED_UP };
        let page = match client.ask(desk, &ask).await {
            Ok(Answer::Trades(page)) => page.trades,
            Ok(_) => Vec::new(),
            Err(error) => {
                findings.add(SAME, Some(false), format!("{name}: {error}"));
                continue;
            }
        };
        let plain = |trade: &Trade| Trade { received_at: None, ..trade.clone() };
        let mut compared = 0;
        let mut different = None;
        for trade in trades {
            if let Some(found) = page.iter().find(|found| found.id == trade.id) {
                compared += 1;
                if plain(found) != plain(trade) {
                    different.get_or_insert(format!("{name}: {found:?} and {trade:?}"));
                }
            }
        }
        let holds = (compared > 0).then_some(different.is_none());
        findings.add(SAME, holds, different.unwrap_or(format!("{name}: {compared} compared")));
    }
    if seen.live.is_empty() {
        findings.add(SAME, None, "no trade came");
    }
}
