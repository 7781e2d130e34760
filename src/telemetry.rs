//! Logs and metrics: how they are set up, and the names of all metrics.
//!
//! No line and no label ever holds a whole phone number, audio, or a key. Field names are the same
//! everywhere: `request.id`, `rpc.method`, `voicemail.id`, `attempt.number`, `carrier.name`, `error`.

use std::io::IsTerminal;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

use crate::domain::attempt::OutcomeKind;
use crate::domain::failure::FailureReason;
use crate::domain::gate::Gate;
use crate::domain::status::Status;
use crate::domain::word::Said;

/// What is logged where nothing else is asked for. The database library's own complaints about
/// each failed connection are ours to make, once.
const DEFAULT_FILTER: &str = "info,r2d2=off,h2=warn,hyper=warn,tower=warn";

/// Logs to stderr: for people on a terminal, JSON lines otherwise. `filter` is as in RUST_LOG,
/// which is taken where none is given.
pub fn init(filter: Option<&str>) {
    let filter = match filter {
        Some(filter) => EnvFilter::try_new(filter).ok(),
        None => EnvFilter::try_from_default_env().ok(),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call, as in tests, leaves the first as it is.
    let _already_set = match std::io::stderr().is_terminal() {
        true => lines.with_target(false).try_init(),
        false => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
}

/// The counters of this process.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    calls: Family<Labels<2>, Counter>,
    accepted: Counter,
    attempts: Family<Labels<2>, Counter>,
    ended: Family<Labels<2>, Counter>,
    held: Family<Labels<1>, Counter>,
    late_outcomes: Counter,
    words: Family<Labels<4>, Counter>,
    strangers: Family<Labels<1>, Counter>,
    uploads: Gauge,
    upload_memory_bytes: Gauge,
    ready: Gauge,
    failing: Family<Labels<1>, Gauge>,
    hears_others: Gauge,
}

/// Where the public HTTP side is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Callback,
    Webhook,
    Audio,
    /// Not a carrier's: that of opt-out lines and forms.
    OptOut,
}

impl Door {
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Callback => "callback",
            Door::Webhook => "webhook",
            Door::Audio => "audio",
            Door::OptOut => "opt_out",
        }
    }
}

/// Names and values of a metric's labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels<const N: usize>([(&'static str, String); N]);

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, value) in &self.0 {
            (*name, value.as_str()).encode_label(encoder)?;
        }
        Ok(())
    }
}

trait EncodePair {
    fn encode_label(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error>;
}

impl EncodePair for (&'static str, &str) {
    fn encode_label(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        EncodeLabel::encode(self, encoder.encode_label())
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("ringless");
        let calls = Family::default();
        registry.register(
            "calls",
            "Calls answered, by method and gRPC code",
            calls.clone(),
        );
        let accepted = Counter::default();
        registry.register("voicemails_accepted", "Voicemails stored", accepted.clone());
        let attempts = Family::default();
        registry.register(
            "attempts",
            "Calls of carriers, by carrier and outcome",
            attempts.clone(),
        );
        let ended = Family::default();
        registry.register(
            "voicemails_ended",
            "Voicemails that came to an end here, by status and failure reason",
            ended.clone(),
        );
        let held = Family::default();
        registry.register(
            "voicemails_held",
            "Times that a gate held a voicemail, by gate",
            held.clone(),
        );
        let late_outcomes = Counter::default();
        registry.register(
            "late_outcomes",
            "Words of a carrier that came late and contradict what was known",
            late_outcomes.clone(),
        );
        let words = Family::default();
        registry.register(
            "carrier_words",
            "What carriers said by themselves, by carrier, door, what was said and what it did",
            words.clone(),
        );
        let strangers = Family::default();
        registry.register(
            "strangers",
            "Calls at the public HTTP doors that came with no token, signature or link of ours, by door",
            strangers.clone(),
        );
        let uploads = Gauge::default();
        registry.register(
            "uploads_in_progress",
            "Uploads in progress",
            uploads.clone(),
        );
        let upload_memory_bytes = Gauge::default();
        registry.register(
            "upload_memory_bytes",
            "Bytes of uploads in progress that are in memory",
            upload_memory_bytes.clone(),
        );
        let ready = Gauge::default();
        registry.register("ready", "1 where /readyz says so", ready.clone());
        let failing = Family::default();
        registry.register(
            "carrier_failing",
            "1 for each carrier whose queue waits because it fails",
            failing.clone(),
        );
        let hears_others = Gauge::default();
        registry.register(
            "hears_others",
            "1 where this worker is woken at once by what other processes accept",
            hears_others.clone(),
        );
        Metrics(Arc::new(Inner {
            registry,
            calls,
            accepted,
            attempts,
            ended,
            held,
            late_outcomes,
            words,
            strangers,
            uploads,
            upload_memory_bytes,
            ready,
            failing,
            hears_others,
        }))
    }

    /// Only methods of ours are named, so that a caller can't make up labels.
    pub fn call(&self, method: &str, code: tonic::Code) {
        let known = method.starts_with("ringless.v1.") && code != tonic::Code::Unimplemented;
        let method = if known { method } else { "other" };
        let labels = [("method", method.to_owned()), ("code", format!("{code:?}"))];
        self.0.calls.get_or_create(&Labels(labels)).inc();
    }

    pub fn accepted(&self, voicemails: usize) {
        let voicemails = u64::try_from(voicemails).unwrap_or(u64::MAX);
        self.0.accepted.inc_by(voicemails);
    }

    pub fn attempt(&self, carrier: &str, outcome: OutcomeKind) {
        let labels = [
            ("carrier", carrier.to_owned()),
            ("outcome", format!("{outcome:?}")),
        ];
        self.0.attempts.get_or_create(&Labels(labels)).inc();
    }

    pub fn ended(&self, status: Status, reason: Option<FailureReason>) {
        self.ended_many(status, reason, 1);
    }

    /// So many came to the same end at once.
    pub fn ended_many(&self, status: Status, reason: Option<FailureReason>, count: u64) {
        let reason = reason.map_or("", FailureReason::as_str);
        let labels = [
            ("status", status.as_str().to_owned()),
            ("reason", reason.to_owned()),
        ];
        self.0.ended.get_or_create(&Labels(labels)).inc_by(count);
    }

    pub fn held(&self, gate: Gate) {
        let labels = [("gate", gate.as_str().to_owned())];
        self.0.held.get_or_create(&Labels(labels)).inc();
    }

    pub fn late_outcome(&self) {
        self.0.late_outcomes.inc();
    }

    /// A carrier spoke by itself. `door` is where, `did` what came of it.
    pub fn word(&self, carrier: &str, door: Door, said: Said, did: &'static str) {
        let labels = [
            ("carrier", carrier.to_owned()),
            ("door", door.as_str().to_owned()),
            ("said", said.as_str().to_owned()),
            ("did", did.to_owned()),
        ];
        self.0.words.get_or_create(&Labels(labels)).inc();
    }

    /// Nothing of what a stranger gives becomes a label.
    pub fn stranger(&self, door: Door) {
        let labels = [("door", door.as_str().to_owned())];
        self.0.strangers.get_or_create(&Labels(labels)).inc();
    }

    pub fn uploads(&self, count: u64, memory_bytes: u64) {
        self.0.uploads.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.0
            .upload_memory_bytes
            .set(i64::try_from(memory_bytes).unwrap_or(i64::MAX));
    }

    pub fn ready(&self, is_ready: bool) {
        self.0.ready.set(i64::from(is_ready));
    }

    pub fn hears_others(&self, is_so: bool) {
        self.0.hears_others.set(i64::from(is_so));
    }

    /// The carriers that fail now, and no others.
    pub fn failing(&self, carriers: &[String]) {
        self.0.failing.clear();
        for carrier in carriers {
            let labels = Labels([("carrier", carrier.clone())]);
            self.0.failing.get_or_create(&labels).set(1);
        }
    }

    /// The text of /metrics (OpenMetrics).
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_written_with_its_labels() {
        let metrics = Metrics::new();
        metrics.call("ringless.v1.VoicemailService/GetVoicemail", tonic::Code::Ok);
        metrics.call("made.up/Method", tonic::Code::Unimplemented);
        metrics.accepted(1);
        metrics.attempt("sandbox", OutcomeKind::Delivered);
        metrics.ended(Status::Failed, Some(FailureReason::AudioRejected));
        metrics.held(Gate::Window);
        metrics.word("vendor", Door::Callback, Said::Pending, "kept");
        metrics.stranger(Door::Audio);
        metrics.uploads(3, 4);
        metrics.failing(&["old".to_owned()]);
        metrics.failing(&["vendor".to_owned()]);
        let text = metrics.text().expect("writable");
        for line in [
            "ringless_calls_total{method=\"ringless.v1.VoicemailService/GetVoicemail\",code=\"Ok\"} 1",
            "ringless_calls_total{method=\"other\",code=\"Unimplemented\"} 1",
            "ringless_voicemails_accepted_total 1",
            "ringless_attempts_total{carrier=\"sandbox\",outcome=\"Delivered\"} 1",
            "ringless_voicemails_ended_total{status=\"FAILED\",reason=\"audio_rejected\"} 1",
            "ringless_voicemails_held_total{gate=\"WINDOW\"} 1",
            "ringless_carrier_words_total{carrier=\"vendor\",door=\"callback\",said=\"pending\",did=\"kept\"} 1",
            "ringless_strangers_total{door=\"audio\"} 1",
            "ringless_upload_memory_bytes 4",
            "ringless_carrier_failing{carrier=\"vendor\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("old"), "{text}");
    }
}
