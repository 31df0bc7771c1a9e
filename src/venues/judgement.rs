//! What a page of REST says of missing ids.

use crate::domain::event::{Trade, TradeId};
use crate::venues::seam::Missing;

/// Of one page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The missing trades that it holds, in order.
    pub wanted: Vec<Trade>,
    /// Ids that it passes over: it holds trades before and behind them.
    pub passed_over: Vec<Missing>,
    /// Ids before the first that it holds.
    pub out_of_reach: Option<Missing>,
    /// Where to ask on; `None`: it reached the end, or brought nothing on.
    pub next_id: Option<u64>,
}

/// Judges a page, in order of id, that was asked for `missing` and what is around it.
pub fn judge(missing: Missing, page: Vec<Trade>) -> Judgement {
    let ids: Vec<u64> = page.iter().filter_map(id_of).collect();
    let (Some(&lowest), Some(&highest)) = (ids.first(), ids.last()) else { return Judgement::default() };
    let mut judgement = Judgement::default();
    let mut expected = missing.first.max(lowest);
    for &id in &ids {
        if id > expected && expected <= missing.last {
            judgement.passed_over.push(Missing { first: expected, last: (id - 1).min(missing.last) });
        }
        expected = expected.max(id.saturating_add(1));
    }
    if lowest > missing.first {
        let last = (lowest - 1).min(missing.last);
        judgement.out_of_reach = Some(Missing { first: missing.first, last });
    }
    if highest < missing.last && highest >= missing.first {
        judgement.next_id = Some(highest + 1);
    }
    judgement.wanted = page
        .into_iter()
        .filter(|trade| id_of(trade).is_some_and(|id| (missing.first..=missing.last).contains(&id)))
        .collect();
    judgement.wanted.dedup_by_key(|trade| id_of(trade));
    judgement
}

fn id_of(trade: &Trade) -> Option<u64> {
    match trade.id {
        TradeId::Number(id) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::time::UnixNanos;

    fn trades(ids: &[u64]) -> Vec<Trade> {
        ids.iter()
            .map(|&id| Trade {
                price: Price::parse(b"1").unwrap(),
                quantity: Quantity::parse(b"1").unwrap(),
                exchange_at: UnixNanos(0),
                received_at: None,
                id: TradeId::Number(id),
                taker_side: None,
                trade_count: 1,
            })
            .collect()
    }

    /// A page of these ids, asked for 10 to 14: wanted ids, passed over, out of reach, next.
    fn check_judge(
        page: &[u64],
        wanted: &[u64],
        passed_over: &[(u64, u64)],
        out_of_reach: Option<(u64, u64)>,
        next_id: Option<u64>,
    ) {
        let found = judge(Missing { first: 10, last: 14 }, trades(page));
        assert_eq!(found.wanted.iter().filter_map(id_of).collect::<Vec<_>>(), wanted, "{page:?}");
        let pairs: Vec<_> = found.passed_over.iter().map(|m| (m.first, m.last)).collect();
        assert_eq!(pairs, passed_over, "{page:?}");
        assert_eq!(found.out_of_reach.map(|m| (m.first, m.last)), out_of_reach, "{page:?}");
        assert_eq!(found.next_id, next_id, "{page:?}");
    }

    #[test]
    fn pages_are_judged_by_what_stands_around_the_missing() {
        check_judge(&[8, 9, 10, 11, 12, 13, 14, 15], &[10, 11, 12, 13, 14], &[], None, None);
        check_judge(&[9, 10, 13, 15, 17], &[10, 13], &[(11, 12), (14, 14)], None, None);
        check_judge(&[9, 15], &[], &[(10, 14)], None, None);
        // Short: nothing is said of what lies behind its end.
        check_judge(&[8, 9], &[], &[], None, None);
        check_judge(&[9, 10, 12], &[10, 12], &[(11, 11)], None, Some(13));
        check_judge(&[], &[], &[], None, None);
        // It begins too late: nothing is said of what lies before.
        check_judge(&[12, 13, 14, 15], &[12, 13, 14], &[], Some((10, 11)), None);
        check_judge(&[20, 21], &[], &[], Some((10, 14)), None);
        check_judge(&[9, 10, 10, 11, 14, 15], &[10, 11, 14], &[(12, 13)], None, None);
    }
}
