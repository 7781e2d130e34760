//! Which faults come when, drawn from the seed before anything runs.

use std::time::Duration;

use crate::chance::Chance;
use crate::server::LEASE;

/// A way that a server's bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Carrier,
    Postgres,
    /// Where carriers call back and fetch audio.
    Door,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Server(usize),
    Carrier,
    Postgres,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9, and a new start after a while.
    Kill(Who, Duration),
    /// SIGTERM, and a new start when it has ended.
    Terminate(usize),
    /// SIGSTOP, and SIGCONT after a while.
    Freeze(usize, Duration),
    /// Each piece comes later by the first time, for the second one.
    Slow(usize, Link, Duration, Duration),
    /// Of a thousand pieces so many cut their connection, for a while.
    Ragged(usize, Link, u64, Duration),
    /// Nothing goes through for a while.
    Hold(usize, Link, Duration),
    /// Every open connection is cut.
    Cut(usize, Link),
}

/// What there is to break: the workers' indexes come first.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub servers: usize,
    pub workers: usize,
    pub has_postgres: bool,
    /// Vendors, to each of which all servers have one way, and who have a door to all servers.
    pub vendors: usize,
}

/// Faults with the wait before each, until so many were kill -9.
pub fn draw(seed: u64, kills: u64, shape: Shape) -> Vec<(Duration, Fault)> {
    let mut chance = Chance::new(seed, 1);
    let mut plan = Vec::new();
    let mut killed = 0;
    // One process does all the work on SQLite, so it gets longer to do some.
    let pause_ms = if shape.has_postgres {
        (150, 700)
    } else {
        (500, 1_200)
    };
    while killed < kills {
        let fault = one(&mut chance, shape);
        killed += u64::from(matches!(fault, Fault::Kill(..)));
        plan.push((chance.millis(pause_ms.0, pause_ms.1), fault));
    }
    plan
}

fn one(chance: &mut Chance, shape: Shape) -> Fault {
    let server = chance.below(shape.servers);
    let worker = chance.below(shape.workers);
    let down = chance.millis(0, 600);
    let link = match shape.has_postgres && chance.percent(60) {
        true => Link::Postgres,
        false => Link::Carrier,
    };
    let at = match link {
        Link::Postgres => server,
        Link::Carrier | Link::Door => worker,
    };
    let (link, at) = match link {
        Link::Carrier if shape.vendors > 0 => match chance.below(shape.vendors + 1) {
            at if at < shape.vendors => (Link::Carrier, at),
            _ => (Link::Door, 0),
        },
        link => (link, at),
    };
    match chance.between(0, 100) {
        0..9 => Fault::Kill(Who::Carrier, down),
        9..18 if shape.has_postgres => Fault::Kill(Who::Postgres, down),
        9..65 => Fault::Kill(Who::Server(server), down),
        65..70 => Fault::Terminate(server),
        70..76 => Fault::Freeze(worker, LEASE + chance.millis(500, 2_500)),
        76..83 => Fault::Slow(at, link, chance.millis(20, 300), chance.millis(500, 2_500)),
        83..90 => Fault::Ragged(at, link, chance.between(10, 80), chance.millis(500, 2_500)),
        90..94 => Fault::Hold(at, link, chance.millis(200, 2_500)),
        _ => Fault::Cut(at, link),
    }
}
