//! Reads the voicemails while everything is being broken, and in full at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringless::grpc::pb;
use ringless::grpc::pb::VoicemailStatus as Status;
use ringless::grpc::pb::voicemail_service_client::VoicemailServiceClient;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use crate::chance::Chance;
use crate::check::is_end;
use crate::load::Apis;

const LOOK_EVERY: Duration = Duration::from_millis(300);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What changed within this time before the newest change that was seen is read again.
const OVERLAP_SECONDS: i64 = 5;
const PAGE: i32 = 1_000;

/// What was seen of each voicemail.
#[derive(Default)]
pub struct Seen {
    ends: HashMap<String, Status>,
    pub left_ends: Vec<(String, String)>,
    pub looks: u64,
}

impl Seen {
    /// Within one list the rows are of one moment each, so they are compared as they come.
    fn note(&mut self, voicemail: &pb::Voicemail) {
        let now = voicemail.status();
        let before = self.ends.get(&voicemail.id).copied();
        if let Some(before) = before.filter(|before| *before != now) {
            let is_late_word = before == Status::Unconfirmed && is_end(now);
            if !is_late_word {
                let how = format!("{} became {}", before.as_str_name(), now.as_str_name());
                self.left_ends.push((voicemail.id.clone(), how));
            }
        }
        if is_end(now) {
            self.ends.insert(voicemail.id.clone(), now);
        }
    }
}

pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub fn start(apis: &Apis, seed: u64) -> Watch {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(keep_looking(apis.clone(), seed, seen.clone()));
        Watch { seen, task }
    }

    /// With a last look at all of them.
    pub fn stop(self, rows: &[pb::Voicemail]) -> Seen {
        self.task.abort();
        let mut seen = self.seen.lock().expect("nobody panics with it in hand");
        for row in rows {
            seen.note(row);
        }
        std::mem::take(&mut *seen)
    }
}

async fn keep_looking(apis: Apis, seed: u64, seen: Arc<Mutex<Seen>>) {
    let mut chance = Chance::new(seed, 4_000);
    let mut newest = 0;
    loop {
        sleep(LOOK_EVERY).await;
        let from = (newest > OVERLAP_SECONDS).then(|| prost_types::Timestamp {
            seconds: newest - OVERLAP_SECONDS,
            nanos: 0,
        });
        let listing = list(apis.any(&mut chance), from, &[]);
        let Ok(Ok(rows)) = timeout(ANSWER_WITHIN, listing).await else {
            continue;
        };
        let mut seen = seen.lock().expect("nobody panics with it in hand");
        seen.looks += 1;
        for row in &rows {
            let updated = row.update_time.map_or(0, |time| time.seconds);
            newest = newest.max(updated);
            seen.note(row);
        }
    }
}

/// All pages.
pub async fn list(
    channel: Channel,
    update_time_from: Option<prost_types::Timestamp>,
    statuses: &[Status],
) -> Result<Vec<pb::Voicemail>, tonic::Status> {
    let mut client = VoicemailServiceClient::new(channel);
    let mut request = pb::ListVoicemailsRequest {
        page_size: PAGE,
        update_time_from,
        statuses: statuses.iter().map(|status| (*status).into()).collect(),
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = client.list_voicemails(request.clone()).await?.into_inner();
        all.extend(page.voicemails);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

pub async fn get(channel: Channel, id: &str) -> Result<pb::Voicemail, tonic::Status> {
    let request = pb::GetVoicemailRequest {
        voicemail_id: id.to_owned(),
        ..Default::default()
    };
    let got = VoicemailServiceClient::new(channel)
        .get_voicemail(request)
        .await?;
    Ok(got.into_inner().voicemail.unwrap_or_default())
}
