//! Going through the crash points: which is armed next in which server, and how often each was hit.

use std::collections::BTreeMap;

use crate::carriers::Carriers;
use crate::chance::Chance;
use crate::client;
use crate::database::Database;

pub struct Crashes {
    /// By point: how often it was hit.
    pub hits: BTreeMap<&'static str, u64>,
    pub wanted: u64,
}

/// Where only a carrier comes by that is given audio apart from the message, and that calls back ...
const OF_VENDORS: [&str; 2] = ["given.", "callback."];
/// ... and one that can be asked, which none of the vendors here can.
const OF_QUESTIONS: [&str; 2] = ["ask.", "answer."];

impl Crashes {
    pub fn new(database: Database, carriers: Carriers, wanted: u64) -> Crashes {
        // Leases are ended at the start only where no other process can hold one.
        let is_of_database =
            |name: &&str| database == Database::Sqlite || !begins(name, &["leases."]);
        let (of_client, of_others): (&[_], &[_]) = match carriers {
            Carriers::Recorded => (&client::POINTS, &OF_VENDORS),
            Carriers::Vendors => (&[], &OF_QUESTIONS),
        };
        let of_product = ringless::crash::POINTS.into_iter();
        let points = of_product.chain(of_client.iter().copied());
        let points = points.filter(is_of_database);
        let points = points.filter(|name| !begins(name, of_others));
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
        let is_rare = begins(name, &["migrate.", "leases.", "upload.", "given.", "sign."]);
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
    let is_of_api = begins(name, &["accept.", "upload.", "callback."]);
    if is_of_api { is_api } else { is_worker }
}
