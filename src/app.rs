//! Builds everything once, starts servers and worker, and owns the order of stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::carrier::Registry;
use crate::chance::even_draw;
use crate::clock::Clock;
use crate::config::Config;
use crate::crash;
use crate::domain::ids::WorkspaceId;
use crate::domain::links::{Doors, LinkKeys, TokenKey};
use crate::grpc::{self, Api, ApiParts, CallLayer, PageTokens};
use crate::http::{self, Ears, LeftOver, OptOutDoor, OptOutDoors, Public};
use crate::intake::{Budget, Uploads};
use crate::ops::deliver::Delivering;
use crate::ops::error::OpError;
use crate::ops::seed::{self, Seeded};
use crate::readiness::Readiness;
use crate::storage::{Error, SchemaDifference, Store, StoreOptions};
use crate::telemetry::Metrics;
use crate::wake::Wake;
use crate::worker::{Housekeeping, Runner, Worker};

pub use crate::ops::seed::SAMPLE_MP3;

/// From SIGTERM to the end, in all.
const STOP_WITHIN: Duration = Duration::from_secs(25);
/// What a round of the worker may take besides its polls before it counts as dead.
const WORKER_SLACK: Duration = Duration::from_secs(15);

/// A server that runs.
pub struct Running {
    config: Config,
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
    admin_addr: SocketAddr,
    seeded: Option<Seeded>,
    readiness: Readiness,
    /// No calls are taken any more.
    closed: Arc<AtomicBool>,
    stop_servers: watch::Sender<bool>,
    stop_worker: watch::Sender<bool>,
    servers: JoinSet<anyhow::Result<()>>,
    worker: JoinSet<()>,
    watchers: JoinSet<()>,
}

impl Running {
    /// Opens the database and migrates it if it is to, seeds an empty one, binds the three addresses, and serves.
    pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Running> {
        let registry = config.registry()?;
        Running::start_with(config, clock, registry).await
    }

    /// The same with these carriers in place of the configured ones.
    pub async fn start_with(
        config: Config,
        clock: Clock,
        registry: Registry,
    ) -> anyhow::Result<Running> {
        let store = open_store(&config, clock).await?;
        let seeded = match config.is_first_try && config.roles.api {
            true => seed_first(&store, &registry)
                .await
                .context("an empty database could not be given its first setup")?,
            false => None,
        };
        let keys = Keys::read(&store, &config)
            .await
            .context("the keys that the service made for itself could not be read")?;
        let metrics = Metrics::new();
        let wake = Wake::default();
        let readiness = Readiness::new(config.worker.poll * 3 + WORKER_SLACK);
        readiness.look(&store).await;
        let closed = Arc::new(AtomicBool::new(false));
        let (stop_servers, stop) = watch::channel(false);
        let (stop_worker, worker_stop) = watch::channel(false);
        let (mut servers, mut worker, mut watchers) =
            (JoinSet::new(), JoinSet::new(), JoinSet::new());

        let gates = config.gates.clone();
        let accept = config.accept;
        let uploads = Uploads::new(
            accept.upload_memory_bytes,
            accept.upload_spool_bytes,
            config.data_dir.join("spool"),
        );
        let api = Arc::new(Api::new(ApiParts {
            store: store.clone(),
            registry: registry.clone(),
            gates: gates.clone(),
            accept,
            uploads: uploads.clone(),
            page_tokens: PageTokens::new(keys.page_tokens),
            wake: wake.clone(),
            metrics: metrics.clone(),
        }));
        let (health, health_service) = tonic_health::server::health_reporter();
        let grpc_listener = bind("gRPC", config.grpc_addr).await?;
        let http_listener = bind("public HTTP", config.http_addr).await?;
        let admin_listener = bind("admin HTTP", config.admin_addr).await?;
        let running_addrs = (
            grpc_listener.local_addr()?,
            http_listener.local_addr()?,
            admin_listener.local_addr()?,
        );

        // A process without the api role still tells its health.
        let routes = match config.roles.api {
            true => grpc::routes(api, health_service)?,
            false => tonic::service::Routes::new(health_service),
        };
        let layer = CallLayer {
            closed: closed.clone(),
            metrics: metrics.clone(),
            uploads: uploads.clone(),
            undecoded: Budget::new(grpc::UNDECODED_BYTES_MAX),
        };
        let limits = config.caller_connections;
        servers.spawn(grpc::serve(
            routes,
            layer,
            grpc_listener,
            limits,
            stop.clone(),
        ));
        let doors = config
            .public_url
            .as_deref()
            .map(|url| Doors::new(url, keys.tokens.clone(), keys.links.clone()));
        let delivering = Delivering {
            registry,
            rules: config.rules.clone(),
            gates,
            lease: config.worker.lease,
            doors,
        };
        let ears = Ears {
            delivering: delivering.clone(),
            metrics: metrics.clone(),
            chance: even_draw,
        };
        let public = Public::new(
            store.clone(),
            ears.clone(),
            keys.tokens,
            keys.links,
            opt_out_doors(&config),
        );
        servers.spawn(http::serve_public(
            http::public(public),
            http_listener,
            stop.clone(),
        ));
        let admin = http::Admin {
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            uploads,
        };
        servers.spawn(serve_http(http::admin(admin), admin_listener, stop));

        watchers.spawn(
            readiness
                .clone()
                .keep_looking(store.clone(), metrics.clone()),
        );
        watchers.spawn(readiness.clone().tell_health(health, config.roles));
        if let Some(bell) = store.bell() {
            watchers.spawn(wake.clone().ring_others(bell.ringer()));
            if config.roles.worker {
                watchers.spawn(wake.clone().hear_others(bell, metrics.clone()));
            }
        }
        if config.roles.worker {
            let housekeeping = Housekeeping {
                store: store.clone(),
            };
            watchers.spawn(housekeeping.run());
            let left_over = LeftOver {
                store: store.clone(),
                ears,
            };
            watchers.spawn(left_over.run());
            let runner = Runner::new(store, delivering, &config.worker, metrics);
            worker.spawn(
                Worker::new(runner, config.worker, wake, readiness.clone()).run(worker_stop),
            );
        }
        let (grpc_addr, http_addr, admin_addr) = running_addrs;
        Ok(Running {
            config,
            grpc_addr,
            http_addr,
            admin_addr,
            seeded,
            readiness,
            closed,
            stop_servers,
            stop_worker,
            servers,
            worker,
            watchers,
        })
    }

    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// What a start says: where it listens, on what it works, and a first call to paste.
    pub fn banner(&self) -> String {
        let roles = match (self.config.roles.api, self.config.roles.worker) {
            (true, true) => "api, worker",
            (true, false) => "api",
            _ => "worker",
        };
        let carriers: Vec<String> = self
            .config
            .carriers
            .iter()
            .map(|(name, carrier)| match *name == carrier.kind {
                true => name.clone(),
                false => format!("{name} ({})", carrier.kind),
            })
            .collect();
        let mut lines = vec![
            format!("ringless {}", env!("CARGO_PKG_VERSION")),
            format!("  gRPC      {}", self.grpc_addr),
            format!(
                "  HTTP      {} (public: for carriers{})",
                self.http_addr,
                match &self.config.public_url {
                    Some(url) => format!(", who reach it at {url}"),
                    None => String::new(),
                }
            ),
            format!("  admin     {} (/livez /readyz /metrics)", self.admin_addr),
            format!("  database  {}", self.config.database_url),
            format!("  carriers  {}", carriers.join(", ")),
            format!("  roles     {roles}"),
        ];
        if let (Some(seeded), true) = (self.seeded, self.config.roles.api) {
            lines.push("try it:".to_owned());
            lines.push(first_call(self.grpc_addr, seeded));
        }
        lines.join("\n")
    }

    /// Comes only if a server or the worker ends by itself, which is an error.
    pub async fn stopped(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            Some(ended) = self.servers.join_next() => match ended {
                Ok(Ok(())) => bail!("a server ended by itself"),
                Ok(Err(error)) => Err(error),
                Err(panicked) => Err(anyhow::Error::new(panicked).context("a server panicked")),
            },
            Some(ended) = self.worker.join_next() => match ended {
                Ok(()) => bail!("the worker ended by itself"),
                Err(panicked) => Err(anyhow::Error::new(panicked).context("the worker panicked")),
            },
            else => std::future::pending().await,
        }
    }

    /// Turns unready, serves for the drain delay, then takes no more calls; what runs may finish,
    /// within [`STOP_WITHIN`] in all. A hand-over that does not is rescued at its lease's end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + STOP_WITHIN;
        self.drain();
        tokio::time::sleep(self.config.drain_delay).await;
        self.close();
        self.stop_servers.send_replace(true);
        let finishing = async {
            let mut first_fault = anyhow::Ok(());
            while let Some(ended) = self.servers.join_next().await {
                let ended = ended.context("a server panicked").flatten();
                // Whatever became of one, the others and the hand-overs under way may finish.
                first_fault = first_fault.and(ended);
            }
            while self.worker.join_next().await.is_some() {}
            first_fault
        };
        match tokio::time::timeout_at(deadline, finishing).await {
            Ok(finished) => finished?,
            Err(_) => {
                tracing::warn!("some calls or hand-overs did not finish in time; they are cut off")
            }
        }
        self.watchers.shutdown().await;
        Ok(())
    }

    /// The first step of a stop: readiness and health turn, and nothing new is claimed. Calls are
    /// still served, because those who call have yet to notice.
    pub fn drain(&self) {
        self.readiness.drain();
        self.stop_worker.send_replace(true);
    }

    /// The second step: no more calls are taken; those under way go on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.readiness.close();
    }
}

/// Opens the database and sees to it that its schema is this program's.
async fn open_store(config: &Config, clock: Clock) -> anyhow::Result<Store> {
    let url = &config.database_url;
    let place = || format!("the database {url} can't be used");
    let store = Store::open(&StoreOptions {
        url: url.clone(),
        connections: config.connections,
        connection_age_max: config.connection_age_max,
        clock,
    })
    .with_context(place)?;
    store.check_sessions().await.with_context(place)?;
    if config.migrate {
        crash::point("migrate.ready");
        let applied = store.migrate().await.with_context(place)?;
        crash::point("migrate.committed");
        if !applied.is_empty() {
            tracing::info!(
                migrations = applied.len(),
                "the database's schema was brought up to date"
            );
        }
    }
    let SchemaDifference { missing, unknown } =
        store.schema_difference().await.with_context(place)?;
    if !unknown.is_empty() {
        bail!(
            "the database {url} was migrated by a newer ringless ({}); use that one",
            unknown.join(", ")
        );
    }
    if !missing.is_empty() {
        bail!(
            "the database {url} lacks migrations ({}), and this start is told to make none; run `ringless migrate` first, as a role that may change the schema",
            missing.join(", ")
        );
    }
    Ok(store)
}

/// Two processes may find the same empty database. Names and numbers are unique, so the later one's
/// unit of work is rolled back; it then finds what the first one made.
async fn seed_first(store: &Store, registry: &Registry) -> Result<Option<Seeded>, OpError> {
    let walked = crate::audio::judge(SAMPLE_MP3)?;
    let audio = crate::ops::audio::describe(&walked);
    let seed = || {
        let (registry, audio) = (registry.clone(), audio.clone());
        store.write(move |tx| seed::seed(tx, WorkspaceId::DEFAULT, &registry, &audio, SAMPLE_MP3))
    };
    match seed().await {
        Err(OpError::PhoneNumberExists | OpError::UseCaseExists { .. }) => seed().await,
        seeded => seeded,
    }
}

fn opt_out_doors(config: &Config) -> OptOutDoors {
    let doors = config.opt_outs.iter().map(|door| {
        let token = door.token.expose();
        OptOutDoor::new(&door.name, token, door.scope.clone(), &door.source)
    });
    OptOutDoors::new(doors, config.gates.numbers.clone())
}

/// The keys that all processes on one database share.
struct Keys {
    page_tokens: Vec<u8>,
    tokens: TokenKey,
    links: LinkKeys,
}

impl Keys {
    async fn read(store: &Store, config: &Config) -> anyhow::Result<Keys> {
        let mut configured = config
            .link_keys
            .iter()
            .map(|key| key.expose().as_bytes().to_vec());
        let links = match configured.next() {
            Some(first) => LinkKeys::new(first, configured.collect()),
            None => LinkKeys::new(service_key(store, AUDIO_LINKS_KEY).await?, Vec::new()),
        };
        Ok(Keys {
            page_tokens: service_key(store, "page_tokens").await?,
            tokens: TokenKey::new(service_key(store, "callback_tokens").await?),
            links,
        })
    }
}

/// The name of the key of audio links, where none is configured.
pub const AUDIO_LINKS_KEY: &str = "audio_links";

/// Made at the first call.
async fn service_key(store: &Store, name: &'static str) -> anyhow::Result<Vec<u8>> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let key = store
        .write::<_, Error, _>(move |tx| tx.service_key(name, &fresh))
        .await?;
    Ok(key)
}

async fn bind(what: &str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| {
        format!("the {what} address {addr} can't be listened on; is another server there?")
    })
}

async fn serve_http(
    routes: axum::Router,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            // An error means that the other end is gone, which is a stop too.
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await
        .context("an HTTP server failed")
}

/// A first call that works as pasted, in one line.
fn first_call(addr: SocketAddr, seeded: Seeded) -> String {
    let metadata = serde_json::json!({
        "metadata": {
            "use_case_id": seeded.use_case_id.to_string(),
            "recipient_phone_number": "+12125550123",
            "audio_id": seeded.audio_id.to_string(),
            "request_id": format!("first-call-{}", crate::clock::system_now().micros()),
        }
    });
    format!(
        "  grpcurl -plaintext -d '{metadata}' {addr} ringless.v1.VoicemailService/CreateVoicemail"
    )
}
