//! Setups, numbers, use cases, audio and voicemails, made through the product's own verbs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringless::audio;
use ringless::carrier::{Carrier, Registry};
use ringless::config::{Config, FileConfig, Overrides, WorkerConfig};
use ringless::domain::delivery::Rules;
use ringless::domain::gate;
use ringless::domain::ids::{PhoneNumberId, SetupId, UseCaseId, VoicemailId, WorkspaceId};
use ringless::domain::labels::Labels;
use ringless::domain::phone::PhoneNumber;
use ringless::domain::room::Room;
use ringless::domain::sender::SenderPlan;
use ringless::domain::use_case::Channel;
use ringless::domain::voicemail::{Audio, Voicemail};
use ringless::domain::warm_up::NumberCaps;
use ringless::ops::deliver::{Delivering, Started, Task};
use ringless::ops::phone_numbers::{self, NewNumber};
use ringless::ops::queue::QueueGauge;
use ringless::ops::send_voicemail::{Accepted, Accepting, AudioInput, Draft, accept};
use ringless::ops::setups::{self, NewSetup};
use ringless::ops::use_cases::{self, NewUseCase};
use ringless::ops::{OpError, voicemails};
use ringless::storage::Tx;
use ringless::telemetry::Metrics;
use ringless::worker::Runner;

use super::{Engine, TestStore};
use crate::support::scripted::Scripted;

pub const WORKSPACE: WorkspaceId = WorkspaceId::DEFAULT;
pub const LEASE: Duration = Duration::from_secs(60);

pub fn number(e164: &str) -> PhoneNumber {
    PhoneNumber::from_stored(e164.to_owned())
}

/// An MP3 that differs by its seed.
pub fn mp3(seed: u64) -> Vec<u8> {
    audio::testing::distinct_mp3(seed, 11)
}

/// Every purpose is chosen, and none has a limit.
pub fn any_hour() -> gate::Rules {
    let file = FileConfig::parse(crate::vendors::ANY_HOUR).unwrap();
    let config = Config::build(Overrides::default(), file).unwrap();
    gate::Rules::clone(&config.gates)
}

/// An MP3 of this seed, judged. That of seed 1, which most tests send, is made and judged once.
fn judged(seed: u64) -> (Audio, Vec<u8>) {
    static FIRST: OnceLock<(Audio, Vec<u8>)> = OnceLock::new();
    let make = || {
        let bytes = mp3(seed);
        (described(&bytes), bytes)
    };
    match seed {
        1 => FIRST.get_or_init(make).clone(),
        _ => make(),
    }
}

/// A store with a use case that sends over one scripted carrier.
pub struct Scene {
    pub test: TestStore,
    pub carrier: Scripted,
    pub registry: Registry,
    pub setup_id: SetupId,
    pub use_case_id: UseCaseId,
    pub number_ids: Vec<PhoneNumberId>,
    pub rules: Rules,
    pub gates: Arc<gate::Rules>,
    pub queue: Arc<QueueGauge>,
}

/// The senders of a scene.
pub const SENDERS: [&str; 2] = ["+12125550195", "+13125550196"];

impl Scene {
    pub async fn new(engine: Engine, carrier: Scripted) -> Scene {
        let test = TestStore::new(engine).await;
        let one: Arc<dyn Carrier> = Arc::new(carrier.clone());
        let registry = Registry::of([("vendor".to_owned(), one)]);
        let known = registry.clone();
        let (setup_id, use_case_id, number_ids) =
            test.store.write(move |tx| make(tx, &known)).await.unwrap();
        Scene {
            test,
            carrier,
            registry,
            setup_id,
            use_case_id,
            number_ids,
            rules: Rules::default(),
            gates: Arc::new(any_hour()),
            queue: Arc::new(QueueGauge::new(1_000)),
        }
    }

    pub fn draft(&self, recipient: &str) -> Draft {
        Draft {
            use_case_id: self.use_case_id,
            recipient: number(recipient),
            audio_id: None,
            request_id: None,
            schedule_time: None,
            expire_time: None,
            labels: Labels::new(),
            time_zone: None,
            postal_code: None,
            validate_only: false,
        }
    }

    pub async fn try_accept(&self, draft: Draft, seed: u64) -> Result<Accepted, OpError> {
        self.accepting(move |tx, accepting| {
            let (audio, bytes) = judged(seed);
            let input = AudioInput::New {
                audio,
                bytes,
                known: false,
            };
            accept(tx, &draft, &input, accepting)
        })
        .await
    }

    /// A unit of work with what accepting needs.
    pub async fn accepting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tx, &Accepting<'_>) -> Result<T, OpError> + Send + 'static,
    ) -> Result<T, OpError> {
        let (registry, queue) = (self.registry.clone(), self.queue.clone());
        let gates = self.gates.clone();
        self.test
            .store
            .write(move |tx| {
                let accepting = Accepting {
                    workspace: WORKSPACE,
                    registry: &registry,
                    gates: &gates,
                    queue: &queue,
                    expire_after: Duration::from_secs(72 * 3_600),
                };
                work(tx, &accepting)
            })
            .await
    }

    /// A new voicemail to this recipient.
    pub async fn accept(&self, recipient: &str) -> VoicemailId {
        match self.try_accept(self.draft(recipient), 1).await.unwrap() {
            Accepted::New(voicemail) => voicemail.id,
            other => panic!("{other:?}"),
        }
    }

    pub fn runner(&self) -> Runner {
        self.runner_with(self.registry.clone())
    }

    pub fn runner_with(&self, registry: Registry) -> Runner {
        let delivering = Delivering {
            registry,
            rules: self.rules.clone(),
            gates: self.gates.clone(),
            lease: LEASE,
            doors: None,
        };
        let config = WorkerConfig {
            in_flight_max: 16,
            lease: LEASE,
            call_timeout: Duration::from_secs(30),
            poll: Duration::from_secs(1),
        };
        let mut runner = Runner::new(self.test.store.clone(), delivering, &config, Metrics::new());
        runner.chance = || 0.5;
        runner
    }

    /// Claims what is due and runs it to its end, until nothing is due.
    pub async fn work(&self) {
        let runner = self.runner();
        loop {
            let instant = tokio::time::Instant::now();
            let Started { claimed, begun } = runner.start_due(Room::new(10)).await.unwrap();
            if claimed.is_empty() && begun.is_empty() {
                return;
            }
            for task in claimed.tasks {
                runner.run(task).await;
            }
            for (task, next) in begun {
                runner.go_on(task, next, instant).await;
            }
        }
    }

    /// Claims one row and gives its task, as a worker that dies right after.
    pub async fn claim_one(&self) -> Task {
        let mut claimed = self.runner().claim(Room::new(1)).await.unwrap();
        claimed.tasks.pop().expect("one is due")
    }

    pub async fn get(&self, id: VoicemailId) -> Voicemail {
        self.test
            .store
            .read(move |tx| voicemails::get(tx, WORKSPACE, id))
            .await
            .unwrap()
    }

    pub fn advance(&self, by: Duration) {
        self.test.advance(by);
    }

    pub fn advance_seconds(&self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }
}

/// An approved setup with two numbers, and a use case that has both.
fn make(
    tx: &mut dyn Tx,
    registry: &Registry,
) -> Result<(SetupId, UseCaseId, Vec<PhoneNumberId>), OpError> {
    let new = NewSetup {
        display_name: "Scripted".to_owned(),
        carriers: vec!["vendor".to_owned()],
        starts_per_minute: 0,
        in_flight_max: 0,
        request_id: None,
    };
    let setup = setups::create(tx, WORKSPACE, &new, registry)?;
    let setup = setups::approve(tx, WORKSPACE, setup.id, registry)?;
    let new = NewUseCase {
        channel: Channel::RinglessVoicemail,
        entity_name: "Clinic".to_owned(),
        name: "Reminders".to_owned(),
        description: String::new(),
        setup_id: setup.id,
        purpose: None,
        callback_phone_number: None,
        opt_out_phone_number: None,
        senders: SenderPlan::default(),
        request_id: None,
    };
    let use_case = use_cases::create(tx, WORKSPACE, &new, registry)?;
    let mut ids = Vec::new();
    for sender in SENDERS {
        let new = NewNumber {
            setup_id: setup.id,
            number: number(sender),
            display_name: String::new(),
            carriers: Vec::new(),
            caps: NumberCaps::default(),
            request_id: None,
        };
        let made = phone_numbers::create(tx, WORKSPACE, &new)?;
        use_cases::assign(tx, WORKSPACE, use_case.id, made.id)?;
        ids.push(made.id);
    }
    Ok((setup.id, use_case.id, ids))
}

/// What is stored of an MP3.
pub fn described(bytes: &[u8]) -> Audio {
    ringless::ops::audio::describe(&audio::judge(bytes).unwrap())
}
