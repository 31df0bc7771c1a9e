//! A table as Parquet: times as nanosecond timestamps in UTC, counts and statistics as numbers,
//! the rest as text; pages packed with LZ4.
//!
//! Prices and quantities are text here too: no decimal type of Parquet is wide enough for every
//! exact sum, and a float would round. `CAST(price AS DOUBLE)` is the reader's decision.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::domain::time::UnixNanos;
use crate::replay::table::{Column, Kind, TableError, TableSink};

/// Rows held in memory before they are written as one group.
const GROUP_ROWS: usize = 1 << 16;

pub struct ParquetTable<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Held>,
    rows: usize,
}

/// The cells of a column that wait to be written.
struct Held {
    column: Column,
    /// 1 where there is a value, 0 where there is none.
    present: Vec<i16>,
    values: Values,
}

enum Values {
    Texts(Vec<ByteArray>),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

impl<W: Write + Send> ParquetTable<W> {
    pub fn new(out: W, columns: &[Column]) -> Result<Self, TableError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_created_by(format!("tapewatch {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = SerializedFileWriter::new(out, schema(columns)?, Arc::new(properties))?;
        Ok(Self { writer, columns: columns.iter().map(|&column| Held::new(column)).collect(), rows: 0 })
    }

    fn write_group(&mut self) -> Result<(), TableError> {
        let mut group = self.writer.next_row_group()?;
        for held in &mut self.columns {
            let mut writer = group.next_column()?.ok_or_else(|| {
                ParquetError::General("the schema has fewer columns than the table".to_owned())
            })?;
            held.write(&mut writer)?;
            writer.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl<W: Write + Send> TableSink for ParquetTable<W> {
    fn row(&mut self, cells: &[&str]) -> Result<(), TableError> {
        for (held, cell) in self.columns.iter_mut().zip(cells) {
            held.push(cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<(), TableError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close()?;
        Ok(())
    }
}

impl Held {
    fn new(column: Column) -> Self {
        let values = match column.kind {
            Kind::Text | Kind::Decimal => Values::Texts(Vec::new()),
            Kind::Time | Kind::Whole => Values::Integers(Vec::new()),
            Kind::Statistic => Values::Floats(Vec::new()),
        };
        Self { column, present: Vec::new(), values }
    }

    fn push(&mut self, cell: &str) -> Result<(), TableError> {
        self.present.push(i16::from(!cell.is_empty()));
        if cell.is_empty() {
            return Ok(());
        }
        let column = self.column;
        match &mut self.values {
            Values::Texts(texts) => texts.push(cell.into()),
            Values::Integers(integers) if column.kind == Kind::Time => {
                let at = UnixNanos::parse_iso(cell.as_bytes());
                integers.push(at.map_err(|_| column.wrong(cell, "a time, RFC 3339 in UTC"))?.0);
            }
            Values::Integers(integers) => integers.push(column.whole(cell)?),
            Values::Floats(floats) => floats.push(column.statistic(cell)?),
        }
        Ok(())
    }

    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = Some(self.present.as_slice());
        match &mut self.values {
            Values::Texts(texts) => {
                writer.typed::<ByteArrayType>().write_batch(texts, present, None)?;
                texts.clear();
            }
            Values::Integers(integers) => {
                writer.typed::<Int64Type>().write_batch(integers, present, None)?;
                integers.clear();
            }
            Values::Floats(floats) => {
                writer.typed::<DoubleType>().write_batch(floats, present, None)?;
                floats.clear();
            }
        }
        self.present.clear();
        Ok(())
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Text | Kind::Decimal => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Kind::Whole => (Physical::INT64, None),
            Kind::Statistic => (Physical::DOUBLE, None),
        };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    });
    let fields = fields.collect::<Result<Vec<_>, ParquetError>>()?;
    Ok(Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?))
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn rows_read_as_they_were_written() {
        let columns = [
            Column::new("symbol", Kind::Text),
            Column::new("open_time", Kind::Time),
            Column::new("volume", Kind::Decimal),
            Column::new("trade_count", Kind::Whole),
            Column::new("value", Kind::Statistic),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut table = Box::new(ParquetTable::new(file.reopen().unwrap(), &columns).unwrap());
        let rows = GROUP_ROWS + 3;
        for i in 0..rows {
            let count = i.to_string();
            let count = if i % 2 == 0 { count.as_str() } else { "" };
            table.row(&["BTC-USDT", "2024-05-01T00:00:00.000000001Z", "0.00000001", count, "0.1"]).unwrap();
        }
        table.finish().unwrap();

        let reader = SerializedFileReader::new(file.reopen().unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let mut read = 0;
        for (i, row) in reader.get_row_iter(None).unwrap().enumerate() {
            let row = row.unwrap();
            let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
            assert_eq!(*fields[0], Field::Str("BTC-USDT".to_owned()));
            assert_eq!(*fields[2], Field::Str("0.00000001".to_owned()));
            assert_eq!(*fields[3], if i % 2 == 0 { Field::Long(i as i64) } else { Field::Null });
            assert_eq!(*fields[4], Field::Double(0.1));
            assert_eq!(*fields[1], Field::Long(1_714_521_600_000_000_001));
            read += 1;
        }
        assert_eq!(read, rows);
    }

    #[test]
    fn what_a_column_cannot_hold_is_refused() {
        let check = |kind: Kind, cell: &str| {
            let mut table = ParquetTable::new(Vec::new(), &[Column::new("x", kind)]).unwrap();
            assert!(table.row(&[cell]).is_err(), "{kind:?} {cell:?}");
        };
        check(Kind::Time, "yesterday");
        check(Kind::Whole, "1.5");
        check(Kind::Statistic, "NaN");
    }
}
