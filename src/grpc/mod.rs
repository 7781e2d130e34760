//! The gRPC edge. To follow a request start at [`routes`], the one place where services, health,
//! reflection, layers and size limits come together.

mod accepts;
mod body;
mod bulk;
mod consent_service;
mod convert;
mod export;
mod import;
mod layer;
mod page_token;
pub mod pb;
mod sends;
mod serve;
mod status;
mod suppression_service;
mod telephony_service;
mod use_case_service;
mod voicemail_service;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::service::Routes;
use tonic::{Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};

pub use body::UNARY_BYTES_MAX;
pub use convert::LIST_MAX;
pub use layer::{CallLayer, UNDECODED_BYTES_MAX};
pub use page_token::PageTokens;
pub use serve::serve;
pub use status::{DOMAIN, Repeat, to_status};

use self::accepts::Accepts;
use crate::audio::Heard;
use crate::carrier::Registry;
use crate::config::AcceptConfig;
use crate::domain::gate;
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneRules;
use crate::intake::Uploads;
use crate::ops::error::{OpError, Result};
use crate::ops::queue::QueueGauge;
use crate::ops::send_voicemail::Accepting;
use crate::storage::{Error, Store, Tx};
use crate::telemetry::Metrics;
use crate::wake::Wake;

/// The largest message that is decoded: above every limit of the contract, so that a caller who
/// passes one of them hears our answer; of what is larger still the library tells us, and we answer.
pub const DECODED_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// The same for the services whose messages are small.
const DECODED_SMALL_BYTES_MAX: usize = 1_024 * 1_024;
/// HTTP/2 windows: what a client may send unread. As large as HTTP/2's own default, for an upload over a long way; and less on
/// the connections beyond so many, so that a thousand of them cost little.
pub const STREAM_WINDOW_BYTES: u32 = 64 * 1_024;
pub const STREAM_WINDOW_OF_MANY_BYTES: u32 = 16 * 1_024;
pub const FEW_CONNECTIONS: usize = 128;
pub const CONNECTION_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// Calls in progress on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// KiB of uploads that are put together, sounded and stored at once: 16 MiB. The others wait with their bytes
/// where they are, so that memory stays within its budget.
const FINISHING_KIB_MAX: u32 = 16 * 1_024;
/// How long an upload that has come waits for its turn at that.
const FINISHING_WAIT: Duration = Duration::from_secs(120);
/// How long a batch or an import waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(60);

/// Imports at once: each holds a chunk and the lines of a batch, and a writer again and again.
const IMPORTS_MAX: usize = 4;
/// Batches that are taken at once: each holds its recipients until it is answered.
const BATCHES_MAX: usize = 4;

/// What the services share.
pub struct Api {
    pub store: Store,
    pub workspace: WorkspaceId,
    pub registry: Registry,
    pub numbers: PhoneRules,
    pub gates: Arc<gate::Rules>,
    accepts: Accepts,
    heard: Arc<Heard>,
    pub uploads: Uploads,
    pub page_tokens: PageTokens,
    pub wake: Wake,
    pub metrics: Metrics,
    finishing: Semaphore,
    importing: Arc<Semaphore>,
    batching: Semaphore,
}

/// What [`Api::new`] is made of.
pub struct ApiParts {
    pub store: Store,
    pub registry: Registry,
    pub gates: Arc<gate::Rules>,
    pub accept: AcceptConfig,
    pub uploads: Uploads,
    pub page_tokens: PageTokens,
    pub wake: Wake,
    pub metrics: Metrics,
}

impl Api {
    pub fn new(parts: ApiParts) -> Api {
        let workspace = WorkspaceId::DEFAULT;
        let accepts = Accepts::new(accepts::Inner {
            store: parts.store.clone(),
            workspace,
            registry: parts.registry.clone(),
            gates: parts.gates.clone(),
            queue: QueueGauge::new(parts.accept.queue_max),
            expire_after: parts.accept.expire_after,
        });
        Api {
            store: parts.store,
            workspace,
            registry: parts.registry,
            numbers: parts.gates.numbers.clone(),
            gates: parts.gates,
            accepts,
            heard: Arc::default(),
            uploads: parts.uploads,
            page_tokens: parts.page_tokens,
            wake: parts.wake,
            metrics: parts.metrics,
            finishing: Semaphore::new(FINISHING_KIB_MAX as usize),
            importing: Arc::new(Semaphore::new(IMPORTS_MAX)),
            batching: Semaphore::new(BATCHES_MAX),
        }
    }

    fn accepting(&self) -> Accepting<'_> {
        self.accepts.accepting()
    }

    /// A unit of work that changes nothing.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api, &mut dyn Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let api = self.clone();
        self.store.read(move |tx| work(&api, tx)).await
    }

    /// A unit of work that changes nothing, and all of whose statements see the same moment.
    async fn read_one_moment<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api, &mut dyn Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let api = self.clone();
        self.store.read_one_moment(move |tx| work(&api, tx)).await
    }

    /// A unit of work in one transaction.
    async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Api, &mut dyn Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let api = self.clone();
        self.store.write(move |tx| work(&api, tx)).await
    }

    /// A permit to take a batch.
    async fn batching(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        match tokio::time::timeout(TURN_WAIT, self.batching.acquire()).await {
            Ok(permit) => permit.map_err(|closed| OpError::Internal(closed.to_string())),
            Err(_) => Err(Error::Unavailable(
                "batches wait for too long for their turn".to_owned(),
            )
            .into()),
        }
    }

    /// A permit to put an upload of so many bytes together.
    async fn finishing(&self, bytes: u64) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(FINISHING_KIB_MAX);
        let permit = self.finishing.acquire_many(kib.min(FINISHING_KIB_MAX));
        match tokio::time::timeout(FINISHING_WAIT, permit).await {
            Ok(permit) => permit.map_err(|closed| OpError::Internal(closed.to_string())),
            Err(_) => {
                Err(Error::Unavailable("uploads wait for too long to be stored".to_owned()).into())
            }
        }
    }
}

/// Every service of this server.
pub fn routes(
    api: Arc<Api>,
    health: HealthServer<impl Health>,
) -> std::result::Result<Routes, tonic_reflection::server::Error> {
    use pb::consent_service_server::ConsentServiceServer;
    use pb::suppression_service_server::SuppressionServiceServer;
    use pb::telephony_service_server::TelephonyServiceServer;
    use pb::use_case_service_server::UseCaseServiceServer;
    use pb::voicemail_service_server::VoicemailServiceServer;
    let telephony = telephony_service::Telephony(api.clone());
    let use_cases = use_case_service::UseCases(api.clone());
    let suppressions = suppression_service::Suppressions(api.clone());
    let consents = consent_service::Consents(api.clone());
    let voicemails = voicemail_service::Voicemails(api);
    Ok(Routes::new(health)
        .add_service(
            ConsentServiceServer::new(consents).max_decoding_message_size(DECODED_SMALL_BYTES_MAX),
        )
        .add_service(
            SuppressionServiceServer::new(suppressions)
                .max_decoding_message_size(DECODED_BYTES_MAX),
        )
        .add_service(
            TelephonyServiceServer::new(telephony)
                .max_decoding_message_size(DECODED_SMALL_BYTES_MAX),
        )
        .add_service(
            UseCaseServiceServer::new(use_cases).max_decoding_message_size(DECODED_SMALL_BYTES_MAX),
        )
        .add_service(
            VoicemailServiceServer::new(voicemails).max_decoding_message_size(DECODED_BYTES_MAX),
        )
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

/// The descriptors of error details are there too, so that grpcurl prints them readably.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Goes on with a call whose answer is a stream, under its log span and its id.
fn go_on(work: impl Future<Output = ()> + Send + 'static) {
    let work = status::REQUEST_ID.scope(status::request_id(), work);
    tokio::spawn(tracing::Instrument::instrument(
        work,
        tracing::Span::current(),
    ));
}

type Answer<T> = std::result::Result<Response<T>, Status>;

/// The answer of a call.
fn answer<T>(done: Result<T>, repeat: Repeat) -> Answer<T> {
    done.map(Response::new)
        .map_err(|error| to_status(error, repeat))
}
