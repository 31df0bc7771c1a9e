//! The tables: made and checked by tapewatch, never by guesswork of the line protocol.
//!
//! Columns are named as in files and JSON. Prices and sums are the nearest binary floats of the exact numbers,
//! times have nanoseconds. The deduplication keys of a table name the identity of its rows: a row that is
//! sent again replaces itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::storage::config::QuestDbConfig;
use crate::storage::questdb::client::{Client, ClientError};

/// One table.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// Name and type; the first is the designated time.
    pub columns: &'static [(&'static str, &'static str)],
    /// The first columns, as many, are the keys.
    pub keys: usize,
}

const TIME: &str = "TIMESTAMP_NS";

pub const TABLES: [Table; 8] = [
    Table {
        name: "trades",
        columns: &[
            ("exchange_at", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("trade_id", "VARCHAR"),
            ("taker_side", "SYMBOL"),
            ("price", "DOUBLE"),
            ("quantity", "DOUBLE"),
            ("trade_count", "LONG"),
            ("received_at", TIME),
        ],
        keys: 4,
    },
    Table {
        name: "candles",
        columns: &[
            ("open_time", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("interval", "SYMBOL"),
            ("origin", "SYMBOL"),
            ("state", "SYMBOL"),
            ("close_time", TIME),
            ("open", "DOUBLE"),
            ("high", "DOUBLE"),
            ("low", "DOUBLE"),
            ("close", "DOUBLE"),
            ("volume", "DOUBLE"),
            ("quote_volume", "DOUBLE"),
            ("trade_count", "LONG"),
            ("taker_buy_volume", "DOUBLE"),
            ("taker_buy_quote_volume", "DOUBLE"),
            ("vwap", "DOUBLE"),
            ("revision", "LONG"),
        ],
        keys: 5,
    },
    // A withdrawn value is a row whose `value` is null.
    Table {
        name: "indicators",
        columns: &[
            ("open_time", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("interval", "SYMBOL"),
            ("indicator", "SYMBOL"),
            ("output", "SYMBOL"),
            ("data_state", "SYMBOL"),
            ("value", "DOUBLE"),
            ("revision", "LONG"),
        ],
        keys: 6,
    },
    Table {
        name: "anomalies",
        columns: &[
            ("exchange_at", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("id", "VARCHAR"),
            ("detector", "SYMBOL"),
            ("interval", "SYMBOL"),
            ("channel", "SYMBOL"),
            ("data_state", "SYMBOL"),
            ("score", "DOUBLE"),
            ("threshold", "DOUBLE"),
            ("evidence", "VARCHAR"),
            ("revision", "LONG"),
            ("cause_seq", "LONG"),
        ],
        keys: 4,
    },
    Table {
        name: "forecasts",
        columns: &[
            ("made_at", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("interval", "SYMBOL"),
            ("model", "SYMBOL"),
            ("target", "SYMBOL"),
            ("horizon", "LONG"),
            ("role", "SYMBOL"),
            ("data_state", "SYMBOL"),
            ("id", "VARCHAR"),
            ("target_at", TIME),
            ("forecast", "DOUBLE"),
            ("lower", "DOUBLE"),
            ("upper", "DOUBLE"),
            ("level", "DOUBLE"),
            ("naive", "DOUBLE"),
            ("skill", "DOUBLE"),
            ("actual", "DOUBLE"),
            ("revision", "LONG"),
            ("cause_seq", "LONG"),
        ],
        keys: 7,
    },
    Table {
        name: "signals",
        columns: &[
            ("exchange_at", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("id", "VARCHAR"),
            ("kind", "SYMBOL"),
            ("name", "SYMBOL"),
            ("severity", "SYMBOL"),
            ("action", "SYMBOL"),
            ("data_state", "SYMBOL"),
            ("score", "DOUBLE"),
            ("message", "VARCHAR"),
            ("evidence", "VARCHAR"),
            ("models", "VARCHAR"),
            ("cause_seq", "LONG"),
        ],
        keys: 4,
    },
    // A gap's beginning moves as it is filled; the designated time is where it began when first told.
    Table {
        name: "gaps",
        columns: &[
            ("opened_from", TIME),
            ("venue", "SYMBOL"),
            ("symbol", "SYMBOL"),
            ("id", "VARCHAR"),
            ("kind", "SYMBOL"),
            ("state", "SYMBOL"),
            ("reason", "SYMBOL"),
            ("first_missing_id", "VARCHAR"),
            ("last_missing_id", "VARCHAR"),
            ("from", TIME),
            ("to", TIME),
        ],
        keys: 4,
    },
    // Nanoseconds, since the start of the process.
    Table {
        name: LATENCY,
        columns: &[
            ("at", TIME),
            ("stage", "SYMBOL"),
            ("count", "LONG"),
            ("p50", "LONG"),
            ("p90", "LONG"),
            ("p99", "LONG"),
            ("p99_9", "LONG"),
            ("max", "LONG"),
        ],
        keys: 2,
    },
];

/// Nothing of what is told stands in it.
const LATENCY: &str = "stage_latency";

/// Why the tables are not as they have to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("table {table}: {problem}: rename or drop the table, and start again")]
    Differs { table: &'static str, problem: String },
}

/// Columns of a table that is there: type, designated, key.
type Found = BTreeMap<String, (String, bool, bool)>;

/// Makes the tables that are missing, adds the columns that are missing, refuses what is otherwise. `true`: all
/// tables of what is told were there.
pub fn ensure(client: &Client, config: &QuestDbConfig) -> Result<bool, SchemaError> {
    let found = client.query("SELECT table_name FROM tables()")?;
    let names: BTreeSet<&str> = found.dataset.iter().filter_map(|row| row.first()?.as_str()).collect();
    let all_there = TABLES.iter().all(|table| table.name == LATENCY || names.contains(table.name));
    for table in &TABLES {
        client.query(&table.create(config))?;
        let found = client.query(&format!("SHOW COLUMNS FROM {}", table.name))?;
        let place = |name: &str| found.columns.iter().position(|column| column.name == name);
        let (Some(name), Some(kind), Some(designated), Some(key)) =
            (place("column"), place("type"), place("designated"), place("upsertKey"))
        else {
            return Err(table.differs("SHOW COLUMNS does not say type, designated and upsertKey".to_owned()));
        };
        let mut columns = BTreeMap::new();
        for row in &found.dataset {
            let text = |at: usize| row.get(at).and_then(|value| value.as_str()).unwrap_or_default();
            let flag = |at: usize| row.get(at).and_then(serde_json::Value::as_bool).unwrap_or_default();
            columns.insert(text(name).to_owned(), (text(kind).to_owned(), flag(designated), flag(key)));
        }
        for column in table.compare(&columns)? {
            let (name, kind) = table.columns[column];
            client
                .query(&format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS \"{name}\" {kind}", table.name))?;
        }
    }
    Ok(all_there)
}

impl Table {
    fn create(&self, config: &QuestDbConfig) -> String {
        let columns: Vec<_> = self.columns.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
        let keys: Vec<_> = self.columns[..self.keys].iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let ttl =
            config.keep.map_or_else(String::new, |keep| format!(" TTL {} HOURS", keep.as_secs() / 3_600));
        format!(
            "CREATE TABLE IF NOT EXISTS {} ({}) TIMESTAMP(\"{}\") PARTITION BY {}{ttl} WAL DEDUP UPSERT KEYS({})",
            self.name,
            columns.join(", "),
            self.columns[0].0,
            config.partition_by.name().to_uppercase(),
            keys.join(", ")
        )
    }

    /// Which columns are missing, of a table with these.
    fn compare(&self, found: &Found) -> Result<Vec<usize>, SchemaError> {
        let mut missing = Vec::new();
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            let is_key = at < self.keys;
            match found.get(*name) {
                None if is_key => return Err(self.differs(format!("key column {name} is missing"))),
                None => missing.push(at),
                Some((found, ..)) if found != kind => {
                    return Err(self.differs(format!("column {name} is {found}, not {kind}")));
                }
                Some((_, designated, _)) if *designated != (at == 0) => {
                    let time = self.columns[0].0;
                    return Err(self.differs(format!("the designated timestamp is not {time}")));
                }
                Some((_, _, key)) if *key != is_key => {
                    let keys: Vec<_> = self.columns[..self.keys].iter().map(|(name, _)| *name).collect();
                    let keys = keys.join(", ");
                    return Err(self.differs(format!("the deduplication keys are not {keys}")));
                }
                Some(_) => {}
            }
        }
        // Columns of somebody else's stay null; a key among them would make rows double.
        match found
            .iter()
            .find(|(name, (_, _, key))| *key && !self.columns.iter().any(|(own, _)| own == name))
        {
            Some((name, _)) => Err(self.differs(format!("column {name} is a deduplication key"))),
            None => Ok(missing),
        }
    }

    fn differs(&self, problem: String) -> SchemaError {
        SchemaError::Differs { table: self.name, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let table = &TABLES[0];
        let sound = || -> Found {
            let column = |(at, (name, kind)): (usize, &(&str, &str))| {
                ((*name).to_owned(), ((*kind).to_owned(), at == 0, at < table.keys))
            };
            table.columns.iter().enumerate().map(column).collect()
        };
        let check = |change: &dyn Fn(&mut Found), expected: &str| {
            let mut found = sound();
            change(&mut found);
            let said = match table.compare(&found) {
                Ok(missing) => format!("{missing:?}"),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expected), "{said}");
        };
        check(&|_| {}, "[]");
        check(&|found| drop(found.remove("received_at")), "[8]");
        check(&|found| drop(found.remove("trade_id")), "table trades: key column trade_id is missing");
        check(&|found| found.get_mut("price").unwrap().0 = "FLOAT".to_owned(), "price is FLOAT, not DOUBLE");
        check(&|found| found.get_mut("exchange_at").unwrap().1 = false, "timestamp is not exchange_at");
        check(&|found| found.get_mut("trade_id").unwrap().2 = false, "keys are not exchange_at, venue");
        check(
            &|found| drop(found.insert("mine".to_owned(), ("LONG".to_owned(), false, true))),
            "column mine is a deduplication key",
        );
        check(&|found| drop(found.insert("mine".to_owned(), ("LONG".to_owned(), false, false))), "[]");
    }
}
