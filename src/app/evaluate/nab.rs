//! The scores of the Numenta Anomaly Benchmark, by its own rules.
//!
//! A detection in a labelled window earns the more the earlier it comes, and only the best of a window counts; each
//! flagged row outside of the windows costs, right behind a window less than far from any; a missed window costs
//! once. One threshold holds for the whole corpus, and is the one that scores best: the rules allow that much
//! fitting to the labels. Sums are set so that saying nothing gives 0 and perfection 100.
//! Source: A. Lavin and S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly
//! Benchmark", ICMLA 2015 (arXiv:1510.03336), and the scorer that comes with the benchmark.

/// What detections, false ones and missed windows are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    pub found: f64,
    pub false_row: f64,
    pub missed: f64,
}

/// The three that come with the benchmark, by the names that they have in results and in its configuration.
pub const PROFILES: [(&str, &str, Profile); 3] = [
    ("standard", "standard", Profile { found: 1.0, false_row: 0.11, missed: 1.0 }),
    ("reward_low_fp", "reward_low_FP_rate", Profile { found: 1.0, false_row: 0.22, missed: 1.0 }),
    ("reward_low_fn", "reward_low_FN_rate", Profile { found: 1.0, false_row: 0.11, missed: 2.0 }),
];

/// One series: how many rows it has, which of them are in windows (first and last row, ascending), and how odd
/// each was called.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    pub windows: &'a [(usize, usize)],
    pub scores: &'a [f64],
}

/// What a detector made of a corpus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// 0: as good as saying nothing; 100: perfect.
    pub score: f64,
    /// Rows from that score on are detections; above 1: none is.
    pub threshold: f64,
    pub windows_found: usize,
    pub false_rows: usize,
}

/// No score is as high.
const NOTHING: f64 = 1.1;
/// Rows at the beginning of a series that do not count: a share of it, and at most so many.
const PROBATION: f64 = 0.15;
const PROBATION_ROWS_MAX: usize = 5_000;

/// Rows at the beginning that do not count.
pub fn probation(rows: usize) -> usize {
    (PROBATION * rows.min(PROBATION_ROWS_MAX) as f64) as usize
}

/// From 1 deep before to -1 far behind: a row's place is measured in widths of its window, negative within it.
fn sigmoid(place: f64) -> f64 {
    if place > 3.0 { -1.0 } else { 2.0 / (1.0 + libm::exp(5.0 * place)) - 1.0 }
}

/// A row that counts.
struct Row {
    score: f64,
    /// What flagging it earns.
    worth: f64,
    /// The window that it is in, counted over the corpus.
    window: Option<usize>,
}

/// The rows of a corpus that count, and how many windows it has.
fn rows(corpus: &[Scored<'_>], profile: Profile) -> (Vec<Row>, usize) {
    let (mut rows, mut windows) = (Vec::new(), 0);
    for series in corpus {
        let probation = probation(series.scores.len());
        let (mut next, mut before) = (0, None);
        for (i, &score) in series.scores.iter().enumerate() {
            while series.windows.get(next).is_some_and(|&(_, last)| last < i) {
                before = Some(series.windows[next]);
                next += 1;
            }
            let inside = series.windows.get(next).filter(|(first, _)| *first <= i);
            if i < probation {
                continue;
            }
            let row = match (inside, before) {
                (Some(&(first, last)), _) => {
                    let place = -((last - i + 1) as f64) / (last - first + 1) as f64;
                    let worth = sigmoid(place) * profile.found / sigmoid(-1.0);
                    Row { score, worth, window: Some(windows + next) }
                }
                (None, Some((first, last))) => {
                    let place = (i - last) as f64 / (last - first) as f64;
                    Row { score, worth: sigmoid(place) * profile.false_row, window: None }
                }
                (None, None) => Row { score, worth: -profile.false_row, window: None },
            };
            rows.push(row);
        }
        windows += series.windows.len();
    }
    (rows, windows)
}

/// The scores at which the sum over a corpus changes, with the sum from there on: from [`NOTHING`] downwards.
fn sweep(corpus: &[Scored<'_>], profile: Profile) -> Vec<(Mark, f64)> {
    let (mut rows, count) = rows(corpus, profile);
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut best: Vec<Option<f64>> = vec![None; count];
    let mut mark = Mark { score: 0.0, threshold: NOTHING, windows_found: 0, false_rows: 0 };
    let mut false_sum = 0.0;
    let mut found_sum = 0.0;
    let mut marks = Vec::new();
    let perfect = count as f64 * profile.found;
    let null = -(count as f64) * profile.missed;
    let mut close = |mark: &mut Mark, false_sum: f64, found_sum: f64| {
        let missed = (count - mark.windows_found) as f64 * profile.missed;
        let raw = false_sum + found_sum - missed;
        mark.score = 100.0 * (raw - null) / (perfect - null);
        marks.push((*mark, raw));
    };
    for row in &rows {
        if row.score != mark.threshold {
            close(&mut mark, false_sum, found_sum);
            mark.threshold = row.score;
        }
        match row.window {
            None => {
                mark.false_rows += 1;
                false_sum += row.worth;
            }
            Some(window) => {
                let before = best[window];
                mark.windows_found += usize::from(before.is_none());
                let now = before.map_or(row.worth, |before| before.max(row.worth));
                found_sum += now - before.unwrap_or(0.0);
                best[window] = Some(now);
            }
        }
    }
    close(&mut mark, false_sum, found_sum);
    marks
}

/// What a detector scores on a corpus with the threshold that suits it best; `None` where nothing is labelled.
pub fn best(corpus: &[Scored<'_>], profile: Profile) -> Option<Mark> {
    labelled(corpus)?;
    let marks = sweep(corpus, profile);
    // Of equal ones the first: the highest threshold.
    let first = marks.iter().map(|(_, raw)| *raw).fold(f64::NEG_INFINITY, f64::max);
    marks.iter().find(|(_, raw)| *raw == first).map(|(mark, _)| *mark)
}

/// What it scores with a threshold that was chosen elsewhere.
pub fn at(corpus: &[Scored<'_>], profile: Profile, threshold: f64) -> Option<Mark> {
    labelled(corpus)?;
    let marks = sweep(corpus, profile);
    marks.iter().rev().find(|(mark, _)| mark.threshold >= threshold).or(marks.first()).map(|(mark, _)| *mark)
}

/// With the threshold chosen on every other series and applied to the rest, both ways: what the fitting is worth.
pub fn held_out(corpus: &[Scored<'_>], profile: Profile) -> Option<f64> {
    let half = |odd: usize| -> Vec<Scored<'_>> { corpus.iter().skip(odd).step_by(2).copied().collect() };
    let (even, odd) = (half(0), half(1));
    let [to_odd, to_even] = [best(&even, profile)?.threshold, best(&odd, profile)?.threshold];
    let windows = |half: &[Scored<'_>]| half.iter().map(|series| series.windows.len()).sum::<usize>() as f64;
    let scores = [
        (at(&odd, profile, to_odd)?.score, windows(&odd)),
        (at(&even, profile, to_even)?.score, windows(&even)),
    ];
    Some(
        scores.iter().map(|(score, weight)| score * weight).sum::<f64>()
            / scores.iter().map(|(_, weight)| weight).sum::<f64>(),
    )
}

fn labelled(corpus: &[Scored<'_>]) -> Option<()> {
    corpus.iter().any(|series| !series.windows.is_empty()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Profile = PROFILES[0].2;

    fn score(windows: &[(usize, usize)], scores: &[f64], profile: Profile) -> f64 {
        best(&[Scored { windows, scores }], profile).unwrap().score
    }

    /// A hundred rows, of which those named score that.
    fn rows_with(scores: &[(usize, f64)]) -> Vec<f64> {
        let mut rows = vec![0.0; 100];
        scores.iter().for_each(|&(row, score)| rows[row] = score);
        rows
    }

    fn assert_near(is: f64, expected: f64) {
        assert!((is - expected).abs() < 1e-9, "{is} is not {expected}");
    }

    #[test]
    fn saying_nothing_is_worth_nothing_and_perfection_a_hundred() {
        let windows = [(30, 39), (60, 79)];
        for (_, _, profile) in PROFILES {
            // One score for all says nothing: in a long series it is worse to flag all of it.
            assert_near(score(&[(900, 909), (2_000, 2_019)], &[0.5; 3_000], profile), 0.0);
            assert_near(score(&windows, &rows_with(&[(30, 1.0), (60, 0.9)]), profile), 100.0);
        }
    }

    /// The sums that the rules give, worked out by hand.
    #[test]
    fn sums_are_those_of_the_rules() {
        let sig = |place: f64| 2.0 / (1.0 + libm::exp(5.0 * place)) - 1.0;
        let windows = [(30, 39), (60, 79)];
        // The fifth of ten rows: six widths of a row before the right edge.
        let late = rows_with(&[(34, 1.0)]);
        assert_near(score(&windows, &late, STANDARD), 100.0 * (1.0 + sig(-0.6) / sig(-1.0)) / 4.0);
        // Two rows of one window count as the better; the other window is missed.
        let twice = rows_with(&[(34, 1.0), (30, 1.0), (39, 1.0)]);
        assert_near(score(&windows, &twice, STANDARD), 50.0);
        // A false row before any window costs all, one behind a window by how far: five rows by nine.
        let before = rows_with(&[(30, 1.0), (60, 1.0), (20, 1.0)]);
        assert_near(score(&windows, &before, STANDARD), 100.0 * (4.0 - 0.11) / 4.0);
        let behind = rows_with(&[(30, 1.0), (60, 1.0), (44, 1.0)]);
        assert_near(score(&windows, &behind, STANDARD), 100.0 * (4.0 + 0.11 * sig(5.0 / 9.0)) / 4.0);
        let low_fp = PROFILES[1].2;
        assert_near(score(&windows, &behind, low_fp), 100.0 * (4.0 + 0.22 * sig(5.0 / 9.0)) / 4.0);
        // Far behind a window it costs all again.
        let far = rows_with(&[(30, 1.0), (60, 1.0), (59, 1.0)]);
        assert_near(score(&windows, &far, STANDARD), 100.0 * (4.0 + 0.11 * sig(20.0 / 9.0)) / 4.0);
        let narrow = [(30, 33), (60, 79)];
        assert_near(score(&narrow, &far, STANDARD), 100.0 * (4.0 - 0.11) / 4.0);
        // With a missed window at two, nothing is at -4, perfection at 2.
        let low_fn = PROFILES[2].2;
        assert_near(score(&windows, &late, low_fn), 100.0 * (2.0 + sig(-0.6) / sig(-1.0)) / 6.0);
    }

    #[test]
    fn the_beginning_does_not_count() {
        let windows = [(30, 39)];
        assert_eq!([probation(100), probation(1_127), probation(20_000)], [15, 169, 750]);
        assert_near(score(&windows, &rows_with(&[(30, 1.0), (14, 1.0)]), STANDARD), 100.0);
        assert!(score(&windows, &rows_with(&[(30, 1.0), (15, 1.0)]), STANDARD) < 100.0);
    }

    #[test]
    fn one_threshold_holds_for_all() {
        let windows = [(30, 39)];
        // What finds the window of the second series flags three rows of the first.
        let noisy = rows_with(&[(20, 0.6), (21, 0.6), (22, 0.6)]);
        let faint = rows_with(&[(30, 0.5)]);
        let corpus = [Scored { windows: &[], scores: &noisy }, Scored { windows: &windows, scores: &faint }];
        let mark = best(&corpus, STANDARD).unwrap();
        assert_near(mark.score, 100.0 * (2.0 - 0.33) / 2.0);
        assert_eq!((mark.threshold, mark.windows_found, mark.false_rows), (0.5, 1, 3));
        let strict = at(&corpus, STANDARD, 0.55).unwrap();
        assert_near(strict.score, 100.0 * -0.33 / 2.0);
        assert_eq!((strict.windows_found, strict.false_rows), (0, 3));
        assert_near(at(&corpus, STANDARD, 0.7).unwrap().score, 0.0);
    }

    #[test]
    fn without_labels_there_is_no_score() {
        assert_eq!(best(&[Scored { windows: &[], scores: &[1.0, 0.0] }], STANDARD), None);
        assert_eq!(held_out(&[], STANDARD), None);
    }

    #[test]
    fn what_is_held_out_is_judged_by_the_threshold_of_the_others() {
        let windows = [(30, 39)];
        let [loud, faint] = [0.9, 0.4].map(|score| rows_with(&[(30, score), (20, 0.3)]));
        let corpus =
            [Scored { windows: &windows, scores: &loud }, Scored { windows: &windows, scores: &faint }];
        // From the loud one 0.9 is learned, and misses the faint one; from that 0.4, which finds the loud one.
        assert_near(held_out(&corpus, STANDARD).unwrap(), 50.0);
    }
}
