//! The stage: every process of a run, what is being done to them, and what came of it.

mod harm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
pub use harm::Undo;

use crate::carriers::{self, Carriers};
use crate::chance::Chance;
use crate::crashes::Crashes;
use crate::database::{Database, Place};
use crate::load::Apis;
use crate::plan::{Fault, Shape, Who};
use crate::postgres::Postgres;
use crate::process::{Process, free_port, until};
use crate::proxy::Proxy;

/// Where the Postgres programs are, and who may run them.
#[derive(Debug, Clone)]
pub struct PostgresPlace {
    pub bin: PathBuf,
    pub user: Option<String>,
}

/// A server to be.
struct Part {
    name: String,
    is_api: bool,
    is_worker: bool,
    http_port: u16,
}

impl Part {
    fn new(name: String, is_api: bool, is_worker: bool) -> anyhow::Result<Part> {
        Ok(Part {
            name,
            is_api,
            is_worker,
            http_port: free_port()?,
        })
    }
}

/// What a stage is built by.
#[derive(Debug, Clone)]
pub struct Set {
    pub seed: u64,
    pub database: Database,
    pub carriers: Carriers,
    pub postgres: Option<PostgresPlace>,
    pub workers: usize,
    pub apis: usize,
    pub lies: bool,
    /// The carrier's own faults.
    pub rough: bool,
    /// The carrier waits so long between its record and its answer.
    pub hold: Duration,
}

pub struct Server {
    pub process: Process,
    pub is_api: bool,
    pub is_worker: bool,
    grpc_port: u16,
    pub to_postgres: Option<Proxy>,
    /// When it is to be started; never, where nothing is said and it does not run.
    pub start_at: Option<Instant>,
    pub armed: Option<(&'static str, Instant)>,
    pub is_stopping: bool,
}

pub struct Stage {
    pub set: Set,
    pub servers: Vec<Server>,
    /// Ways to the carriers: each server's own to the recording carrier, or one to each vendor for all.
    pub ways: Vec<Proxy>,
    /// Where vendors reach those servers that take calls: a load balancer.
    pub door: Option<Proxy>,
    pub carrier: Process,
    carrier_ports: Vec<u16>,
    pub carrier_start_at: Option<Instant>,
    pub postgres: Option<Postgres>,
    pub postgres_start_at: Option<Instant>,
    pub undo: Vec<(Instant, Undo)>,
    /// The crash points that are being gone through.
    pub crashes: Option<Crashes>,
    chance: Chance,
    /// How often each thing was done.
    pub done: BTreeMap<&'static str, u64>,
    /// What no fault explains.
    pub wrong: Vec<String>,
    /// Logs and records. Dropped last, when nobody writes there any more.
    pub folder: tempfile::TempDir,
}

/// The carrier is away for so long where its failing is waited for.
const CARRIER_AWAY: Duration = Duration::from_millis(1_500);

impl Stage {
    pub async fn build(set: &Set) -> anyhow::Result<Stage> {
        let folder = tempfile::Builder::new()
            .prefix("ringless-faults.")
            .tempdir()?;
        let logs = folder.path().to_owned();
        let carrier_ports = vec![free_port()?, free_port()?];
        let carrier = carrier(set, &logs, &carrier_ports, set.rough)?;
        let postgres = match (set.database, &set.postgres) {
            (Database::Sqlite, _) => None,
            (Database::Postgres, Some(place)) => {
                Some(Postgres::start(&place.bin, place.user.as_deref(), &logs).await?)
            }
            (Database::Postgres, None) => bail!("give --postgres-bin, or run scripts/faults"),
        };
        let mut stage = Stage {
            set: set.clone(),
            folder,
            servers: Vec::new(),
            ways: Vec::new(),
            door: None,
            carrier,
            carrier_ports,
            carrier_start_at: None,
            postgres,
            postgres_start_at: None,
            undo: Vec::new(),
            crashes: None,
            chance: Chance::new(set.seed, 2),
            done: BTreeMap::new(),
            wrong: Vec::new(),
        };
        let names = |kind: &'static str, count| (1..=count).map(move |n| format!("{kind}-{n}"));
        let parts: Vec<Part> = match set.database {
            Database::Sqlite => vec![Part::new("server".to_owned(), true, true)?],
            Database::Postgres => {
                let workers = names("worker", set.workers).map(|name| Part::new(name, false, true));
                let apis = names("api", set.apis).map(|name| Part::new(name, true, false));
                workers.chain(apis).collect::<anyhow::Result<_>>()?
            }
        };
        if set.carriers == Carriers::Vendors {
            stage.open_door(&parts).await?;
        }
        for part in parts {
            stage.add(part).await?;
        }
        stage.start_carrier()?;
        Ok(stage)
    }

    /// The ways between vendors and servers, and the configuration that names them.
    async fn open_door(&mut self, parts: &[Part]) -> anyhow::Result<()> {
        let seed = self.set.seed;
        for port in &self.carrier_ports {
            self.ways.push(Proxy::start(&[*port], seed).await?);
        }
        let apis = parts.iter().filter(|part| part.is_api);
        let http_ports: Vec<u16> = apis.map(|part| part.http_port).collect();
        let door = Proxy::start(&http_ports, seed).await?;
        let ways: Vec<u16> = self.ways.iter().map(|way| way.port).collect();
        carriers::write_settings(self.folder.path(), door.port, &ways)?;
        self.door = Some(door);
        Ok(())
    }

    async fn add(&mut self, part: Part) -> anyhow::Result<()> {
        let seed = self.set.seed;
        let to_postgres = match &self.postgres {
            Some(postgres) => Some(Proxy::start(&[postgres.port], seed).await?),
            None => None,
        };
        let url = match &to_postgres {
            Some(proxy) => format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port),
            None => format!("sqlite://{}", self.sqlite_file().display()),
        };
        let roles = match (part.is_api, part.is_worker) {
            (true, true) => "api,worker",
            (true, false) => "api",
            _ => "worker",
        };
        let data_dir = self.folder.path().join(&part.name);
        let grpc_port = free_port()?;
        let mut args: Vec<String> = vec!["server".to_owned()];
        let mut give = |name: &str, value: String| args.extend([name.to_owned(), value]);
        give("--roles", roles.to_owned());
        give("--database-url", url);
        give("--data-dir", data_dir.display().to_string());
        give("--grpc-port", grpc_port.to_string());
        match self.set.carriers {
            Carriers::Recorded => {
                let way = Proxy::start(&self.carrier_ports[..1], seed).await?;
                give("--carrier-port", way.port.to_string());
                self.ways.push(way);
            }
            Carriers::Vendors => {
                give("--http-port", part.http_port.to_string());
                let settings = carriers::settings_of(self.folder.path());
                give("--config", settings.display().to_string());
            }
        }
        if self.set.lies {
            args.push("--lies".to_owned());
        }
        self.servers.push(Server {
            process: Process::role(&part.name, self.folder.path(), &args)?,
            is_api: part.is_api,
            is_worker: part.is_worker,
            grpc_port,
            to_postgres,
            start_at: None,
            armed: None,
            is_stopping: false,
        });
        Ok(())
    }

    fn sqlite_file(&self) -> PathBuf {
        self.folder.path().join("server").join("ringless.db")
    }

    pub fn database(&self) -> Place {
        match &self.postgres {
            Some(postgres) => Place::Port(postgres.port),
            None => Place::File(self.sqlite_file()),
        }
    }

    pub fn carriers(&self) -> Carriers {
        self.set.carriers
    }

    /// The recording carrier's.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join(carriers::RECORD)
    }

    pub fn shape(&self) -> Shape {
        Shape {
            servers: self.servers.len(),
            workers: self
                .servers
                .iter()
                .filter(|server| server.is_worker)
                .count(),
            has_postgres: self.postgres.is_some(),
            vendors: match self.set.carriers {
                Carriers::Recorded => 0,
                Carriers::Vendors => self.ways.len(),
            },
        }
    }

    pub fn apis(&self) -> anyhow::Result<Apis> {
        let apis = self.servers.iter().filter(|server| server.is_api);
        Apis::new(&apis.map(|server| server.grpc_port).collect::<Vec<_>>())
    }

    /// Starts these servers and waits until those that take calls take them.
    pub async fn start(&mut self, which: impl Fn(&Server) -> bool) -> anyhow::Result<()> {
        for server in self.servers.iter_mut().filter(|server| which(server)) {
            if !server.process.is_running() {
                server.process.start(None)?;
            }
        }
        for server in self.servers.iter_mut().filter(|server| which(server)) {
            let port = server.grpc_port;
            let listens = async || {
                tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .is_ok()
            };
            if !until(Duration::from_secs(60), listens).await {
                bail!(
                    "{} does not listen:\n{}",
                    server.process.name,
                    server.process.last_words()
                );
            }
        }
        Ok(())
    }

    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    /// Connections are taken again before it listens, so some are taken and lead nowhere.
    fn start_carrier(&mut self) -> anyhow::Result<()> {
        self.carrier_start_at = None;
        self.ways.iter().for_each(|way| way.refuse(false));
        self.carrier.start(None)
    }

    /// The carriers' process anew, without faults of its own.
    pub fn calm_carrier(&mut self) -> anyhow::Result<()> {
        self.carrier.kill()?;
        self.carrier = carrier(&self.set, self.folder.path(), &self.carrier_ports, false)?;
        self.start_carrier()
    }

    /// Goes through a plan.
    pub async fn play(&mut self, plan: &[(Duration, Fault)]) -> anyhow::Result<()> {
        for (wait, fault) in plan {
            self.run_for(*wait).await?;
            self.apply(*fault).await?;
        }
        Ok(())
    }

    /// Lets it run, and mends, for so long.
    pub async fn run_for(&mut self, length: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.mend().await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Kills each server at each of its crash points, until each was hit so often or the time is over.
    pub async fn crash(&mut self, crashes: Crashes, within: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + within;
        self.crashes = Some(crashes);
        for at in 0..self.servers.len() {
            self.apply(Fault::Kill(Who::Server(at), Duration::ZERO))
                .await?;
        }
        let mut carrier_up_until = Instant::now();
        while Instant::now() < end && self.crashes.as_ref().is_some_and(|c| !c.is_done()) {
            self.mend().await?;
            // A breaker opens only where the carrier fails for one voicemail after the other.
            let is_awaited = |server: &Server| {
                let armed = server.armed.filter(|(name, _)| name.starts_with("sign."));
                armed.is_some() && server.process.is_running()
            };
            let is_due = self.carrier_start_at.is_none() && self.carrier.is_running();
            if is_due && self.servers.iter().any(is_awaited) && carrier_up_until < Instant::now() {
                self.apply(Fault::Kill(Who::Carrier, CARRIER_AWAY)).await?;
                carrier_up_until = Instant::now() + CARRIER_AWAY * 3;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The ids of the running servers.
    pub fn ids(&self) -> Vec<Option<u32>> {
        self.servers
            .iter()
            .map(|server| server.process.id())
            .collect()
    }

    /// Keeps the folder, to be looked at.
    pub fn keep(self) -> PathBuf {
        let Stage { folder, .. } = self;
        folder.keep()
    }
}

fn carrier(set: &Set, folder: &Path, ports: &[u16], rough: bool) -> anyhow::Result<Process> {
    set.carriers.process(&carriers::Start {
        seed: set.seed,
        ports,
        folder,
        rough,
        hold: set.hold,
    })
}
