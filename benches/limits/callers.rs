//! The load: callers in this process, each with a connection of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use ringless::grpc::pb;
use ringless::grpc::pb::use_case_service_client::UseCaseServiceClient;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use crate::recording::Recording;
use crate::rows::Series;

/// Callers at once.
pub const CALLERS: usize = 32;

/// What a caller sends.
#[derive(Debug, Clone)]
pub enum Sends {
    /// The recording, with another tag each time.
    Different(Recording),
    /// The same bytes each time.
    Same(Recording),
    /// No bytes: stored audio, named by its id.
    Stored,
    /// The same in one message, by CreateVoicemail.
    StoredAtOnce,
}

/// For whom, and what.
#[derive(Debug, Clone)]
pub struct Order {
    pub use_case_id: String,
    /// Audio that is stored there.
    pub audio_id: String,
    pub sends: Sends,
}

/// A connection, and what is sent on it.
#[derive(Debug, Clone)]
pub struct Caller {
    client: VoicemailServiceClient<Channel>,
    order: Order,
}

impl Caller {
    /// Comes back connected.
    pub async fn connect(addr: &str, order: &Order) -> anyhow::Result<Caller> {
        Ok(Caller {
            client: VoicemailServiceClient::new(connect(addr).await?),
            order: order.clone(),
        })
    }

    /// Sends one voicemail, to another recipient each time.
    pub async fn send(&mut self) -> Result<(), Status> {
        let request_id = uuid::Uuid::now_v7().simple().to_string();
        let metadata = pb::SendVoicemailMetadata {
            use_case_id: self.order.use_case_id.clone(),
            recipient_phone_number: recipient(),
            request_id: request_id.clone(),
            audio_id: match &self.order.sends {
                Sends::Stored | Sends::StoredAtOnce => self.order.audio_id.clone(),
                Sends::Different(_) | Sends::Same(_) => String::new(),
            },
            ..Default::default()
        };
        let chunks = match &self.order.sends {
            Sends::Different(recording) => recording.chunks_that_say(&request_id),
            Sends::Same(recording) => recording.chunks(),
            Sends::Stored => Vec::new(),
            Sends::StoredAtOnce => {
                let request = pb::CreateVoicemailRequest {
                    metadata: Some(metadata),
                    audio: Default::default(),
                };
                return self.client.create_voicemail(request).await.map(drop);
            }
        };
        let messages = tokio_stream::iter(upload(metadata, chunks));
        self.client.send_voicemail(messages).await.map(drop)
    }
}

/// The messages of one SendVoicemail.
pub fn upload(
    metadata: pb::SendVoicemailMetadata,
    chunks: Vec<prost::bytes::Bytes>,
) -> impl Iterator<Item = pb::SendVoicemailRequest> + Send + 'static {
    use pb::send_voicemail_request::Payload;
    let chunks = chunks.into_iter().map(Payload::AudioChunk);
    std::iter::once(Payload::Metadata(metadata))
        .chain(chunks)
        .map(|payload| pb::SendVoicemailRequest {
            payload: Some(payload),
        })
}

/// A valid number of New York, another one each time for eight million times.
pub fn recipient() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) % 8_000_000;
    format!("+1212{}", 2_000_000 + count)
}

pub async fn connect(addr: &str) -> anyhow::Result<Channel> {
    let endpoint = Channel::from_shared(format!("http://{addr}"))?;
    endpoint
        .connect()
        .await
        .with_context(|| format!("nobody takes calls at {addr}"))
}

/// The use case of an empty database's first start, and the audio that comes with it.
pub async fn first_use_case(addr: &str) -> anyhow::Result<(String, String)> {
    let channel = connect(addr).await?;
    let listed = UseCaseServiceClient::new(channel.clone())
        .list_use_cases(pb::ListUseCasesRequest::default())
        .await?
        .into_inner();
    let use_case = listed.use_cases.into_iter().next();
    use pb::upload_audio_request::Payload;
    let sample = [
        Payload::Metadata(pb::UploadAudioMetadata {}),
        Payload::AudioChunk(ringless::app::SAMPLE_MP3.into()),
    ];
    let sample = sample.map(|payload| pb::UploadAudioRequest {
        payload: Some(payload),
    });
    let uploaded = VoicemailServiceClient::new(channel)
        .upload_audio(tokio_stream::iter(sample))
        .await?
        .into_inner();
    Ok((
        use_case.context("the first start makes a use case")?.id,
        uploaded.audio.context("an upload answers its audio")?.id,
    ))
}

/// What came of a load.
pub struct Sent {
    pub calls: usize,
    pub took: Duration,
}

impl Sent {
    pub fn per_second(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }
}

/// So many callers for so long, each with its next call as soon as the last was answered. All are connected first.
pub async fn as_fast_as_can_be(addr: &str, order: &Order, time: Duration) -> anyhow::Result<Sent> {
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller::connect(addr, order).await?);
    }
    let start = Instant::now();
    let mut calling = JoinSet::new();
    for mut caller in callers {
        calling.spawn(async move {
            let mut calls = 0;
            while start.elapsed() < time {
                caller.send().await?;
                calls += 1;
            }
            Ok::<usize, Status>(calls)
        });
    }
    let mut calls = 0;
    while let Some(called) = calling.join_next().await {
        calls += called??;
    }
    Ok(Sent {
        calls,
        took: start.elapsed(),
    })
}

/// So many calls a second for so long, each begun when it is due, whatever became of those before it. Gives the milliseconds
/// from when each was due to its answer.
pub async fn at_a_rate(
    addr: &str,
    order: &Order,
    per_second: f64,
    time: Duration,
) -> anyhow::Result<Series> {
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller::connect(addr, order).await?);
    }
    let count = (per_second * time.as_secs_f64()) as u32;
    let between = Duration::from_secs_f64(1.0 / per_second);
    let start = tokio::time::Instant::now();
    let mut calling = JoinSet::new();
    for (caller, number) in callers.iter().cycle().zip(0..count) {
        let at = start + between * number;
        tokio::time::sleep_until(at).await;
        let mut caller = caller.clone();
        calling.spawn(async move {
            caller.send().await?;
            Ok::<Duration, Status>(at.elapsed())
        });
    }
    let mut latencies = Series::default();
    while let Some(called) = calling.join_next().await {
        latencies.push(called??.as_secs_f64() * 1e3);
    }
    Ok(latencies)
}
