//! What our service is held against: a bare tonic server with the same messages. It takes the SHA-256 of what it is sent
//! and, where it is told to, appends the bytes to one file and answers once they are on the disk. It judges nothing, and
//! forgets everything.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;

use clap::Args;
use prost::bytes::Bytes;
use ringless::grpc::pb;
use ringless::grpc::pb::send_voicemail_request::Payload;
use ringless::grpc::pb::voicemail_service_server::{VoicemailService, VoicemailServiceServer};
use ringless::grpc::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug, Clone, Args)]
pub struct SinkArgs {
    #[arg(long)]
    addr: SocketAddr,
    /// Where the bytes go; none: nowhere
    #[arg(long)]
    file: Option<PathBuf>,
}

/// The process itself. It serves until it is ended.
pub async fn run(args: SinkArgs) -> anyhow::Result<()> {
    let journal = args.file.map(|path| Journal::open(&path)).transpose()?;
    let listener = TcpListener::bind(args.addr).await?;
    println!("gRPC {}", listener.local_addr()?);
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(VoicemailServiceServer::new(Sink { journal }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}

struct Sink {
    journal: Option<Journal>,
}

type Answer<T> = Result<Response<T>, Status>;

macro_rules! not_served {
    ($($method:ident: $request:ty => $response:ty,)*) => {
        $(
            /// As async_trait writes it.
            fn $method<'life0, 'async_trait>(
                &'life0 self,
                _: Request<$request>,
            ) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async { Err(Status::unimplemented("nothing but sends")) })
            }
        )*
    };
}

#[tonic::async_trait]
impl VoicemailService for Sink {
    async fn send_voicemail(
        &self,
        request: Request<Streaming<pb::SendVoicemailRequest>>,
    ) -> Answer<pb::SendVoicemailResponse> {
        let mut stream = request.into_inner();
        let (mut metadata, mut hash) = (None, Sha256::new());
        let (mut chunks, mut size_bytes) = (Vec::new(), 0);
        while let Some(message) = stream.message().await? {
            match message.payload {
                Some(Payload::Metadata(given)) => metadata = Some(given),
                Some(Payload::AudioChunk(chunk)) => {
                    hash.update(&chunk);
                    size_bytes += chunk.len();
                    if self.journal.is_some() {
                        chunks.push(chunk);
                    }
                }
                None => {}
            }
        }
        if let Some(journal) = &self.journal {
            journal.append(chunks).await?;
        }
        let audio = pb::Audio {
            sha256: format!("{:x}", hash.finalize()),
            size_bytes: i64::try_from(size_bytes).unwrap_or(i64::MAX),
            ..Default::default()
        };
        Ok(Response::new(pb::SendVoicemailResponse {
            voicemail: metadata.map(|metadata| echo(metadata, audio)),
        }))
    }

    async fn create_voicemail(
        &self,
        request: Request<pb::CreateVoicemailRequest>,
    ) -> Answer<pb::CreateVoicemailResponse> {
        let metadata = request.into_inner().metadata;
        Ok(Response::new(pb::CreateVoicemailResponse {
            voicemail: metadata.map(|metadata| echo(metadata, pb::Audio::default())),
        }))
    }

    /// So that a caller can begin with the same first call everywhere.
    async fn list_voicemails(
        &self,
        _: Request<pb::ListVoicemailsRequest>,
    ) -> Answer<pb::ListVoicemailsResponse> {
        Ok(Response::new(pb::ListVoicemailsResponse::default()))
    }

    type DownloadAudioStream = tokio_stream::Empty<Result<pb::DownloadAudioResponse, Status>>;

    not_served! {
        upload_audio: Streaming<pb::UploadAudioRequest> => pb::UploadAudioResponse,
        get_audio: pb::GetAudioRequest => pb::GetAudioResponse,
        download_audio: pb::DownloadAudioRequest => Self::DownloadAudioStream,
        get_voicemail: pb::GetVoicemailRequest => pb::GetVoicemailResponse,
        cancel_voicemail: pb::CancelVoicemailRequest => pb::CancelVoicemailResponse,
        get_delivery_report: pb::GetDeliveryReportRequest => pb::GetDeliveryReportResponse,
        check_recipient: pb::CheckRecipientRequest => pb::CheckRecipientResponse,
        batch_send_voicemails: pb::BatchSendVoicemailsRequest => pb::BatchSendVoicemailsResponse,
        update_voicemail: pb::UpdateVoicemailRequest => pb::UpdateVoicemailResponse,
        cancel_voicemails: pb::CancelVoicemailsRequest => pb::CancelVoicemailsResponse,
    }
}

/// A voicemail of the size that ours has.
fn echo(metadata: pb::SendVoicemailMetadata, audio: pb::Audio) -> pb::Voicemail {
    pb::Voicemail {
        id: uuid::Uuid::now_v7().to_string(),
        use_case_id: metadata.use_case_id,
        recipient_phone_number: metadata.recipient_phone_number,
        request_id: metadata.request_id,
        audio: Some(audio),
        ..Default::default()
    }
}

/// One file that is appended to by a thread of its own. What came while it was at work goes to the disk together.
struct Journal {
    entries: mpsc::Sender<Entry>,
}

type Entry = (Vec<Bytes>, oneshot::Sender<std::io::Result<()>>);

impl Journal {
    fn open(path: &std::path::Path) -> std::io::Result<Journal> {
        let mut file = File::options().create_new(true).append(true).open(path)?;
        let (entries, waiting) = mpsc::channel::<Entry>();
        std::thread::spawn(move || {
            while let Ok(first) = waiting.recv() {
                let group: Vec<Entry> = std::iter::once(first).chain(waiting.try_iter()).collect();
                let written = group
                    .iter()
                    .flat_map(|(chunks, _)| chunks)
                    .try_for_each(|chunk| file.write_all(chunk))
                    .and_then(|()| file.sync_data())
                    .map_err(|error| error.kind());
                for (_, done) in group {
                    // A caller who went away needs no answer.
                    let _ = done.send(written.map_err(Into::into));
                }
            }
        });
        Ok(Journal { entries })
    }

    /// Comes back when the bytes are on the disk.
    async fn append(&self, chunks: Vec<Bytes>) -> Result<(), Status> {
        let (done, is_done) = oneshot::channel();
        let failed = |why: String| Status::unavailable(why);
        self.entries
            .send((chunks, done))
            .map_err(|error| failed(error.to_string()))?;
        let written = is_done.await.map_err(|error| failed(error.to_string()))?;
        written.map_err(|error| failed(error.to_string()))
    }
}
