//! The whole program on loopback, and clients of it.

use std::time::Duration;

use ringless::app::Running;
use ringless::clock::{Clock, ManualClock};
use ringless::config::{Config, FileConfig, Overrides};
use ringless::domain::time::Time;
use ringless::grpc::pb;
use ringless::grpc::pb::consent_service_client::ConsentServiceClient;
use ringless::grpc::pb::suppression_service_client::SuppressionServiceClient;
use ringless::grpc::pb::telephony_service_client::TelephonyServiceClient;
use ringless::grpc::pb::use_case_service_client::UseCaseServiceClient;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Engine, START_US, TestDatabase};

pub struct TestApp {
    pub running: Running,
    pub database: TestDatabase,
    pub clock: ManualClock,
    pub data: tempfile::TempDir,
    pub channel: Channel,
    pub use_case_id: String,
    pub setup_id: String,
}

/// A recipient that the sandbox delivers to.
pub const RECIPIENT: &str = "+12125550123";

impl TestApp {
    /// Everything in one process, with the first setup of an empty database.
    pub async fn start(engine: Engine) -> TestApp {
        TestApp::start_with(engine, "").await
    }

    /// Without a worker, so that what was accepted stays so.
    pub async fn start_api(engine: Engine) -> TestApp {
        TestApp::start_with(engine, "roles = ['api']").await
    }

    pub async fn start_with(engine: Engine, file: &str) -> TestApp {
        TestApp::start_on(TestDatabase::new(engine), file).await
    }

    /// By these settings, with no use case or setup at hand.
    pub async fn run(
        config: Config,
        database: TestDatabase,
        clock: ManualClock,
        data: tempfile::TempDir,
    ) -> TestApp {
        let running = Running::start(config, Clock::Manual(clock.clone()))
            .await
            .unwrap();
        let channel = Channel::from_shared(format!("http://{}", running.grpc_addr()))
            .unwrap()
            .connect()
            .await
            .unwrap();
        TestApp {
            running,
            database,
            clock,
            data,
            channel,
            use_case_id: String::new(),
            setup_id: String::new(),
        }
    }

    pub async fn start_on(database: TestDatabase, file: &str) -> TestApp {
        let data = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Time::from_micros(START_US));
        let config = config(&database, data.path(), file);
        let mut app = TestApp::run(config, database, clock, data).await;
        let listed = app
            .use_cases()
            .list_use_cases(pb::ListUseCasesRequest::default())
            .await
            .unwrap()
            .into_inner();
        app.use_case_id.clone_from(&listed.use_cases[0].id);
        app.setup_id.clone_from(&listed.use_cases[0].setup_id);
        app
    }

    pub fn voicemails(&self) -> VoicemailServiceClient<Channel> {
        VoicemailServiceClient::new(self.channel.clone())
    }

    pub fn use_cases(&self) -> UseCaseServiceClient<Channel> {
        UseCaseServiceClient::new(self.channel.clone())
    }

    pub fn telephony(&self) -> TelephonyServiceClient<Channel> {
        TelephonyServiceClient::new(self.channel.clone())
    }

    pub fn suppressions(&self) -> SuppressionServiceClient<Channel> {
        SuppressionServiceClient::new(self.channel.clone())
    }

    pub fn consents(&self) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::new(self.channel.clone())
    }

    pub fn metadata(&self) -> pb::SendVoicemailMetadata {
        pb::SendVoicemailMetadata {
            use_case_id: self.use_case_id.clone(),
            recipient_phone_number: RECIPIENT.to_owned(),
            ..Default::default()
        }
    }

    /// Streams it in chunks of 64 KiB.
    pub async fn send(
        &self,
        metadata: pb::SendVoicemailMetadata,
        audio: &[u8],
    ) -> Result<pb::Voicemail, Status> {
        let sent = self
            .voicemails()
            .send_voicemail(tokio_stream::iter(messages(metadata, audio)))
            .await?;
        Ok(sent.into_inner().voicemail.unwrap())
    }

    /// With the sample audio that the first start stored.
    pub async fn send_stored(
        &self,
        change: impl FnOnce(&mut pb::SendVoicemailMetadata),
    ) -> Result<pb::Voicemail, Status> {
        let mut metadata = self.metadata();
        metadata.audio_id = self.sample_audio_id().await;
        change(&mut metadata);
        let request = pb::CreateVoicemailRequest {
            metadata: Some(metadata),
            audio: Default::default(),
        };
        Ok(self
            .voicemails()
            .create_voicemail(request)
            .await?
            .into_inner()
            .voicemail
            .unwrap())
    }

    pub async fn sample_audio_id(&self) -> String {
        let chunks = messages_of_upload(ringless::app::SAMPLE_MP3);
        self.voicemails()
            .upload_audio(tokio_stream::iter(chunks))
            .await
            .unwrap()
            .into_inner()
            .audio
            .unwrap()
            .id
    }

    /// An upload that has begun: its metadata was read.
    pub async fn open_upload(&self) -> OpenUpload {
        let before = self.uploads_in_progress().await;
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(messages_of_upload(&[])[0].clone()).unwrap();
        let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
        let mut client = self.voicemails();
        let call = tokio::spawn(async move {
            let uploaded = client.upload_audio(stream).await?;
            Ok(uploaded.into_inner().audio.unwrap())
        });
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.uploads_in_progress().await == before {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        OpenUpload { sender, call }
    }

    /// As the metrics say.
    pub async fn uploads_in_progress(&self) -> u64 {
        let url = format!("http://{}/metrics", self.running.admin_addr());
        let (_, text) = crate::serving::http_get(&url).await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ringless_uploads_in_progress "));
        line.unwrap().parse().unwrap()
    }

    pub async fn get(&self, id: &str) -> pb::Voicemail {
        self.try_get(id).await.unwrap()
    }

    pub async fn try_get(&self, id: &str) -> Result<pb::Voicemail, Status> {
        let request = pb::GetVoicemailRequest {
            voicemail_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self.voicemails().get_voicemail(request).await?;
        Ok(answer.into_inner().voicemail.unwrap())
    }

    /// Looks until it has this status. The deadline is generous: it only keeps a failure from hanging.
    pub async fn wait_for(&self, id: &str, status: pb::VoicemailStatus) -> pb::Voicemail {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let voicemail = self.get(id).await;
            if voicemail.status() == status {
                return voicemail;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "still {:?}",
                voicemail
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub struct OpenUpload {
    sender: tokio::sync::mpsc::UnboundedSender<pb::UploadAudioRequest>,
    call: tokio::task::JoinHandle<Result<pb::Audio, Status>>,
}

impl OpenUpload {
    pub fn send(&mut self, message: pb::UploadAudioRequest) {
        self.sender.send(message).unwrap();
    }

    /// Ends the stream and waits for the answer.
    pub async fn finish(self) -> Result<pb::Audio, Status> {
        drop(self.sender);
        self.call.await.unwrap()
    }
}

pub fn config(database: &TestDatabase, data: &std::path::Path, file: &str) -> Config {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let given = Overrides {
        grpc_addr: Some(loopback),
        http_addr: Some(loopback),
        admin_addr: Some(loopback),
        database_url: Some(database.url.clone()),
        data_dir: Some(data.to_owned()),
        on_terminal: true,
        ..Overrides::default()
    };
    Config::build(given, FileConfig::parse(file).unwrap()).unwrap()
}

pub fn messages(
    metadata: pb::SendVoicemailMetadata,
    audio: &[u8],
) -> Vec<pb::SendVoicemailRequest> {
    use pb::send_voicemail_request::Payload;
    let chunks = audio
        .chunks(65_536)
        .map(|chunk| Payload::AudioChunk(chunk.to_vec().into()));
    std::iter::once(Payload::Metadata(metadata))
        .chain(chunks)
        .map(|payload| pb::SendVoicemailRequest {
            payload: Some(payload),
        })
        .collect()
}

pub fn messages_of_upload(audio: &[u8]) -> Vec<pb::UploadAudioRequest> {
    use pb::upload_audio_request::Payload;
    let chunks = audio
        .chunks(65_536)
        .map(|chunk| Payload::AudioChunk(chunk.to_vec().into()));
    std::iter::once(Payload::Metadata(pb::UploadAudioMetadata {}))
        .chain(chunks)
        .map(|payload| pb::UploadAudioRequest {
            payload: Some(payload),
        })
        .collect()
}

/// Code, reason and metadata of an error that has all its details.
pub fn facts(status: &Status) -> (Code, String, std::collections::BTreeMap<String, String>) {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "ringless");
    (
        status.code(),
        info.reason.clone(),
        info.metadata.clone().into_iter().collect(),
    )
}

pub fn reason(status: &Status) -> String {
    facts(status).1
}

/// The fields that a BadRequest names.
pub fn bad_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    details
        .bad_request()
        .map(|bad| {
            bad.field_violations
                .iter()
                .map(|v| v.field.clone())
                .collect()
        })
        .unwrap_or_default()
}

pub fn timestamp(time: Time) -> prost_types::Timestamp {
    let (seconds, nanos) = time.seconds_and_nanos();
    prost_types::Timestamp { seconds, nanos }
}
