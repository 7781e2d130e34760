//! A history: who plays, and what happens one after the other. It is drawn whole before it is
//! played, and every step means something in every state; so a history from which steps were taken
//! away is a history too, which is how a failing one is made short.

use super::chance::Chance;

#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub seed: u64,
    pub cast: Cast,
    pub steps: Vec<Step>,
}

/// Who plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Cast {
    /// What the carriers `first` and `second` are able to do.
    pub carriers: [Kind; 2],
    /// One voicemail each, which expires after so many seconds.
    pub expire_after: Vec<u64>,
    /// What carriers do after the last step, when time runs on until nothing is due.
    pub ending: Reply,
}

/// What a carrier is able to do about a hand-over in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It knows a key that it has had, for as long as its memory lasts.
    Repeatable,
    /// It can be asked what became of a key.
    Askable,
    Both,
    /// Neither, but it says by itself what became of a key, so its word is waited for.
    CallsBack,
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A worker looks for what is due.
    Claim {
        worker: usize,
        limit: usize,
        commit: Commit,
    },
    /// One of the tasks in somebody's hands takes its next step.
    GoOn {
        hand: usize,
        reply: Reply,
        commit: Commit,
        /// Between the last look at the clock and the call its process stops for a while.
        asleep: bool,
    },
    /// What was recorded once is recorded again.
    TellAgain {
        told: usize,
        commit: Commit,
    },
    /// A task ends in the middle; its worker lives on.
    Die {
        hand: usize,
    },
    /// A worker's process dies with all its tasks.
    Crash {
        worker: usize,
    },
    /// All processes die, and one that owns the database alone begins.
    Restart,
    Wait {
        seconds: u64,
    },
    /// Until the next row is due.
    WaitUntilDue,
    /// The store's clock jumps, while no time passes.
    Jump {
        seconds: i64,
    },
    /// A carrier speaks by itself of a key that it has had.
    Say {
        voicemail: usize,
        key: usize,
        says: Says,
        commit: Commit,
    },
    Cancel {
        voicemail: usize,
        commit: Commit,
    },
    Suspend,
    Resume,
    /// The setup gets other carriers and is approved again.
    SetCarriers {
        carriers: Carriers,
    },
    /// A worker's process is configured with other carriers.
    Configure {
        worker: usize,
        carriers: Carriers,
    },
}

/// What becomes of a unit of work's commit, and what its caller hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Heard,
    /// It is committed, and the caller hears an error.
    Unheard,
    /// The caller hears an error, and nothing is committed.
    RolledBack,
}

/// Told behind the step.
impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Commit::Heard => "",
            Commit::Unheard => " (committed, and not heard)",
            Commit::RolledBack => " (rolled back)",
        })
    }
}

/// How much a carrier says by itself. All of it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// What became of it.
    TheEnd,
    /// It has it.
    ItHasIt,
    /// Something that nobody understands.
    Riddle,
}

/// What a carrier does with a call. A question is answered in the same spirit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Delivers,
    /// It drops the message, and the connection breaks before the answer.
    DropsAndBreaks,
    /// The connection breaks before the carrier has the message.
    Breaks,
    /// It takes it and will know later; it delivers.
    Takes,
    /// It takes it and will know later; the mailbox does not take it.
    TakesInVain,
    /// It takes it, and finds later that our account can't pay: it is never tried.
    TakesUntried,
    TooFast,
    PassingError,
    RefusesRecipient,
    /// It refuses our account, and says nothing about the message.
    RefusesTheWay,
    /// It drops the message and says that it can't know what became of it.
    Shrugs,
}

/// Which of the two carriers, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriers {
    FirstThenSecond,
    SecondThenFirst,
    First,
    Second,
    /// For a worker's configuration only: a setup has at least one.
    None,
}

/// Workers of every history.
pub const WORKERS: usize = 3;
const MOMENTS_MAX: usize = 40;

impl Carriers {
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Carriers::FirstThenSecond => &["first", "second"],
            Carriers::SecondThenFirst => &["second", "first"],
            Carriers::First => &["first"],
            Carriers::Second => &["second"],
            Carriers::None => &[],
        }
    }
}

impl Kind {
    pub fn knows_repeats(self) -> bool {
        matches!(self, Kind::Repeatable | Kind::Both)
    }

    pub fn can_be_asked(self) -> bool {
        matches!(self, Kind::Askable | Kind::Both)
    }
}

impl History {
    pub fn drawn_from(seed: u64) -> History {
        let mut chance = Chance::of(seed);
        let kinds = [
            Kind::Repeatable,
            Kind::Askable,
            Kind::Both,
            Kind::CallsBack,
            Kind::Neither,
        ];
        let voicemails = 1 + chance.below(2);
        let cast = Cast {
            carriers: [chance.one_of(&kinds), chance.one_of(&kinds)],
            expire_after: (0..voicemails)
                .map(|_| chance.weighted(&[(1, 20), (1, 600), (6, 6 * 3_600)]))
                .collect(),
            ending: reply(&mut chance),
        };
        let length = 4 + chance.below(MOMENTS_MAX - 3);
        let steps = (0..length).flat_map(|_| moment(&mut chance)).collect();
        History { seed, cast, steps }
    }
}

/// Mostly one step. What matters most takes several: a lease ends, another worker takes over, and
/// both go on.
fn moment(chance: &mut Chance) -> Vec<Step> {
    if !chance.in_hundred(12) {
        return vec![step(chance)];
    }
    let mut steps = vec![
        Step::Wait { seconds: 61 },
        Step::Claim {
            worker: chance.below(WORKERS),
            limit: 10,
            commit: Commit::Heard,
        },
    ];
    steps.extend((0..chance.below(4)).map(|_| go_on(chance)));
    steps
}

fn step(chance: &mut Chance) -> Step {
    #[derive(Clone, Copy)]
    enum Sort {
        Work,
        Time,
        Trouble,
        People,
    }
    match chance.weighted(&[
        (74, Sort::Work),
        (13, Sort::Time),
        (5, Sort::Trouble),
        (8, Sort::People),
    ]) {
        Sort::Work => work(chance),
        Sort::Time => match chance.below(10) {
            0..=4 => Step::WaitUntilDue,
            5..=8 => Step::Wait {
                // Shorter than a call may take, around the lease, around a carrier's memory, and
                // past the deadline.
                seconds: chance.weighted(&[
                    (3, 1),
                    (2, 12),
                    (1, 20),
                    (1, 59),
                    (6, 61),
                    (1, 600),
                    (1, 2_640),
                    (1, 4_000),
                    (1, 90_000),
                ]),
            },
            _ => Step::Jump {
                seconds: chance.one_of(&[-120, -120, -5, 30, 61, 61, 3_600, 100_000]),
            },
        },
        Sort::Trouble => match chance.below(4) {
            0 | 1 => Step::Die {
                hand: chance.below(4),
            },
            2 => Step::Crash {
                worker: chance.below(WORKERS),
            },
            _ => Step::Restart,
        },
        Sort::People => people(chance),
    }
}

fn work(chance: &mut Chance) -> Step {
    match chance.below(11) {
        0 | 1 => Step::Claim {
            worker: chance.below(WORKERS),
            limit: chance.one_of(&[1, 10]),
            commit: commit(chance),
        },
        2..=8 => go_on(chance),
        9 => Step::Say {
            voicemail: chance.below(2),
            key: chance.below(3),
            says: chance.weighted(&[(5, Says::TheEnd), (2, Says::ItHasIt), (1, Says::Riddle)]),
            commit: commit(chance),
        },
        _ => Step::TellAgain {
            told: chance.below(4),
            commit: commit(chance),
        },
    }
}

fn go_on(chance: &mut Chance) -> Step {
    Step::GoOn {
        hand: chance.below(4),
        reply: reply(chance),
        commit: commit(chance),
        asleep: chance.in_hundred(30),
    }
}

fn people(chance: &mut Chance) -> Step {
    let of_setup = [
        Carriers::FirstThenSecond,
        Carriers::SecondThenFirst,
        Carriers::First,
        Carriers::Second,
    ];
    match chance.below(6) {
        0 => Step::Cancel {
            voicemail: chance.below(2),
            commit: commit(chance),
        },
        1 => Step::Suspend,
        2 => Step::Resume,
        3 => Step::SetCarriers {
            carriers: chance.one_of(&of_setup),
        },
        _ => Step::Configure {
            worker: chance.below(WORKERS),
            carriers: chance.weighted(&[
                (4, Carriers::FirstThenSecond),
                (1, Carriers::First),
                (1, Carriers::Second),
                (1, Carriers::None),
            ]),
        },
    }
}

fn commit(chance: &mut Chance) -> Commit {
    chance.weighted(&[
        (86, Commit::Heard),
        (7, Commit::Unheard),
        (7, Commit::RolledBack),
    ])
}

fn reply(chance: &mut Chance) -> Reply {
    chance.weighted(&[
        (4, Reply::Delivers),
        (5, Reply::DropsAndBreaks),
        (4, Reply::Breaks),
        (3, Reply::Takes),
        (1, Reply::TakesInVain),
        (2, Reply::TakesUntried),
        (2, Reply::TooFast),
        (3, Reply::PassingError),
        (2, Reply::RefusesRecipient),
        (2, Reply::RefusesTheWay),
        (1, Reply::Shrugs),
    ])
}
