//! How long a message takes from the call to the carrier while there is nothing else to do.

use std::time::{Duration, Instant};

use anyhow::Context;
use ringless::clock::Clock;
use ringless::storage::{DatabaseUrl, Listener, Store, StoreOptions};
use tokio::task::block_in_place;

use crate::database::{Database, Engine, Line};
use crate::figures;
use crate::stage::{Plan, Stage};

const ROUNDS: usize = 500;
const WARM_UP: usize = 20;
/// For the worker to find that there is no more, so that the next message meets an idle system.
const PAUSE: Duration = Duration::from_millis(10);

pub async fn run(engine: Engine) -> anyhow::Result<()> {
    figures::title(
        "idle",
        engine.as_str(),
        "from a CreateVoicemail call to the call of the carrier, one at a time",
    );
    one_at_a_time(engine, "one process", "api,worker", &[]).await?;
    if engine == Engine::Postgres {
        one_at_a_time(engine, "api and worker apart", "worker", &["api"]).await?;
    }
    Ok(())
}

async fn one_at_a_time(
    engine: Engine,
    name: &str,
    roles: &str,
    others: &[&str],
) -> anyhow::Result<()> {
    let stage = Stage::start(&Plan {
        engine,
        roles,
        others,
        permits: 16,
        carrier_millis: 0,
    })
    .await?;
    let mut floor = Floor::new(engine).await?;
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    // They take turns, so that a busy machine slows both alike.
    for round in 0..WARM_UP + ROUNDS {
        let bare = floor.measure().await?;
        let client = &stage.client;
        let start = Instant::now();
        let id = client.create(&client.use_case_id, None).await?;
        let time = stage.calls.of(&id).await?.duration_since(start);
        client.until_delivered(&id).await?;
        tokio::time::sleep(PAUSE).await;
        if round >= WARM_UP {
            times.push(time);
            floors.push(bare);
        }
    }
    figures::line(name, &times);
    figures::line(floor.name(), &floors);
    println!(
        "  ratio within a round, median: {:.1}",
        figures::median_ratio(&times, &floors)
    );
    stage.stop().await
}

/// What the database alone takes for the least that has to happen: something is made durable, and somebody hears of it.
struct Floor {
    line: Line,
    listener: Option<Listener>,
    _database: Database,
}

impl Floor {
    async fn new(engine: Engine) -> anyhow::Result<Floor> {
        let database = Database::new(engine)?;
        let mut line = database.connect()?;
        line.run("CREATE TABLE floor (n INTEGER)")?;
        let listener = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let store = Store::open(&StoreOptions {
                    url: DatabaseUrl::parse(&database.url).map_err(anyhow::Error::msg)?,
                    connections: 2,
                    connection_age_max: Duration::from_secs(600),
                    clock: Clock::Database,
                })?;
                let bell = store.bell().context("Postgres has a bell")?;
                Some(bell.listen().await?)
            }
        };
        Ok(Floor {
            line,
            listener,
            _database: database,
        })
    }

    fn name(&self) -> &'static str {
        match self.listener {
            Some(_) => "bare insert, commit, NOTIFY, until heard",
            None => "bare insert and commit",
        }
    }

    async fn measure(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        block_in_place(|| self.line.run("INSERT INTO floor VALUES (1)"))?;
        if let Some(listener) = &mut self.listener {
            block_in_place(|| self.line.run("NOTIFY ringless_wake, 'floor'"))?;
            listener.heard().await?;
        }
        Ok(start.elapsed())
    }
}
