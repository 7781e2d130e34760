//! Going through the crash points: which is armed next in which server, and how often each was hit.

use std::collections::BTreeMap;

use crate::chance::Chance;
use crate::client;
use crate::stage::Database;

pub struct Crashes {
    /// By point: how often it was hit.
    pub hits: BTreeMap<&'static str, u64>,
    pub wanted: u64,
}

/// Where only a carrier comes by that is given audio apart from the message, and that calls back.
const OF_VENDORS: [&str; 2] = ["given.", "callback."];

impl Crashes {
    pub fn new(database: Database, wanted: u64) -> Crashes {
        // Leases are ended at the start only where no other process can hold one.
        let is_of_database =
            |name: &&str| database == Database::Sqlite || !begins(name, &["leases."]);
        let is_of_carriers = |name: &&str| !begins(name, &OF_VENDORS);
        let points = ringless::crash::POINTS.into_iter().chain(client::POINTS);
        let points = points.filter(is_of_database).filter(is_of_carriers);
        Crashes {
            hits: points.map(|name| (name, 0)).collect(),
            wanted,
        }
    }

    /// The point that is furthest behind, of those that such a server comes by, and at which passage.
    pub fn next(
        &mut self,
        is_api: bool,
        is_worker: bool,
        chance: &mut Chance,
    ) -> Option<(&'static str, u64)> {
        let mut behind: Vec<(u64, &'static str)> = self
            .hits
            .iter()
            .filter(|(name, hits)| **hits < self.wanted && comes_by(name, is_api, is_worker))
            .map(|(name, hits)| (*hits, *name))
            .collect();
        let least = behind.iter().map(|(hits, _)| *hits).min()?;
        behind.retain(|(hits, _)| *hits == least);
        let (_, name) = behind[chance.below(behind.len())];
        // Those by which a process comes once, and those by which it seldom does.
        let is_rare = begins(name, &["migrate.", "leases.", "upload.", "sign."]);
        let nth = match is_rare {
            true => 1,
            false => chance.between(1, 5),
        };
        Some((name, nth))
    }

    pub fn hit(&mut self, name: &'static str) {
        *self.hits.entry(name).or_default() += 1;
    }

    pub fn is_done(&self) -> bool {
        self.hits.values().all(|hits| *hits >= self.wanted)
    }
}

fn begins(name: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| name.starts_with(start))
}

fn comes_by(name: &str, is_api: bool, is_worker: bool) -> bool {
    if begins(name, &["migrate."]) {
        return true;
    }
    let is_of_api = begins(name, &["accept.", "upload."]);
    if is_of_api { is_api } else { is_worker }
}
