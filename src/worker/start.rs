//! The beginning of a task: what is due is claimed, and what was waiting is begun in the same unit of work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::run::{Runner, locked};
use crate::crash;
use crate::domain::ids::LeaseToken;
use crate::domain::room::Room;
use crate::ops::Result;
use crate::ops::deliver::{self, Claimed, Round, Started, Task};
use crate::ops::error::OpError;
use crate::storage::Error;

/// While there is enough to do, everything that may be due is looked at again after so many times what the last look took, ...
const LOOK_PAUSE_TIMES: u32 = 10;
/// ... but nothing is overlooked for longer than this.
const LOOK_AGAIN_WITHIN: Duration = Duration::from_secs(2);

impl Runner {
    /// Where no other process can hold a lease, those of an earlier one are over.
    pub async fn start(&self) -> Result<()> {
        if !self.store.is_sole_owner() {
            return Ok(());
        }
        let ended = self
            .store
            .write(|tx| {
                let ended = tx.end_all_leases()?;
                Ok::<_, OpError>(crash::after("leases.written", ended))
            })
            .await?;
        crash::point("leases.committed");
        if ended > 0 {
            tracing::info!(rescued = ended, "what an earlier process left is looked at");
        }
        Ok(())
    }

    /// Claims what is due and has room, and begins what was waiting.
    pub async fn start_due(&self, room: Room) -> Result<Started> {
        let (delivering, chance) = (self.delivering.clone(), self.chance);
        let mut round = locked(&self.round).clone();
        let looked_at = Instant::now();
        if looked_at < *locked(&self.next_look) {
            round.go_on();
        }
        let token = LeaseToken::generate();
        // What was begun is known here also where the answer to the commit is lost.
        let begun: Arc<Mutex<Vec<Task>>> = Arc::default();
        let noted = begun.clone();
        let known = room.clone();
        let started = self
            .store
            .write(move |tx| {
                let started =
                    deliver::claim_and_begin(tx, &delivering, &mut round, known, token, chance)?;
                if !started.claimed.is_empty() || !started.begun.is_empty() {
                    crash::point("claim.written");
                }
                if !started.begun.is_empty() {
                    crash::point("begin.written");
                }
                let tasks = started.begun.iter().map(|(task, _)| task.clone());
                locked(&noted).extend(tasks);
                Ok::<_, OpError>((started, round))
            })
            .await;
        let (started, round) = match started {
            Ok(started) => started,
            Err(OpError::Storage(error @ (Error::Unavailable(_) | Error::CommitUnknown(_)))) => {
                let begun = std::mem::take(&mut *locked(&begun));
                for task in begun {
                    self.never_called(&task, Duration::ZERO).await?;
                }
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!(error = %error, "what is due could not be begun together; each is begun alone");
                let claimed = self.claim(room).await?;
                return Ok(Started {
                    claimed,
                    begun: Vec::new(),
                });
            }
        };
        if started.claimed.is_whole {
            let wait = (looked_at.elapsed() * LOOK_PAUSE_TIMES).min(LOOK_AGAIN_WITHIN);
            *locked(&self.next_look) = Instant::now() + wait;
        }
        self.keep_claim(&started.claimed, round);
        if !started.begun.is_empty() {
            crash::point("claim.committed");
            crash::point("begin.committed");
        }
        Ok(started)
    }

    /// Claims what is due and has room; each is begun alone.
    pub async fn claim(&self, room: Room) -> Result<Claimed> {
        let delivering = self.delivering.clone();
        let mut round = locked(&self.round).clone();
        let (claimed, round) = self
            .store
            .write(move |tx| {
                let token = LeaseToken::generate();
                let claimed = deliver::claim(tx, &delivering, &mut round, room, token)?;
                Ok::<_, OpError>((claimed, round))
            })
            .await?;
        self.keep_claim(&claimed, round);
        Ok(claimed)
    }

    /// How long it is until everything is looked at again.
    pub fn until_look(&self) -> Duration {
        locked(&self.next_look).saturating_duration_since(Instant::now())
    }

    fn keep_claim(&self, claimed: &Claimed, round: Round) {
        if !claimed.is_empty() {
            crash::point("claim.committed");
        }
        *locked(&self.round) = round;
        for delivery in &claimed.ended {
            self.note_end(delivery);
        }
    }
}
