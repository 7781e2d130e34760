//! The end of a run: everything runs again, undisturbed, until nothing more is to come.

use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::process::Signal;

use crate::carriers::{Carriers, NO_WORD_DEADLINE_SECONDS};
use crate::crashes::Crashes;
use crate::database::Place;
use crate::played;
use crate::process::until;
use crate::proxy::Proxy;
use crate::stage::{Stage, Undo};

impl Stage {
    /// Everything runs again, and nothing is done to it any more.
    pub async fn calm(&mut self) -> anyhow::Result<Option<Crashes>> {
        let crashes = self.crashes.take();
        for (_, undo) in std::mem::take(&mut self.undo) {
            if let Undo::Thaw(at) = undo {
                self.servers[at].process.signal(Signal::CONT)?;
            }
        }
        self.calm_carrier()?;
        if let Some(postgres) = &mut self.postgres {
            self.postgres_start_at = None;
            if !postgres.is_running() {
                postgres.begin()?;
            }
            if !until(Duration::from_secs(30), async || postgres.answers()).await {
                bail!("Postgres does not come back");
            }
        }
        let to_postgres = self.servers.iter().flat_map(|server| &server.to_postgres);
        to_postgres
            .chain(&self.ways)
            .chain(&self.door)
            .for_each(Proxy::calm);
        if self.set.carriers == Carriers::Vendors {
            self.hasten()?;
        }
        for server in &mut self.servers {
            // One that is still armed would die later.
            if server.armed.take().is_some() {
                server.process.kill()?;
                server.start_at = Some(Instant::now());
            }
        }
        // Those that are ending or starting are waited for.
        let settled = Instant::now() + Duration::from_secs(40);
        while self
            .servers
            .iter()
            .any(|s| s.is_stopping || !s.process.is_running())
        {
            if Instant::now() > settled {
                bail!("a server does not come back");
            }
            self.run_for(Duration::from_millis(50)).await?;
        }
        Ok(crashes)
    }

    /// What waits by the clock alone waits no longer: breakers for up to five minutes, and callbacks that
    /// were kept and not read for one.
    fn hasten(&mut self) -> anyhow::Result<()> {
        self.while_nobody_runs(|database| {
            database.make_trials_due()?;
            database.age_unread()
        })
    }

    /// Vendors have said all that they had to say, so what is SENT now waits for a word that was lost. It
    /// has waited long enough.
    pub fn end_the_wait(&mut self) -> anyhow::Result<()> {
        self.while_nobody_runs(|database| database.age_sent(NO_WORD_DEADLINE_SECONDS))
    }

    /// The servers are killed for it: nobody else may write to SQLite's file while one runs. They start
    /// again by themselves, and look first at what was left over.
    fn while_nobody_runs(
        &mut self,
        act: impl FnOnce(Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for server in &mut self.servers {
            server.process.kill()?;
            (server.armed, server.is_stopping) = (None, false);
            server.start_at = Some(Instant::now());
        }
        act(self.database())
    }

    /// Everything that vendors had to say has been said, and read.
    pub fn is_all_heard(&self) -> anyhow::Result<bool> {
        if self.set.carriers == Carriers::Recorded {
            return Ok(true);
        }
        Ok(self.database().unread()? == 0 && played::unsaid(self.folder.path())? == 0)
    }

    /// The carriers are gone for good, and their records can be read.
    pub fn end_carriers(&mut self) -> anyhow::Result<()> {
        self.carrier_start_at = None;
        self.carrier.kill()
    }
}
