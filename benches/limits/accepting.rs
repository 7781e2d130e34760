//! The program accepting, on a database of its own, and what a load costs it.

use std::time::Duration;

use crate::callers::{self, Order, Sends};
use crate::database::{Database, Engine};
use crate::rows::Series;
use crate::servers::Server;
use crate::usage::{self, PostgresServer};

/// The program, with the first setup and use case of an empty database.
pub struct Accepting {
    pub server: Server,
    use_case_id: String,
    audio_id: String,
    postgres: Option<PostgresServer>,
    /// Dropped last: the server has to be gone by then.
    pub database: Database,
}

impl Accepting {
    pub async fn start(engine: Engine) -> anyhow::Result<Accepting> {
        let database = Database::new(engine)?;
        let server = Server::ours(&database)?;
        let (use_case_id, audio_id) = callers::first_use_case(&server.addr).await?;
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(PostgresServer::find(&database.url)?),
        };
        Ok(Accepting {
            server,
            use_case_id,
            audio_id,
            postgres,
            database,
        })
    }

    pub fn order(&self, sends: &Sends) -> Order {
        Order {
            use_case_id: self.use_case_id.clone(),
            audio_id: self.audio_id.clone(),
            sends: sends.clone(),
        }
    }

    /// Sends as fast as can be, and adds what it came to.
    pub async fn measure(
        &self,
        sends: &Sends,
        time: Duration,
        figures: &mut Figures,
    ) -> anyhow::Result<usize> {
        let order = self.order(sends);
        figures
            .measure(&self.server, self.postgres.as_ref(), &order, time)
            .await
    }
}

/// Figures of one server, round by round.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Calls a second.
    pub rate: Series,
    /// Milliseconds of the server's processor time, a call.
    pub cpu: Series,
    /// The same of Postgres, where there is one.
    pub postgres_cpu: Series,
}

impl Figures {
    /// A round: sends as fast as can be, and says how many calls that were.
    pub async fn measure(
        &mut self,
        server: &Server,
        postgres: Option<&PostgresServer>,
        order: &Order,
        time: Duration,
    ) -> anyhow::Result<usize> {
        let of_postgres = || postgres.map(PostgresServer::cpu).transpose();
        let (cpu, postgres_cpu) = (usage::cpu(server.id())?, of_postgres()?);
        let sent = callers::as_fast_as_can_be(&server.addr, order, time).await?;
        let millis_a_call = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e3 / sent.calls as f64
        };
        self.rate.push(sent.per_second());
        self.cpu.push(millis_a_call(cpu, usage::cpu(server.id())?));
        if let Some((before, after)) = postgres_cpu.zip(of_postgres()?) {
            self.postgres_cpu.push(millis_a_call(before, after));
        }
        Ok(sent.calls)
    }
}
