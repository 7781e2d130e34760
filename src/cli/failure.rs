//! What went wrong, told to the person at the terminal, and the exit code that goes with it.

use std::fmt::Write;
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Something that was typed is wrong in a way that clap could not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Nobody reads our output any more, as with `ringless list | head`: no error, and nothing to say.
#[derive(Debug, thiserror::Error)]
#[error("the output was closed")]
pub struct OutputClosed;

/// No connection to the server.
#[derive(Debug, thiserror::Error)]
#[error("no server answers at {addr}: {cause}")]
pub struct NoServer {
    pub addr: String,
    pub cause: String,
}

/// Tells what went wrong on stderr, and gives the exit code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<OutputClosed>() {
        return ExitCode::SUCCESS;
    }
    // A closed stderr leaves nowhere to say it.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), explain(error).as_bytes());
    ExitCode::from(exit_code(error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() { 2 } else { 1 }
}

/// The lines for a person: what, why, and what to do about it.
fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    if let Some(status) = error.downcast_ref::<Status>() {
        explain_status(&mut text, status);
        // What a command adds to a refusal is advice.
        if error.chain().next().is_some_and(|top| !top.is::<Status>()) {
            line(&mut text, "hint", &error.to_string());
        }
        return text;
    }
    line(&mut text, "error", &error.to_string());
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many libraries repeat their cause in their own text.
        if !said.contains(&cause) {
            line(&mut text, "  because", &cause);
        }
        said = cause;
    }
    if error.is::<NoServer>() {
        line(
            &mut text,
            "hint",
            "start one with `ringless serve`, or name another with --addr or RINGLESS_ADDR",
        );
    }
    text
}

fn explain_status(text: &mut String, status: &Status) {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    match (details.error_info(), violations) {
        (Some(info), []) => {
            line(text, "error", status.message());
            line(
                text,
                "  reason",
                &format!("{} ({})", info.reason, code_name(status.code())),
            );
        }
        (Some(info), violations) => {
            let headline = match violations.len() {
                1 => "a field is not as it must be".to_owned(),
                count => format!("{count} fields are not as they must be"),
            };
            line(text, "error", &headline);
            line(
                text,
                "  reason",
                &format!("{} ({})", info.reason, code_name(status.code())),
            );
            for violation in violations {
                line(
                    text,
                    &format!("  {}", violation.field),
                    &violation.description,
                );
            }
        }
        (None, _) => explain_foreign(text, status),
    }
    if let Some(wait) = details.retry_info().and_then(|retry| retry.retry_delay) {
        line(text, "  wait", &format!("{} s", wait.as_secs_f64()));
    }
    if let Some(hint) = hint(&details) {
        line(text, "hint", &hint);
    }
}

/// An error that the service did not make: a gRPC library's, here or there, or a proxy's.
fn explain_foreign(text: &mut String, status: &Status) {
    let what = match status.code() {
        _ if is_broken_connection(status) => "the connection to the server broke",
        Code::DeadlineExceeded | Code::Cancelled => "the server did not answer in time",
        Code::Unimplemented => {
            "the server does not know this call; it may be older than this program"
        }
        _ => "the call failed",
    };
    line(
        text,
        "error",
        &format!(
            "{what} ({}: {})",
            code_name(status.code()),
            status.message()
        ),
    );
    let mut cause = std::error::Error::source(status);
    let mut last = None;
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    if let Some(last) = last {
        line(text, "  because", &last);
    }
}

/// Did the transport fail below the call? The service's own errors carry an ErrorInfo; a status that
/// the library made of a broken connection carries its cause.
pub fn is_broken_connection(status: &Status) -> bool {
    status.get_details_error_info().is_none()
        && (status.code() == Code::Unavailable
            || (status.code() != Code::Cancelled && std::error::Error::source(status).is_some()))
}

/// What to type next, where there is something.
fn hint(details: &ErrorDetails) -> Option<String> {
    let info = details.error_info()?;
    let get = |key: &str| info.metadata.get(key).map_or("ID", String::as_str);
    let hint = match info.reason.as_str() {
        "SETUP_NOT_FOUND" => "`ringless setup list` shows the setups".to_owned(),
        "PHONE_NUMBER_NOT_FOUND" => "`ringless number list` shows the numbers".to_owned(),
        "USE_CASE_NOT_FOUND" => "`ringless use-case list` shows the use cases".to_owned(),
        "VOICEMAIL_NOT_FOUND" => "`ringless list` shows the voicemails".to_owned(),
        "AUDIO_NOT_FOUND" => "store it again with `ringless audio upload FILE`".to_owned(),
        "SETUP_NOT_APPROVED" if get("status") == "SUSPENDED" => {
            format!("`ringless setup resume {}`", get("setup_id"))
        }
        "SETUP_NOT_APPROVED" => format!("`ringless setup approve {}`", get("setup_id")),
        "NO_ACTIVE_PHONE_NUMBER" => {
            format!(
                "`ringless use-case assign {} NUMBER`, or `ringless number activate NUMBER`",
                get("use_case_id")
            )
        }
        "PHONE_NUMBERS_ASSIGNED" => {
            format!("`ringless use-case unassign {} NUMBER`", get("use_case_id"))
        }
        "MAIN_NUMBER_NOT_ASSIGNED" => {
            format!(
                "`ringless use-case assign {} {}`",
                get("use_case_id"),
                get("phone_number_id")
            )
        }
        "MAIN_NUMBER_INACTIVE" => {
            format!("`ringless number activate {}`", get("phone_number_id"))
        }
        "PHONE_NUMBER_IS_MAIN" => {
            format!(
                "`ringless use-case update {} --main-number NUMBER`",
                get("use_case_id")
            )
        }
        "PHONE_NUMBER_IN_USE" => {
            format!(
                "`ringless use-case unassign USE_CASE {}`; `use-case list --json` shows which have it",
                get("phone_number_id")
            )
        }
        "SETUP_IN_USE" => {
            format!(
                "`ringless use-case list --setup {0}` and `ringless number list --setup {0}` show them",
                get("setup_id")
            )
        }
        "USE_CASE_EXISTS" => format!(
            "`ringless use-case list --entity '{}'` shows it",
            get("entity_name")
        ),
        "PHONE_NUMBER_EXISTS" => "`ringless number get NUMBER` shows it".to_owned(),
        "VOICEMAILS_IN_FLIGHT" => {
            format!(
                "`ringless list --use-case {} --status accepted,sending,sent` shows them",
                get("use_case_id")
            )
        }
        "NOT_CANCELLABLE" | "NOT_UPDATABLE" => format!(
            "`ringless get {}` shows where it stands",
            get("voicemail_id")
        ),
        "AUDIO_NOT_MP3" | "AUDIO_CORRUPT" | "AUDIO_TOO_LARGE" => {
            "`ffmpeg -i IN -ac 1 -ar 22050 -b:a 64k OUT.mp3` makes an MP3 that fits speech"
                .to_owned()
        }
        _ => return None,
    };
    Some(hint)
}

/// As the contract spells it: `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for (at, letter) in format!("{code:?}").char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn line(text: &mut String, what: &str, said: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{what}: {}", super::show::clean(said));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal() -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "INVALID_FIELD",
            "ringless",
            [("fields".to_owned(), "a,b".to_owned())],
        );
        details.add_bad_request_violation("metadata.use_case_id", "`x` is no id");
        details.add_bad_request_violation("metadata.labels", "the key `A` is not allowed");
        Status::with_error_details(Code::InvalidArgument, "both at once", details)
    }

    #[test]
    fn a_refusal_names_its_reason_and_each_bad_field() {
        assert_eq!(
            explain(&refusal().into()),
            "error: 2 fields are not as they must be\n  reason: INVALID_FIELD (INVALID_ARGUMENT)\n  \
             metadata.use_case_id: `x` is no id\n  metadata.labels: the key `A` is not allowed\n"
        );
    }

    #[test]
    fn a_wait_and_a_hint_come_last() {
        let mut details = ErrorDetails::new();
        let id = "01970c8e-6f2a-7b31-9c55-3f0e8a4d2b17".to_owned();
        details.set_error_info(
            "SETUP_NOT_APPROVED",
            "ringless",
            [("setup_id".to_owned(), id)],
        );
        details.set_retry_info(Some(Duration::from_millis(1_500)));
        let status = Status::with_error_details(Code::FailedPrecondition, "it is PENDING", details);
        let error = anyhow::Error::from(status).context("and so on");
        assert_eq!(
            explain(&error),
            "error: it is PENDING\n  reason: SETUP_NOT_APPROVED (FAILED_PRECONDITION)\n  wait: 1.5 s\n\
             hint: `ringless setup approve 01970c8e-6f2a-7b31-9c55-3f0e8a4d2b17`\nhint: and so on\n"
        );
    }

    #[test]
    fn a_chain_is_told_once_each() {
        let error = anyhow::anyhow!("port in use")
            .context("can't listen")
            .context("can't start: can't listen");
        assert_eq!(
            explain(&error),
            "error: can't start: can't listen\n  because: port in use\n"
        );
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        assert_eq!(exit_code(&Usage("x".to_owned()).into()), 2);
        assert_eq!(
            exit_code(&anyhow::Error::from(Usage("x".to_owned())).context("y")),
            2
        );
        assert_eq!(exit_code(&refusal().into()), 1);
    }

    #[test]
    fn only_the_transport_breaks_a_connection() {
        assert!(is_broken_connection(&Status::unavailable(
            "tcp connect error"
        )));
        assert!(!is_broken_connection(&refusal()));
        assert!(!is_broken_connection(&Status::unimplemented("no")));
    }
}
