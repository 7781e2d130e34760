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

impl Crashes {
    pub fn new(database: Database, wanted: u64) -> Crashes {
        // Leases are ended at the start only where no other process can hold one.
        let is_here = |name: &&str| database == Database::Sqlite || !name.starts_with("leases.");
        let points = ringless::crash::POINTS.into_iter().chain(client::POINTS);
        Crashes {
            hits: points.filter(is_here).map(|name| (name, 0)).collect(),
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
        let is_once_a_start = ["migrate.", "leases."]
            .iter()
            .any(|start| name.starts_with(start));
        let nth = match is_once_a_start {
            true => 1,
            false if name.starts_with("upload.") || name.starts_with("sign.") => 1,
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

fn comes_by(name: &str, is_api: bool, is_worker: bool) -> bool {
    if name.starts_with("migrate.") {
        return true;
    }
    let is_of_api = name.starts_with("accept.") || name.starts_with("upload.");
    if is_of_api { is_api } else { is_worker }
}
