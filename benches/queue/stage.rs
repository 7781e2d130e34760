//! What every scenario stands on: a database, the product in this process, and a client of it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ringless::app::{Running, SAMPLE_MP3};
use ringless::clock::system_now;
use ringless::grpc::pb;
use ringless::grpc::pb::telephony_service_client::TelephonyServiceClient;
use ringless::grpc::pb::use_case_service_client::UseCaseServiceClient;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::carrier::{Book, Calls};
use crate::database::{Database, Engine};
use crate::process::{Process, ProcessArgs};

/// A fictional number.
const RECIPIENT: &str = "+12125550123";
/// What has not come by then never does.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a scenario wants: roles of this process, and of others beside it.
pub struct Plan<'a> {
    pub engine: Engine,
    pub roles: &'a str,
    /// Roles of the processes that are started before this one, in their order.
    pub others: &'a [&'a str],
    pub permits: usize,
    pub carrier_millis: u64,
}

pub struct Stage {
    pub client: Client,
    pub calls: Calls,
    pub database: Database,
    running: Running,
    others: Vec<Process>,
}

impl Stage {
    pub async fn start(plan: &Plan<'_>) -> anyhow::Result<Stage> {
        let database = Database::new(plan.engine)?;
        let calls = Calls::default();
        let args = |roles: &str| ProcessArgs {
            permits: plan.permits,
            carrier_millis: plan.carrier_millis,
            ..ProcessArgs::new(roles, &database.url, database.folder.path())
        };
        let mut others = Vec::new();
        for roles in plan.others {
            others.push(Process::start(&args(roles), calls.clone()).await?);
        }
        let running = args(plan.roles).start(Book::Here(calls.clone())).await?;
        let api = match plan.roles.contains("api") {
            true => running.grpc_addr().to_string(),
            false => others
                .first()
                .context("no process takes calls")?
                .addr
                .clone(),
        };
        Ok(Stage {
            client: Client::connect(&api).await?,
            calls,
            database,
            running,
            others,
        })
    }

    /// A batch that is due, made while the setup is suspended, so that nothing is taken of it before it is whole. The setup
    /// still is when this comes back.
    pub async fn suspended_batch(&self, count: usize) -> anyhow::Result<()> {
        self.client.suspend().await?;
        self.database.copy(count)
    }

    /// Looks until it holds.
    pub async fn until(
        &self,
        what: &str,
        mut holds: impl FnMut(&Stage) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        while !tokio::task::block_in_place(|| holds(self))? {
            if Instant::now() > give_up {
                bail!("{what}: not within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await?;
        for process in self.others {
            process.stop().await?;
        }
        Ok(())
    }
}

/// A client of the first setup. Clones share the connection.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    pub setup_id: String,
    /// The first use case, and the numbers that it sends from.
    pub use_case_id: String,
    number_ids: Vec<String>,
    audio_id: String,
}

impl Client {
    pub async fn connect(addr: &str) -> anyhow::Result<Client> {
        let channel = Channel::from_shared(format!("http://{addr}"))?
            .connect()
            .await?;
        let listed = UseCaseServiceClient::new(channel.clone())
            .list_use_cases(pb::ListUseCasesRequest::default())
            .await?
            .into_inner();
        let first = listed.use_cases.into_iter().next();
        let first = first.context("the first start makes a use case")?;
        use pb::upload_audio_request::Payload;
        let upload = [
            Payload::Metadata(pb::UploadAudioMetadata {}),
            Payload::AudioChunk(SAMPLE_MP3.into()),
        ]
        .map(|payload| pb::UploadAudioRequest {
            payload: Some(payload),
        });
        let audio = VoicemailServiceClient::new(channel.clone())
            .upload_audio(tokio_stream::iter(upload))
            .await?
            .into_inner()
            .audio
            .context("an upload answers its audio")?;
        Ok(Client {
            channel,
            setup_id: first.setup_id,
            use_case_id: first.id,
            number_ids: first.phone_number_ids,
            audio_id: audio.id,
        })
    }

    /// CreateVoicemail by `audio_id`; gives the voicemail's id.
    pub async fn create(
        &self,
        use_case_id: &str,
        schedule_time: Option<prost_types::Timestamp>,
    ) -> Result<String, Status> {
        let metadata = pb::SendVoicemailMetadata {
            use_case_id: use_case_id.to_owned(),
            recipient_phone_number: RECIPIENT.to_owned(),
            audio_id: self.audio_id.clone(),
            schedule_time,
            ..Default::default()
        };
        let request = pb::CreateVoicemailRequest {
            metadata: Some(metadata),
            audio: Default::default(),
        };
        let created = VoicemailServiceClient::new(self.channel.clone())
            .create_voicemail(request)
            .await?;
        Ok(created
            .into_inner()
            .voicemail
            .map(|voicemail| voicemail.id)
            .unwrap_or_default())
    }

    /// A voicemail that waits for a later day: what batches are copies of. Made before the setup is suspended.
    pub async fn original(&self) -> anyhow::Result<()> {
        let (seconds, nanos) = system_now()
            .plus(Duration::from_secs(86_400))
            .seconds_and_nanos();
        let later = prost_types::Timestamp { seconds, nanos };
        self.create(&self.use_case_id, Some(later)).await?;
        Ok(())
    }

    /// Looks until it is delivered.
    pub async fn until_delivered(&self, voicemail_id: &str) -> anyhow::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let request = pb::GetVoicemailRequest {
                voicemail_id: voicemail_id.to_owned(),
                ..Default::default()
            };
            let got = VoicemailServiceClient::new(self.channel.clone())
                .get_voicemail(request)
                .await?
                .into_inner();
            let voicemail = got.voicemail.context("an answer has its voicemail")?;
            if voicemail.status() == pb::VoicemailStatus::Delivered {
                return Ok(());
            }
            if Instant::now() > give_up {
                bail!("a voicemail is still {:?}", voicemail.status());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Another use case of the same setup, with the same numbers; gives its id.
    pub async fn another_use_case(&self) -> anyhow::Result<String> {
        let mut use_cases = UseCaseServiceClient::new(self.channel.clone());
        let use_case = pb::UseCase {
            channel: pb::Channel::RinglessVoicemail.into(),
            entity_name: "Sample Clinic".to_owned(),
            name: "One at a time".to_owned(),
            setup_id: self.setup_id.clone(),
            ..Default::default()
        };
        let request = pb::CreateUseCaseRequest {
            use_case: Some(use_case),
            ..Default::default()
        };
        let made = use_cases.create_use_case(request).await?.into_inner();
        let id = made.use_case.context("a create answers what it made")?.id;
        for number in &self.number_ids {
            let request = pb::AssignPhoneNumberRequest {
                use_case_id: id.clone(),
                phone_number_id: number.clone(),
            };
            use_cases.assign_phone_number(request).await?;
        }
        Ok(id)
    }

    pub async fn suspend(&self) -> Result<(), Status> {
        let request = pb::SuspendSetupRequest {
            setup_id: self.setup_id.clone(),
            reason: "measured".to_owned(),
        };
        let mut telephony = TelephonyServiceClient::new(self.channel.clone());
        telephony.suspend_setup(request).await.map(drop)
    }

    pub async fn resume(&self) -> Result<(), Status> {
        let request = pb::ResumeSetupRequest {
            setup_id: self.setup_id.clone(),
        };
        let mut telephony = TelephonyServiceClient::new(self.channel.clone());
        telephony.resume_setup(request).await.map(drop)
    }
}

/// Was the call refused because the setup is suspended?
pub fn is_suspended(status: &Status) -> bool {
    use tonic_types::StatusExt;
    let details = status.get_error_details();
    status.code() == Code::FailedPrecondition
        && details
            .error_info()
            .is_some_and(|info| info.reason == "SETUP_NOT_APPROVED")
}
