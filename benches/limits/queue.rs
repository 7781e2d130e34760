//! A database of ours, with voicemails that wait in it.

use anyhow::ensure;
use tokio::task::block_in_place;

use crate::carrier::{Book, Calls};
use crate::database::{Database, Engine};
use crate::process::ProcessArgs;
use crate::stage::Client;

pub struct Queue {
    pub database: Database,
}

impl Queue {
    /// With one voicemail that waits for a later day: what others are copies of.
    pub async fn new(engine: Engine) -> anyhow::Result<Queue> {
        let database = Database::new(engine)?;
        let api = ProcessArgs::new("api", &database.url, database.folder.path());
        let running = api.start(Book::Here(Calls::default())).await?;
        let client = Client::connect(&running.grpc_addr().to_string()).await?;
        client.original().await?;
        drop(client);
        running.stop().await?;
        Ok(Queue { database })
    }

    /// With so many that are due, each to another recipient.
    pub async fn filled(engine: Engine, count: usize) -> anyhow::Result<Queue> {
        let queue = Queue::new(engine).await?;
        block_in_place(|| queue.database.copy(count))?;
        settle(&queue.database)?;
        Ok(queue)
    }

    /// Is anything not at an end?
    pub fn is_busy(&self) -> anyhow::Result<bool> {
        // 1 and 2: ACCEPTED and SENDING.
        let busy = "SELECT count(*) FROM \
             (SELECT 1 FROM voicemails WHERE workspace_id = 1 AND status IN (1, 2) LIMIT 1) AS busy";
        block_in_place(|| Ok(self.database.count(busy)? > 0))
    }

    /// Were so many delivered, each by one attempt, and no other begun?
    pub fn check(&self, count: usize) -> anyhow::Result<()> {
        // 4: DELIVERED.
        let once = "SELECT count(*) FROM voicemails WHERE status = 4 AND attempt_count = 1";
        let (once, attempts) = block_in_place(|| {
            let attempts = self.database.count("SELECT count(*) FROM attempts")?;
            anyhow::Ok((self.database.count(once)?, attempts))
        })?;
        ensure!(
            (once, attempts) == (count, count),
            "{count} were handed over, {once} delivered with one attempt, and there are {attempts} attempts"
        );
        Ok(())
    }
}

/// What a server does by and by after many rows were written, done at once, so that none of it falls into what is measured.
pub fn settle(database: &Database) -> anyhow::Result<()> {
    if database.engine == Engine::Postgres {
        let mut line = database.connect()?;
        block_in_place(|| {
            line.run("VACUUM ANALYZE")
                .and_then(|()| line.run("CHECKPOINT"))
        })?;
    }
    Ok(())
}
