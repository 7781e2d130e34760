//! The recipients of a CSV file, part by part. A line that can't be read as one is told, and stops no
//! other.

use std::fs::File;
use std::io::{Chain, Read};
use std::path::Path;

use anyhow::Context;
use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord, Terminator, Trim};
use prost_types::Timestamp;

use crate::cli::failure::Usage;
use crate::cli::parse;
use crate::grpc::pb;

const LABEL: &str = "label.";

/// One line of the file.
pub struct Line {
    /// As an editor counts them; of one with line ends in quotes the last.
    pub number: u64,
    pub fields: ByteRecord,
    /// The recipient, or what is wrong with the line.
    pub recipient: Result<pb::BatchRecipient, String>,
}

pub struct List {
    reader: Reader<Chain<File, &'static [u8]>>,
    header: ByteRecord,
    columns: Columns,
    bytes: u64,
}

impl List {
    pub fn open(path: &Path) -> anyhow::Result<List> {
        let said = || format!("`{}` can't be read", path.display());
        let file = File::open(path).with_context(said)?;
        let bytes = file.metadata().with_context(said)?.len();
        // Lines of another length are told as such, and do not end the reading. A line ends with its new
        // line and nothing before, and the last one has one too, so that lines are counted right.
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .trim(Trim::All)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(file.chain(b"\n".as_slice()));
        let names = reader.headers().with_context(said)?.clone();
        let columns = Columns::read(&names)?;
        Ok(List {
            header: names.into_byte_record(),
            reader,
            columns,
            bytes,
        })
    }

    pub fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// The size of the file, and how far it was read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next lines, at most so many; none: there are no more.
    pub fn part(&mut self, most: usize) -> anyhow::Result<Vec<Line>> {
        let mut lines = Vec::new();
        while lines.len() < most {
            let mut fields = ByteRecord::new();
            if !self.reader.read_byte_record(&mut fields)? {
                break;
            }
            // Of a line that ends with CR LF and has nothing else, the CR is left.
            if fields.len() == 1 && fields[0].is_empty() && self.header.len() > 1 {
                continue;
            }
            lines.push(Line {
                number: self.reader.position().line() - 1,
                recipient: self.recipient(&fields),
                fields,
            });
        }
        Ok(lines)
    }

    fn recipient(&self, fields: &ByteRecord) -> Result<pb::BatchRecipient, String> {
        let (given, wanted) = (fields.len(), self.header.len());
        if given != wanted {
            return Err(format!(
                "it has {given} fields, and the first line names {wanted} columns"
            ));
        }
        let text = StringRecord::from_byte_record(fields.clone())
            .map_err(|_| "it is not UTF-8; save the file as UTF-8".to_owned())?;
        self.columns.recipient(&text)
    }
}

/// Where in a line each thing stands.
#[derive(Debug, Default, PartialEq, Eq)]
struct Columns {
    phone_number: usize,
    request_id: Option<usize>,
    schedule_time: Option<usize>,
    expire_time: Option<usize>,
    time_zone: Option<usize>,
    postal_code: Option<usize>,
    labels: Vec<(String, usize)>,
}

impl Columns {
    /// A column that is not known is refused: where it is a slip of the pen, its values would not count.
    fn read(names: &StringRecord) -> Result<Columns, Usage> {
        let mut columns = Columns::default();
        let mut phone_number = None;
        for (at, name) in names.iter().enumerate() {
            if names.iter().take(at).any(|earlier| earlier == name) {
                return Err(Usage(format!(
                    "the column `{name}` stands in the file twice"
                )));
            }
            match name {
                "phone_number" => phone_number = Some(at),
                "request_id" => columns.request_id = Some(at),
                "schedule_time" => columns.schedule_time = Some(at),
                "expire_time" => columns.expire_time = Some(at),
                "time_zone" => columns.time_zone = Some(at),
                "postal_code" => columns.postal_code = Some(at),
                label if label.starts_with(LABEL) => {
                    let key = label[LABEL.len()..].to_owned();
                    columns.labels.push((key, at));
                }
                other => {
                    return Err(Usage(format!(
                        "the column `{other}` is not known; there are phone_number, request_id, schedule_time, expire_time, time_zone, postal_code and label.KEY. Name it `{LABEL}{other}` to keep it with the voicemails, or leave it out"
                    )));
                }
            }
        }
        columns.phone_number = phone_number.ok_or_else(|| {
            Usage("the first line names no column `phone_number`; it names the columns, parted by commas".to_owned())
        })?;
        Ok(columns)
    }

    fn recipient(&self, fields: &StringRecord) -> Result<pb::BatchRecipient, String> {
        let text = |at: Option<usize>| at.and_then(|at| fields.get(at)).unwrap_or_default();
        let time = |name: &str, at| -> Result<Option<Timestamp>, String> {
            match text(at) {
                "" => Ok(None),
                given => match parse::time(given) {
                    Ok(time) => Ok(Some(time)),
                    Err(why) => Err(format!("{name}: {why}")),
                },
            }
        };
        // An empty label is none: not every line of a list has all of them.
        let labels = self.labels.iter().filter_map(|(key, at)| {
            let value = text(Some(*at));
            (!value.is_empty()).then(|| (key.clone(), value.to_owned()))
        });
        Ok(pb::BatchRecipient {
            recipient_phone_number: text(Some(self.phone_number)).to_owned(),
            request_id: text(self.request_id).to_owned(),
            labels: labels.collect(),
            schedule_time: time("schedule_time", self.schedule_time)?,
            expire_time: time("expire_time", self.expire_time)?,
            time_zone: text(self.time_zone).to_owned(),
            postal_code: text(self.postal_code).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[u8]) -> anyhow::Result<List> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        List::open(file.path())
    }

    fn lines(text: &[u8]) -> Vec<Line> {
        let mut list = list(text).expect("a list");
        list.part(100).expect("readable")
    }

    #[test]
    fn columns_are_found_by_their_names_in_any_order() {
        let text = "\u{feff}label.ward,expire_time,phone_number,request_id,schedule_time,time_zone,postal_code\r\n\
                    3b,,\"(212) 555-0100\",r1,2026-11-25T09:00:00-05:00,America/Chicago,60601\r\n\
                    \r\n\
                    ,2026-11-26T00:00:00Z, +12125550101 ,,,,\r\n";
        let lines = lines(text.as_bytes());
        assert_eq!(
            lines.iter().map(|line| line.number).collect::<Vec<_>>(),
            [2, 4]
        );
        let first = lines[0].recipient.clone().expect("good");
        assert_eq!(first.recipient_phone_number, "(212) 555-0100");
        assert_eq!(
            (first.request_id.as_str(), first.labels["ward"].as_str()),
            ("r1", "3b")
        );
        assert_eq!(
            first.schedule_time,
            parse::time("2026-11-25T14:00:00Z").ok()
        );
        assert_eq!(
            (first.time_zone.as_str(), first.postal_code.as_str()),
            ("America/Chicago", "60601")
        );
        let second = lines[1].recipient.clone().expect("good");
        assert_eq!(second.recipient_phone_number, "+12125550101");
        assert!(second.labels.is_empty() && second.schedule_time.is_none());
        assert_eq!(second.expire_time, parse::time("2026-11-26T00:00:00Z").ok());
    }

    #[test]
    fn lines_are_counted_as_an_editor_does_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            for last in ["", end] {
                let text =
                    ["phone_number,request_id", "1,a", "", "\"2\",\"b\"", "3,c"].join(end) + last;
                let lines = lines(text.as_bytes());
                let read = lines.iter().map(|line| {
                    let good = line.recipient.clone().expect("good");
                    (line.number, good.recipient_phone_number + &good.request_id)
                });
                let expected = [(2, "1a"), (4, "2b"), (5, "3c")];
                let expected = expected.map(|(number, text)| (number, text.to_owned()));
                assert_eq!(read.collect::<Vec<_>>(), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_bad_line_is_told_and_the_next_one_read() {
        let mut text = b"phone_number,schedule_time\n1,tomorrow\n2\n".to_vec();
        text.extend(b"\xff,\n+12125550100,\n");
        let told: Vec<_> = lines(&text)
            .into_iter()
            .map(|line| line.recipient.err().unwrap_or_default())
            .collect();
        assert!(told[0].starts_with("schedule_time: give an RFC 3339 time"));
        assert_eq!(
            told[1],
            "it has 1 fields, and the first line names 2 columns"
        );
        assert!(told[2].starts_with("it is not UTF-8"));
        assert_eq!(told[3], "");
    }

    #[test]
    fn other_columns_and_none_for_the_number_are_refused() {
        for (text, said) in [
            ("request_id\n", "no column `phone_number`"),
            ("phone_number,shedule_time\n", "`shedule_time` is not known"),
            ("phone_number,phone_number\n", "twice"),
            ("", "no column `phone_number`"),
        ] {
            let refused = list(text.as_bytes()).err().expect(text).to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn parts_are_of_the_size_that_is_asked_for() {
        let text = format!("phone_number\n{}", "1\n".repeat(5));
        let mut list = list(text.as_bytes()).expect("a list");
        let mut sizes = Vec::new();
        while let Some(size) = Some(list.part(2).expect("readable").len()).filter(|n| *n > 0) {
            sizes.push(size);
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert!(list.position() >= list.bytes());
    }
}
