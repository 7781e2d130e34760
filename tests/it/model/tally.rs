//! What histories came by: to see that they go everywhere, and how much they did.

use std::collections::BTreeMap;

use ringless::domain::attempt::OutcomeKind;
use ringless::domain::status::Status;
use ringless::ops::deliver::Recorded;

use super::carriers::Truth;
use super::stage::Row;

#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub histories: usize,
    /// Voicemails by how they ended.
    pub ends: BTreeMap<Status, usize>,
    pub attempts: BTreeMap<&'static str, usize>,
    pub calls: usize,
    pub questions: usize,
    /// Words that carriers said by themselves.
    pub words: usize,
    pub drops: usize,
    /// Dropped twice by a call that nobody could hold back.
    pub doubles_beyond_us: usize,
    /// Calls that began after their lease.
    pub late_calls: usize,
    /// Answers that came after the lease, and those that contradicted what stood there.
    pub late_answers: usize,
    pub contradictions: usize,
    pub repeated_records: usize,
    pub jumps: usize,
}

impl Tally {
    pub fn recorded(&mut self, recorded: &Recorded) {
        match recorded {
            Recorded::Moved(_) => {}
            Recorded::Again => self.repeated_records += 1,
            Recorded::Late { contradicts } => {
                self.late_answers += 1;
                self.contradictions += usize::from(*contradicts);
            }
        }
    }

    pub fn ended(&mut self, rows: &[Row], truth: &Truth) {
        self.histories += 1;
        self.calls += truth.calls;
        self.questions += truth.questions;
        self.words += truth.words;
        for (voicemail, row) in rows.iter().enumerate() {
            *self.ends.entry(row.delivery.status).or_default() += 1;
            for attempt in &row.attempts {
                let outcome = attempt.outcome.map_or("none", OutcomeKind::as_str);
                *self.attempts.entry(outcome).or_default() += 1;
            }
            let drops = truth.drops(voicemail);
            self.drops += drops;
            self.doubles_beyond_us += usize::from(drops > 1);
        }
    }

    pub fn add(&mut self, other: &Tally) {
        self.histories += other.histories;
        for (status, count) in &other.ends {
            *self.ends.entry(*status).or_default() += count;
        }
        for (outcome, count) in &other.attempts {
            *self.attempts.entry(outcome).or_default() += count;
        }
        self.calls += other.calls;
        self.questions += other.questions;
        self.words += other.words;
        self.drops += other.drops;
        self.doubles_beyond_us += other.doubles_beyond_us;
        self.late_calls += other.late_calls;
        self.late_answers += other.late_answers;
        self.contradictions += other.contradictions;
        self.repeated_records += other.repeated_records;
        self.jumps += other.jumps;
    }
}
