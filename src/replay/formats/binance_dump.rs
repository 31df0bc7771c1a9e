//! What the dumps of Binance's trades and aggregate trades have in common.
//!
//! A dump is one CSV file, named `BTCUSDT-trades-2024-05-01.csv`. Spot rows end in a second flag
//! (best match) that USD-M rows lack, so the number of fields tells the market. USD-M files
//! have a header since 2022, spot files have none. Source: binance/binance-public-data, README.

use crate::domain::symbol::binance;
use crate::domain::time::TimeUnit;
use crate::domain::venue::IdRule;
use crate::replay::columns::{Header, Row, TimeForm, is_header};
use crate::replay::decoder::{Facts, Likeness, Sample, Stream, Target};

/// Where a dump keeps its time and its flag; one for trades, one for aggregates.
pub struct Shape {
    /// The word in the file name.
    pub word: &'static str,
    pub spot_fields: usize,
    pub time_column: usize,
    pub maker_column: usize,
    pub header: &'static str,
}

/// What the sample and the name tell of a dump.
pub struct Dump {
    pub fields: usize,
    pub unit: TimeUnit,
    pub target: Target,
}

impl Shape {
    fn fits(&self, line: &[u8]) -> bool {
        let row = Row::split(line);
        let flag = |text: &[u8]| matches!(text, b"true" | b"True" | b"TRUE" | b"false" | b"False" | b"FALSE");
        (row.len() == self.spot_fields || row.len() == self.spot_fields - 1)
            && flag(row.get(self.maker_column))
            && matches!(TimeForm::of(row.get(self.time_column)), Some(TimeForm::Count(_)))
    }

    pub fn sniff(&self, sample: &Sample, facts: &Facts<'_>) -> Likeness {
        let rows = sample.iter().skip(usize::from(is_header(sample.first())));
        let (mut fitting, mut all) = (0, 0);
        for line in rows {
            all += 1;
            fitting += usize::from(self.fits(line));
        }
        if fitting == 0 || fitting * 2 < all {
            return Likeness::No;
        }
        if self.spelled_symbol(facts.file_name).is_some() { Likeness::RowsAndName } else { Likeness::Rows }
    }

    /// `BTCUSDT` of `BTCUSDT-trades-2024-05-01.csv`.
    fn spelled_symbol<'a>(&self, file_name: &'a str) -> Option<&'a str> {
        let at = file_name.find(self.word)?;
        let symbol = file_name[..at].strip_suffix(['-', '_'])?;
        (!symbol.is_empty()).then_some(symbol)
    }

    pub fn open(&self, sample: &Sample, facts: &Facts<'_>, stream: Stream) -> Result<Dump, String> {
        let has_header = is_header(sample.first());
        if has_header {
            self.check_header(sample.first())?;
        }
        let rows = || sample.iter().skip(usize::from(has_header));
        // The count that most rows have: one row cut short must not speak for its file.
        let count_of = |fields: usize| rows().filter(|line| Row::split(line).len() == fields).count();
        let fields = if has_header {
            Row::split(sample.first()).len()
        } else if count_of(self.spot_fields) >= count_of(self.spot_fields - 1) {
            self.spot_fields
        } else {
            self.spot_fields - 1
        };
        if count_of(fields) == 0 && rows().next().is_some() {
            return Err(format!(
                "line 1: no row has {} (spot) or {} (USD-M) fields: allowed is {}",
                self.spot_fields,
                self.spot_fields - 1,
                self.header
            ));
        }
        let is_spot = fields == self.spot_fields;
        let spelled = self.spelled_symbol(facts.file_name);
        let symbol = match spelled {
            Some(spelled) => Some(facts.symbol_of(spelled, binance)?),
            None => None,
        };
        let venue = match (is_spot, facts.venue.map(|venue| venue.name())) {
            (true, Some("binance-usdm")) => {
                return Err(format!(
                    "has {fields} fields a row as spot dumps do, but --venue says binance-usdm"
                ));
            }
            (false, Some("binance")) => {
                return Err(format!("has {fields} fields a row as USD-M dumps do, but --venue says binance"));
            }
            // Binance US and others of the family print the same rows.
            (_, Some(_)) => None,
            (true, None) => Some("binance"),
            (false, None) => Some("binance-usdm"),
        };
        let instrument = facts.instrument(venue, symbol.as_deref())?;
        let times = rows().map(|line| Row::split(line).get(self.time_column));
        let unit = match TimeForm::detect(times.filter(|text| !text.contains(&b'-'))) {
            Some(TimeForm::Count(unit)) => unit,
            _ => TimeUnit::Millis,
        };
        Ok(Dump { fields, unit, target: Target::new(instrument, IdRule::Contiguous, stream) })
    }

    fn check_header(&self, line: &[u8]) -> Result<(), String> {
        let header = Header::read(line);
        let refused = || {
            Err(format!(
                "line 1: the header {:?} is not that of a Binance dump: allowed is {}",
                header.names().join(","),
                self.header
            ))
        };
        if header.find(&["base_qty", "basqty"]).is_some() {
            return Err("line 1: a COIN-M dump counts contracts, not base currency: it is refused until a contract size is configured".to_owned());
        }
        if header.len() != self.spot_fields && header.len() != self.spot_fields - 1 {
            return refused();
        }
        let names = header.names();
        // The order is fixed; swapped columns must not pass.
        let bears = |column: usize, words: &[&str]| words.iter().any(|word| names[column].contains(word));
        let sound = bears(0, &["id"])
            && bears(1, &["price"])
            && bears(2, &["qty", "quantity"])
            && bears(self.time_column, &["time"])
            && bears(self.maker_column, &["maker"]);
        if sound { Ok(()) } else { refused() }
    }
}
