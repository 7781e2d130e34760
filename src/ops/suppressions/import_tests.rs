use super::*;
use crate::domain::phone::PhoneNumber;

fn texts<const N: usize>(texts: [&str; N]) -> [String; N] {
    texts.map(str::to_owned)
}

fn default_names() -> [String; 4] {
    texts(COLUMN_NAMES)
}

fn fields(line: &[u8]) -> Result<Vec<String>, String> {
    // As if it came behind another line, whose quote is open.
    let mut cutter = LineCutter::new();
    assert!(cutter.fields(b"x,\"").is_err());
    cutter.fields(line)
}

fn defaults() -> Defaults {
    Defaults {
        scope: Scope::Workspace,
        reason: Some(SuppressionReason::OptOut),
        source: "list".to_owned(),
        actor: "me".to_owned(),
        expire_time: None,
    }
}

/// Reads a line below this header.
fn read(header: &str, line: &str, defaults: &Defaults) -> Result<NewSuppression, String> {
    let rules = PhoneRules::new("US", &["US".to_owned()]).expect("good");
    let columns = Columns::find(&fields(header.as_bytes())?, &default_names())?;
    let now = time("2026-11-23").expect("a day");
    columns.read(&fields(line.as_bytes())?, defaults, &rules, now)
}

#[test]
fn a_line_is_cut_at_commas_outside_of_quotes() {
    for (line, wanted) in [
        ("a", vec!["a"]),
        ("a,b", vec!["a", "b"]),
        ("a,", vec!["a", ""]),
        (",", vec!["", ""]),
        (r#""a,b",c"#, vec!["a,b", "c"]),
        (r#""say ""no""",ü"#, vec![r#"say "no""#, "ü"]),
    ] {
        assert_eq!(
            fields(line.as_bytes()),
            Ok(wanted.into_iter().map(str::to_owned).collect()),
            "{line}"
        );
    }
    assert!(fields(b"\"a,b").expect_err("open").contains("quote"));
    assert_eq!(fields(b""), Ok(vec![String::new()]));
    assert!(
        fields(b"a,b\rc,d")
            .expect_err("CR")
            .contains("carriage return")
    );
    assert!(fields(b"\xff").expect_err("bytes").contains("UTF-8"));
}

#[test]
fn a_line_has_at_most_64_fields() {
    for (count, is_good) in [(63, true), (64, true), (65, false), (200, false)] {
        let line = vec!["x"; count].join(",");
        let read = fields(line.as_bytes());
        assert_eq!(
            read.as_ref().map(Vec::len).ok(),
            is_good.then_some(count),
            "{read:?}"
        );
    }
}

#[test]
fn columns_are_found_by_their_names_in_any_order_and_case() {
    let columns = Columns::find(&texts(["x", " Reason ", "PHONE_NUMBER"]), &default_names());
    let columns = columns.expect("good");
    assert_eq!(
        (columns.phone_number, columns.reason, columns.note),
        (2, Some(1), None)
    );
    let missing = Columns::find(&texts(["phone"]), &default_names());
    assert!(missing.expect_err("missing").contains("`phone_number`"));
    let twice = Columns::find(&texts(["note", "phone_number", "Note"]), &default_names());
    assert!(twice.expect_err("twice").contains("`note` twice"));
    let named = texts(["Phone", "reason", "note", "expire_time"]);
    assert!(Columns::find(&texts(["phone"]), &named).is_ok());
}

#[test]
fn what_a_line_does_not_say_comes_from_the_import() {
    let header = "phone_number,reason,note,expire_time";
    let plain = read(header, "+12125550123", &defaults()).expect("good");
    let number = PhoneNumber::from_stored("+12125550123".to_owned());
    assert_eq!(plain.phone_number, number);
    assert_eq!(
        (plain.reason, plain.expire_time),
        (SuppressionReason::OptOut, None)
    );
    let full = read(
        header,
        "(212) 555-0123,wrong-number,\"asked, twice\",2026-11-24",
        &defaults(),
    );
    let full = full.expect("good");
    assert_eq!(full.phone_number, number);
    assert_eq!(full.reason, SuppressionReason::WrongNumber);
    assert_eq!(full.note, "asked, twice");
    assert_eq!(full.expire_time, time("2026-11-24T00:00:00Z"));
}

#[test]
fn a_bad_line_is_named_by_its_fault_and_never_by_its_number() {
    let header = "phone_number,reason,note,expire_time";
    let no_default = Defaults {
        reason: None,
        ..defaults()
    };
    let long = format!("+12125550187,,{},", "n".repeat(201));
    for (line, all, part) in [
        ("", defaults(), "phone_number"),
        ("+1212555", defaults(), "phone_number"),
        ("+442079460123", defaults(), "country GB"),
        ("+12125550187,+12125550188", defaults(), "OPT_OUT"),
        ("+12125550187", no_default, "no default"),
        (long.as_str(), defaults(), "201 characters"),
        ("+12125550187,,,tomorrow", defaults(), "RFC 3339"),
        ("+12125550187,,,2026-11-23", defaults(), "over already"),
        ("+12125550187,,,,", defaults(), "5 fields"),
    ] {
        let said = read(header, line, &all).expect_err("bad");
        assert!(said.contains(part), "{line}: {said}");
        assert!(!said.contains("555018"), "{line}: {said}");
    }
}
