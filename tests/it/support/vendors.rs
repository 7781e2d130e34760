//! The whole program in front of played vendors: only its configuration differs from that of any other
//! start.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ringless::carrier::Carrier;
use ringless::clock::ManualClock;
use ringless::config::{Config, FileConfig, Overrides};
use ringless::domain::time::Time;
use ringless::grpc::pb;

use super::app::TestApp;
use super::{Engine, START_US, TestDatabase, later_address};
use crate::vendors::ANY_HOUR;
use crate::vendors::Played;
use crate::vendors::desk::Common;
use crate::vendors::drop_cowboy_v1::{self, DropCowboyV1};
use crate::vendors::drop_cowboy_v2::{self, DropCowboyV2};
use crate::vendors::slybroadcast::{self, Slybroadcast};
use crate::vendors::voicedrop::{self, VoiceDrop};

/// A service in the making: its clock, its folder, and the carriers that it is to have.
pub struct Stage {
    pub engine: Engine,
    pub clock: ManualClock,
    pub data: tempfile::TempDir,
    /// In the order in which the setup has them.
    names: Vec<String>,
    file: String,
}

/// The sender of everything here.
pub const SENDER: &str = "+12125550195";

impl Stage {
    pub fn new(engine: Engine) -> Stage {
        Stage {
            engine,
            clock: ManualClock::new(Time::from_micros(START_US)),
            data: tempfile::tempdir().unwrap(),
            names: Vec::new(),
            file: ANY_HOUR.to_owned(),
        }
    }

    /// A vendor that lives by the same clock.
    pub fn common(&self) -> Common {
        let clock = self.clock.clone();
        Common {
            now: std::sync::Arc::new(move || clock.now().micros()),
            ..Common::default()
        }
    }

    pub fn secret(&self, name: &str, text: &str) -> String {
        let path = self.data.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{{ file = '{}' }}", path.display())
    }

    /// More settings, of no carrier.
    pub fn with(&mut self, text: &str) {
        self.file = format!("{text}\n{}", self.file);
    }

    /// `[carriers.NAME]` with these lines.
    pub fn carrier(&mut self, name: &str, lines: &str) {
        self.names.push(name.to_owned());
        let patience = match lines.contains("answer_timeout_seconds") {
            true => "",
            false => "answer_timeout_seconds = 5",
        };
        self.file
            .push_str(&format!("\n[carriers.{name}]\n{lines}\n{patience}\n"));
    }

    pub async fn voicedrop(&mut self, more: &str) -> Played<VoiceDrop> {
        let settings = voicedrop::Settings {
            common: self.common(),
            ..voicedrop::Settings::default()
        };
        let key = self.secret("voicedrop", &settings.auth_key);
        let played = VoiceDrop::start(settings).await.unwrap();
        let base_url = played.vendor.base_url();
        self.carrier(
            "voicedrop",
            &format!("kind = 'voicedrop'\nbase_url = '{base_url}'\nauth_key = {key}\n{more}"),
        );
        played
    }

    pub async fn cowboy(&mut self, more: &str) -> Played<DropCowboyV2> {
        let settings = drop_cowboy_v2::Settings {
            common: self.common(),
            ..drop_cowboy_v2::Settings::default()
        };
        let key = self.secret("cowboy-key", &settings.key);
        let secret = self.secret("cowboy-secret", &settings.secret);
        let signing = self.secret("cowboy-signing", &settings.signing_secret);
        let line = settings.line_id.clone();
        let played = DropCowboyV2::start(settings).await.unwrap();
        let base_url = played.vendor.base_url();
        self.carrier(
            "cowboy",
            &format!("kind = 'drop_cowboy_v2'\nbase_url = '{base_url}'\nkey = {key}\nsecret = {secret}\nsigning_secrets = [{signing}]\nphone_line_id = '{line}'\n{more}"),
        );
        played
    }

    pub async fn cowboy_v1(&mut self, more: &str) -> Played<DropCowboyV1> {
        let settings = drop_cowboy_v1::Settings {
            common: self.common(),
            ..drop_cowboy_v1::Settings::default()
        };
        let secret = self.secret("cowboy-v1", &settings.secret);
        let (team, brand) = (settings.team_id.clone(), settings.brand_id.clone());
        let played = DropCowboyV1::start(settings).await.unwrap();
        let base_url = played.vendor.base_url();
        self.carrier(
            "cowboy_v1",
            &format!("kind = 'drop_cowboy_v1'\nbase_url = '{base_url}'\nteam_id = '{team}'\nsecret = {secret}\nbrand_id = '{brand}'\n{more}"),
        );
        played
    }

    pub async fn slybroadcast(&mut self, more: &str) -> Played<Slybroadcast> {
        let settings = slybroadcast::Settings {
            common: self.common(),
            ..slybroadcast::Settings::default()
        };
        let password = self.secret("slybroadcast", &settings.password);
        let uid = settings.uid.clone();
        let played = Slybroadcast::start(settings).await.unwrap();
        let base_url = played.vendor.json_url();
        self.carrier(
            "slybroadcast",
            &format!("kind = 'slybroadcast'\nbase_url = '{base_url}'\nuid = '{uid}'\npassword = {password}\n{more}"),
        );
        played
    }

    /// As `serve` would run, on a database of its own.
    pub fn config(&self, database: &TestDatabase) -> Config {
        let loopback = "127.0.0.1:0".parse().unwrap();
        // Carriers are told where we are before we listen there, so the port is chosen beforehand.
        let http_addr = later_address();
        let given = Overrides {
            grpc_addr: Some(loopback),
            http_addr: Some(http_addr),
            admin_addr: Some(loopback),
            public_url: Some(format!("http://{http_addr}")),
            database_url: Some(database.url.clone()),
            data_dir: Some(self.data.path().to_owned()),
            on_terminal: true,
            ..Overrides::default()
        };
        Config::build(given, FileConfig::parse(&self.file).unwrap()).unwrap()
    }

    /// Starts it, with a setup of all carriers, a number, and a use case.
    pub async fn start(self) -> TestApp {
        let database = TestDatabase::new(self.engine);
        let config = self.config(&database);
        let names = self.names.clone();
        let mut app = TestApp::run(config, database, self.clock, self.data).await;
        app.setup_id = app.new_setup(&names).await;
        app.use_case_id = app.new_use_case("Reminders", None).await.unwrap();
        app
    }
}

impl TestApp {
    pub async fn new_setup(&self, carriers: &[String]) -> String {
        let setup = pb::Setup {
            display_name: "Vendors".to_owned(),
            carriers: carriers.to_vec(),
            ..pb::Setup::default()
        };
        let request = pb::CreateSetupRequest {
            setup: Some(setup),
            request_id: "setup".to_owned(),
        };
        let made = self.telephony().create_setup(request).await.unwrap();
        let setup_id = made.into_inner().setup.unwrap().id;
        let request = pb::ApproveSetupRequest {
            setup_id: setup_id.clone(),
        };
        self.telephony().approve_setup(request).await.unwrap();
        let number = pb::PhoneNumber {
            setup_id: setup_id.clone(),
            phone_number: SENDER.to_owned(),
            ..pb::PhoneNumber::default()
        };
        let request = pb::CreatePhoneNumberRequest {
            phone_number: Some(number),
            request_id: "number".to_owned(),
        };
        self.telephony().create_phone_number(request).await.unwrap();
        setup_id
    }

    /// A use case that has all numbers of the setup.
    pub async fn new_use_case(
        &self,
        name: &str,
        purpose: Option<pb::Purpose>,
    ) -> Result<String, tonic::Status> {
        let use_case = pb::UseCase {
            channel: pb::Channel::RinglessVoicemail as i32,
            entity_name: "Clinic".to_owned(),
            name: name.to_owned(),
            setup_id: self.setup_id.clone(),
            purpose: purpose.map_or(0, |purpose| purpose as i32),
            ..pb::UseCase::default()
        };
        let request = pb::CreateUseCaseRequest {
            use_case: Some(use_case),
            request_id: format!("use-case {name}"),
        };
        let made = self.use_cases().create_use_case(request).await?;
        let use_case_id = made.into_inner().use_case.unwrap().id;
        let listed = self
            .telephony()
            .list_phone_numbers(pb::ListPhoneNumbersRequest::default())
            .await?;
        for number in listed.into_inner().phone_numbers {
            let request = pb::AssignPhoneNumberRequest {
                use_case_id: use_case_id.clone(),
                phone_number_id: number.id,
            };
            self.use_cases().assign_phone_number(request).await?;
        }
        Ok(use_case_id)
    }

    /// Sends the sample to this number; gives the voicemail's id.
    pub async fn send_to(&self, recipient: &str) -> String {
        self.send_stored(|metadata| metadata.recipient_phone_number = recipient.to_owned())
            .await
            .unwrap()
            .id
    }

    /// Sends it and waits for that status.
    pub async fn sent_to(&self, recipient: &str, status: pb::VoicemailStatus) -> pb::Voicemail {
        let id = self.send_to(recipient).await;
        self.wait_for(&id, status).await
    }

    /// Looks until so many attempts have ended.
    pub async fn wait_for_attempts(&self, id: &str, count: usize) -> pb::Voicemail {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let voicemail = self.get(id).await;
            let ended = voicemail.attempts.iter().filter(|it| it.end_time.is_some());
            if ended.count() >= count {
                return voicemail;
            }
            assert!(tokio::time::Instant::now() < deadline, "{voicemail:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn setup(&self) -> pb::Setup {
        let request = pb::GetSetupRequest {
            setup_id: self.setup_id.clone(),
        };
        let found = self.telephony().get_setup(request).await.unwrap();
        found.into_inner().setup.unwrap()
    }

    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.running.admin_addr());
        crate::serving::http_get(&url).await.1
    }
}

/// Looks again and again until it is so. The deadline is generous: it only keeps a failure from hanging.
pub async fn wait_until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A carrier of this kind by itself.
pub fn open(kind: &str, lines: &str, folder: &Path) -> std::sync::Arc<dyn Carrier> {
    let file =
        format!("public_url = 'http://127.0.0.1:1'\n[carriers.one]\nkind = '{kind}'\n{lines}");
    let given = Overrides {
        data_dir: Some(PathBuf::from(folder)),
        ..Overrides::default()
    };
    let config = Config::build(given, FileConfig::parse(&file).unwrap()).unwrap();
    config.registry().unwrap().find("one").unwrap().clone()
}
