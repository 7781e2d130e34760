//! What became of each line: counted, told, and written to a CSV file.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use csv::{ByteRecord, Writer};
use tempfile::NamedTempFile;

use super::list::Line;
use crate::grpc::pb;
use crate::grpc::pb::batch_result::Result as Kind;

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    New { voicemail_id: String },
    Known { voicemail_id: String },
    Refused { reason: String, message: String },
}

impl Outcome {
    pub fn of(result: pb::BatchResult) -> Outcome {
        match result.result {
            Some(Kind::Accepted(accepted)) => match accepted.already_known {
                false => Outcome::New {
                    voicemail_id: accepted.voicemail_id,
                },
                true => Outcome::Known {
                    voicemail_id: accepted.voicemail_id,
                },
            },
            Some(Kind::Refused(refused)) => Outcome::Refused {
                reason: reason(refused.reason),
                message: refused.message,
            },
            None => Outcome::Refused {
                reason: String::new(),
                message: "the server says nothing of it; it may be newer than this program"
                    .to_owned(),
            },
        }
    }

    /// A line that could not be read, and was not sent.
    pub fn bad_line(why: &str) -> Outcome {
        Outcome::Refused {
            reason: reason(pb::ErrorReason::InvalidField as i32),
            message: why.to_owned(),
        }
    }

    /// What is told of it on the terminal.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Outcome::New { .. } | Outcome::Known { .. } => None,
            Outcome::Refused { reason, message } => Some(format!("{reason}: {message}")),
        }
    }

    /// The columns that the result file adds.
    fn columns(&self) -> [&str; 4] {
        match self {
            Outcome::New { voicemail_id } => [voicemail_id, "accepted", "", ""],
            Outcome::Known { voicemail_id } => [voicemail_id, "known", "", ""],
            Outcome::Refused { reason, message } => ["", "refused", reason, message],
        }
    }
}

/// As the contract spells it; one that this program does not know stays a number.
fn reason(number: i32) -> String {
    match pb::ErrorReason::try_from(number) {
        Ok(known) => known
            .as_str_name()
            .trim_start_matches("ERROR_REASON_")
            .to_owned(),
        Err(_) => number.to_string(),
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    new: u64,
    known: u64,
    pub refused: u64,
    /// Of these, those that the same command sends once there is room.
    pub queue_full: u64,
}

impl Tally {
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::New { .. } => self.new += 1,
            Outcome::Known { .. } => self.known += 1,
            Outcome::Refused { reason, .. } => {
                self.refused += 1;
                self.queue_full += u64::from(reason == "QUEUE_FULL");
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            new,
            known,
            refused,
            ..
        } = self;
        write!(f, "{new} new, {known} known from before, {refused} refused")
    }
}

/// The list with what became of each line; written aside, so that the file is there whole or not at all.
pub struct ResultFile {
    path: PathBuf,
    writer: Writer<NamedTempFile>,
}

impl ResultFile {
    pub fn begin(path: &Path, header: &ByteRecord) -> anyhow::Result<ResultFile> {
        let said = || format!("`{}` can't be written", path.display());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let aside = NamedTempFile::new_in(folder).with_context(said)?;
        // A line of the list may be longer or shorter than the others.
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(aside);
        let names = ["voicemail_id", "result", "reason", "message"];
        writer
            .write_byte_record(&extended(header, names))
            .with_context(said)?;
        Ok(ResultFile {
            path: path.to_owned(),
            writer,
        })
    }

    pub fn write(&mut self, line: &Line, outcome: &Outcome) -> anyhow::Result<()> {
        let record = extended(&line.fields, outcome.columns());
        self.writer
            .write_byte_record(&record)
            .with_context(|| format!("`{}` can't be written", self.path.display()))
    }

    pub fn finish(self) -> anyhow::Result<()> {
        let said = || format!("`{}` can't be written", self.path.display());
        let aside = self
            .writer
            .into_inner()
            .map_err(|error| anyhow::anyhow!("{}", error.error()))
            .with_context(said)?;
        aside.persist(&self.path).with_context(said)?;
        Ok(())
    }
}

fn extended(fields: &ByteRecord, more: [&str; 4]) -> ByteRecord {
    let mut record = fields.clone();
    for field in more {
        record.push_field(field.as_bytes());
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_has_the_lists_columns_and_ours_and_comes_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.csv");
        let header = ByteRecord::from(vec!["phone_number", "label.note"]);
        let mut result = ResultFile::begin(&path, &header).expect("writable");
        let line = |note: &str| Line {
            number: 2,
            fields: ByteRecord::from(vec!["+12125550100", note]),
            recipient: Ok(pb::BatchRecipient::default()),
        };
        let voicemail_id = "v1".to_owned();
        result
            .write(&line("a, b"), &Outcome::New { voicemail_id })
            .expect("written");
        result
            .write(&line(""), &Outcome::bad_line("it is \"bad\""))
            .expect("written");
        assert!(!path.exists());
        result.finish().expect("renamed");
        assert_eq!(
            std::fs::read_to_string(&path).expect("readable"),
            "phone_number,label.note,voicemail_id,result,reason,message\n\
             +12125550100,\"a, b\",v1,accepted,,\n\
             +12125550100,,,refused,INVALID_FIELD,\"it is \"\"bad\"\"\"\n"
        );
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1);
    }
}
