//! What was measured, and the table that docs/benchmarks.md holds.

use std::fmt::Write;

/// Figures of rounds, in the order in which they were taken.
#[derive(Debug, Clone, Default)]
pub struct Series(pub Vec<f64>);

impl Series {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub fn least(&self) -> f64 {
        self.at(0.0)
    }

    pub fn greatest(&self) -> f64 {
        self.at(1.0)
    }

    /// The latest.
    pub fn last(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The value that this share of all are at most, by nearest rank.
    pub fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize - 1;
        sorted.get(rank).copied().unwrap_or(f64::NAN)
    }

    /// Of each round, this one over that one's.
    pub fn over(&self, other: &Series) -> Series {
        Series(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

/// What is wanted of a row's decisive figure.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    /// At most so many times the contender's, and so much in its unit on top.
    AtMostAndMore {
        times: f64,
        more: f64,
    },
    /// At most so much in its unit, whatever the contender's is.
    OursAtMost(f64),
    /// Printed for the reader, and held against nothing.
    Nothing,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Such as `P1`.
    pub id: &'static str,
    /// What, on which database.
    pub what: String,
    /// Ours, with its unit.
    pub ours: Series,
    pub unit: &'static str,
    /// The contender's of the same rounds, and what it is; none: it is held against a bound of its own.
    pub beside: Option<(&'static str, Series)>,
    /// What is held against `wanted`: the ratio within a round, where there is a contender, else ours.
    pub wanted: Wanted,
}

impl Row {
    /// The figures that are held against what is wanted.
    pub fn decisive(&self) -> Series {
        match &self.beside {
            Some((_, beside)) => self.ours.over(beside),
            None => self.ours.clone(),
        }
    }

    /// The ratio of each round, with so much of ours forgiven.
    fn ratio_without(&self, forgiven: f64) -> Series {
        let ours = Series(self.ours.0.iter().map(|ours| ours - forgiven).collect());
        match &self.beside {
            Some((_, beside)) => ours.over(beside),
            None => ours,
        }
    }

    fn verdict(&self) -> String {
        let reached = self.decisive().median();
        let (wanted, is_reached) = match self.wanted {
            Wanted::Nothing => return String::new(),
            Wanted::AtMost(most) => (format!("<= {most}"), reached <= most),
            Wanted::AtLeast(least) => (format!(">= {least}"), reached >= least),
            Wanted::AtMostAndMore { times, more } => (
                format!("<= {times} times and {more} {}", self.unit),
                self.ratio_without(more).median() <= times,
            ),
            Wanted::OursAtMost(most) => (
                format!("<= {most} {}", self.unit),
                self.ours.median() <= most,
            ),
        };
        match is_reached {
            true => format!("{wanted}: reached"),
            false => format!("{wanted}: **not reached**"),
        }
    }
}

/// Median, and the least and the greatest behind it.
fn spread(series: &Series) -> String {
    let (median, least, greatest) = (series.median(), series.least(), series.greatest());
    let digits = match median.abs() {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        x if x >= 0.1 => 3,
        _ => 5,
    };
    format!("{median:.digits$} ({least:.digits$} to {greatest:.digits$})")
}

/// The table, as Markdown.
pub fn print(rows: &[Row]) {
    let mut text = String::from(
        "\n| row | measured | ours | beside it | ratio | wanted |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let beside = match &row.beside {
            Some((name, series)) => format!("{name}: {}", spread(series)),
            None => String::new(),
        };
        let ratio = match &row.beside {
            Some(_) => spread(&row.decisive()),
            None => String::new(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} {} | {beside} | {ratio} | {} |",
            row.id,
            row.what,
            spread(&row.ours),
            row.unit,
            row.verdict(),
        );
    }
    println!("{text}");
}
