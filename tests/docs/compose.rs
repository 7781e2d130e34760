//! docker-compose.yml and the Dockerfile against the program: no image was built by the authors, so
//! every command, flag, variable, port and health check in them is at least compared here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use clap::CommandFactory;
use ringless::cli::Cli;
use ringless::config::{ADMIN_ADDR, Config, FileConfig, GRPC_ADDR, HTTP_ADDR, Overrides};
use ringless::storage::DatabaseUrl;
use serde_yaml_ng::Value;

use crate::{root, text};

/// The services, with what they inherit.
fn services() -> BTreeMap<String, Value> {
    let mut file: Value = serde_yaml_ng::from_str(&text("docker-compose.yml")).unwrap();
    file.apply_merge().unwrap();
    serde_yaml_ng::from_value(file["services"].clone()).unwrap()
}

/// Those that run this program.
fn ours() -> Vec<(String, Value)> {
    let all: Vec<_> = services()
        .into_iter()
        .filter(|(_, service)| service["image"] == "ringless")
        .collect();
    assert!(!all.is_empty());
    all
}

fn words(value: &Value) -> Vec<String> {
    value
        .as_sequence()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    serde_yaml_ng::from_value(service["environment"].clone()).unwrap()
}

fn port(addr: &str) -> u16 {
    addr.parse::<SocketAddr>().unwrap().port()
}

/// The flag that each variable of a subcommand stands for.
fn flags(subcommand: &str) -> BTreeMap<String, String> {
    let mut command = Cli::command();
    command.build();
    let found = command
        .find_subcommand(subcommand)
        .unwrap_or_else(|| panic!("there is no `{subcommand}`"));
    found
        .get_arguments()
        .filter_map(|arg| {
            Some((
                arg.get_env()?.to_str()?.to_owned(),
                format!("--{}", arg.get_long()?),
            ))
        })
        .collect()
}

/// The flag as it stands in the command, and what it is given by the environment.
fn given(service: &Value, flag: &str) -> Option<String> {
    let command = words(&service["command"]);
    let flags = flags(&command[0]);
    let by_flag = command
        .iter()
        .position(|word| word == flag)
        .and_then(|at| command.get(at + 1))
        .cloned();
    by_flag.or_else(|| {
        environment(service)
            .into_iter()
            .find(|(name, _)| flags.get(name).is_some_and(|f| f == flag))
            .map(|(_, value)| value)
    })
}

#[test]
fn every_command_and_variable_is_one_of_the_program() {
    for (name, service) in ours() {
        let command = words(&service["command"]);
        let flags = flags(&command[0]);
        let mut line = vec!["ringless".to_owned()];
        line.extend(command.clone());
        for (variable, value) in environment(&service) {
            let flag = flags
                .get(&variable)
                .unwrap_or_else(|| panic!("{name}: `{}` reads no {variable}", command[0]));
            line.extend([flag.clone(), value]);
        }
        if let Err(error) = Cli::command().try_get_matches_from(&line) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn the_program_starts_by_these_settings() {
    for (name, service) in ours()
        .into_iter()
        .filter(|(_, service)| words(&service["command"])[0] == "serve")
    {
        let addr = |flag| given(&service, flag).map(|text| text.parse().unwrap());
        let overrides = Overrides {
            grpc_addr: addr("--grpc-addr"),
            http_addr: addr("--http-addr"),
            admin_addr: addr("--admin-addr"),
            database_url: given(&service, "--database-url"),
            data_dir: given(&service, "--data-dir").map(Into::into),
            roles: given(&service, "--roles"),
            insecure_no_auth: words(&service["command"])
                .iter()
                .any(|word| word == "--insecure-no-auth"),
            ..Overrides::default()
        };
        let config = Config::build(overrides, FileConfig::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            matches!(config.database_url, DatabaseUrl::Postgres(_)),
            "{name}"
        );
        // Every port that is published leads to an address that is listened on, and from loopback only.
        let listened = [config.grpc_addr, config.http_addr, config.admin_addr];
        let published = if service.get("ports").is_some() {
            words(&service["ports"])
        } else {
            Vec::new()
        };
        for entry in published {
            let (host, inside) = entry.rsplit_once(':').unwrap();
            assert!(host.starts_with("127.0.0.1:"), "{name}: {entry}");
            let reached = listened
                .iter()
                .find(|addr| addr.port().to_string() == inside);
            let reached = reached.unwrap_or_else(|| panic!("{name}: nothing listens at {entry}"));
            assert!(
                reached.ip().is_unspecified(),
                "{name}: {entry} does not reach {reached}"
            );
        }
    }
}

#[test]
fn one_service_has_the_api_and_one_the_worker() {
    let mut roles: Vec<String> = ours()
        .iter()
        .filter_map(|(_, service)| given(service, "--roles"))
        .collect();
    roles.sort();
    assert_eq!(roles, ["api", "worker"]);
}

#[test]
fn all_of_them_share_one_database_and_one_data_folder() {
    let services = services();
    let postgres = environment(&services["postgres"]);
    let url = format!(
        "postgres://{}:{}@postgres:5432/{}",
        postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"], postgres["POSTGRES_DB"]
    );
    for (name, service) in ours() {
        assert_eq!(
            given(&service, "--database-url").as_ref(),
            Some(&url),
            "{name}"
        );
        let folder = environment(&service)["RINGLESS_DATA_DIR"].clone();
        assert_eq!(
            words(&service["volumes"]),
            [format!("data:{folder}")],
            "{name}"
        );
    }
    let probe = words(&services["postgres"]["healthcheck"]["test"]).join(" ");
    assert!(
        probe.contains(&format!("--username={}", postgres["POSTGRES_USER"])),
        "{probe}"
    );
    assert!(
        probe.contains(&format!("--dbname={}", postgres["POSTGRES_DB"])),
        "{probe}"
    );
}

#[test]
fn what_is_waited_for_is_there_and_can_be_waited_for() {
    let services = services();
    for (name, service) in &services {
        let Some(Value::Mapping(wanted)) = service.get("depends_on") else {
            continue;
        };
        for (other, how) in wanted {
            let other = &services[other.as_str().unwrap()];
            match how["condition"].as_str().unwrap() {
                "service_healthy" => assert!(other["healthcheck"]["test"].is_sequence(), "{name}"),
                "service_completed_successfully" => assert_eq!(other["restart"], "no", "{name}"),
                condition => panic!("{name}: {condition}"),
            }
        }
    }
    // From SIGTERM to the end in 25 s: the container must be given longer.
    for (name, service) in ours() {
        let grace = service["stop_grace_period"].as_str().unwrap();
        assert!(
            grace.strip_suffix('s').unwrap().parse::<u32>().unwrap() > 25,
            "{name}"
        );
    }
}

/// The arguments of each line of a kind, lines that go on put together.
fn instructions(kind: &str) -> Vec<String> {
    let joined = text("Dockerfile").replace("\\\n", " ");
    let prefix = format!("{kind} ");
    joined
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(|rest| rest.trim().to_owned())
        .collect()
}

#[test]
fn the_image_runs_the_program_at_its_defaults() {
    let list =
        |kind| -> Vec<String> { serde_json::from_str(instructions(kind).last().unwrap()).unwrap() };
    let line = [list("ENTRYPOINT"), list("CMD")].concat();
    assert_eq!(line[0], env!("CARGO_PKG_NAME"));
    Cli::command().try_get_matches_from(&line).unwrap();

    let defaults = [GRPC_ADDR, HTTP_ADDR, ADMIN_ADDR].map(|addr| port(addr).to_string());
    assert_eq!(instructions("EXPOSE"), [defaults.join(" ")]);
    let probe = instructions("HEALTHCHECK").pop().unwrap();
    assert!(
        probe.contains(&format!("/dev/tcp/127.0.0.1/{}", port(ADMIN_ADDR))),
        "{probe}"
    );
    assert!(probe.contains("GET /readyz "), "{probe}");
    // The probe asks the admin address; it must be listened on at that port in every service that keeps it.
    for (name, service) in ours() {
        let admin = given(&service, "--admin-addr").unwrap_or_else(|| ADMIN_ADDR.to_owned());
        assert_eq!(port(&admin), port(ADMIN_ADDR), "{name}");
    }

    let flags = flags("serve");
    for variable in instructions("ENV") {
        let (name, value) = variable.split_once('=').unwrap();
        assert!(flags.contains_key(name), "`serve` reads no {name}");
        for (service, given) in ours() {
            assert_eq!(environment(&given)[name], value, "{service}");
        }
    }
}

#[test]
fn what_the_image_is_built_of_is_there() {
    let kept = text(".dockerignore");
    for line in instructions("COPY")
        .iter()
        .filter(|line| !line.starts_with("--from"))
    {
        let mut paths: Vec<&str> = line.split_whitespace().collect();
        paths.pop();
        for path in paths {
            assert!(root().join(path).exists(), "{path}");
            assert!(
                kept.contains(&format!("!{path}\n")) || kept.ends_with(&format!("!{path}")),
                ".dockerignore keeps {path} out"
            );
        }
    }
    // The compiler is the one that Cargo.toml asks for.
    let version = text("Cargo.toml")
        .lines()
        .find_map(|line| {
            line.strip_prefix("rust-version = \"")?
                .strip_suffix('"')
                .map(str::to_owned)
        })
        .unwrap();
    let base = instructions("FROM").remove(0);
    assert!(
        base.starts_with(&format!("rust:{version}-")),
        "{base} for {version}"
    );
}
