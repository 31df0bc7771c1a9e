//! What simulated venues trade: generated markets and recordings, as tapes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::app::outcome::Failure;
use crate::domain::decimal::Decimal;
use crate::domain::event::{Event, Side, Trade, TradeId};
use crate::domain::time::UnixNanos;
use crate::replay::generate::market::Market;
use crate::replay::generate::parameters::{ClockUnit, Parameters};
use crate::replay::generate::symbol::Symbol;
use crate::replay::merge::{Inputs, Options};
use crate::replay::recording::{Entry, InputError};
use crate::venues;
use crate::venues::simulator::config::SimulatedVenue;
use crate::venues::simulator::tape::{Draw, Listing, Tape};

/// A market without end.
pub struct GeneratedTape {
    listings: Vec<Listing>,
    market: Market,
    past: Vec<Draw>,
    /// Drawn while the past was made, and later than it.
    next: Option<Draw>,
}

/// Names of so many symbols of a venue: known ones first, then made-up ones of all magnitudes of price.
pub fn named_symbols(venue: SimulatedVenue, count: usize) -> Vec<String> {
    const KNOWN: [&str; 7] = ["BTC", "ETH", "SOL", "XRP", "DOGE", "SHIB", "PEPE"];
    const PRICES: [&str; 6] = ["0.00001234", "0.01234", "1.234", "123.4", "6123.4", "0.4321"];
    let quote = match venue {
        SimulatedVenue::Binance => "USDT",
        SimulatedVenue::Coinbase => "USD",
    };
    let first = |base: &&str| match (*base, venue) {
        // The generator knows the grids of these.
        ("BTC", _) | (_, SimulatedVenue::Binance) => format!("{base}-{quote}"),
        ("ETH", _) => format!("ETH-{quote}@3012.34"),
        ("SOL", _) => format!("SOL-{quote}@134.56"),
        ("XRP", _) => format!("XRP-{quote}@0.5123"),
        ("DOGE", _) => format!("DOGE-{quote}@0.13321"),
        ("SHIB", _) => format!("SHIB-{quote}@0.00002345"),
        _ => format!("{base}-{quote}@0.00000712"),
    };
    let known = KNOWN.iter().map(first);
    let made = (KNOWN.len()..count).map(|at| format!("T{at:04}-{quote}@{}", PRICES[at % PRICES.len()]));
    known.chain(made).take(count).collect()
}

impl GeneratedTape {
    /// `symbols` as the generator reads them: `BTC-USDT`, `WIF-USDT@2.85`.
    pub fn new(venue: SimulatedVenue, symbols: Vec<String>, seed: u64) -> Result<Self, Failure> {
        let parameters = Parameters {
            seed,
            venue: venue.name().to_owned(),
            symbols,
            clock_unit: ClockUnit::Micros,
            duration_seconds: 0,
            trades_per_symbol: u64::MAX,
            ..Parameters::clean()
        };
        Self::of(&parameters)
    }

    /// Any market of the generator; faults of its delivery have no place here, for the venue makes its own.
    pub fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let market = Market::new(parameters).map_err(Failure::refused)?;
        let listings = parameters
            .symbols
            .iter()
            .zip(market.instruments())
            .map(|(text, instrument)| {
                let grids = Symbol::parse(text, instrument.venue()).expect("the market has read it");
                Listing {
                    symbol: instrument.symbol().to_owned(),
                    price_step: Some(grids.price_grid.value(1)),
                    quantity_step: Some(grids.quantity_grid.value(1)),
                }
            })
            .collect();
        Ok(Self { listings, market, past: Vec::new(), next: None })
    }

    /// Lets so much of the market have happened until `now`.
    pub fn with_past(mut self, length: Duration, now: UnixNanos) -> Self {
        let length = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        let mut begun: Option<UnixNanos> = None;
        while let Some(draw) = self.draw() {
            let passed = draw.at.0 - begun.get_or_insert(draw.at).0;
            if passed >= length {
                self.next = Some(draw);
                break;
            }
            self.past.push(Draw { at: UnixNanos(now.0 - length + passed), ..draw });
        }
        self
    }
}

impl Tape for GeneratedTape {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn past(&mut self) -> Vec<Draw> {
        std::mem::take(&mut self.past)
    }

    fn draw(&mut self) -> Option<Draw> {
        if let Some(draw) = self.next.take() {
            return Some(draw);
        }
        let (symbol, trade) = self.market.next()?;
        Some(draw_of(symbol, &trade, trade.exchange_at))
    }
}

fn draw_of(symbol: usize, trade: &Trade, at: UnixNanos) -> Draw {
    Draw {
        symbol,
        price: trade.price,
        quantity: trade.quantity,
        // A recording that does not know tells nothing wrong by it: the venue is a simulated one.
        taker_side: trade.taker_side.unwrap_or(Side::Buy),
        at,
    }
}

/// Recordings, merged by time; from the beginning again at their end, if asked for.
pub struct RecordedTape {
    paths: Vec<PathBuf>,
    format: String,
    loops: bool,
    listings: Vec<Listing>,
    /// By the symbol's name.
    places: BTreeMap<String, usize>,
    inputs: Option<Inputs>,
    batch: Vec<Entry>,
    taken: usize,
    /// What is added to recorded times, so that they never fall.
    shift: i64,
    last_at: UnixNanos,
}

impl RecordedTape {
    /// Looks through the recordings once, for what is traded in them.
    pub fn open(
        paths: &[PathBuf],
        format: &str,
        wanted: Option<Vec<String>>,
        loops: bool,
    ) -> Result<Self, Failure> {
        let mut inputs = open(paths, format)?;
        let mut batch = Vec::new();
        let mut scales: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        loop {
            let more = inputs.next_batch(&mut batch)?;
            for entry in &batch {
                let name = inputs.roster().get(entry.instrument).0.symbol();
                for trade in trades_of(&entry.event) {
                    if wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|symbol| symbol == name)) {
                        let scale = (trade.price.decimal().scale(), trade.quantity.decimal().scale());
                        match scales.get_mut(name) {
                            Some(known) => *known = (known.0.max(scale.0), known.1.max(scale.1)),
                            None => drop(scales.insert(name.to_owned(), scale)),
                        }
                    }
                }
            }
            if !more {
                break;
            }
        }
        if let Some(missing) = wanted.iter().flatten().find(|symbol| !scales.contains_key(*symbol)) {
            return Err(Failure::refused(format!("--symbols: the recordings hold no trade of {missing:?}")));
        }
        if scales.is_empty() {
            return Err(Failure::refused("the recordings hold no trade".to_owned()));
        }
        let listings: Vec<Listing> = scales
            .iter()
            .map(|(symbol, (price, quantity))| Listing {
                symbol: symbol.clone(),
                price_step: Decimal::new(1, *price).ok(),
                quantity_step: Decimal::new(1, *quantity).ok(),
            })
            .collect();
        let places = listings.iter().enumerate().map(|(at, listing)| (listing.symbol.clone(), at)).collect();
        Ok(Self {
            paths: paths.to_vec(),
            format: format.to_owned(),
            loops,
            listings,
            places,
            inputs: None,
            batch: Vec::new(),
            taken: 0,
            shift: 0,
            last_at: UnixNanos(0),
        })
    }

    fn draw_from(&mut self, entry: &Entry) -> Option<Draw> {
        let inputs = self.inputs.as_ref()?;
        let symbol = *self.places.get(inputs.roster().get(entry.instrument).0.symbol())?;
        // A page of history is no trade of its moment; it was told late, and is not told again.
        let Event::Trade(trade) = &entry.event else { return None };
        let at = UnixNanos(trade.exchange_at.0.saturating_add(self.shift)).max(self.last_at);
        self.last_at = at;
        Some(draw_of(symbol, trade, at))
    }
}

fn open(paths: &[PathBuf], format: &str) -> Result<Inputs, InputError> {
    Inputs::open(
        paths,
        Options { format: Some(format.to_owned()), frame_parsers: venues::PARSERS, ..Options::default() },
    )
}

fn trades_of(event: &Event) -> &[Trade] {
    match event {
        Event::Trade(trade) => std::slice::from_ref(trade),
        _ => &[],
    }
}

impl Tape for RecordedTape {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn draw(&mut self) -> Option<Draw> {
        loop {
            while self.taken < self.batch.len() {
                let entry = self.batch[self.taken].clone();
                self.taken += 1;
                if let Some(draw) = self.draw_from(&entry) {
                    return Some(draw);
                }
            }
            self.taken = 0;
            if self.inputs.is_none() {
                let mut inputs = open(&self.paths, &self.format).ok()?;
                inputs.next_batch(&mut self.batch).ok()?;
                let first = self.batch.iter().find_map(|entry| trades_of(&entry.event).first());
                let first_at = first?.exchange_at;
                // Again from the beginning: a second after the end.
                if self.last_at != UnixNanos(0) {
                    self.shift = self.last_at.0.saturating_add(1_000_000_000) - first_at.0;
                }
                self.inputs = Some(inputs);
                continue;
            }
            // A recording was read to its end when it was opened; one that has changed since ends here.
            let more = self.inputs.as_mut()?.next_batch(&mut self.batch).unwrap_or(false);
            if !more && self.batch.is_empty() {
                if !self.loops {
                    return None;
                }
                self.inputs = None;
            }
        }
    }
}

/// Draws as a client hears them: ids rise by one from `first_id` in each symbol, times are whole `unit_nanos`.
pub fn draws_as_trades(
    draws: &[Draw],
    symbols: usize,
    first_id: u64,
    unit_nanos: i64,
) -> impl Iterator<Item = (usize, Trade)> {
    let mut next_ids = vec![first_id; symbols];
    draws.iter().map(move |draw| {
        let id = next_ids[draw.symbol];
        next_ids[draw.symbol] += 1;
        let trade = Trade {
            price: draw.price,
            quantity: draw.quantity,
            exchange_at: UnixNanos(draw.at.0 - draw.at.0.rem_euclid(unit_nanos)),
            received_at: draw.at.stamp(),
            id: TradeId::Number(id),
            taker_side: Some(draw.taker_side),
            trade_count: 1,
        };
        (draw.symbol, trade)
    })
}
