//! The command line as a whole: every command's help, every variable, and how commands are read.

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// Every command with its path, such as `use-case assign`.
fn all() -> Vec<(String, Command)> {
    fn below(path: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            let path = format!("{path} {}", sub.get_name()).trim().to_owned();
            all.push((path.clone(), sub.clone()));
            below(&path, sub, all);
        }
    }
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut all_commands = Vec::new();
    below("", &root, &mut all_commands);
    all_commands
}

fn help(path: &str) -> String {
    let (_, mut command) = all()
        .into_iter()
        .find(|(known, _)| known == path)
        .unwrap_or_else(|| panic!("no {path}"));
    command.render_long_help().to_string()
}

#[test]
fn the_command_line_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn the_commands_are_those_of_the_contract() {
    let paths: Vec<String> = all().into_iter().map(|(path, _)| path).collect();
    let expected = [
        "serve",
        "demo",
        "send",
        "batch",
        "list",
        "get",
        "update",
        "cancel",
        "check",
        "report",
        "audio",
        "audio upload",
        "audio get",
        "audio info",
        "setup",
        "setup create",
        "setup get",
        "setup list",
        "setup update",
        "setup delete",
        "setup approve",
        "setup suspend",
        "setup resume",
        "number",
        "number create",
        "number get",
        "number list",
        "number update",
        "number delete",
        "number activate",
        "number deactivate",
        "use-case",
        "use-case create",
        "use-case get",
        "use-case list",
        "use-case update",
        "use-case delete",
        "use-case assign",
        "use-case unassign",
        "use-case pause",
        "use-case resume",
        "suppressions",
        "suppressions add",
        "suppressions list",
        "suppressions get",
        "suppressions delete",
        "suppressions import",
        "suppressions export",
        "consents",
        "consents add",
        "consents list",
        "consents get",
        "consents revoke",
        "consents export",
        "migrate",
        "recover",
        "carrier",
        "carrier list",
        "carrier check",
        "config",
        "config check",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn every_command_and_every_argument_says_what_it_is_for() {
    for (path, mut command) in all() {
        assert!(command.get_about().is_some(), "{path}");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{path}: {}",
                argument.get_id()
            );
        }
        let help = command.render_long_help().to_string();
        assert!(help.contains("Usage: ringless "), "{path}:\n{help}");
    }
}

#[test]
fn help_names_every_variable() {
    for path in ["serve", "config check", "carrier list", "carrier check"] {
        let help = help(path);
        for variable in [
            "RINGLESS_GRPC_ADDR",
            "RINGLESS_HTTP_ADDR",
            "RINGLESS_ADMIN_ADDR",
            "RINGLESS_PUBLIC_URL",
            "DATABASE_URL",
            "RINGLESS_DATA_DIR",
            "RINGLESS_CONFIG",
            "RINGLESS_ROLES",
        ] {
            assert!(
                help.contains(&format!("[env: {variable}")),
                "{path}: {variable} in\n{help}"
            );
        }
    }
    for variable in ["DATABASE_URL", "RINGLESS_DATA_DIR", "RINGLESS_CONFIG"] {
        assert!(help("migrate").contains(variable), "{variable}");
    }
    let clients = all().into_iter().filter(|(path, command)| {
        let here = [
            "serve",
            "demo",
            "migrate",
            "recover",
            "carrier list",
            "carrier check",
            "config",
            "config check",
        ];
        !command.has_subcommands() && !here.contains(&path.as_str())
    });
    for (path, _) in clients {
        assert!(help(&path).contains("RINGLESS_ADDR"), "{path}");
    }
}

#[test]
fn every_reading_command_knows_json() {
    let reading = [
        "send",
        "list",
        "get",
        "cancel",
        "report",
        "audio info",
        "setup get",
        "setup list",
        "number get",
    ];
    for path in reading.into_iter().chain([
        "number list",
        "use-case get",
        "use-case list",
        "setup create",
    ]) {
        assert!(help(path).contains("--json"), "{path}");
    }
}

fn read(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
}

#[test]
fn good_lines_are_read() {
    for line in [
        "ringless serve --roles api --grpc-addr 127.0.0.1:0 --drain-delay-seconds 0 --log info",
        "ringless send a.mp3 --to +12125550123 --use-case Clinic/Demo --label ward=3b --label bed=2 --wait --timeout 9",
        "ringless send --audio-id x --to +12125550123 --use-case x --addr localhost:1 --validate-only --json",
        "ringless send - --to +1 --use-case x --schedule 2026-11-23T09:00:00Z --expire 2026-11-24T09:00:00+01:00",
        "ringless batch a.csv --audio a.mp3 --use-case Clinic/Demo --batch-id x --result out.csv",
        "ringless update x --schedule-time now --expire-time 2026-11-24T09:00:00Z",
        "ringless cancel x",
        "ringless cancel --batch x --use-case Clinic/Demo --setup x --label a=b --label c=d --json",
        "ringless list --status delivered,failed --failure-reason busy --created-from 2026-11-01 --all --json",
        "ringless report --from 2026-11-01 --by use-case,day --time-zone America/New_York --include-simulated",
        "ringless audio get x -o a.mp3",
        "ringless setup update x --name Y --carrier a,b",
        "ringless number update x --all-carriers",
        "ringless use-case update x --purpose marketing",
        "ringless use-case assign x +12125550123",
        "ringless config check --config x.toml",
        "ringless suppressions add +12125550123 --reason wrong-number --entity Clinic --expire 2027-01-31 --actor me",
        "ringless suppressions import list.csv --reason litigator --column phone_number=Telephone --json",
        "ringless suppressions export --scope use-case,entity --include-deleted -o list.csv",
        "ringless suppressions delete x --reason mistake",
        "ringless consents add +12125550123 --kind written --text shown --time 2026-11-23T09:00:00Z",
        "ringless consents list --revoked false --kind express --all",
    ] {
        assert!(read(line).is_ok(), "{:?}", read(line));
    }
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "ringless",
        "ringless send a.mp3 --to +12125550123",
        "ringless send --to +12125550123 --use-case x",
        "ringless send a.mp3 --audio-id x --to +12125550123 --use-case x",
        "ringless send a.mp3 --to +1 --use-case x --timeout 5",
        "ringless send a.mp3 --to +1 --use-case x --request-id=",
        "ringless send a.mp3 --to +1 --use-case x --wait --validate-only",
        "ringless send a.mp3 --to +1 --use-case x --schedule tomorrow",
        "ringless batch a.csv --use-case x",
        "ringless batch a.csv --audio a.mp3 --audio-id x --use-case x",
        "ringless batch a.csv --audio a.mp3",
        "ringless update x",
        "ringless update x --schedule-time tomorrow",
        "ringless cancel",
        "ringless cancel x --batch y",
        "ringless list --status unspecified",
        "ringless list --page-size 0",
        "ringless list --all --page-token x",
        "ringless report --by colour",
        "ringless report --time-zone Mars/Olympus",
        "ringless setup create",
        "ringless setup update x",
        "ringless get x --addr nowhere",
        "ringless serve --grpc-addr localhost:1",
        "ringless serve --log ringless=loud",
        "ringless config",
        "ringless suppressions add +12125550123 --entity Clinic --use-case x",
        "ringless suppressions delete x",
        "ringless consents add +12125550123",
        "ringless consents revoke x",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn only_what_serves_logs() {
    let filter = |line| read(line).expect("good").log_filter().map(str::to_owned);
    assert_eq!(filter("ringless serve"), None);
    assert_eq!(filter("ringless serve --log warn"), Some("warn".to_owned()));
    assert_eq!(filter("ringless demo"), Some("off".to_owned()));
    assert_eq!(filter("ringless demo --log info"), Some("info".to_owned()));
    assert_eq!(filter("ringless get x"), Some("off".to_owned()));
}
