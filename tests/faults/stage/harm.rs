//! What is done to the processes of a stage, and how it is undone: faults, starts anew, and the ends
//! that no fault explains.

use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::process::Signal;

use super::Stage;
use crate::carriers::Carriers;
use crate::plan::{Fault, Link, Who};
use crate::process::{Ended, could_not_start, is_end_of_a_stop};
use crate::proxy::Proxy;

/// An armed process that has not come by its point after this long is killed all the same.
const ARMED_FOR: Duration = Duration::from_secs(12);
/// A start that failed is tried again after this.
const START_PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy)]
pub enum Undo {
    Thaw(usize),
    Calm(usize, Link),
}

impl Stage {
    pub async fn apply(&mut self, fault: Fault) -> anyhow::Result<()> {
        let now = Instant::now();
        match fault {
            Fault::Kill(Who::Server(at), down) => {
                let server = &mut self.servers[at];
                let what = match (server.is_api, server.is_worker) {
                    (true, true) => "kill -9 server",
                    (true, false) => "kill -9 api",
                    _ => "kill -9 worker",
                };
                server.process.kill()?;
                server.start_at = Some(now + down);
                (server.armed, server.is_stopping) = (None, false);
                self.count(what);
            }
            Fault::Kill(Who::Carrier, down) => {
                self.carrier.kill()?;
                self.carrier_start_at = Some(now + down);
                if self.set.carriers == Carriers::Vendors {
                    self.ways.iter().for_each(|way| way.refuse(true));
                }
                self.count("kill -9 carrier");
            }
            Fault::Kill(Who::Postgres, down) => {
                if let Some(postgres) = &mut self.postgres {
                    postgres.kill().await?;
                    self.postgres_start_at = Some(now + down);
                    self.count("kill -9 Postgres");
                }
            }
            Fault::Terminate(at) => {
                let server = &mut self.servers[at];
                if server.process.is_running() && !server.is_stopping {
                    server.process.signal(Signal::TERM)?;
                    server.is_stopping = true;
                    self.count("SIGTERM");
                }
            }
            Fault::Freeze(at, length) => {
                self.servers[at].process.signal(Signal::STOP)?;
                self.undo.push((now + length, Undo::Thaw(at)));
                self.count("SIGSTOP beyond the lease");
            }
            Fault::Slow(at, link, latency, length) => {
                self.link(at, link, |proxy| proxy.latency(latency));
                self.undo.push((now + length, Undo::Calm(at, link)));
                self.count("slow connections");
            }
            Fault::Ragged(at, link, permille, length) => {
                self.link(at, link, |proxy| proxy.cut_permille(permille));
                self.undo.push((now + length, Undo::Calm(at, link)));
                self.count("ragged connections");
            }
            Fault::Hold(at, link, length) => {
                self.link(at, link, |proxy| proxy.hold(true));
                self.undo.push((now + length, Undo::Calm(at, link)));
                self.count("partition");
            }
            Fault::Cut(at, link) => {
                self.link(at, link, Proxy::cut);
                self.count("all connections cut");
            }
        }
        Ok(())
    }

    pub fn link(&self, at: usize, link: Link, act: impl Fn(&Proxy)) {
        match link {
            Link::Carrier => act(&self.ways[at]),
            Link::Postgres => self.servers[at].to_postgres.iter().for_each(act),
            Link::Door => self.door.iter().for_each(act),
        }
    }

    /// Brings back what has to come back by now, and looks at who has ended.
    pub async fn mend(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.undo = later;
        let due: Vec<(Instant, Undo)> = due;
        for (_, undo) in due {
            match undo {
                Undo::Thaw(at) => self.servers[at].process.signal(Signal::CONT)?,
                Undo::Calm(at, link) => self.link(at, link, Proxy::calm),
            }
        }
        if self.carrier_start_at.is_some_and(|at| at <= now) {
            self.start_carrier()?;
        }
        if let Some(ended) = self.carrier.ended()? {
            bail!(
                "the carrier ended by itself: {ended:?}\n{}",
                self.carrier.last_words()
            );
        }
        if self.postgres_start_at.is_some_and(|at| at <= now)
            && let Some(postgres) = &mut self.postgres
        {
            self.postgres_start_at = None;
            postgres.begin()?;
        }
        if let Some(postgres) = &mut self.postgres
            && postgres.has_ended()?
        {
            // Something of the killed one was in its way; the next start finds it gone.
            self.postgres_start_at = Some(now + START_PAUSE);
        }
        for at in 0..self.servers.len() {
            self.mend_server(at, now)?;
        }
        Ok(())
    }

    fn mend_server(&mut self, at: usize, now: Instant) -> anyhow::Result<()> {
        if let Some(ended) = self.servers[at].process.ended()? {
            self.note_end(at, ended, now);
        }
        let place = self.database();
        let server = &mut self.servers[at];
        if let Some((_, since)) = server.armed
            && since + ARMED_FOR < now
        {
            // It does not come by there just now; another point may do better.
            server.process.kill()?;
            (server.armed, server.start_at) = (None, Some(now));
        }
        if server.start_at.is_some_and(|at| at <= now) && !server.process.is_running() {
            server.start_at = None;
            let next = self.crashes.as_mut().and_then(|crashes| {
                crashes.next(server.is_api, server.is_worker, &mut self.chance)
            });
            server.armed = next.map(|(name, _)| (name, now));
            // One process makes all the calls on SQLite, and the same breaker keeps it from the next sign
            // for up to five minutes. So its trials are made due in between.
            if self.postgres.is_none() && next.is_some_and(|(name, _)| name.starts_with("sign.")) {
                place.make_trials_due()?;
            }
            let armed = next.map(|(name, nth)| format!("{name}:{nth}"));
            server.process.start(armed.as_deref())?;
        }
        Ok(())
    }

    fn note_end(&mut self, at: usize, ended: Ended, now: Instant) {
        let server = &mut self.servers[at];
        let (armed, is_stopping) = (server.armed.take(), server.is_stopping);
        server.is_stopping = false;
        server.start_at = Some(now);
        match (ended, armed) {
            (Ended::Crashed, Some((name, _))) => {
                if let Some(crashes) = &mut self.crashes {
                    crashes.hit(name);
                }
                self.count("crash point");
            }
            (Ended::Otherwise(status), _) if is_stopping && is_end_of_a_stop(status) => {}
            (Ended::Otherwise(_), _) if could_not_start(&server.process) => {
                server.start_at = Some(now + START_PAUSE);
                self.count("start refused, the database was away");
            }
            (ended, _) => {
                let text = format!(
                    "{} ended: {ended:?}\n{}",
                    server.process.name,
                    server.process.last_words()
                );
                self.wrong.push(text);
            }
        }
    }
}
