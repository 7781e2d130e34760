//! The callers: they send voicemails without pause, repeat under the same `request_id` until they
//! are answered, and write down what they were told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringless::grpc::pb;
use ringless::grpc::pb::telephony_service_client::TelephonyServiceClient;
use ringless::grpc::pb::use_case_service_client::UseCaseServiceClient;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::carriers::Carriers;
use crate::chance::Chance;
use crate::wire::Account;

/// Ten seconds of sound in 10 KB.
pub const AUDIO: &[u8] = include_bytes!("../fixtures/audio/accepted-24000-cbr-stereo-8k.mp3");
const CALLERS: u64 = 4;
/// A caller who gets no answer at all after this long says so.
const ANSWERED_WITHIN: Duration = Duration::from_secs(180);

/// Ways to the servers that take calls.
#[derive(Clone)]
pub struct Apis(Arc<Vec<Channel>>);

impl Apis {
    pub fn new(ports: &[u16]) -> anyhow::Result<Apis> {
        let channel = |port: &u16| {
            let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?;
            anyhow::Ok(
                endpoint
                    .connect_timeout(Duration::from_secs(1))
                    .connect_lazy(),
            )
        };
        let channels: anyhow::Result<Vec<_>> = ports.iter().map(channel).collect();
        Ok(Apis(Arc::new(channels?)))
    }

    pub fn any(&self, chance: &mut Chance) -> Channel {
        self.0[chance.below(self.0.len())].clone()
    }

    pub fn first(&self) -> Channel {
        self.0[0].clone()
    }
}

/// What callers need to know of the set-up: a use case for each account.
#[derive(Debug, Clone)]
pub struct Setting {
    carriers: Carriers,
    pub use_cases: BTreeMap<Account, String>,
    pub audio_id: String,
}

impl Setting {
    pub fn account_of(&self, use_case_id: &str) -> Option<Account> {
        self.use_cases
            .iter()
            .find(|(_, id)| *id == use_case_id)
            .map(|(account, _)| *account)
    }

    /// Made over the API, before anything is killed.
    pub async fn make(channel: Channel, carriers: Carriers) -> anyhow::Result<Setting> {
        let mut telephony = TelephonyServiceClient::new(channel.clone());
        let mut cases = UseCaseServiceClient::new(channel.clone());
        let mut use_cases = BTreeMap::new();
        for (at, account) in carriers.accounts().into_iter().enumerate() {
            let setup = pb::Setup {
                display_name: account.as_str().to_owned(),
                carriers: account.carriers(),
                ..pb::Setup::default()
            };
            let request = pb::CreateSetupRequest {
                setup: Some(setup),
                ..Default::default()
            };
            let made = telephony.create_setup(request).await?.into_inner();
            let setup_id = made.setup.unwrap_or_default().id;
            let approve = pb::ApproveSetupRequest {
                setup_id: setup_id.clone(),
            };
            telephony.approve_setup(approve).await?;
            let use_case = pb::UseCase {
                channel: pb::Channel::RinglessVoicemail.into(),
                entity_name: "Faults".to_owned(),
                name: account.as_str().to_owned(),
                setup_id: setup_id.clone(),
                ..pb::UseCase::default()
            };
            let request = pb::CreateUseCaseRequest {
                use_case: Some(use_case),
                ..Default::default()
            };
            let made = cases.create_use_case(request).await?.into_inner();
            let use_case_id = made.use_case.unwrap_or_default().id;
            for number in 0..2 {
                let phone_number = pb::PhoneNumber {
                    setup_id: setup_id.clone(),
                    phone_number: format!("+1312555{:04}", 100 + 2 * at + number),
                    ..pb::PhoneNumber::default()
                };
                let request = pb::CreatePhoneNumberRequest {
                    phone_number: Some(phone_number),
                    ..Default::default()
                };
                let made = telephony.create_phone_number(request).await?.into_inner();
                let assign = pb::AssignPhoneNumberRequest {
                    use_case_id: use_case_id.clone(),
                    phone_number_id: made.phone_number.unwrap_or_default().id,
                };
                cases.assign_phone_number(assign).await?;
            }
            use_cases.insert(account, use_case_id);
        }
        let audio_id = upload(channel, AUDIO).await?;
        Ok(Setting {
            carriers,
            use_cases,
            audio_id,
        })
    }
}

async fn upload(channel: Channel, audio: &[u8]) -> Result<String, Status> {
    use pb::upload_audio_request::Payload;
    let payloads = [
        Payload::Metadata(pb::UploadAudioMetadata {}),
        Payload::AudioChunk(audio.to_vec().into()),
    ];
    let messages = payloads.map(|payload| pb::UploadAudioRequest {
        payload: Some(payload),
    });
    let uploaded = VoicemailServiceClient::new(channel)
        .upload_audio(tokio_stream::iter(messages))
        .await?;
    Ok(uploaded.into_inner().audio.unwrap_or_default().id)
}

/// What the callers were told, as they wrote it down.
#[derive(Debug, Default)]
pub struct Told {
    /// By request id: the voicemail ids that were answered, which should be one.
    pub accepted: BTreeMap<String, Vec<String>>,
    /// Request ids whose caller gave up without an answer.
    pub unanswered: Vec<String>,
    /// Answers that no fault explains.
    pub wrong: Vec<String>,
    /// How often each answer came.
    pub answers: BTreeMap<String, u64>,
}

/// The same, shared, with its file.
#[derive(Clone)]
pub struct Notebook(Arc<Mutex<(Told, File)>>);

impl Notebook {
    pub fn new(path: &Path) -> anyhow::Result<Notebook> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Notebook(Arc::new(Mutex::new((Told::default(), file)))))
    }

    pub fn with<T>(&self, read: impl FnOnce(&mut Told) -> T) -> T {
        read(
            &mut self
                .0
                .lock()
                .expect("nobody panics with the notebook in hand")
                .0,
        )
    }

    fn accepted(&self, request_id: &str, voicemail_id: &str) {
        let mut held = self
            .0
            .lock()
            .expect("nobody panics with the notebook in hand");
        let (told, file) = &mut *held;
        let _ = writeln!(file, "{request_id} {voicemail_id}");
        let ids = told.accepted.entry(request_id.to_owned()).or_default();
        if !ids.iter().any(|id| id == voicemail_id) {
            ids.push(voicemail_id.to_owned());
        }
        *told.answers.entry("OK".to_owned()).or_default() += 1;
    }

    fn refused(&self, request_id: &str, refusal: &Refusal) {
        self.with(|told| {
            *told.answers.entry(refusal.name.clone()).or_default() += 1;
            if refusal.is_wrong {
                told.wrong.push(format!("{request_id}: {}", refusal.text));
            }
        });
    }
}

/// An answer that is not OK.
struct Refusal {
    name: String,
    text: String,
    /// Nothing that is being broken here explains it.
    is_wrong: bool,
}

impl Refusal {
    fn of(status: &Status) -> Refusal {
        let info = status.get_error_details().error_info().cloned();
        let name = match &info {
            Some(info) => format!("{:?} {}", status.code(), info.reason),
            None => format!("{:?} (the connection)", status.code()),
        };
        let may_come = [Code::Unavailable, Code::ResourceExhausted];
        // A caller's library has its own words for a connection that broke.
        let is_wrong = info.is_some() && !may_come.contains(&status.code());
        Refusal {
            name,
            text: format!("{:?}: {}", status.code(), status.message()),
            is_wrong,
        }
    }

    fn silence() -> Refusal {
        Refusal {
            name: "no answer in time".to_owned(),
            text: String::new(),
            is_wrong: false,
        }
    }
}

pub struct Load {
    stop: watch::Sender<bool>,
    callers: JoinSet<()>,
}

/// How the callers call.
#[derive(Clone)]
pub struct Manner {
    pub seed: u64,
    /// Between two voicemails of one caller, in milliseconds.
    pub pause_ms: (u64, u64),
    pub answer_within: Duration,
}

impl Load {
    pub fn start(apis: &Apis, setting: &Setting, notebook: &Notebook, manner: &Manner) -> Load {
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let caller = Caller {
                number,
                apis: apis.clone(),
                setting: setting.clone(),
                notebook: notebook.clone(),
                manner: manner.clone(),
                chance: Chance::new(manner.seed, 3_000 + number),
                stopped: stopped.clone(),
            };
            callers.spawn(caller.run());
        }
        Load { stop, callers }
    }

    /// Nobody begins a new one; those that are begun are repeated until they are answered.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.callers.join_next().await.is_some() {}
    }
}

struct Caller {
    number: u64,
    apis: Apis,
    setting: Setting,
    notebook: Notebook,
    manner: Manner,
    chance: Chance,
    stopped: watch::Receiver<bool>,
}

impl Caller {
    async fn run(mut self) {
        let mut count = 0_u64;
        while !*self.stopped.borrow() {
            count += 1;
            self.send(count).await;
            let (low, high) = self.manner.pause_ms;
            sleep(self.chance.millis(low, high)).await;
        }
    }

    async fn send(&mut self, count: u64) {
        let account = self.setting.carriers.accounts()[self.chance.below(3)];
        let request_id = format!("{}-{}-{count}", self.manner.seed, self.number);
        let mut metadata = pb::SendVoicemailMetadata {
            use_case_id: self.setting.use_cases[&account].clone(),
            recipient_phone_number: self.recipient(count),
            request_id,
            ..Default::default()
        };
        // Most name stored audio; the others bring it along, some of them audio that is new. Vendors are
        // given new audio apart, which is to happen often.
        let new = match self.setting.carriers {
            Carriers::Recorded => 1,
            Carriers::Vendors => 3,
        };
        let audio = match self.chance.between(0, 10) {
            drawn if drawn < new => Some(tagged(self.chance.next())),
            drawn if drawn == new => Some(AUDIO.to_vec()),
            _ => {
                metadata.audio_id.clone_from(&self.setting.audio_id);
                None
            }
        };
        if self.chance.percent(5) {
            let channel = self.apis.any(&mut self.chance);
            let audio = tagged(self.chance.next());
            let uploaded = upload(channel, &audio);
            let refusal = match timeout(self.manner.answer_within, uploaded).await {
                Ok(Ok(_)) => None,
                Ok(Err(status)) => Some(Refusal::of(&status)),
                Err(_) => Some(Refusal::silence()),
            };
            if let Some(refusal) = refusal {
                self.notebook.refused(&metadata.request_id, &refusal);
            }
        }
        // Some ask twice at the same moment, and some once more afterwards.
        let twice = self.chance.percent(5);
        let again = self.chance.percent(5);
        let first = self.chance.next();
        self.notebook.with(|told| {
            told.accepted
                .entry(metadata.request_id.clone())
                .or_default();
        });
        match twice {
            true => {
                let second = self.chance.next();
                tokio::join!(
                    self.persist(&metadata, audio.as_deref(), first),
                    self.persist(&metadata, audio.as_deref(), second)
                );
            }
            false => self.persist(&metadata, audio.as_deref(), first).await,
        }
        if again {
            let third = self.chance.next();
            self.persist(&metadata, audio.as_deref(), third).await;
        }
    }

    /// Vendors know no ids of ours, so there each voicemail is told by a recipient of its own. The last two
    /// digits are those for which the vendors deliver.
    fn recipient(&mut self, count: u64) -> String {
        let drawn = self.chance.between(100, 200);
        match self.setting.carriers {
            Carriers::Recorded => format!("+1212555{drawn:04}"),
            Carriers::Vendors => {
                format!("+15554{}{:03}{:02}", self.number, count / 50, count % 50)
            }
        }
    }

    /// Until it is answered.
    async fn persist(&self, metadata: &pb::SendVoicemailMetadata, audio: Option<&[u8]>, seed: u64) {
        let mut chance = Chance::new(seed, 0);
        let deadline = Instant::now() + ANSWERED_WITHIN;
        while Instant::now() < deadline {
            let channel = self.apis.any(&mut chance);
            let call = call(channel, metadata.clone(), audio);
            let refusal = match timeout(self.manner.answer_within, call).await {
                Ok(Ok(voicemail)) => {
                    return self.notebook.accepted(&metadata.request_id, &voicemail.id);
                }
                Ok(Err(status)) => Refusal::of(&status),
                Err(_) => Refusal::silence(),
            };
            self.notebook.refused(&metadata.request_id, &refusal);
            if refusal.is_wrong {
                return;
            }
            sleep(chance.millis(50, 300)).await;
        }
        self.notebook
            .with(|told| told.unanswered.push(metadata.request_id.clone()));
    }
}

async fn call(
    channel: Channel,
    metadata: pb::SendVoicemailMetadata,
    audio: Option<&[u8]>,
) -> Result<pb::Voicemail, Status> {
    use pb::send_voicemail_request::Payload;
    let mut client = VoicemailServiceClient::new(channel);
    let voicemail = match audio {
        None => {
            let request = pb::CreateVoicemailRequest {
                metadata: Some(metadata),
                audio: Default::default(),
            };
            client
                .create_voicemail(request)
                .await?
                .into_inner()
                .voicemail
        }
        Some(audio) => {
            let payloads = [
                Payload::Metadata(metadata),
                Payload::AudioChunk(audio.to_vec().into()),
            ];
            let messages = payloads.map(|payload| pb::SendVoicemailRequest {
                payload: Some(payload),
            });
            client
                .send_voicemail(tokio_stream::iter(messages))
                .await?
                .into_inner()
                .voicemail
        }
    };
    Ok(voicemail.unwrap_or_default())
}

/// The same sound with another title, so that its bytes are new.
fn tagged(title: u64) -> Vec<u8> {
    let mut audio = AUDIO.to_vec();
    let mut tag = [0_u8; 128];
    tag[..3].copy_from_slice(b"TAG");
    tag[3..19].copy_from_slice(format!("{title:016x}").as_bytes());
    audio.extend_from_slice(&tag);
    audio
}
