//! The connection to a server, and repeats of what may be repeated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::failure::{NoServer, is_broken_connection};
use crate::grpc::pb::consent_service_client::ConsentServiceClient;
use crate::grpc::pb::suppression_service_client::SuppressionServiceClient;
use crate::grpc::pb::telephony_service_client::TelephonyServiceClient;
use crate::grpc::pb::use_case_service_client::UseCaseServiceClient;
use crate::grpc::pb::voicemail_service_client::VoicemailServiceClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take: a short call, and one that carries audio or counts a lot.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const LONG_ANSWER_WITHIN: Duration = Duration::from_secs(130);
/// How long an import or an export may take in all.
const STREAM_WITHIN: Duration = Duration::from_secs(3_600);
/// Calls of one command where the server says to come again: the first and its repeats.
const CALLS_MAX: u32 = 5;
/// The first wait where the server names none; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Nobody sits longer than this before a terminal for one repeat.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What every command that talks to a server takes.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// The server's gRPC address: HOST:PORT, or http://HOST:PORT
    #[arg(
        long,
        env = "RINGLESS_ADDR",
        default_value = "http://127.0.0.1:50051",
        value_name = "ADDR"
    )]
    pub addr: ServerAddr,
}

impl ClientArgs {
    pub async fn connect(&self) -> anyhow::Result<Client> {
        Client::connect(&self.addr).await
    }
}

/// Where a server is, as `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddr(String);

impl FromStr for ServerAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<ServerAddr, String> {
        let rule = "give HOST:PORT, for example 127.0.0.1:50051";
        if text.starts_with("https://") {
            return Err("TLS is not spoken yet; give http://HOST:PORT, with a tunnel where the network needs one".to_owned());
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().map_err(|_| rule.to_owned())?;
        if authority.host().is_empty() || authority.port_u16().is_none() || rest.contains('@') {
            return Err(rule.to_owned());
        }
        Ok(ServerAddr(format!("http://{authority}")))
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The services of one server, over one connection.
#[derive(Debug, Clone)]
pub struct Client {
    pub consents: ConsentServiceClient<Channel>,
    pub suppressions: SuppressionServiceClient<Channel>,
    pub telephony: TelephonyServiceClient<Channel>,
    pub use_cases: UseCaseServiceClient<Channel>,
    pub voicemails: VoicemailServiceClient<Channel>,
}

impl Client {
    pub async fn connect(addr: &ServerAddr) -> anyhow::Result<Client> {
        let endpoint = Endpoint::from_shared(addr.0.clone())?.connect_timeout(CONNECT_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|error| NoServer {
            addr: addr.to_string(),
            cause: deepest(&error),
        })?;
        Ok(Client {
            consents: ConsentServiceClient::new(channel.clone()),
            suppressions: SuppressionServiceClient::new(channel.clone()),
            telephony: TelephonyServiceClient::new(channel.clone()),
            use_cases: UseCaseServiceClient::new(channel.clone()),
            voicemails: VoicemailServiceClient::new(channel),
        })
    }
}

/// A request that gives up after a while.
pub fn soon<T>(message: T) -> Request<T> {
    within(message, ANSWER_WITHIN)
}

/// The same for calls that carry audio, or count a lot.
pub fn in_time<T>(message: T) -> Request<T> {
    within(message, LONG_ANSWER_WITHIN)
}

/// The same for streams of any length.
pub fn within_an_hour<T>(message: T) -> Request<T> {
    within(message, STREAM_WITHIN)
}

fn within<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

/// Makes a call that is safe to repeat, and repeats it where the server asks for that or the
/// connection broke. Says so on stderr.
pub async fn persistently<T>(
    mut call: impl AsyncFnMut() -> Result<T, Status>,
) -> Result<T, Status> {
    let mut calls = 1;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        match wait_before_repeat(&status, calls) {
            Some(wait) => {
                let why = super::show::clean(status.message());
                eprintln!("not yet: {why}; trying again in {} s", wait.as_secs_f64());
                tokio::time::sleep(wait).await;
                calls += 1;
            }
            None => return Err(status),
        }
    }
}

/// Whether a call that was answered so is worth a repeat, and after which wait.
fn wait_before_repeat(status: &Status, calls: u32) -> Option<Duration> {
    let asked = status
        .get_details_retry_info()
        .and_then(|retry| retry.retry_delay);
    let may_pass =
        asked.is_some() || status.code() == Code::Unavailable || is_broken_connection(status);
    let wait = asked.unwrap_or(FIRST_WAIT * 2_u32.saturating_pow(calls - 1));
    (may_pass && calls < CALLS_MAX && wait <= WAIT_MAX).then_some(wait)
}

/// May a call that was answered so have been carried out all the same?
pub fn may_be_done(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::DeadlineExceeded | Code::Cancelled
    ) || is_broken_connection(status)
}

/// The request id of a create or a send: the one given, else a new one.
pub fn request_id(given: Option<String>) -> String {
    given.unwrap_or_else(|| uuid::Uuid::now_v7().to_string())
}

/// The cause at the bottom, which says what the operating system said.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn an_address_is_host_and_port_with_or_without_a_scheme() {
        for (given, read) in [
            ("127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("http://127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("http://voice.example:80/", "http://voice.example:80"),
            ("[::1]:50051", "http://[::1]:50051"),
        ] {
            assert_eq!(
                given.parse::<ServerAddr>().map(|addr| addr.to_string()),
                Ok(read.to_owned())
            );
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for given in [
            "",
            "localhost",
            ":50051",
            "http://",
            "https://x:1",
            "ftp://x:1",
            "x:y",
            "x:70000",
            "http://x:1/path",
            "me:pw@x:1",
        ] {
            assert!(given.parse::<ServerAddr>().is_err(), "{given}");
        }
    }

    fn asking_for(wait: Duration) -> Status {
        let details = ErrorDetails::with_retry_info(Some(wait));
        Status::with_error_details(Code::ResourceExhausted, "full", details)
    }

    #[test]
    fn a_repeat_waits_as_long_as_the_server_says_and_within_bounds() {
        let unavailable = Status::unavailable("away");
        assert_eq!(wait_before_repeat(&unavailable, 1), Some(FIRST_WAIT));
        assert_eq!(wait_before_repeat(&unavailable, 3), Some(FIRST_WAIT * 4));
        assert_eq!(wait_before_repeat(&unavailable, CALLS_MAX), None);
        assert_eq!(
            wait_before_repeat(&asking_for(Duration::from_secs(2)), 1),
            Some(Duration::from_secs(2))
        );
        assert_eq!(
            wait_before_repeat(&asking_for(WAIT_MAX + Duration::from_millis(1)), 1),
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_until_it_is_answered_or_refused() {
        let mut answers = vec![
            Err(Status::unavailable("away")),
            Err(asking_for(Duration::from_secs(3))),
            Ok(7),
        ]
        .into_iter();
        let started = tokio::time::Instant::now();
        let answer = persistently(async || answers.next().expect("as many answers as calls")).await;
        assert_eq!(answer.ok(), Some(7));
        assert_eq!(started.elapsed(), FIRST_WAIT + Duration::from_secs(3));

        let mut calls = 0;
        let never = persistently(async || {
            calls += 1;
            Err::<(), Status>(Status::unavailable("away"))
        });
        assert_eq!(
            never.await.map_err(|status| status.code()),
            Err(Code::Unavailable)
        );
        assert_eq!(calls, CALLS_MAX);
    }

    #[test]
    fn a_refusal_is_not_repeated() {
        for code in [
            Code::InvalidArgument,
            Code::NotFound,
            Code::FailedPrecondition,
            Code::Unknown,
            Code::Internal,
        ] {
            assert_eq!(wait_before_repeat(&Status::new(code, "no"), 1), None);
        }
    }
}
